//! What every command works with: a repository, its settings, floe's state, an engine and a display.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{WorkflowError, temporary};
use crate::builder::{self, Built, site};
use crate::compose::{Mounts, Renderer};
use crate::config::Settings;
use crate::engine::{Credentials, Engine, EngineError, EngineName, Image, JobSettings, LeftRuns};
use crate::event::Sink;
use crate::event::redact::{Hidden, Redacted};
use crate::fault::Trouble;
use crate::git::{self, Touched};
use crate::layers::{Compression, Packing, Shelf};
use crate::memo::Memo;
use crate::plan::{self, BuildPlan, Solved};
use crate::reference::{MissionName, RegistryHost};
use crate::repository::Repository;
use crate::sops::Sops;
use crate::state::{FileError, State};

/// What connects to an engine, when the first step of a command needs one.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Connects to the engine.
    async fn connect(&self) -> Result<Arc<dyn Engine>, EngineError>;

    /// Connects to the engine of this name.
    async fn engine(&self, name: &EngineName) -> Result<Arc<dyn Engine>, EngineError>;

    /// Connects to the cluster of this context, or of the current one, whose Jobs are as `jobs` says.
    async fn cluster(&self, context: Option<&str>, jobs: JobSettings) -> Result<Arc<dyn LeftRuns>, EngineError>;
}

/// Where a command works.
pub struct Workplace {
    /// The repository.
    pub repository: Repository,
    /// What people set.
    pub settings: Settings,
    /// floe's own state.
    pub state: State,
    /// floe's own program, which goes into images as their agent.
    pub agent: PathBuf,
    /// What renders the templates of missions.
    pub renderer: Box<dyn Renderer>,
    /// What is masked in everything that shows or records events.
    pub hidden: Hidden,
    /// Makes a display for one step of a command.
    pub display: Box<dyn Fn() -> Arc<dyn Sink> + Send + Sync>,
    /// What `docker login` has stored for a registry.
    pub login: fn(&RegistryHost) -> Option<Credentials>,
    /// What connects to the engine.
    pub connect: Box<dyn Connect>,
    /// The engine, once a step has needed one.
    pub connected: OnceCell<Arc<dyn Engine>>,
}

impl Workplace {
    /// One mission: the named one, or the one that the settings name.
    pub fn mission(&self, named: Option<&str>) -> Result<MissionName, WorkflowError> {
        match (named, &self.settings.mission) {
            (Some(name), _) => Ok(name.parse()?),
            (None, Some(mission)) => Ok(mission.clone()),
            (None, None) => Err(WorkflowError::MissionUnnamed {
                known: self.repository.missions(),
            }),
        }
    }

    /// The missions that a command is for: all, those named, or the one that the settings name.
    pub fn missions(&self, all: bool, named: &[String]) -> Result<Vec<MissionName>, WorkflowError> {
        if all {
            let missions = self.repository.missions();
            return if missions.is_empty() {
                Err(WorkflowError::NoMissions)
            } else {
                Ok(missions)
            };
        }
        if named.is_empty() {
            return Ok(vec![self.mission(None)?]);
        }
        named.iter().map(|name| Ok(name.parse()?)).collect()
    }

    /// An image that was built, as the engine has it.
    pub(super) async fn image(&self, image: &Built) -> Result<Image, WorkflowError> {
        let found = self.engine().await?.image(image.id.as_str()).await?;
        let found = found.ok_or_else(|| EngineError::Request {
            action: format!("look at {}", image.reference),
            reason: "the image has been removed".to_owned(),
            trouble: Trouble::Vanished,
        });
        Ok(found?)
    }

    /// Plans the images of `missions`. Floating specs count as they were last solved here, if they were.
    pub fn plan(&self, missions: &[MissionName]) -> Result<BuildPlan, WorkflowError> {
        self.plan_with(missions, Some(&self.solved()))
    }

    /// What floating specs were solved to here.
    pub(super) fn solved(&self) -> Solved {
        Solved::at(self.state.solved())
    }

    /// Plans the images of `missions`, given what their floating specs were solved to.
    pub(super) fn plan_with(
        &self,
        missions: &[MissionName],
        solved: Option<&Solved>,
    ) -> Result<BuildPlan, WorkflowError> {
        let Self {
            repository,
            settings,
            agent,
            ..
        } = self;
        let host = plan::Host {
            agent,
            mounts: &self.mounts(),
            renderer: self.renderer.as_ref(),
            memo: &self.memo(),
            solved,
        };
        Ok(plan::load(repository, missions, settings, host)?)
    }

    /// What this program has worked out of the repository's files before.
    #[must_use]
    pub fn memo(&self) -> Memo {
        Memo::of(self.state.memo(), &self.agent)
    }

    /// The images of `plan`, as they were built.
    pub async fn built(&self, plan: &BuildPlan) -> Result<Vec<Built>, WorkflowError> {
        Ok(builder::find(plan, self.engine().await?, &self.state).await?)
    }

    /// The container engine.
    pub async fn engine(&self) -> Result<&dyn Engine, WorkflowError> {
        let engine = self.connected.get_or_try_init(|| self.connect.connect()).await?;
        Ok(engine.as_ref())
    }

    /// What every `RUN` gets from this site.
    #[must_use]
    pub fn mounts(&self) -> Mounts {
        Mounts::of(site::mount_ids(&self.settings.site))
    }

    /// How `plan` is carried out here.
    pub fn options(&self, plan: &BuildPlan) -> Result<builder::Options, WorkflowError> {
        let mut commits = BTreeMap::new();
        let mut doubt = None;
        for image in &plan.images {
            match git::last_commit(self.repository.root(), &image.paths) {
                Touched::By(commit) => {
                    commits.insert(image.role.clone(), commit);
                }
                Touched::Nobody => {}
                Touched::Unknown { reason } => doubt = Some(reason),
            }
        }
        let credentials = match &plan.base {
            plan::Base::Reference(reference) => (self.login)(&reference.registry()),
            plan::Base::Rootfs(_) => None,
        };
        Ok(builder::Options {
            commits,
            doubt,
            credentials,
            ..self.site_options()?
        })
    }

    /// What every build gets from this site.
    pub fn site_options(&self) -> Result<builder::Options, WorkflowError> {
        Ok(builder::Options {
            mounts: site::mounts(&self.settings.site)?,
            proxies: site::proxies(&self.settings.site),
            retries: builder::RETRY_INTERVALS.to_vec(),
            temporary: temporary::beginning(),
            packing: Some(Packing {
                compression: self.settings.compression.unwrap_or(Compression::Gzip),
                shelf: Shelf::at(self.state.layers()),
            }),
            passage: builder::PASSAGE,
            ..builder::Options::default()
        })
    }

    /// How sops is called here.
    #[must_use]
    pub fn sops(&self) -> Sops {
        let keys = self.settings.secrets.age_keys.as_ref();
        Sops {
            age_keys: keys.map(|keys| self.repository.path(keys)),
            ..Sops::default()
        }
    }

    /// The site's certificates, as PEM, if it has some.
    pub fn certificates(&self) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.settings.site.ca.as_ref();
        path.map(|path| std::fs::read(path).map_err(FileError::of(path)))
            .transpose()
    }

    /// A display for one step.
    #[must_use]
    pub fn display(&self) -> Arc<dyn Sink> {
        self.guarded((self.display)())
    }

    /// The sink, less what is hidden here.
    #[must_use]
    pub fn guarded(&self, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Redacted::guard(self.hidden.clone(), sink)
    }
}

/// The image of a mission among those of a plan, which are in the plan's order.
pub(super) fn image_of<'a>(plan: &BuildPlan, built: &'a [Built], mission: &MissionName) -> &'a Built {
    let index = plan
        .images
        .iter()
        .position(|image| image.role.mission() == Some(mission));
    &built[index.expect("a plan for missions holds an image of each")]
}
