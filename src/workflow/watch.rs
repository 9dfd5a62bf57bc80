//! Tests that run again when somebody edits: those that the edit touches, on an image with the edit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use walkdir::WalkDir;

use super::{Asked, Choice, Interrupt, Interrupts, Observed, WorkflowError, Workplace, choose_all, test};
use crate::event::Event;
use crate::fault::{Explained as _, Kind};
use crate::reference::{MissionName, TestId, TestKind};
use crate::repository::{self, Repository};

/// How often files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

/// Tests missions, and then again what each edit touches, until an interrupt, which is returned. A definition that is not
/// valid is told, and waited on.
pub async fn watch(
    workplace: &Workplace,
    missions: &[MissionName],
    asked: &Asked,
    interrupts: &Interrupts,
    mut observed: impl FnMut(Result<&Observed, WorkflowError>),
) -> Result<Interrupt, WorkflowError> {
    let mut seen = Snapshot::of(&workplace.repository, missions);
    let mut next = asked.clone();
    loop {
        match run(workplace, missions, &next, interrupts, &mut observed).await {
            Err(WorkflowError::Interrupted(how)) => return Ok(how),
            Err(error) if error.kind() == Kind::Internal => return Err(error),
            Err(error) => observed(Err(error)),
            Ok(()) => {}
        }
        if let Some(how) = interrupts.so_far() {
            return Ok(how);
        }
        workplace.display().emit(Event::Note {
            text: "waiting for edits; Ctrl-C ends it".to_owned(),
        });
        let (now, edited) = match edit(&workplace.repository, missions, &seen, interrupts).await {
            Ok(edit) => edit,
            Err(how) => return Ok(how),
        };
        seen = now;
        for path in edited.iter().take(3) {
            workplace.display().emit(Event::Note {
                text: format!("{} was edited", path.display()),
            });
        }
        next = match choose_all(workplace, missions, asked) {
            Ok(choices) => touched(asked, &choices, &edited),
            // What is wrong with them is told by the run.
            Err(_) => asked.clone(),
        };
    }
}

async fn run(
    workplace: &Workplace,
    missions: &[MissionName],
    asked: &Asked,
    interrupts: &Interrupts,
    observed: &mut impl FnMut(Result<&Observed, WorkflowError>),
) -> Result<(), WorkflowError> {
    let choices = choose_all(workplace, missions, asked)?;
    test(workplace, &choices, asked, interrupts, |run| observed(Ok(run))).await?;
    Ok(())
}

/// Waits for an edit and until it is whole: nothing changes between two looks.
async fn edit(
    repository: &Repository,
    missions: &[MissionName],
    seen: &Snapshot,
    interrupts: &Interrupts,
) -> Result<(Snapshot, Vec<PathBuf>), Interrupt> {
    let mut before = seen.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            how = interrupts.first() => return Err(how),
        }
        let now = Snapshot::of(repository, missions);
        let edited = now.beside(seen);
        if !edited.is_empty() && now == before {
            return Ok((now, edited));
        }
        before = now;
    }
}

/// What is to run after an edit, of what was asked for: the tests that the edited files define or are run with.
fn touched(asked: &Asked, choices: &[Choice], edited: &[PathBuf]) -> Asked {
    let mut tests = BTreeSet::new();
    for choice in choices {
        for path in edited {
            tests.extend(
                choice
                    .selected
                    .iter()
                    .filter(|id| touches(path, &choice.mission, id))
                    .cloned(),
            );
        }
    }
    let mut next = asked.clone();
    if tests.is_empty() {
        return next;
    }
    next.selection.tests = Some(tests.into_iter().collect());
    next.rerun_failed = false;
    next
}

/// Whether what a test does may depend on a file of the repository. What is not known to be another's may be its own.
fn touches(path: &Path, mission: &MissionName, id: &TestId) -> bool {
    let Ok(within) = path.strip_prefix(repository::mission(mission)) else {
        return path.starts_with("common");
    };
    let Ok(within) = within.strip_prefix("environments") else {
        return true;
    };
    let parts = within.iter().filter_map(|part| part.to_str()).collect::<Vec<_>>();
    match parts[..] {
        ["test"] => id.mission().is_some(),
        [environment, "tests", ..] if id.owner != environment => false,
        [_, "tests", "imports"] => id.kind == TestKind::Import,
        [_, "tests", "test"] => id.kind == TestKind::Script,
        [_, "tests", ref rest @ ..] if path.extension().is_some_and(|extension| extension == "ipynb") => {
            id.kind == TestKind::Notebook && id.to_string().ends_with(&format!("::{}", rest.join("/")))
        }
        [environment, ..] => id.owner == environment || id.mission().is_some(),
        [] => true,
    }
}

/// The files that missions are made of, with their times and sizes.
#[derive(Debug, Clone, PartialEq)]
struct Snapshot(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Snapshot {
    fn of(repository: &Repository, missions: &[MissionName]) -> Self {
        let directories = missions
            .iter()
            .map(repository::mission)
            .chain([PathBuf::from("common")]);
        let mut files = BTreeMap::new();
        for directory in directories {
            let walk = WalkDir::new(repository.path(&directory)).into_iter();
            let walk = walk.filter_entry(|entry| entry.depth() == 0 || !is_of_an_editor(entry.path()));
            for entry in walk.flatten().filter(|entry| entry.file_type().is_file()) {
                if let Ok(about) = entry.metadata() {
                    let path = repository.relative(entry.path()).to_owned();
                    files.insert(path, (about.modified().ok(), about.len()));
                }
            }
        }
        Self(files)
    }

    /// The files that are new, gone or others than in `earlier`.
    fn beside(&self, earlier: &Self) -> Vec<PathBuf> {
        let all = self.0.keys().chain(earlier.0.keys()).collect::<BTreeSet<_>>();
        let differs = |path: &&PathBuf| self.0.get(*path) != earlier.0.get(*path);
        all.into_iter().filter(differs).cloned().collect()
    }
}

/// Whether editors and Jupyter keep such a file for themselves: `.name.swp`, `name~`, `.ipynb_checkpoints`.
fn is_of_an_editor(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_touches_the_tests_that_may_depend_on_it_and_no_others() {
        let ids = [
            "cal::imports::numpy",
            "cal::notebooks::sub/a.ipynb",
            "cal::notebooks::b.ipynb",
            "cal::test",
            "sky::imports::numpy",
            "mission:m::test",
        ];
        let mission = "m".parse().unwrap();
        let touched = |path: &str| {
            let touched = ids
                .iter()
                .filter(|id| touches(Path::new(path), &mission, &id.parse().unwrap()));
            touched.copied().collect::<Vec<_>>()
        };
        for (path, expected) in [
            ("missions/m/environments/cal/tests/imports", &ids[..1]),
            ("missions/m/environments/cal/tests/sub/a.ipynb", &ids[1..2]),
            ("missions/m/environments/cal/tests/test", &ids[3..4]),
            ("missions/m/environments/cal/tests/data.csv", &ids[..4]),
            ("missions/m/environments/test", &ids[5..]),
            ("missions/m/Dockerfile.custom", &ids[..]),
            ("common/Dockerfile", &ids[..]),
            ("missions/other/Dockerfile.custom", &[][..]),
        ] {
            assert_eq!(touched(path), expected, "{path}");
        }
        assert_eq!(
            touched("missions/m/environments/cal/cal.pip"),
            [&ids[..4], &ids[5..]].concat()
        );
    }

    #[test]
    fn what_editors_keep_for_themselves_is_no_edit() {
        let root = tempfile::tempdir().unwrap();
        let repository = Repository::at(root.path());
        let missions = ["m".parse().unwrap()];
        let write = |name: &str| {
            let path = root.path().join("missions/m").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        };
        write("a.pip");
        let before = Snapshot::of(&repository, &missions);
        write(".a.pip.swp");
        write("a.pip~");
        write(".ipynb_checkpoints/a.ipynb");
        assert_eq!(Snapshot::of(&repository, &missions), before);
        write("sub/b.pip");
        let now = Snapshot::of(&repository, &missions);
        assert_eq!(now.beside(&before), [PathBuf::from("missions/m/sub/b.pip")]);
        assert_eq!(before.beside(&now), now.beside(&before));
    }
}
