//! `floe attach`: comes back to a run that was left to a cluster.

use clap::Args;

use super::test;
use crate::cli::args::Global;
use crate::cli::args::cluster::SomewhereArgs;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::workflow::{self, AttachOptions, Attached};

/// Come back to a run that `floe test --detach` left to a cluster: display, report and evidence as if nobody had left
///
/// What the pods have said is heard from its beginning, and nothing counts twice. What the cluster has taken away runs again. At
/// the end the Jobs are deleted, and the call ends as the tests did. Evidence is written where the files here define the
/// tests as they were when the run began. Ctrl-C leaves the run again; it goes on.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The run, or the beginning of its name, as `floe runs` lists it
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    somewhere: SomewhereArgs,
    /// End the run: its tests are asked to end, what they have reported is kept, the Jobs are deleted
    #[arg(long)]
    cancel: bool,
    /// Follow it although another floe does, or was killed while it did on a machine that cannot be seen from here
    #[arg(long)]
    take_over: bool,
}

/// Follows the run to its end.
pub async fn execute(global: &Global, args: &AttachArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let options = AttachOptions {
        cancel: args.cancel,
        take_over: args.take_over,
    };
    let somewhere = args.somewhere.somewhere();
    let attached = workflow::attach(
        &session.workplace,
        &args.run,
        somewhere.as_ref(),
        options,
        &session.interrupts,
    );
    match attached.await? {
        Attached::Ended(observed) => {
            test::say(&session.workplace, &observed);
            if args.cancel && !observed.outcome.passed {
                return Err(Failure::new(
                    ExitCode::Interrupted,
                    "ended; nothing of the run is left there",
                ));
            }
            test::verdict(*observed)
        }
        Attached::Left(how) => {
            let left = Failure::new(how.into(), format!("left again: the run {} goes on", args.run));
            output::next(
                &format!("floe attach {}", args.run),
                "comes back, `--cancel` with it ends the run",
            );
            Err(left)
        }
    }
}
