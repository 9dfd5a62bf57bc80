//! `floe build`: images are composed and built, as far as they are not up to date.

use std::num::NonZeroUsize;

use clap::Args;

use super::freeze;
use crate::cli::args::{BuildArgs, Global};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::workflow::{self, BuildOptions, Several};

/// Compose and build the images of missions, as far as they are not up to date
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    build: BuildArgs,
    /// Build so many missions at a time [default: `BUILD_JOBS`]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// End all builds at the first that fails
    #[arg(long)]
    fail_fast: bool,
}

/// Builds the images of missions, and says what was frozen.
pub async fn execute(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let args = &arguments.build;
    let session = Session::open(global, &[])?;
    let missions = args.missions.of(&session.workplace)?;
    let options = BuildOptions {
        several: Several {
            at_once: arguments.jobs,
            fail_fast: arguments.fail_fast,
        },
        ..args.options()
    };
    let written = workflow::build(&session.workplace, &missions, options, &session.interrupts).await?;
    if let Some(written) = written {
        output::say(freeze::shown(&written).trim_end());
    }
    output::next(&format!("floe test{}", args.missions.words()), "runs the tests");
    Ok(())
}
