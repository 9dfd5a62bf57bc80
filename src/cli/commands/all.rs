//! `floe all`: build, test and push, ending at the first failure with its exit code.

use clap::Args;

use super::freeze;
use super::push;
use super::test;
use crate::cli::args::run::{RunArgs, SelectionArgs};
use crate::cli::args::{BuildArgs, Global, TagArgs};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::workflow::{self, Asked, Milestone};

/// Build, test and push; stop at the first failure with its exit code
///
/// Where some tests alone are asked for, they run in any case; the image is pushed only if it has passed all of them before.
#[derive(Debug, Args)]
pub struct AllArgs {
    #[command(flatten)]
    build: BuildArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    tags: TagArgs,
}

/// Builds, tests and pushes the images of missions.
pub async fn execute(global: &Global, args: &AllArgs) -> Result<(), Failure> {
    let session = Session::open(global, &args.tags.flags())?;
    let workplace = &session.workplace;
    let missions = args.build.missions.of(workplace)?;
    let asked = Asked {
        selection: args.selection.selection(Vec::new()),
        options: args.run.options(),
        all_tests: args.run.all_tests(),
        ..Asked::default()
    };
    let mut printed = Ok(());
    let failed = workflow::all(
        workplace,
        &missions,
        args.build.options(),
        &asked,
        &session.interrupts,
        |milestone| match milestone {
            Milestone::PassedBefore(image, run) => {
                let run = workplace.repository.relative(&run);
                output::say(&format!("{} has passed its tests: {}/", image.role, run.display()));
            }
            Milestone::Tested(observed) => test::say(workplace, observed),
            Milestone::Frozen(written) => output::say(freeze::shown(written).trim_end()),
            Milestone::Pushed(image, pushed) => {
                let text = push::say(image, &pushed);
                printed = text.map_or(Ok(()), |text| output::result(&text));
            }
        },
    )
    .await?;
    printed?;
    failed.map_or(Ok(()), test::verdict)
}
