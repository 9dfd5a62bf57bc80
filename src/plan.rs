//! What is to be built: a chain of images, each with everything that decides its content.
//!
//! A plan is data. Whether an image is up to date can be told from its [`Inputs`] and the ID of the image it extends,
//! without calling a builder; carrying the plan out is `builder`'s.

mod error;
mod frozen;
mod inputs;
mod mission;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use error::PlanError;
pub use frozen::{FrozenFile, shared_specs};
pub use inputs::Inputs;

use crate::compose::{self, Composed, Mounts, Renderer};
use crate::config::{BaseImage, Settings};
use crate::context::{Context, Overlay};
use crate::image::applet;
use crate::reference::{Digest, ImageReference, MissionName, Role};
use crate::repository::{self, Repository};
use crate::spec::env::{self, EnvironmentFiles, SpecError, pip};

/// The agent in the context of the common image.
const AGENT: &str = "common-scripts/floe";

/// Everything that is to be built.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// What the first image extends.
    pub base: Base,
    /// The images, each after the one it extends.
    pub images: Vec<ImagePlan>,
    /// What people may have meant otherwise, a sentence each.
    pub notices: Vec<String>,
}

/// What the first image of a plan extends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// An image that the engine has or can pull.
    Reference(ImageReference),
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
    /// What it is.
    pub role: Role,
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
    /// The content of the mounts that are this image's own, by ID.
    pub mounts: BTreeMap<&'static str, Vec<u8>>,
    /// The digests of the context's files.
    files: BTreeMap<PathBuf, Digest>,
    /// Their modes.
    modes: BTreeMap<PathBuf, u32>,
}

impl ImagePlan {
    /// Whether a file of the repository, by its path there, decides the image's content. One that `exists` and that the
    /// context leaves out does not.
    #[must_use]
    pub fn reads(&self, path: &Path, exists: bool) -> bool {
        if path == Path::new(repository::TRAILER) {
            return self.role.mission().is_some();
        }
        let own = self
            .paths
            .first()
            .and_then(|directory| path.strip_prefix(directory).ok());
        own.is_some_and(|own| {
            let composed = own
                .to_str()
                .is_some_and(|name| name.starts_with("Dockerfile") && !name.contains('/'));
            !exists || composed || self.files.contains_key(own)
        })
    }

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
        for (path, mode) in &self.modes {
            inputs.mode(&path.to_string_lossy(), *mode);
        }
        inputs
    }
}

/// What of the host goes into a plan.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// floe's own program, which goes into the common image.
    pub agent: &'a Path,
    /// What every `RUN` gets.
    pub mounts: &'a Mounts,
    /// What renders templates.
    pub renderer: &'a dyn Renderer,
}

/// Plans the images of `missions` from the files of `repository`.
pub fn load(
    repository: &Repository,
    missions: &[MissionName],
    settings: &Settings,
    host: Host<'_>,
) -> Result<BuildPlan, PlanError> {
    let Host { agent, mounts, .. } = host;
    let known = repository.missions();
    if let Some(unknown) = missions.iter().find(|name| !known.contains(name)) {
        return Err(PlanError::UnknownMission {
            name: unknown.clone(),
            known,
        });
    }
    repository.inspect(repository::COMMON)?;
    for name in missions {
        repository.inspect(repository::mission(name))?;
    }
    let mut images = Vec::new();
    let mut notices = replaced(repository);
    let base = match &settings.base_image {
        BaseImage::Reference(reference) => Base::Reference(reference.clone()),
        BaseImage::Debian => {
            images.push(shared(
                repository,
                Role::Base,
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
    let own = credentials(&shared_specs, settings)?;
    let mut common = shared(
        repository,
        Role::Common,
        repository::COMMON,
        context,
        images.len().checked_sub(1),
        settings,
        &mounts.with(own.keys().copied()),
    )?;
    common.frozen = base_frozen;
    frozen::count_by_key(&common.frozen, common.paths.first(), &mut common.files);
    common.mounts = own;
    images.push(common);
    let common = images.len() - 1;
    for name in missions {
        let directory = repository::mission(name);
        let mission::Mission { body, environments } =
            mission::load(repository, name, settings.use_frozen, host.renderer)?;
        notices.extend(repository.misnamed(name));
        for files in &environments {
            let unread = env::unread(files)?.into_iter();
            let root = format!("{}/", repository.root().display());
            notices.extend(unread.map(|text| text.replace(&root, "")));
        }
        let frozen = environments
            .iter()
            .map(|files| frozen::of_environment(repository, files, &shared_specs, settings))
            .collect::<Result<Vec<_>, _>>()?;
        let lists = environments.iter().flat_map(EnvironmentFiles::floating);
        let own = credentials(&lists.chain(&shared_specs).cloned().collect::<Vec<_>>(), settings)?;
        // The trailer copies both, which a mission may do without.
        let context = [repository::ENVIRONMENTS, repository::HOME_CONTENTS]
            .into_iter()
            .fold(Context::new(repository.path(&directory)), |context, copied| {
                context.with(copied, Overlay::Directory)
            });
        let trailer = compose::load(repository.root(), repository::TRAILER)?;
        let dockerfile = compose::mission(name.as_str(), &body, &trailer, &mounts.with(own.keys().copied()));
        let dockerfile = dockerfile.staged(body.file().unwrap_or(&directory))?;
        let contents = directory.join(repository::HOME_CONTENTS);
        if repository.path(&contents).exists() && !dockerfile.text.contains(repository::HOME_CONTENTS) {
            notices.push(format!(
                "{} goes nowhere: neither the mission's Dockerfile nor {} copies it",
                contents.display(),
                repository::TRAILER
            ));
        }
        images.push(planned(ImagePlan {
            role: Role::Mission(name.clone()),
            extends: Some(common),
            dockerfile,
            context: less_frozen(context, &directory, &frozen, settings),
            args: arguments(settings),
            paths: vec![directory, repository::COMMON.into()],
            frozen,
            mounts: own,
            files: BTreeMap::new(),
            modes: BTreeMap::new(),
        })?);
    }
    // What missions share is looked at for each.
    let mut said = BTreeSet::new();
    notices.retain(|text| said.insert(text.clone()));
    Ok(BuildPlan { base, images, notices })
}

/// The base or common image, from the Dockerfile in `directory`.
fn shared(
    repository: &Repository,
    role: Role,
    directory: &str,
    context: Context,
    extends: Option<usize>,
    settings: &Settings,
    mounts: &Mounts,
) -> Result<ImagePlan, PlanError> {
    let source = compose::load(repository.root(), Path::new(directory).join("Dockerfile"))?;
    planned(ImagePlan {
        role,
        extends,
        dockerfile: compose::single(&source, mounts).staged(&source.path)?,
        context,
        args: arguments(settings),
        paths: vec![directory.into()],
        frozen: Vec::new(),
        mounts: BTreeMap::new(),
        files: BTreeMap::new(),
        modes: BTreeMap::new(),
    })
}

/// What a frozen build needs to reach the indexes that lists name with credentials: a frozen spec holds none, and a floating
/// build reads the lists themselves.
fn credentials(lists: &[PathBuf], settings: &Settings) -> Result<BTreeMap<&'static str, Vec<u8>>, SpecError> {
    if !settings.use_frozen {
        return Ok(BTreeMap::new());
    }
    let netrc = pip::netrc(&pip::all_lines(lists)?);
    Ok(netrc
        .map(|text| (compose::NETRC, text.into_bytes()))
        .into_iter()
        .collect())
}

fn planned(mut image: ImagePlan) -> Result<ImagePlan, PlanError> {
    image.files = image.context.digests()?;
    frozen::count_by_key(&image.frozen, image.paths.first(), &mut image.files);
    image.modes = image.context.modes()?;
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

/// The scripts of the repository that stand for floe's own in images, a sentence each.
fn replaced(repository: &Repository) -> Vec<String> {
    let scripts = Path::new(repository::COMMON).join(repository::SCRIPTS);
    let own = applet::ALL.iter().map(|applet| scripts.join(applet));
    let own = own.filter(|path| repository.path(path).exists());
    own.map(|path| format!("{} replaces floe's own in images", path.display()))
        .collect()
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
