//! Hard life: what goes wrong around the engine must cost time, and nothing else. `docs/hard-life.md` lists what is shown
//! here, and what is shown elsewhere.

mod ipis;
mod panics;
mod stuck;
mod tags;
mod test_machine;
mod unwind;
mod wrap;
