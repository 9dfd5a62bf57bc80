//! `floe build`: images are composed and built, as far as they are not up to date.

use std::sync::Arc;

use super::freeze;
use crate::builder::{self, Built};
use crate::cli::args::BuildArgs;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::signals::Signals;
use crate::event::{Event, Sink};
use crate::plan::BuildPlan;
use crate::reference::MissionName;

/// Builds the images of the missions that `args` names, and freezes what floating specs came to.
pub async fn command(session: &Session, args: &BuildArgs, signals: &Signals) -> Result<(), Failure> {
    let missions = session.missions(&args.missions)?;
    let (plan, built) = run(session, &missions, args, signals).await?;
    let fresh = built.iter().any(|image| image.fresh);
    if !session.settings.use_frozen && (fresh || freeze::is_due(session, &plan)) {
        let written = freeze::run(session, &plan, &built, &missions).await?;
        output::say(freeze::shown(&written).trim_end());
    }
    Ok(())
}

/// Builds the images of `missions`; answers the plan and every image of it.
pub async fn run(
    session: &Session,
    missions: &[MissionName],
    args: &BuildArgs,
    signals: &Signals,
) -> Result<(BuildPlan, Vec<Built>), Failure> {
    let plan = session.plan(missions)?;
    let mut options = session.options(&plan, args.no_cache)?;
    options.refresh = args.refresh && !session.settings.use_frozen;
    let display = session.display();
    look_for_stale(session, &plan, args.strict, &display)?;
    let engine = session.engine().await?;
    let built = tokio::select! {
        built = builder::build(&plan, &engine, &session.state, &options, display.as_ref()) => built?,
        // Dropping the build ends its session, and with it everything that the engine does for it.
        code = signals.heard() => return Err(interrupted(code)),
    };
    Ok((plan, built))
}

/// Says which frozen specs were made from other specs than there are now, where the build is from frozen ones.
fn look_for_stale(session: &Session, plan: &BuildPlan, strict: bool, display: &Arc<dyn Sink>) -> Result<(), Failure> {
    if !session.settings.use_frozen {
        return Ok(());
    }
    for file in plan
        .images
        .iter()
        .flat_map(|image| &image.frozen)
        .filter(|file| file.stale)
    {
        let text = format!(
            "{} is stale: the floating specs beside it have changed since it was made from them",
            file.path.display()
        );
        let hint = "`floe build --use-frozen 0` builds from the floating specs and writes it anew";
        if strict {
            return Err(Failure::new(ExitCode::Invalid, text).hint(hint));
        }
        display.emit(Event::Warning {
            text: format!("{text}; {hint}"),
        });
    }
    Ok(())
}

/// The failure of a call that was interrupted.
fn interrupted(code: ExitCode) -> Failure {
    Failure::new(code, "interrupted; nothing was left half-built")
}
