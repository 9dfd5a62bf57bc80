//! Waiting for a stage: until its image, its chart, its roll-out and its hub are there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{OpenStage, StageError, Wanted};
use crate::chart::{self, Dependency};
use crate::deploy::{DeployError, Refusal, Tree};
use crate::deployment::{DeploymentError, Driver};
use crate::driver::Live;
use crate::event::{Event, Sink};
use crate::fault::Explained;
use crate::hub::HubClient;
use crate::values;
use crate::workflow::{Interrupts, WorkflowError, Workplace};

/// How soon what is not there is looked for again; each time twice as long, up to [`LONGEST_INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_millis(500);
const LONGEST_INTERVAL: Duration = Duration::from_secs(15);

/// How to wait.
#[derive(Debug, Clone, Copy)]
pub struct WaitOptions {
    /// How long, in all.
    pub limit: Duration,
}

/// What was waited for, and is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waited {
    /// The image that the stage's files name.
    pub image: String,
    /// What nothing here can tell, a sentence each.
    pub untold: Vec<String>,
    /// The version of the hub that answers, if the stage names one.
    pub hub: Option<String>,
}

/// What something that is waited for is not.
enum Lack {
    /// It is not there yet.
    Yet { reason: String, hint: Option<String> },
    /// It will never be there.
    Ever(Box<WorkflowError>),
}

/// Waits until a stage runs what its files name, and answers.
pub async fn wait(
    workplace: &Workplace,
    interrupts: &Interrupts,
    deployment: &str,
    stage: &str,
    options: WaitOptions,
) -> Result<Waited, WorkflowError> {
    let stage = OpenStage::of(workplace, interrupts, deployment, stage)?;
    stage.settled(options).await
}

impl OpenStage<'_> {
    pub(super) async fn settled(&self, options: WaitOptions) -> Result<Waited, WorkflowError> {
        let wanted = self.wanted()?;
        let mut there = Waited {
            image: wanted.held.reference(),
            ..Waited::default()
        };
        let pace = Pace {
            stage: self,
            until: Instant::now() + options.limit,
            limit: options.limit,
            sink: self.workplace.display(),
        };
        pace.until("the image", async || self.image_arrived(&wanted).await)
            .await?;
        if let Driver::Helm(_) = self.stage().driver {
            pace.until("the chart's archives", async || self.chart_is_whole())
                .await?;
        }
        if self.scene(None).tells_what_runs() {
            self.identify().await?;
            pace.until("the roll-out", async || self.rolled_out(&wanted).await)
                .await?;
        } else {
            let driver = self.stage().driver.name();
            there.untold.push(format!(
                "whether it is rolled out is not known: the driver {driver} has no status line"
            ));
        }
        match self.stage().check.as_ref().and_then(|check| check.url.as_ref()) {
            Some(url) => {
                let client = self.hub_client()?;
                let version = pace.until("the hub", async || hub_answers(&client, url).await);
                there.hub = Some(version.await?);
            }
            None => there
                .untold
                .push("whether the hub answers is not known: the stage has no check.url".to_owned()),
        }
        Ok(there)
    }

    pub(super) fn hub_client(&self) -> Result<HubClient, WorkflowError> {
        let ca = self.workplace.certificates()?;
        Ok(HubClient::new(ca.as_deref())?)
    }

    async fn image_arrived(&self, wanted: &Wanted) -> Result<(), Lack> {
        match self.image_is_there(wanted).await {
            Ok(()) => Ok(()),
            Err(WorkflowError::Deploy(DeployError::Refused(refusal @ Refusal::Missing { .. }))) => Err(Lack::Yet {
                reason: refusal.to_string(),
                hint: Some("see whether its build passed and was pushed".to_owned()),
            }),
            Err(error) => Err(Lack::of(error)),
        }
    }

    /// The archives of the charts that the chart depends on lie in `charts/`, where Helm looks for them.
    fn chart_is_whole(&self) -> Result<(), Lack> {
        let chart = &self.deployment.chart;
        let paths = ["Chart.lock", "Chart.yaml"].map(|name| chart.join(name));
        let texts = Tree::Here.read(self.root(), &paths);
        let texts = texts.map_err(|error| Lack::Ever(Box::new(error.into())))?;
        let mut needed = Vec::new();
        for (path, text) in paths.iter().zip(texts) {
            let Some(text) = text else { continue };
            let about = values::read(&text, &Arc::from(path.as_path()));
            let about = about.map_err(|error| Lack::Ever(Box::new(DeploymentError::from(error).into())))?;
            needed = chart::dependencies(&about);
            // The lock says what the chart itself leaves open.
            if !needed.is_empty() {
                break;
            }
        }
        let directory = self.root().join(chart).join("charts");
        let there = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let there = there
            .filter_map(|entry| entry.file_name().into_string().ok())
            .map(|name| name.strip_suffix(".tgz").map_or(name.clone(), str::to_owned))
            .collect::<BTreeSet<_>>();
        let is_there = |needed: &Dependency| {
            let name = &needed.name;
            there.contains(name)
                || match needed.exact_version() {
                    Some(version) => there.contains(&format!("{name}-{version}")),
                    None => there.iter().any(|file| file.starts_with(&format!("{name}-"))),
                }
        };
        match needed.iter().find(|&needed| !is_there(needed)) {
            None => Ok(()),
            Some(needed) => {
                let (name, version) = (&needed.name, needed.exact_version().unwrap_or("*"));
                let path = chart.join("charts").join(format!("{name}-{version}.tgz"));
                Err(Lack::Yet {
                    reason: format!("{} is not there", path.display()),
                    hint: Some(format!("`helm dependency build {}` fetches it", chart.display())),
                })
            }
        }
    }

    async fn rolled_out(&self, wanted: &Wanted) -> Result<(), Lack> {
        let yet = |reason: String| Err(Lack::Yet { reason, hint: None });
        match self.live(wanted).await {
            Ok(None) => Ok(()),
            Ok(Some(live)) if live.is(&wanted.digest) => Ok(()),
            Ok(Some(Live::Runs { image, .. })) => yet(format!("it runs {image}")),
            Ok(Some(Live::Nothing)) => yet("nothing runs yet".to_owned()),
            Err(WorkflowError::Driver(error)) if !error.is_final() => Err(Lack::Yet {
                reason: error.to_string(),
                // What is not there yet fails as what never will be.
                hint: error.hint().filter(|_| error.is_temporary()),
            }),
            Err(error) => Err(Lack::Ever(Box::new(error))),
        }
    }
}

async fn hub_answers(client: &HubClient, url: &str) -> Result<String, Lack> {
    client.version(url).await.map_err(|error| Lack::of(error.into()))
}

impl Lack {
    /// What is temporary is not there yet; for what is not, no wait helps.
    fn of(error: WorkflowError) -> Self {
        if error.is_temporary() {
            Self::Yet {
                reason: error.to_string(),
                hint: error.hint(),
            }
        } else {
            Self::Ever(Box::new(error))
        }
    }
}

/// How one thing after the other is waited for, within one limit.
struct Pace<'a> {
    stage: &'a OpenStage<'a>,
    until: Instant,
    limit: Duration,
    sink: Arc<dyn Sink>,
}

impl Pace<'_> {
    /// Asks until there is an answer, and says why there is none yet, each reason once in a row.
    async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Result<T, Lack>) -> Result<T, WorkflowError> {
        let mut said = None;
        let mut hint = None;
        let mut interval = FIRST_INTERVAL;
        loop {
            let asked = timeout_at(self.until, ask());
            match self.stage.or_interrupted(asked).await? {
                Ok(Ok(there)) => return Ok(there),
                Ok(Err(Lack::Ever(error))) => return Err(*error),
                Ok(Err(Lack::Yet { reason, hint: way })) => {
                    if said.as_ref() != Some(&reason) {
                        self.sink.emit(Event::Note {
                            text: format!("waiting for {what}: {reason}"),
                        });
                    }
                    said = Some(reason);
                    hint = way;
                }
                // It was asked, and did not answer before the end.
                Err(_) => {}
            }
            let now = Instant::now();
            if now >= self.until {
                return Err(StageError::TimeIsUp {
                    what: what.to_owned(),
                    reason: said.unwrap_or_else(|| "it did not answer".to_owned()),
                    limit: shown(self.limit),
                    hint,
                }
                .into());
            }
            let pause = interval.min(self.until - now);
            self.stage.or_interrupted(sleep(pause)).await?;
            interval = (interval * 2).min(LONGEST_INTERVAL);
        }
    }
}

/// A limit as people write it.
fn shown(limit: Duration) -> String {
    let seconds = limit.as_secs();
    if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    }
}
