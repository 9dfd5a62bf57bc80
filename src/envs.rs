//! Environments on disk: made, cloned, updated and registered as Jupyter kernels.
//!
//! An environment is one of conda packages where the base environment is one, or where channels are configured;
//! else it is a venv of the base environment's python, with pip packages only. What an existing environment is, it
//! stays. The files and commands are the same for both.

mod bytecode;
mod change;
mod clone;
pub mod conda;
mod create;
mod error;
mod exact;
mod export;
mod installer;
mod kernelspec;
mod layout;
mod overridden;
mod solve;
mod stage;
mod tree;
mod update;
mod variables;
mod venv;

pub use clone::env_clone;
pub use create::env_create;
pub use error::{Culprit, EnvsError, Refusal};
pub use export::env_export;
pub use installer::Installer;
pub use kernelspec::kernel_setup;
pub use layout::Layout;
pub use solve::{Start, Unsolved, solve};
pub use stage::{STAGED_TIME, env_stage};
pub use update::{env_update, install_common};

use change::make;
use layout::INCOMPLETE;
use variables::read as read_variables;

/// What installs packages.
#[derive(Debug, Clone)]
pub struct Tools {
    /// What installs pip lists.
    pub pip: Installer,
    /// What is known of conda's channels.
    pub conda: conda::Config,
}

impl Tools {
    /// Whether new environments are made of conda packages.
    #[must_use]
    pub fn use_conda(&self, layout: &Layout) -> bool {
        self.conda.has_channels() || conda::is_environment(&layout.conda_dir)
    }
}
