//! Where a failure is: the cell and line in words, and the file and line of the repository that define the test.

mod cell;

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::event::Cause;
use crate::reference::TestId;

/// `cell 3, line 2`; nothing where the cause names neither.
#[must_use]
pub fn within(cause: &Cause) -> Option<String> {
    match (cause.cell, cause.line) {
        (Some(cell), Some(line)) => Some(format!("cell {cell}, line {line}")),
        (Some(cell), None) => Some(format!("cell {cell}")),
        (None, Some(line)) => Some(format!("line {line}")),
        (None, None) => None,
    }
}

/// What happened and where: `cell 3, line 2: ZeroDivisionError: division by zero`.
#[must_use]
pub fn message(cause: &Cause) -> String {
    match within(cause) {
        Some(place) => format!("{place}: {}", cause.message),
        None => cause.message.clone(),
    }
}

/// A file of the repository, and a line of it where one is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, relative to the repository's root.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<usize>,
}

/// Finds the files that define tests.
#[derive(Debug, Clone, Default)]
pub struct Locations {
    root: Option<PathBuf>,
}

impl Locations {
    /// The files of the repository at `root`.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            root: Some(root.to_owned()),
        }
    }

    /// The file that defines the test `id` of `mission`, if the repository has it.
    #[must_use]
    pub fn file(&self, mission: &str, id: &TestId) -> Option<String> {
        let root = self.root.as_ref()?;
        let environments = Path::new("missions").join(mission).join("environments");
        let path = match id.mission() {
            Some(owner) if owner == mission => environments.join("test"),
            Some(_) => return None,
            None => environments.join(&id.owner).join("tests").join(id.file()?),
        };
        // Names come out of a container: none may lead out of the repository.
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        let found = Some(path).filter(|path| inside && root.join(path).is_file())?;
        found.into_os_string().into_string().ok()
    }

    /// The file that defines the test, and the line in it where the cause is, or where a list names the test.
    #[must_use]
    pub fn place(&self, mission: &str, id: &TestId, cause: Option<&Cause>) -> Option<Location> {
        let file = self.file(mission, id)?;
        let text = self
            .root
            .as_ref()
            .and_then(|root| fs::read_to_string(root.join(&file)).ok());
        let text = text.unwrap_or_default();
        let (cell, line) = (cause.and_then(|cause| cause.cell), cause.and_then(|cause| cause.line));
        let is_notebook = Path::new(&file)
            .extension()
            .is_some_and(|extension| extension == "ipynb");
        let line = if is_notebook {
            cell.and_then(|number| cell::line(&text, number, line.unwrap_or(1)))
        } else if id.name.is_empty() {
            line
        } else {
            listed(&text, &id.name)
        };
        Some(Location { file, line })
    }
}

/// The line of a list of modules that names `module`.
fn listed(text: &str, module: &str) -> Option<usize> {
    let named = |line: &str| line.split('#').next().unwrap_or_default().trim() == module;
    text.lines().position(named).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CauseKind;

    fn repository(files: &[(&str, &str)]) -> (tempfile::TempDir, Locations) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let places = Locations::of(root.path());
        (root, places)
    }

    fn shown(place: Option<Location>) -> String {
        place.map_or_else(
            || "nowhere".to_owned(),
            |place| format!("{}:{}", place.file, place.line.unwrap_or(0)),
        )
    }

    #[test]
    fn a_test_is_found_in_the_file_that_defines_it() {
        let (_root, places) = repository(&[
            ("missions/m/environments/test", ""),
            (
                "missions/m/environments/e/tests/imports",
                "# modules\nnumpy\n scipy  # sums\n",
            ),
            ("missions/m/environments/e/tests/sub/x.ipynb", "{}"),
            ("missions/m/environments/e/tests/test", ""),
        ]);
        let place = |id: TestId| shown(places.place("m", &id, None));
        assert_eq!(
            place(TestId::import("e", "scipy")),
            "missions/m/environments/e/tests/imports:3"
        );
        assert_eq!(
            place(TestId::import("e", "lost")),
            "missions/m/environments/e/tests/imports:0"
        );
        assert_eq!(
            place(TestId::notebook("e", "sub/x.ipynb")),
            "missions/m/environments/e/tests/sub/x.ipynb:0"
        );
        assert_eq!(place(TestId::script("e")), "missions/m/environments/e/tests/test:0");
        assert_eq!(place(TestId::of_mission("m")), "missions/m/environments/test:0");
        assert_eq!(place(TestId::server("m", "lab")), "nowhere");
    }

    #[test]
    fn no_name_leads_out_of_the_repository() {
        let (root, _) = repository(&[
            ("secret.ipynb", "{}"),
            ("r/missions/m/environments/e/tests/imports", ""),
        ]);
        let places = Locations::of(&root.path().join("r"));
        let outside = "../../../../../../secret.ipynb";
        assert!(
            root.path()
                .join("r/missions/m/environments/e/tests")
                .join(outside)
                .is_file()
        );
        for id in [
            TestId::notebook("e", outside),
            TestId::notebook("e", root.path().join("secret.ipynb").to_str().unwrap()),
            TestId::import("../../m/environments/e", "x"),
        ] {
            assert_eq!(places.file("m", &id), None, "{id}");
        }
    }

    #[test]
    fn a_cell_and_its_line_are_named_in_words() {
        let mut cause = Cause::new(CauseKind::Error, "no");
        assert_eq!(message(&cause), "no");
        cause.line = Some(2);
        assert_eq!(message(&cause), "line 2: no");
        cause.cell = Some(3);
        assert_eq!(message(&cause), "cell 3, line 2: no");
        cause.line = None;
        assert_eq!(message(&cause), "cell 3: no");
    }
}
