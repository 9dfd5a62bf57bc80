//! What tests changed that others ran with: a package that one installed, which the next found, is not in the image that
//! is pushed.
//!
//! The engine knows what differs in a container from its image, by name and kind. To ask takes 4 ms on a small image and
//! 4 s on one of 60,000 files: Docker 20.10 walks both trees, since a container's layer lies on one of its own that is not
//! the image's last. So it is asked only where the agent has not said that nothing was changed (`suite::untouched`).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::engine::{Change, ChangeKind, Container, Containers, EngineError};
use crate::image;

/// What is wrong where nobody can tell what was changed.
const UNKNOWN: &str = "tests may have changed what others ran with, and a cluster does not tell what: the same tests in a \
                       container of this machine name it. Where a test must do so, give each test of its environment a \
                       container of its own: `isolated: true` in tests/settings.yml";

/// How many paths are named.
const NAMED: usize = 3;

/// What is wrong with the changes below `fixed` in a container that has ended, if anything is.
pub(super) async fn of(
    containers: &dyn Containers,
    container: &Container,
    fixed: &[PathBuf],
) -> Result<Option<String>, EngineError> {
    if fixed.is_empty() {
        return Ok(None);
    }
    let Some(changes) = containers.changes(container).await? else {
        return Ok(Some(UNKNOWN.to_owned()));
    };
    let differing = differing(&changes, fixed);
    let Some((first, others)) = differing.split_first() else {
        return Ok(None);
    };
    let named = std::iter::once(first).chain(others.iter().take(NAMED - 1));
    let named = named.map(|path| path.display().to_string()).collect::<Vec<_>>();
    let more = match differing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Ok(Some(format!(
        "tests changed what others ran with: {}{more}; the image that would be pushed is without that. Where a test must \
         do so, give each test of its environment a container of its own: `isolated: true` in tests/settings.yml",
        named.join(", ")
    )))
}

/// The files below `fixed` that differ, and the directories that are new and empty. Bytecode that python adds where the
/// image has none is no difference; bytecode that is another than the image's is one.
fn differing<'a>(changes: &'a [Change], fixed: &[PathBuf]) -> Vec<&'a Path> {
    let all = changes.iter().map(|change| (change.path.as_path(), change.kind));
    let all = all.collect::<BTreeMap<_, _>>();
    // What lies in a directory comes right after it.
    let holds = |path: &Path| {
        let mut after = all.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded));
        after.next().is_some_and(|(next, _)| next.starts_with(path))
    };
    let bytecode = |path: &Path| path.components().any(|part| part.as_os_str() == "__pycache__");
    let counts = |path: &Path, kind: ChangeKind| match kind {
        ChangeKind::Deleted => true,
        ChangeKind::Added => !bytecode(path) && !holds(path),
        ChangeKind::Changed => !holds(path),
    };
    let is_fixed = |path: &Path| fixed.iter().any(|directory| path.starts_with(directory)) || is_a_users_code(path);
    let below = all.iter().filter(|(path, _)| is_fixed(path));
    let differing = below.filter(|(path, kind)| counts(path, **kind));
    differing.map(|(path, _)| *path).collect()
}

/// Whether programs of a user run what lies there, whoever the user is.
fn is_a_users_code(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let lies_in = |place: &str| text.contains(&format!("/{place}/"));
    image::OF_USERS.into_iter().any(lies_in) || (lies_in(image::IPYTHON) && image::is_read_by_ipython(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(changes: &[(ChangeKind, &str)]) -> Vec<String> {
        let changes = changes.iter().map(|(kind, path)| Change {
            path: path.into(),
            kind: *kind,
        });
        let changes = changes.collect::<Vec<_>>();
        let differing = differing(&changes, &["/opt/conda".into(), "/opt/environments".into()]);
        differing.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn files_that_others_run_with_are_told_from_their_directories_and_from_what_is_nobodys() {
        use ChangeKind::{Added, Changed, Deleted};
        let changes = [
            (Changed, "/opt"),
            (Changed, "/opt/conda"),
            (Changed, "/opt/conda/lib"),
            (Added, "/opt/conda/lib/new"),
            (Added, "/opt/conda/lib/new/__init__.py"),
            (Added, "/opt/conda/lib/empty"),
            (Deleted, "/opt/conda/lib/old.py"),
            (Changed, "/opt/conda/bin/python"),
            (Added, "/home/jovyan/.cache/x"),
            (Changed, "/opt/environments/e/tests/a.ipynb"),
        ];
        assert_eq!(
            of(&changes),
            [
                "/opt/conda/bin/python",
                "/opt/conda/lib/empty",
                "/opt/conda/lib/new/__init__.py",
                "/opt/conda/lib/old.py",
                "/opt/environments/e/tests/a.ipynb",
            ]
        );
    }

    #[test]
    fn what_programs_of_a_user_run_counts_and_what_they_keep_does_not() {
        let home = [
            ".local/lib/python3.11/site-packages/late.py",
            ".local/bin/late",
            ".local/share/jupyter/kernels/late/kernel.json",
            ".ipython/profile_default/startup/00.py",
            ".ipython/profile_default/ipython_config.py",
        ];
        let kept = [
            ".ipython/profile_default/startup/README",
            ".ipython/profile_default/history.sqlite",
            ".local/share/jupyter/runtime/kernel-1.json",
            ".cache/pip/x.py",
            "data.py",
        ];
        let added = |name: &&str| (ChangeKind::Added, format!("/home/jovyan/{name}"));
        let changes = home.iter().chain(&kept).map(added).collect::<Vec<_>>();
        let changes = changes
            .iter()
            .map(|(kind, path)| (*kind, path.as_str()))
            .collect::<Vec<_>>();
        let mut told = of(&changes);
        told.retain(|path| !home.iter().any(|name| path.ends_with(name)));
        assert_eq!((of(&changes).len(), told), (home.len(), Vec::new()));
    }

    #[test]
    fn bytecode_that_the_image_lacked_is_no_difference_and_another_one_is() {
        use ChangeKind::{Added, Changed, Deleted};
        let pyc = "/opt/conda/lib/p/__pycache__/m.cpython-311.pyc";
        let directory = "/opt/conda/lib/p/__pycache__";
        assert_eq!(of(&[(Changed, directory), (Added, pyc)]), [""; 0]);
        assert_eq!(of(&[(Changed, directory), (Changed, pyc)]), [pyc]);
        assert_eq!(of(&[(Changed, directory), (Deleted, pyc)]), [pyc]);
    }
}
