//! `floe all`: build, test and push, ending at the first failure with its exit code.

use super::test::{self, Asked};
use super::{build, freeze, push};
use crate::cli::args::BuildArgs;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::{Session, image_of};
use crate::cli::signals::Signals;
use crate::publish;
use crate::reference::MissionName;
use crate::suite::definitions;

/// Builds, tests and pushes the images of `missions`. An image that has evidence is not tested again.
pub async fn run(
    session: &Session,
    missions: &[MissionName],
    args: &BuildArgs,
    signals: &Signals,
) -> Result<(), Failure> {
    let (plan, built) = build::run(session, missions, args, signals).await?;
    let engine = session.engine().await?;
    for mission in missions {
        let image = image_of(&built, mission)?;
        let mut tested = false;
        let definitions = definitions::digest(&session.repository.environments(mission))?;
        if let Ok(statement) = publish::evidence(&image.name, &image.id, &definitions, &session.state) {
            let run = session.state.run(statement.run());
            let shown = session.repository.relative(&run);
            output::say(&format!("{} has passed its tests: {}/", image.name, shown.display()));
        } else {
            let asked = Asked::default();
            let chosen = test::choose(session, mission, &asked)?;
            test::run(session, &chosen, image, &asked, &engine, signals).await?;
            tested = true;
        }
        // What becomes a frozen spec has passed its tests.
        if !session.settings.use_frozen && (tested || freeze::is_due(session, &plan)) {
            let written = freeze::run(session, &plan, &built, std::slice::from_ref(mission)).await?;
            output::say(freeze::shown(&written).trim_end());
        }
        push::run(session, mission, image, &engine).await?;
    }
    Ok(())
}
