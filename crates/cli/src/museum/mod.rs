//! Pages about bugs: the story, the code broken and fixed, and the execution to step through.

mod decide;
mod edits;
mod specialise;
