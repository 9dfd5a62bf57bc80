//! Environments on disk: made, cloned, updated and registered as Jupyter kernels.
//!
//! An environment is one of conda packages where the base environment is one, or where channels are configured;
//! else it is a venv of the base environment's python, with pip packages only. What an existing environment is, it
//! stays. The files and commands are the same for both.

mod activation;
mod assemble;
mod bytecode;
mod change;
mod clone;
pub mod conda;
mod error;
mod export;
mod imprint;
mod kept;
mod kernelspec;
mod layout;
mod make;
mod modules;
mod pip;
mod recorded;
mod sizes;
mod solve;
mod stage;
mod tree;
mod variables;
mod venv;
mod work;

use std::path::PathBuf;

pub use crate::image::INSTALLER;
pub use activation::activated;
pub use assemble::env_assemble;
pub use clone::env_clone;
pub use error::EnvsError;
pub use export::{env_export, licences};
pub use imprint::env_imprint;
pub use kernelspec::kernel_setup;
pub use layout::Layout;
pub use make::{env_create, env_update, frozen_spec, has_common_frozen, install_common, leave_frozen, not_frozen};
pub use modules::{Importable, MOST_MODULES, importable, is_module};
pub use pip::installer::Installer;
pub use solve::{Askers, Kept, Solved, Start, Unsolved, Upgrade, env_solve, solve};
pub use stage::{STAGED_TIME, env_stage};
pub use work::Work;

use layout::INCOMPLETE;

/// What installs packages.
#[derive(Debug, Clone)]
pub struct Tools {
    /// What installs pip lists.
    pub pip: Installer,
    /// What is known of conda's channels.
    pub conda: conda::Config,
    /// Where what was made of packages is kept for the next environment, if anywhere.
    pub cache: Option<PathBuf>,
}

impl Tools {
    /// Whether new environments are made of conda packages.
    #[must_use]
    pub fn use_conda(&self, layout: &Layout) -> bool {
        self.conda.has_channels() || conda::is_environment(&layout.conda_dir)
    }
}
