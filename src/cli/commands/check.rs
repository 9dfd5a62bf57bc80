//! `floe check`: a stage's own tests.

use clap::Args;

use crate::cli::args::{Global, OneStage};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::quantity::{self, Limit};
use crate::workflow::{self, CheckOptions};

/// Run a stage's own tests against the image that it runs
///
/// First, what was added to the mission's specs since the image that the stage ran before is imported in the image that it runs
/// now, in a container on this machine. Then the hub must answer at `check.url`, and each line of `check.tests` must end with 0.
/// The lines run by the shell at the root of the repository; they see `FLOE_URL`, `FLOE_IMAGE`, `FLOE_DIGEST`,
/// `FLOE_DEPLOYMENT` and `FLOE_STAGE`. What they say of the image is remembered: `promote` to the next stage asks for it.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    stage: OneStage,
    /// How long each test may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = quantity::parsed::<Limit>)]
    timeout: Limit,
    /// Import nothing, so that no image is pulled; the pull request of a promotion will say so
    #[arg(long)]
    no_imports: bool,
}

/// Checks.
pub async fn execute(global: &Global, args: &CheckArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let OneStage { deployment, stage } = &args.stage;
    let options = CheckOptions {
        limit: args.timeout.0,
        imports: !args.no_imports,
    };
    let checked = workflow::check(&session.workplace, &session.interrupts, deployment, stage, options).await?;
    let all = checked.tests.len();
    let failed = checked.tests.iter().filter(|test| test.failed.is_some()).count();
    match checked.failure() {
        None => {
            output::tell(&format!(
                "{deployment} {stage}: {all} of {all} passed with {}",
                checked.digest
            ));
            Ok(())
        }
        Some(reason) => {
            let message = format!(
                "{deployment} {stage}: {failed} of {all} failed with {}: {reason}",
                checked.digest
            );
            Err(Failure::new(ExitCode::TestsFailed, message)
                .hint("mend it before the next stage gets the image; what each test printed stands above"))
        }
    }
}
