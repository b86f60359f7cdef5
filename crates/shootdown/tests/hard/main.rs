//! Hard life: what goes wrong around the engine must cost time, and nothing else. `docs/hard-life.md` lists what is shown
//! here, and what is shown elsewhere.

mod bells;
mod panics;
mod rig;
mod stuck;
mod tags;
mod unwind;
mod wrap;
