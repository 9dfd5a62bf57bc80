//! What is to be built: a chain of images, each with everything that decides its content.
//!
//! A plan is data. Whether an image is up to date can be told from its [`Inputs`] and the ID of the image it extends,
//! without calling a builder; carrying the plan out is `builder`'s.

mod error;
mod frozen;
mod inputs;
mod layers;
mod mission;
mod solved;
mod works;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use error::PlanError;
pub use frozen::{FrozenFile, floating, floating_base, shared_specs};
pub use inputs::Inputs;
pub use solved::Solved;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use self::works::Given;
use crate::compose::program::PROGRAM;
use crate::compose::{self, Assembly, Composed, Mounts, Renderer};
use crate::config::{BaseImage, Settings};
use crate::context::Context;
use crate::image::{applet, variable};
use crate::memo::Memo;
use crate::reference::{Digest, EnvironmentName, ImageReference, MissionName, Role};
use crate::repository::{self, Repository};

/// The agent in the context of the common image, where it is one of the scripts.
const AGENT: &str = "common-scripts/floe";

/// Where an image holds what it has solved: see [`ImagePlan::solving`].
pub const SOLVED: &str = "/floe-solved/specs";

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

impl BuildPlan {
    /// How many of the images, the first, are those that missions share.
    #[must_use]
    pub fn shared(&self) -> usize {
        let missions = self.images.iter().filter(|image| image.role.mission().is_some());
        self.images.len() - missions.count()
    }
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
    /// Whether it holds environments of specs that are solved while it is built.
    pub floats: bool,
    /// The Dockerfile that solves its floating specs in the image that it extends, if stages of floe's own make its
    /// environments and a build need not wait for what they come to.
    pub solving: Option<Composed>,
    /// How its environments are assembled, if they are all made of frozen specs by stages of floe's own.
    pub assembly: Option<Assembly>,
    /// The content of the mounts that are this image's own, by ID.
    pub mounts: BTreeMap<&'static str, Vec<u8>>,
    /// floe's own program, if that is all that it adds to the image that it extends.
    pub program: Option<PathBuf>,
    /// What its environments are made by, if that is no file of its own.
    installer: Option<&'static str>,
    /// The digests of the context's files.
    files: BTreeMap<PathBuf, Digest>,
    /// Their modes.
    modes: BTreeMap<PathBuf, u32>,
}

impl ImagePlan {
    /// The same image, made by another Dockerfile of the same context.
    #[must_use]
    pub fn by(&self, dockerfile: &Composed) -> Self {
        Self {
            dockerfile: dockerfile.clone(),
            ..self.clone()
        }
    }

    /// An image of nothing but a Dockerfile.
    #[cfg(test)]
    pub(crate) fn of_dockerfile(role: Role, dockerfile: Composed, assembly: Option<Assembly>) -> Self {
        Self {
            role,
            extends: None,
            dockerfile,
            context: Context::new("/nowhere"),
            args: BTreeMap::new(),
            paths: Vec::new(),
            frozen: Vec::new(),
            solving: None,
            assembly,
            floats: false,
            mounts: BTreeMap::new(),
            program: None,
            installer: None,
            files: BTreeMap::new(),
            modes: BTreeMap::new(),
        }
    }

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

    /// Whether floe composed the Dockerfile, so that it takes what the image is to say of itself.
    #[must_use]
    pub fn is_composed(&self) -> bool {
        self.dockerfile.text.contains(&format!("\nARG {}\n", variable::IMPRINT))
    }

    /// Whether its environments are made of frozen specs.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.args.get(variable::USE_FROZEN).is_some_and(|frozen| frozen == "1")
    }

    /// The digest of everything that decides the image's content, as far as the parent does not, less the files of environments
    /// other than this and the base environment.
    #[must_use]
    pub fn surroundings(&self, environment: &EnvironmentName) -> Digest {
        let mut inputs = Inputs::default();
        inputs.text(inputs::DOCKERFILE, &self.dockerfile.text);
        for (name, value) in &self.args {
            inputs.text(name, value);
        }
        let counts = |path: &Path| {
            let mut below = path.strip_prefix(repository::ENVIRONMENTS).ok()?.components();
            let (first, rest) = (below.next()?, below.next());
            let holder = first.as_os_str();
            // What lies beside the environments is of all of them, and so is what is added to the base environment in place.
            Some(rest.is_none() || holder == environment.as_str() || holder == EnvironmentName::base().as_str())
        };
        let counts = |path: &Path| counts(path).unwrap_or(true);
        for (path, digest) in self.files.iter().filter(|(path, _)| counts(path)) {
            inputs.part(&path.to_string_lossy(), digest);
        }
        for (path, mode) in self.modes.iter().filter(|(path, _)| counts(path)) {
            inputs.mode(&path.to_string_lossy(), *mode);
        }
        inputs.digest()
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
        if let Some(installer) = self.installer {
            inputs.text(inputs::INSTALLER, installer);
        }
        for (path, digest) in &self.files {
            let name = if [AGENT, PROGRAM].map(Path::new).contains(&path.as_path()) {
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
    /// What was worked out of the same files before.
    pub memo: &'a Memo,
    /// What floating specs were solved to; `None` where images are to solve them by themselves.
    pub solved: Option<&'a Solved>,
}

/// Plans the images of `missions` from the files of `repository`.
pub fn load(
    repository: &Repository,
    missions: &[MissionName],
    settings: &Settings,
    host: Host<'_>,
) -> Result<BuildPlan, PlanError> {
    let mounts = host.mounts;
    let known = repository.missions();
    if let Some(unknown) = missions.iter().find(|name| !known.contains(name)) {
        return Err(PlanError::UnknownMission {
            name: unknown.clone(),
            known,
        });
    }
    let mut images = Vec::new();
    let mut notices = replaced(repository);
    let base = match &settings.base_image {
        BaseImage::Reference(reference) => Base::Reference(reference.clone()),
        BaseImage::Debian => {
            images.push(works::base(repository, settings, mounts)?);
            Base::Rootfs(Rootfs {
                suite: "bookworm",
                packages: &["ca-certificates", "python3", "python3-venv"],
                mirror: settings.site.apt_mirror.clone(),
            })
        }
    };
    let given = Given::new(repository, settings, host)?;
    images.extend(works::shared::common(&given, images.len().checked_sub(1))?);
    if missions.is_empty() {
        return Ok(BuildPlan { base, images, notices });
    }
    let common = images.len() - 1;
    let trailer = compose::load(repository.above(repository::TRAILER), repository::TRAILER)?;
    let planned = missions
        .par_iter()
        .map(|name| works::mission(&given, name, common, &trailer));
    // The first mission that cannot be planned is the one to speak of, whichever was looked at first.
    for planned in planned.collect::<Vec<_>>() {
        let (image, said) = planned?;
        images.push(image);
        notices.extend(said);
    }
    // What missions share is looked at for each.
    let mut said = BTreeSet::new();
    notices.retain(|text| said.insert(text.clone()));
    Ok(BuildPlan { base, images, notices })
}

/// The scripts of the repository that stand for floe's own in images, a sentence each.
fn replaced(repository: &Repository) -> Vec<String> {
    let scripts = Path::new(repository::COMMON).join(repository::SCRIPTS);
    let own = applet::ALL.iter().map(|applet| scripts.join(applet));
    let own = own.filter(|path| repository.path(path).exists());
    own.map(|path| format!("{} replaces floe's own in images", path.display()))
        .collect()
}
