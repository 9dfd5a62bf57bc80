//! The images of a plan, each worked out of its files, or recalled where they are the same.

pub(super) mod shared;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::mission::{self, Environment};
use super::{FrozenFile, Host, ImagePlan, PlanError, SOLVED, Solved, frozen};
use crate::compose::{self, Assembly, Composed, Mounts, Source};
use crate::config::Settings;
use crate::context::{self, Context, Overlay};
use crate::image::variable;
use crate::memo::Fingerprint;
use crate::reference::{Digest, MissionName, Role};
use crate::repository::{self, Repository};
use crate::spec::env::pip::{self, PipLine};
use crate::spec::env::{self, Lists};
use crate::spec::frozen::Frozen;

/// What all images of a plan are worked out of.
pub(super) struct Given<'a> {
    repository: &'a Repository,
    settings: &'a Settings,
    host: Host<'a>,
    /// What the spec files list that all environments share.
    lists: Lists,
    /// The frozen spec of the base environment, if there is to be one.
    base: Option<FrozenFile>,
    /// Whether the base environment is made of it.
    frozen_base: bool,
    /// All of this, as far as it decides what is worked out.
    fingerprint: Fingerprint,
}

/// What an image's files come to.
#[derive(Serialize, Deserialize)]
struct Worked {
    dockerfile: Composed,
    frozen: Vec<FrozenFile>,
    files: BTreeMap<PathBuf, Digest>,
    modes: BTreeMap<PathBuf, u32>,
    notices: Vec<String>,
    is_frozen: bool,
    solving: Option<Composed>,
    assembly: Option<Assembly>,
}

impl<'a> Given<'a> {
    pub(super) fn new(repository: &'a Repository, settings: &'a Settings, host: Host<'a>) -> Result<Self, PlanError> {
        // Nothing below it is read before it has been looked at.
        repository.inspect(repository::COMMON)?;
        let shared = frozen::shared_specs(repository)?;
        let lists = Lists::read(&shared)?;
        let base = frozen::of_base(repository, &shared, settings, host.solved)?;
        let there = |file: &FrozenFile| file.solved.is_some() || repository.path(&file.path).exists();
        let frozen_base = settings.use_frozen || (host.solved.is_some() && base.as_ref().is_none_or(there));
        let mut fingerprint = Fingerprint::new("the plan of an image");
        let switches = [settings.use_frozen, frozen_base, settings.build.assemble];
        fingerprint.part("switches", &switches.map(u8::from));
        fingerprint.part("mounts", format!("{:?}", host.mounts).as_bytes());
        fingerprint.part("root", repository.root().as_os_str().as_encoded_bytes());
        fingerprint.part("shared", env::digest_of(&lists.files, "")?.as_str().as_bytes());
        Ok(Self {
            repository,
            settings,
            host,
            lists,
            base,
            frozen_base,
            fingerprint,
        })
    }

    /// What floating specs of missions were solved to, if images are to be made of that. What begins as a base environment
    /// that is not frozen could not be made again.
    fn solved(&self) -> Option<&'a Solved> {
        let floats = self.frozen_base && !self.settings.use_frozen;
        self.host.solved.filter(|_| floats)
    }
}

/// The image of the base that is made from Debian's packages.
pub(super) fn base(repository: &Repository, settings: &Settings, mounts: &Mounts) -> Result<ImagePlan, PlanError> {
    repository.inspect(repository::COMMON)?;
    let dockerfile = single(repository, repository::BASE, mounts)?;
    let context = Context::new(repository.path(repository::BASE));
    // It holds no environment that is made of specs.
    let worked = worked(dockerfile, Vec::new(), &context, repository::BASE, true)?;
    let paths = vec![repository::BASE.into()];
    Ok(worked.into_image(Role::Base, None, settings, context, paths).0)
}

/// The image of a mission, which extends the common image at the index `common`, and what people may have meant otherwise.
pub(super) fn mission(
    given: &Given<'_>,
    name: &MissionName,
    common: usize,
    trailer: &Source,
) -> Result<(ImagePlan, Vec<String>), PlanError> {
    let Given {
        repository,
        settings,
        host,
        ..
    } = given;
    let directory = repository::mission(name);
    // The trailer copies both, which a mission may do without.
    let context = [repository::ENVIRONMENTS, repository::HOME_CONTENTS]
        .into_iter()
        .fold(Context::new(repository.path(&directory)), |context, copied| {
            context.with(copied, Overlay::Directory)
        });
    let mut fingerprint = given.fingerprint.clone();
    fingerprint.part("trailer", trailer.text.as_bytes());
    fingerprint.tree(&repository.path(&directory));
    let solved = given.solved().map(|solved| solved.below(&directory));
    if let Some(solved) = solved.filter(|directory| directory.is_dir()) {
        fingerprint.tree(&solved);
    }
    let kept = format!("plan-{name}");
    let (work, mounts) = if let Some(work) = host.memo.recall::<Worked>(&kept, &fingerprint) {
        (work, BTreeMap::new())
    } else {
        repository.inspect(&directory)?;
        let found = mission::load(repository, name, settings.use_frozen, given.solved(), host.renderer)?;
        let lines = found
            .environments
            .iter()
            .flat_map(|environment| &environment.lists.lines);
        let own = credentials(lines.chain(&given.lists.lines), found.frozen);
        let stays_inside = stays_inside(&repository.path(&directory), &found.environments);
        let work = of_mission(
            given,
            name,
            found,
            &context,
            &host.mounts.with(own.keys().copied()),
            trailer,
        )?;
        // What is secret is never kept, nor what rests on files elsewhere.
        if own.is_empty() && stays_inside {
            host.memo.keep(&kept, &fingerprint, &work);
        }
        (work, own)
    };
    let context = with_frozen(context, &directory, &work.frozen, work.is_frozen);
    let paths = vec![directory, repository::COMMON.into()];
    let role = Role::Mission(name.clone());
    let (mut image, notices) = work.into_image(role, Some(common), settings, context, paths);
    image.mounts = mounts;
    Ok((image, notices))
}

/// Whether all files that the lists of environments name lie below `directory`.
fn stays_inside(directory: &Path, environments: &[Environment]) -> bool {
    let mut files = environments.iter().flat_map(|environment| &environment.lists.files);
    files.all(|file| file.starts_with(directory))
}

fn of_mission(
    given: &Given<'_>,
    name: &MissionName,
    found: mission::Mission,
    context: &Context,
    mounts: &Mounts,
    trailer: &Source,
) -> Result<Worked, PlanError> {
    let Given {
        repository,
        settings,
        host,
        ..
    } = given;
    let mission::Mission {
        body,
        environments,
        frozen: is_frozen,
        solving,
    } = found;
    let directory = repository::mission(name);
    let mut notices = repository.misnamed(name);
    for Environment { files, lists, .. } in &environments {
        let root = format!("{}/", repository.root().display());
        let unread = env::unread(files, lists).into_iter();
        notices.extend(unread.map(|text| text.replace(&root, "")));
    }
    let frozen = environments
        .iter()
        .map(|environment| frozen::of_environment(repository, environment, &given.lists, settings))
        .collect::<Result<Vec<_>, _>>()?;
    let dockerfile = compose::mission(name.as_str(), &body, trailer, mounts);
    let dockerfile = dockerfile.staged(body.file().unwrap_or(&directory))?;
    let contents = directory.join(repository::HOME_CONTENTS);
    if repository.path(&contents).exists() && !dockerfile.text.contains(repository::HOME_CONTENTS) {
        notices.push(format!(
            "{} goes nowhere: neither the mission's Dockerfile nor {} copies it",
            contents.display(),
            repository::TRAILER
        ));
    }
    let assembly = match compose::assembly(name.as_str(), &body, trailer, mounts) {
        _ if !is_frozen || !settings.build.assemble => None,
        Ok(assembly) => assembly,
        Err(reason) => {
            let file = body.file().unwrap_or(&directory).display();
            notices.push(format!(
                "{file}: environments are installed in stages, not put together from packages: {reason}"
            ));
            None
        }
    };
    let context = with_frozen(context.clone(), &directory, &frozen, is_frozen);
    Ok(Worked {
        notices,
        solving: solving.map(|stages| compose::solved(&stages, SOLVED, host.mounts)),
        assembly,
        ..worked(dockerfile, frozen, &context, directory, is_frozen)?
    })
}

/// The Dockerfile of an image that stands alone.
fn single(repository: &Repository, directory: &str, mounts: &Mounts) -> Result<Composed, PlanError> {
    let source = compose::load(repository.above(directory), Path::new(directory).join("Dockerfile"))?;
    Ok(compose::single(&source, mounts).staged(&source.path)?)
}

fn worked(
    dockerfile: Composed,
    frozen: Vec<FrozenFile>,
    context: &Context,
    directory: impl AsRef<Path>,
    is_frozen: bool,
) -> Result<Worked, PlanError> {
    let entries = context.entries()?;
    let mut files = context::digests(&entries)?;
    if is_frozen {
        frozen::count_by_key(&frozen, directory.as_ref(), &mut files);
    }
    Ok(Worked {
        dockerfile,
        frozen,
        files,
        modes: context::modes(&entries),
        notices: Vec::new(),
        is_frozen,
        solving: None,
        assembly: None,
    })
}

impl Worked {
    fn into_image(
        self,
        role: Role,
        extends: Option<usize>,
        settings: &Settings,
        context: Context,
        paths: Vec<PathBuf>,
    ) -> (ImagePlan, Vec<String>) {
        let image = ImagePlan {
            role,
            extends,
            dockerfile: self.dockerfile,
            context,
            args: arguments(settings, self.is_frozen),
            paths,
            floats: !self.is_frozen && !self.frozen.is_empty(),
            frozen: self.frozen,
            solving: self.solving,
            assembly: self.assembly,
            mounts: BTreeMap::new(),
            program: None,
            installer: None,
            files: self.files,
            modes: self.modes,
        };
        (image, self.notices)
    }
}

/// What a frozen build needs to reach the indexes that lists name with credentials: a frozen spec holds none, and a floating
/// build reads the lists themselves.
fn credentials<'a>(lines: impl IntoIterator<Item = &'a PipLine>, is_frozen: bool) -> BTreeMap<&'static str, Vec<u8>> {
    if !is_frozen {
        return BTreeMap::new();
    }
    let netrc = pip::netrc(lines);
    netrc
        .map(|text| (compose::NETRC, text.into_bytes()))
        .into_iter()
        .collect()
}

fn arguments(settings: &Settings, is_frozen: bool) -> BTreeMap<String, String> {
    let frozen = if is_frozen { "1" } else { "0" };
    let mut arguments = BTreeMap::from([(variable::USE_FROZEN.to_owned(), frozen.to_owned())]);
    if !settings.site.conda_channels.is_empty() {
        arguments.insert("CONDA_CHANNELS".to_owned(), settings.site.conda_channels.join(" "));
    }
    arguments
}

/// The context of an image that is made of frozen specs, or not. One that floats goes without them: writing new ones must not
/// make the image out of date, nor any step that copies a whole directory. What floating specs were solved to takes the
/// place of what the repository holds.
fn with_frozen(context: Context, directory: impl AsRef<Path>, frozen: &[FrozenFile], is_frozen: bool) -> Context {
    let directory = directory.as_ref();
    let replaced = frozen.iter().filter(|file| !is_frozen || file.solved.is_some());
    let mut context = context;
    for file in replaced {
        let in_context = |path: PathBuf| path.strip_prefix(directory).ok().map(Path::to_owned);
        context = context.without(file.files().into_iter().filter_map(in_context));
        let Some(solved) = &file.solved else { continue };
        let sources = [solved.clone(), Frozen::lock_path(solved)];
        for (path, source) in file.files().into_iter().zip(sources) {
            let mode = fs::metadata(&source).map_or(0o644, |about| about.permissions().mode() & 0o7777);
            if let Some(path) = in_context(path) {
                context = context.with(path, Overlay::File { source, mode });
            }
        }
    }
    context
}
