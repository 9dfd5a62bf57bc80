//! What floe's test programs, its benchmarks and its example share: the program that is tested, repositories for it, a
//! conda channel and a registry.
//!
//! Nothing here knows floe from within, so a change of floe compiles none of it again.

mod bridge;
pub mod channel;
mod command;
pub mod document;
mod evidence;
mod git;
mod host;
mod index;
mod kubectl;
mod notebook;
mod person;
mod program;
mod proxy;
mod referrers;
mod registry;
mod repository;
mod sops;
mod venv;

pub use bridge::bridge_address;
pub use command::{mounted, run, through};
pub use evidence::statement;
pub use git::{committed, git};
pub use host::{HandedOver, take_layers};
pub use index::PackageIndex;
pub use kubectl::{helm, kubectl};
pub use notebook::notebook;
pub use person::person;
pub use program::{Ended, floe, floe_with_engine, program, scratch};
pub use proxy::{Passing, Proxy, Reply, Turn};
pub use registry::LocalRegistry;
pub use repository::Repository;
pub use sops::sops_directory;
pub use venv::{venv, venv_with};
