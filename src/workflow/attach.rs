//! Coming back to a run that was left to a cluster, on the machine that began it or on any other.

use std::path::PathBuf;
use std::sync::Arc;

use super::observe::Recording;
use super::test::testify;
use super::{Asked, Choice, End, Interrupt, Interrupts, Observed, WorkflowError, Workplace, choose, cluster};
use crate::engine::{EngineError, LeftRun, LeftRuns};
use crate::event::Event;
use crate::fault::{Explained, Kind, Trouble};
use crate::image::label;
use crate::process::Owner;
use crate::reference::MissionName;
use crate::run::store::LOG;
use crate::run::whereabouts::Whereabouts;
use crate::run::{history, log};
use crate::state::FileError;
use crate::trial::{self, Ended, LeftError, LeftTrial, Trial};

/// A cluster, as far as a call says which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Somewhere {
    /// The context of the kubeconfig, if not the current one.
    pub context: Option<String>,
    /// The file that says what Jobs are like, if not that of the repository.
    pub settings: Option<PathBuf>,
}

/// How to come back.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttachOptions {
    /// Whether the run is ended.
    pub cancel: bool,
    /// Whether it is taken from whoever follows it.
    pub take_over: bool,
}

/// How a call that came back ended.
#[derive(Debug)]
pub enum Attached {
    /// The run ended.
    Ended(Box<Observed>),
    /// The call was interrupted, and the run goes on.
    Left(Interrupt),
}

/// Why nobody comes back to a run.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Nothing says which cluster it is on.
    #[error("no run {run} was left by a call of this repository")]
    Nowhere {
        /// The run.
        run: String,
    },
    /// The cluster knows no such run.
    #[error("the cluster knows no run {run}: it has ended and was removed, or never was there")]
    Unknown {
        /// The run.
        run: String,
    },
    /// Several runs begin so.
    #[error("{number} runs begin with {run:?}")]
    Several {
        /// What they begin with.
        run: String,
        /// How many there are.
        number: usize,
    },
    /// Another floe follows it.
    #[error("another floe follows {run}")]
    Followed {
        /// The run.
        run: String,
    },
    /// What is kept of it is of no use here.
    #[error("{run}: {reason}")]
    Unreadable {
        /// The run.
        run: String,
        /// Why.
        reason: LeftError,
    },
}

impl Explained for AttachError {
    fn kind(&self) -> Kind {
        match self {
            Self::Followed { .. } => Kind::Refused,
            _ => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nowhere { run } => {
                format!(
                    "`floe attach {run} --on kubernetes` looks for it on the cluster; `floe runs` lists those of here"
                )
            }
            Self::Unknown { .. } | Self::Several { .. } => {
                "`floe runs --on kubernetes` lists those of the cluster".to_owned()
            }
            Self::Followed { run } => {
                format!("where that one was killed, `floe attach {run} --take-over` follows it from here")
            }
            Self::Unreadable {
                reason: LeftError::Foreign { floe },
                ..
            } => format!("floe {floe} can come back to it"),
            Self::Unreadable { .. } => return None,
        })
    }
}

/// Comes back to the run `named`, which may be the beginning of its name, and follows it to its end as if it had never been
/// left: log, reports, evidence. `somewhere` is where it is, if this repository has not left it there itself.
///
/// An interrupt leaves it again, unless the run is to be ended.
pub async fn attach(
    workplace: &Workplace,
    named: &str,
    somewhere: Option<&Somewhere>,
    options: AttachOptions,
    interrupts: &Interrupts,
) -> Result<Attached, WorkflowError> {
    let somewhere = match somewhere {
        Some(somewhere) => somewhere.clone(),
        None => left_here(workplace, named)?,
    };
    let runs = cluster::reach(workplace, somewhere.context.as_deref(), somewhere.settings.as_deref()).await?;
    let kept = find(workplace, runs.as_ref(), named).await?;
    let left = read(&kept).map_err(|reason| AttachError::Unreadable {
        run: kept.run.clone(),
        reason,
    })?;
    let owner = Owner::current();
    claim(runs.as_ref(), &kept, &owner, options).await?;
    let trial = left.resumed(workplace.agent.clone(), workplace.state.run(&kept.run));
    let resumed = Resumed {
        workplace,
        runs,
        left,
        trial,
        owner,
    };
    match resumed.follow(&somewhere, options, interrupts).await {
        Ok(Attached::Left(how)) => {
            resumed.release().await?;
            Ok(Attached::Left(how))
        }
        Err(error) => {
            // The reason counts, not what comes of the tidying.
            let _ = resumed.release().await;
            Err(error)
        }
        ended => ended,
    }
}

/// Where a call of this repository has left a run.
fn left_here(workplace: &Workplace, named: &str) -> Result<Somewhere, AttachError> {
    let runs = std::fs::read_dir(workplace.state.runs_directory())
        .into_iter()
        .flatten();
    let runs = runs
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(named));
    let mut left = runs.filter_map(|entry| Whereabouts::of(&entry.path()));
    let left = left
        .next()
        .ok_or_else(|| AttachError::Nowhere { run: named.to_owned() })?;
    Ok(Somewhere {
        context: left.context,
        settings: left.settings,
    })
}

async fn find(workplace: &Workplace, runs: &dyn LeftRuns, named: &str) -> Result<LeftRun, WorkflowError> {
    let mut kept = runs.kept().await?;
    kept.retain(|kept| kept.run.starts_with(named));
    match kept.len() {
        1 => Ok(kept.remove(0)),
        0 => {
            // Nobody needs to be told again that it is away.
            if history::is_run(named) {
                let directory = workplace.state.run(named);
                Whereabouts::clear(&directory)?;
                let _ = std::fs::remove_dir(directory);
            }
            Err(AttachError::Unknown { run: named.to_owned() }.into())
        }
        number => Err(AttachError::Several {
            run: named.to_owned(),
            number,
        }
        .into()),
    }
}

/// What is kept of a run, which somebody else may have written: its name becomes that of a directory here.
fn read(kept: &LeftRun) -> Result<LeftTrial, LeftError> {
    let left = LeftTrial::read(&kept.content)?;
    if left.trial.run != kept.run || !history::is_run(&kept.run) {
        return Err(LeftError::Unreadable {
            reason: "it has another name than a run of floe's has".to_owned(),
        });
    }
    Ok(left)
}

/// Writes down that this process follows the run, unless another does.
async fn claim(
    runs: &dyn LeftRuns,
    kept: &LeftRun,
    owner: &Owner,
    options: AttachOptions,
) -> Result<(), WorkflowError> {
    let followed = || AttachError::Followed { run: kept.run.clone() };
    let other = kept.labels.get(label::OWNER);
    let goes_on = other.is_some_and(|_| !trial::is_abandoned(&kept.labels, owner));
    if (goes_on && !options.take_over) || !runs.claim(kept, Some(&owner.to_string())).await? {
        return Err(followed().into());
    }
    Ok(())
}

/// A run that was come back to.
struct Resumed<'a> {
    workplace: &'a Workplace,
    runs: Arc<dyn LeftRuns>,
    left: LeftTrial,
    trial: Trial,
    owner: Owner,
}

impl Resumed<'_> {
    /// Notes where the run is, for whoever leaves it again. What was heard of it before is heard again.
    fn note(&self, somewhere: &Somewhere) -> Result<(), WorkflowError> {
        let directory = &self.trial.directory;
        let heard = Whereabouts::of(directory).is_some() && directory.join(LOG).is_file();
        if heard && !log::is_written(&directory.join(LOG)) {
            std::fs::remove_dir_all(directory).map_err(FileError::of(directory))?;
        }
        let note = Whereabouts {
            context: somewhere.context.clone(),
            settings: somewhere.settings.clone(),
            mission: self.trial.mission.clone(),
            reference: self.trial.reference.clone(),
            image: self.trial.image.clone(),
            began: self.left.began,
        };
        Ok(note.write(directory)?)
    }

    async fn follow(
        &self,
        somewhere: &Somewhere,
        options: AttachOptions,
        interrupts: &Interrupts,
    ) -> Result<Attached, WorkflowError> {
        self.note(somewhere)?;
        if self.left.complete
            && let Err(reason) = self.choice()
        {
            let text = format!("{reason}: no evidence will be written. Ctrl-C leaves the run to whoever has its files");
            self.workplace.display().emit(Event::Warning { text });
        }
        let recording = Recording::begin(self.workplace, &self.trial.directory)?;
        let ended = if options.cancel {
            let kill = async {
                interrupts.first().await;
            };
            self.attend(&recording, std::future::ready(()), kill).await
        } else {
            let never = std::future::pending;
            tokio::select! {
                ended = self.attend(&recording, never(), never()) => ended,
                how = interrupts.first() => return Ok(Attached::Left(how)),
            }
        };
        match ended {
            // It is this machine that does not reach the cluster: the run knows nothing of that.
            Err(error) if is_out_of_reach(&error) => {
                let text = format!("the run goes on: `floe attach {}` comes back to it", self.trial.run);
                self.workplace.display().emit(Event::Warning { text });
                return Err(error.into());
            }
            _ => {}
        }
        let observed = recording.end(ended, interrupts);
        // What cannot be shown may be heard again.
        if observed.account.is_ok() {
            self.testify(&observed)?;
            trial::discard(self.runs.as_ref(), &self.trial.run).await?;
            Whereabouts::clear(&self.trial.directory)?;
        }
        Ok(Attached::Ended(Box::new(observed)))
    }

    async fn attend(
        &self,
        recording: &Recording<'_>,
        stop: impl Future<Output = ()>,
        kill: impl Future<Output = ()>,
    ) -> Result<Ended, EngineError> {
        let resumed = (&self.left, &self.trial);
        trial::attend(
            resumed,
            self.runs.as_ref(),
            &self.owner,
            &recording.watched,
            (stop, kill),
        )
        .await
    }

    /// Writes or takes back evidence, as after any run, where the tests are defined here as they are there.
    fn testify(&self, observed: &Observed) -> Result<(), WorkflowError> {
        if !matches!(observed.end, End::Complete) {
            return Ok(());
        }
        match self.choice() {
            Ok(choice) => testify(
                self.workplace,
                (&choice, &self.trial.image),
                self.left.complete,
                &self.trial.run,
                observed,
            ),
            Err(_) if !observed.outcome.passed => Ok(self.workplace.state.withdraw_evidence(&self.trial.image)?),
            Err(reason) => {
                if observed.passed() && self.left.complete {
                    let text = format!("it passed, and no evidence is written: {reason}");
                    self.workplace.display().emit(Event::Warning { text });
                }
                Ok(())
            }
        }
    }

    /// The tests as the files here define them, if the run is about the same.
    fn choice(&self) -> Result<Choice, String> {
        let mission = self.trial.mission.parse::<MissionName>();
        let mission = mission.map_err(|error| error.to_string())?;
        let choice = choose(self.workplace, &mission, &Asked::default());
        let choice = choice.map_err(|error| format!("what tests {mission} has here is not known: {error}"))?;
        if self.trial.definitions.as_ref() != Some(&choice.definitions) {
            return Err(format!(
                "the tests of {mission} are defined otherwise here than in the run"
            ));
        }
        let same = |here: &[_], there: &[_]| here.len() == there.len() && here.iter().all(|id| there.contains(id));
        if self.left.complete && (!same(&choice.expected, &self.trial.expected) || choice.skips() != self.trial.skips) {
            return Err(format!("other tests of {mission} are expected here than in the run"));
        }
        Ok(choice)
    }

    /// Writes down that nobody follows the run any more, and removes what only who followed it needed.
    async fn release(&self) -> Result<(), WorkflowError> {
        let mut kept = self.runs.kept().await?;
        kept.retain(|kept| kept.run == self.trial.run);
        let Some(kept) = kept.first() else {
            return Ok(());
        };
        // Whoever has taken it over meanwhile goes on with it.
        if kept.labels.get(label::OWNER) == Some(&self.owner.to_string()) {
            trial::discard_later(self.runs.as_ref(), &self.left).await?;
            self.runs.claim(kept, None).await?;
        }
        Ok(())
    }
}

/// Whether the error tells of the way to the cluster, and not of what runs there.
fn is_out_of_reach(error: &EngineError) -> bool {
    match error {
        EngineError::Cluster { trouble, .. } => *trouble != Trouble::Pending && error.is_temporary(),
        _ => false,
    }
}
