//! `floe build`: images are composed and built, as far as they are not up to date.

use super::freeze;
pub use crate::cli::args::BuildArgs;
use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::workflow;

/// Builds the images of missions, and says what was frozen.
pub async fn execute(global: &Global, args: &BuildArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let missions = args.missions.of(&session.workplace)?;
    let written = workflow::build(&session.workplace, &missions, args.options(), &session.interrupts).await?;
    if let Some(written) = written {
        output::say(freeze::shown(&written).trim_end());
    }
    output::next(&format!("floe test{}", args.missions.words()), "runs the tests");
    Ok(())
}
