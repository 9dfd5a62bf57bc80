//! Runs that are left to a cluster when they have begun.

use jiff::Timestamp;

use super::carry::{Carry, grounds};
use super::observe::sweep;
use super::test::{Machines, current, ready};
use super::workplace::image_of;
use super::{Asked, BuiltPlan, Choice, Interrupts, WorkflowError, Workplace};
use crate::builder::Built;
use crate::engine::LeftRuns;
use crate::event::Event;
use crate::process::Owner;
use crate::reference::MissionName;
use crate::run::history;
use crate::run::whereabouts::Whereabouts;
use crate::trial::{self, Trial};

/// A run that goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// The run.
    pub run: String,
    /// The mission that it tests.
    pub mission: MissionName,
    /// How many tests it runs.
    pub tests: usize,
    /// In how many pods.
    pub pods: usize,
}

/// Begins the tests of each mission that was chosen for on the cluster that is asked for, and leaves them to it. Images that
/// are not up to date are built first. `left` is given each run that goes on.
///
/// An interrupt ends it: the run that is about to begin leaves nothing there, those before it go on.
pub async fn detach(
    workplace: &Workplace,
    choices: &[Choice],
    asked: &Asked,
    interrupts: &Interrupts,
    mut left: impl FnMut(&Detached),
) -> Result<(), WorkflowError> {
    let missions = choices.iter().map(|choice| choice.mission.clone()).collect::<Vec<_>>();
    let BuiltPlan { plan, built } = current(workplace, &missions, asked.no_build, interrupts).await?;
    for choice in choices {
        if choice.expected.is_empty() {
            let text = format!("this part of {} holds no test; the others do", choice.mission);
            workplace.display().emit(Event::Note { text });
            continue;
        }
        let image = image_of(&plan, &built, &choice.mission);
        left(&one(workplace, choice, image, asked, interrupts).await?);
    }
    Ok(())
}

async fn one(
    workplace: &Workplace,
    choice: &Choice,
    image: &Built,
    asked: &Asked,
    interrupts: &Interrupts,
) -> Result<Detached, WorkflowError> {
    let run = history::new_run(&choice.mission);
    // All of them run there; what they rest on is known, so that one that fails is not carried from a run before.
    let carry = Carry {
        grounds: grounds(workplace, choice, &workplace.image(image).await?, asked).await?,
        tests: Vec::new(),
    };
    let (trial, machines) = ready(workplace, choice, image, (asked, run, carry)).await?;
    let Machines::Cluster(cluster) = machines else {
        return Err(WorkflowError::NoCluster);
    };
    let owner = Owner::current();
    sweep(workplace, cluster.as_ref(), &owner).await?;
    whereabouts(&trial, asked).write(&trial.directory)?;
    match left(&trial, asked, cluster.as_ref(), &owner, interrupts).await {
        Ok(()) => Ok(Detached {
            mission: choice.mission.clone(),
            tests: trial.expected.len(),
            pods: trial.stages.len(),
            run: trial.run,
        }),
        Err(error) => {
            // Nothing of it goes on anywhere. The reason counts, not what comes of the tidying.
            let _ = std::fs::remove_dir_all(&trial.directory);
            Err(error)
        }
    }
}

async fn left(
    trial: &Trial,
    asked: &Asked,
    cluster: &dyn LeftRuns,
    owner: &Owner,
    interrupts: &Interrupts,
) -> Result<(), WorkflowError> {
    let stop = async {
        interrupts.first().await;
    };
    if trial::leave(trial, asked.is_complete(), cluster, owner, stop).await? {
        return Ok(());
    }
    Err(WorkflowError::Interrupted(interrupts.first().await))
}

fn whereabouts(trial: &Trial, asked: &Asked) -> Whereabouts {
    let on = asked.cluster.as_ref();
    let absolute = |path: &std::path::PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    Whereabouts {
        context: on.and_then(|on| on.context.clone()),
        settings: on.and_then(|on| on.settings.as_ref()).map(absolute),
        mission: trial.mission.clone(),
        reference: trial.reference.clone(),
        image: trial.image.clone(),
        began: Timestamp::now(),
    }
}
