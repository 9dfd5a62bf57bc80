//! What floe's test programs, its benchmarks and its example share: the program that is tested, repositories for it, a
//! conda channel and a registry.
//!
//! Nothing here knows floe from within, so a change of floe compiles none of it again.

pub mod channel;
mod program;
mod registry;
mod repository;

pub use program::{Ended, floe, floe_with_engine, program, scratch};
pub use registry::LocalRegistry;
pub use repository::Repository;
