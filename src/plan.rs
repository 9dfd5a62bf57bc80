//! What is to be built: a chain of images, each with everything that decides its content.
//!
//! A plan is data. Whether an image is up to date can be told from its [`Inputs`] and the ID of the image it extends,
//! without calling a builder; carrying the plan out is `builder`'s.

mod frozen;
mod inputs;
mod mission;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use frozen::{FrozenFile, shared_specs};
pub use inputs::Inputs;

use crate::compose::{self, ComposeError, Composed, Mounts};
use crate::config::{BaseImage, Settings};
use crate::context::{Context, ContextError, Overlay};
use crate::image::applet;
use crate::reference::{Digest, MissionName};
use crate::repository::{self, Repository};
use crate::spec::env::SpecError;

/// The agent in the context of the common image.
const AGENT: &str = "common-scripts/floe";

/// Everything that is to be built.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// What the first image extends.
    pub base: Base,
    /// The images, each after the one it extends.
    pub images: Vec<ImagePlan>,
}

/// What the first image of a plan extends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// An image that the engine has or can pull.
    Reference(String),
    /// A root filesystem made from Debian's packages.
    Rootfs(Rootfs),
}

/// A root filesystem made from Debian's packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// Debian's name of the release.
    pub suite: &'static str,
    /// Packages beside the essential ones.
    pub packages: &'static [&'static str],
    /// The mirror, if it is not Debian's own.
    pub mirror: Option<String>,
}

impl Rootfs {
    /// The digest of all that decides what is made, but not of the packages' versions on the day.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut inputs = Inputs::default();
        inputs.text("suite", self.suite);
        inputs.text("packages", &self.packages.join(" "));
        inputs.text("mirror", self.mirror.as_deref().unwrap_or_default());
        inputs.digest()
    }
}

/// One image to build.
#[derive(Debug, Clone)]
pub struct ImagePlan {
    /// What it is, in people's words: `base`, `common`, `mission roman`.
    pub name: String,
    /// The repository of its tags on this machine, e.g. `floe/roman`.
    pub repository: String,
    /// The mission, for a mission's image.
    pub mission: Option<MissionName>,
    /// The index in the plan of the image that it extends; `None`: the plan's base.
    pub extends: Option<usize>,
    /// The Dockerfile.
    pub dockerfile: Composed,
    /// The files that it can copy.
    pub context: Context,
    /// The build arguments, less `BASE_IMAGE`, which is known when the image before is built.
    pub args: BTreeMap<String, String>,
    /// The paths in the repository whose commits decide the image's commit tag.
    pub paths: Vec<PathBuf>,
    /// Its environments whose frozen specs are kept in the repository.
    pub frozen: Vec<FrozenFile>,
    /// The digests of the context's files.
    files: BTreeMap<PathBuf, Digest>,
}

impl ImagePlan {
    /// Everything that decides the image's content, `parent` being the ID of the image it extends.
    #[must_use]
    pub fn inputs(&self, parent: &Digest) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.text(inputs::PARENT, parent.as_str());
        inputs.text(inputs::DOCKERFILE, &self.dockerfile.text);
        for (name, value) in &self.args {
            inputs.text(name, value);
        }
        for (path, digest) in &self.files {
            let agent = path == Path::new(AGENT);
            let name = if agent {
                inputs::AGENT.into()
            } else {
                path.to_string_lossy()
            };
            inputs.part(&name, digest);
        }
        inputs
    }
}

/// A definition that cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such mission.
    #[error("there is no mission \"{name}\"; missions/ holds {}", list(.known))]
    UnknownMission {
        /// The name that was asked for.
        name: MissionName,
        /// The missions there are.
        known: Vec<MissionName>,
    },
    /// A file that composing needs cannot be used.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// An environment's files cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The files of a build cannot be read.
    #[error(transparent)]
    Context(#[from] ContextError),
}

fn list(names: &[MissionName]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(MissionName::as_str).collect::<Vec<_>>().join(", ")
}

/// Plans the images of `missions` from the files of `repository`. `agent` is floe's own program, which goes into the common
/// image; `mounts` is what every `RUN` gets.
pub fn load(
    repository: &Repository,
    missions: &[MissionName],
    settings: &Settings,
    agent: &Path,
    mounts: &Mounts,
) -> Result<BuildPlan, PlanError> {
    let known = repository.missions();
    if let Some(unknown) = missions.iter().find(|name| !known.contains(name)) {
        return Err(PlanError::UnknownMission {
            name: unknown.clone(),
            known,
        });
    }
    let mut images = Vec::new();
    let base = match &settings.base_image {
        BaseImage::Reference(reference) => Base::Reference(reference.clone()),
        BaseImage::Debian => {
            images.push(shared(
                repository,
                "base",
                repository::BASE,
                Context::new(repository.path(repository::BASE)),
                None,
                settings,
                mounts,
            )?);
            Base::Rootfs(Rootfs {
                suite: "bookworm",
                packages: &["ca-certificates", "python3", "python3-venv"],
                mirror: settings.site.apt_mirror.clone(),
            })
        }
    };
    let shared_specs = frozen::shared_specs(repository)?;
    let base_frozen = Vec::from_iter(frozen::of_base(repository, &shared_specs, settings)?);
    let context = with_agent(Context::new(repository.path(repository::COMMON)), agent);
    let context = less_frozen(context, repository::COMMON, &base_frozen, settings);
    let mut common = shared(
        repository,
        "common",
        repository::COMMON,
        context,
        images.len().checked_sub(1),
        settings,
        mounts,
    )?;
    common.frozen = base_frozen;
    images.push(common);
    let common = images.len() - 1;
    for name in missions {
        let directory = repository::mission(name);
        let mission::Mission { body, environments } = mission::load(repository, name, settings.use_frozen)?;
        let frozen = environments
            .iter()
            .map(|files| frozen::of_environment(repository, files, &shared_specs))
            .collect::<Result<Vec<_>, _>>()?;
        let context = Context::new(repository.path(&directory)).with(repository::ENVIRONMENTS, Overlay::Directory);
        let trailer = compose::load(repository.root(), repository::TRAILER)?;
        images.push(planned(ImagePlan {
            name: format!("mission {name}"),
            repository: format!("floe/{name}"),
            mission: Some(name.clone()),
            extends: Some(common),
            dockerfile: compose::mission(name.as_str(), &body, &trailer, mounts),
            // The trailer copies environments/, which a mission may do without.
            context: less_frozen(context, &directory, &frozen, settings),
            args: arguments(settings),
            paths: vec![directory, repository::COMMON.into()],
            frozen,
            files: BTreeMap::new(),
        })?);
    }
    Ok(BuildPlan { base, images })
}

/// The base or common image, from the Dockerfile in `directory`.
fn shared(
    repository: &Repository,
    name: &str,
    directory: &str,
    context: Context,
    extends: Option<usize>,
    settings: &Settings,
    mounts: &Mounts,
) -> Result<ImagePlan, PlanError> {
    let source = compose::load(repository.root(), Path::new(directory).join("Dockerfile"))?;
    planned(ImagePlan {
        name: name.to_owned(),
        repository: format!("floe/{name}"),
        mission: None,
        extends,
        dockerfile: compose::single(&source, mounts),
        context,
        args: arguments(settings),
        paths: vec![directory.into()],
        frozen: Vec::new(),
        files: BTreeMap::new(),
    })
}

fn planned(mut image: ImagePlan) -> Result<ImagePlan, PlanError> {
    image.files = image.context.digests()?;
    Ok(image)
}

fn arguments(settings: &Settings) -> BTreeMap<String, String> {
    let frozen = if settings.use_frozen { "1" } else { "0" };
    let mut arguments = BTreeMap::from([("USE_FROZEN".to_owned(), frozen.to_owned())]);
    if !settings.site.conda_channels.is_empty() {
        arguments.insert("CONDA_CHANNELS".to_owned(), settings.site.conda_channels.join(" "));
    }
    arguments
}

/// The context of a floating build goes without frozen specs: writing new ones must not make the image out of date, nor
/// any step that copies a whole directory.
fn less_frozen(context: Context, directory: impl AsRef<Path>, frozen: &[FrozenFile], settings: &Settings) -> Context {
    if settings.use_frozen {
        return context;
    }
    let files = frozen.iter().flat_map(FrozenFile::files);
    context.without(files.filter_map(|file| Some(file.strip_prefix(directory.as_ref()).ok()?.to_owned())))
}

/// The agent, and a link to it for each of its names.
fn with_agent(context: Context, agent: &Path) -> Context {
    let program = Overlay::File {
        source: agent.to_owned(),
        mode: 0o755,
    };
    let context = context.with(AGENT, program);
    applet::ALL.iter().fold(context, |context, applet| {
        context.with(
            format!("{}/{applet}", repository::SCRIPTS),
            Overlay::Symlink("floe".into()),
        )
    })
}
