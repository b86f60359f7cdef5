//! Pages about bugs: the story, the code broken and fixed, and the execution to step through.

mod code;
mod data;
mod index;
mod links;
mod page;
mod prose;
mod words;

pub use index::{Entry, file_name, index};
pub use page::{Exhibit, GENERATOR, page};
