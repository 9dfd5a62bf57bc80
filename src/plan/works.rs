//! The images of a plan, each worked out of its files, or recalled where they are the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::mission::{self, Environment};
use super::{AGENT, FrozenFile, Host, ImagePlan, PlanError, frozen};
use crate::compose::{self, Composed, Mounts, Source};
use crate::config::Settings;
use crate::context::{self, Context, Overlay};
use crate::image::{applet, variable};
use crate::memo::Fingerprint;
use crate::reference::{Digest, MissionName, Role};
use crate::repository::{self, Repository};
use crate::spec::env::pip::{self, PipLine};
use crate::spec::env::{self, Lists};

/// What all images of a plan are worked out of.
pub(super) struct Given<'a> {
    repository: &'a Repository,
    settings: &'a Settings,
    host: Host<'a>,
    /// The spec files that all environments share.
    shared: Vec<PathBuf>,
    /// What they list.
    lists: Lists,
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
}

impl<'a> Given<'a> {
    pub(super) fn new(repository: &'a Repository, settings: &'a Settings, host: Host<'a>) -> Result<Self, PlanError> {
        // Nothing below it is read before it has been looked at.
        repository.inspect(repository::COMMON)?;
        let shared = frozen::shared_specs(repository)?;
        let lists = Lists::read(&shared)?;
        let mut fingerprint = Fingerprint::new("the plan of an image");
        fingerprint.part("frozen", &[u8::from(settings.use_frozen)]);
        fingerprint.part("mounts", format!("{:?}", host.mounts).as_bytes());
        fingerprint.part("root", repository.root().as_os_str().as_encoded_bytes());
        fingerprint.part("shared", env::digest_of(&lists.files, "")?.as_str().as_bytes());
        Ok(Self {
            repository,
            settings,
            host,
            shared,
            lists,
            fingerprint,
        })
    }
}

/// The image of the base that is made from Debian's packages.
pub(super) fn base(repository: &Repository, settings: &Settings, mounts: &Mounts) -> Result<ImagePlan, PlanError> {
    repository.inspect(repository::COMMON)?;
    let dockerfile = single(repository, repository::BASE, mounts)?;
    let context = Context::new(repository.path(repository::BASE));
    let worked = worked(dockerfile, Vec::new(), &context, repository::BASE, Vec::new())?;
    let paths = vec![repository::BASE.into()];
    Ok(worked.into_image(Role::Base, None, settings, context, paths).0)
}

/// The common image, which extends the image at the index `extends`.
pub(super) fn common(given: &Given<'_>, extends: Option<usize>) -> Result<ImagePlan, PlanError> {
    let Given {
        repository,
        settings,
        host,
        ..
    } = given;
    let context = with_agent(Context::new(repository.path(repository::COMMON)), host.agent);
    let own = credentials(&given.lists.lines, settings);
    let mut fingerprint = given.fingerprint.clone();
    fingerprint.part("base", format!("{:?}", settings.base_image).as_bytes());
    fingerprint.tree(&repository.path(repository::COMMON));
    fingerprint.file(host.agent);
    let recalled = host
        .memo
        .recall::<Worked>("common", &fingerprint)
        .filter(|_| own.is_empty());
    let work = if let Some(work) = recalled {
        work
    } else {
        let frozen = Vec::from_iter(frozen::of_base(repository, &given.shared, settings)?);
        let dockerfile = single(repository, repository::COMMON, &host.mounts.with(own.keys().copied()))?;
        let context = less_frozen(context.clone(), repository::COMMON, &frozen, settings);
        let work = worked(dockerfile, frozen, &context, repository::COMMON, Vec::new())?;
        if own.is_empty() {
            host.memo.keep("common", &fingerprint, &work);
        }
        work
    };
    let context = less_frozen(context, repository::COMMON, &work.frozen, settings);
    let paths = vec![repository::COMMON.into()];
    let (mut image, _) = work.into_image(Role::Common, extends, settings, context, paths);
    image.mounts = own;
    Ok(image)
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
    let kept = format!("plan-{name}");
    let (work, mounts) = if let Some(work) = host.memo.recall::<Worked>(&kept, &fingerprint) {
        (work, BTreeMap::new())
    } else {
        repository.inspect(&directory)?;
        let found = mission::load(repository, name, settings.use_frozen, host.renderer)?;
        let lines = found
            .environments
            .iter()
            .flat_map(|environment| &environment.lists.lines);
        let own = credentials(lines.chain(&given.lists.lines), settings);
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
    let context = less_frozen(context, &directory, &work.frozen, settings);
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
        repository, settings, ..
    } = given;
    let mission::Mission { body, environments } = found;
    let directory = repository::mission(name);
    let mut notices = repository.misnamed(name);
    for Environment { files, lists } in &environments {
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
    let context = less_frozen(context.clone(), &directory, &frozen, settings);
    worked(dockerfile, frozen, &context, directory, notices)
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
    notices: Vec<String>,
) -> Result<Worked, PlanError> {
    let entries = context.entries()?;
    let mut files = context::digests(&entries)?;
    frozen::count_by_key(&frozen, directory.as_ref(), &mut files);
    Ok(Worked {
        dockerfile,
        frozen,
        files,
        modes: context::modes(&entries),
        notices,
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
            args: arguments(settings),
            paths,
            frozen: self.frozen,
            mounts: BTreeMap::new(),
            files: self.files,
            modes: self.modes,
        };
        (image, self.notices)
    }
}

/// What a frozen build needs to reach the indexes that lists name with credentials: a frozen spec holds none, and a floating
/// build reads the lists themselves.
fn credentials<'a>(
    lines: impl IntoIterator<Item = &'a PipLine>,
    settings: &Settings,
) -> BTreeMap<&'static str, Vec<u8>> {
    if !settings.use_frozen {
        return BTreeMap::new();
    }
    let netrc = pip::netrc(lines);
    netrc
        .map(|text| (compose::NETRC, text.into_bytes()))
        .into_iter()
        .collect()
}

fn arguments(settings: &Settings) -> BTreeMap<String, String> {
    let frozen = if settings.use_frozen { "1" } else { "0" };
    let mut arguments = BTreeMap::from([(variable::USE_FROZEN.to_owned(), frozen.to_owned())]);
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
