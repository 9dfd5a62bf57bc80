//! The common image: what `common/Dockerfile` makes, and floe's own program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Given, Worked, credentials, with_frozen, worked};
use crate::compose;
use crate::compose::program::{self, PROGRAM};
use crate::context::{Context, Overlay};
use crate::image::{self, applet};
use crate::plan::{AGENT, ImagePlan, PlanError};
use crate::reference::Role;
use crate::repository;

/// The common image, whose first part extends the image at the index `extends`: the foundation, and the program on top of it;
/// or both as one, where the program has to be one of the scripts.
pub(in crate::plan) fn common(given: &Given<'_>, extends: Option<usize>) -> Result<Vec<ImagePlan>, PlanError> {
    let Given {
        repository,
        settings,
        host,
        ..
    } = given;
    let own = credentials(&given.lists.lines, given.frozen_base);
    let mounts = host.mounts.with(own.keys().copied());
    let file = Path::new(repository::COMMON).join("Dockerfile");
    let source = compose::load(repository.above(repository::COMMON), file)?;
    let foundation = program::foundation(&source, &mounts);
    let place = if foundation.is_some() { PROGRAM } else { AGENT };
    let context = Context::new(repository.path(repository::COMMON));
    let context = with_agent(context, place, host.agent);
    let mut fingerprint = given.fingerprint.clone();
    let solved = given.base.iter().filter_map(|file| file.solved.as_deref());
    solved.for_each(|solved| fingerprint.file(solved));
    fingerprint.part("base", format!("{:?}", settings.base_image).as_bytes());
    fingerprint.tree(&repository.path(repository::COMMON));
    fingerprint.file(host.agent);
    let recalled = host
        .memo
        .recall::<Worked>("common", &fingerprint)
        .filter(|_| own.is_empty());
    let mut work = if let Some(work) = recalled {
        work
    } else {
        let frozen = Vec::from_iter(given.base.clone());
        let dockerfile = foundation.clone();
        let dockerfile = dockerfile.unwrap_or_else(|| compose::single(&source, &mounts));
        let dockerfile = dockerfile.staged(&source.path)?;
        let context = with_frozen(context.clone(), repository::COMMON, &frozen, given.frozen_base);
        let work = worked(dockerfile, frozen, &context, repository::COMMON, given.frozen_base)?;
        if own.is_empty() {
            host.memo.keep("common", &fingerprint, &work);
        }
        work
    };
    let context = with_frozen(context, repository::COMMON, &work.frozen, work.is_frozen);
    let paths = vec![repository::COMMON.into()];
    if foundation.is_none() {
        let (mut common, _) = work.into_image(Role::Common, extends, settings, context, paths);
        common.mounts = own;
        return Ok(vec![common]);
    }
    let program = Worked {
        dockerfile: program::common(host.mounts),
        frozen: std::mem::take(&mut work.frozen),
        files: taken(&mut work.files),
        modes: taken(&mut work.modes),
        notices: Vec::new(),
        is_frozen: work.is_frozen,
        solving: None,
        assembly: None,
    };
    let below = Some(extends.map_or(0, |index| index + 1));
    let (mut common, _) = program.into_image(Role::Common, below, settings, context.clone(), paths.clone());
    let (mut foundation, _) = work.into_image(Role::Foundation, extends, settings, context, paths);
    foundation.mounts = own;
    foundation.installer = Some(image::INSTALLER);
    // What is solved is solved where it is installed; what is frozen is read where the program is.
    foundation.floats = std::mem::take(&mut common.floats);
    common.program = Some(host.agent.to_owned());
    Ok(vec![foundation, common])
}

/// What is known of the program alone, taken out of what is known of all files.
fn taken<T>(files: &mut BTreeMap<PathBuf, T>) -> BTreeMap<PathBuf, T> {
    files.remove_entry(Path::new(PROGRAM)).into_iter().collect()
}

/// The agent at `place`, and a link to it for each of its names.
fn with_agent(context: Context, place: &str, agent: &Path) -> Context {
    let program = Overlay::File {
        source: agent.to_owned(),
        mode: 0o755,
    };
    let context = context.with(place, program);
    applet::ALL.iter().fold(context, |context, applet| {
        context.with(
            format!("{}/{applet}", repository::SCRIPTS),
            Overlay::Symlink("floe".into()),
        )
    })
}
