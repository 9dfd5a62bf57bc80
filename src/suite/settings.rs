//! What an environment says of its own tests: the file `tests/settings.yml`.
//!
//! ```yaml
//! cell-timeout: 10m        # the limit of a cell; a notebook's or cell's own metadata wins
//! notebook-timeout: 1h     # the limit of a notebook; its own metadata wins
//! import-timeout: 5m       # the limit of an import
//! script-timeout: 1h       # the limit of the script `test`
//! retries: 2               # how often a test that failed is tried again
//! alone: [test]            # the kinds of tests that run beside no other (imports, notebooks, test); true: all
//! isolated: true           # each test gets a container of its own, where it may change what it likes
//! own-kernels: true        # each notebook runs on the kernel that it names, not on that of the environment
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::quantity::Limit;
use crate::reference::TestKind;

/// The name of the file in an environment's `tests`.
pub const FILE: &str = "settings.yml";

/// What an environment says of its own tests. What it does not say, the run decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "names of settings with their values")]
pub struct Settings {
    /// The limit of a cell.
    pub cell_timeout: Option<Limit>,
    /// The limit of a notebook.
    pub notebook_timeout: Option<Limit>,
    /// The limit of an import.
    pub import_timeout: Option<Limit>,
    /// The limit of the script.
    pub script_timeout: Option<Limit>,
    /// How often a test that failed is tried again.
    pub retries: Option<u32>,
    /// Which tests run beside no other.
    pub alone: Alone,
    /// Whether each test gets a container of its own.
    pub isolated: bool,
    /// Whether each notebook runs on the kernel that it names itself.
    pub own_kernels: bool,
}

/// The tests that run beside no other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected true, false or a list of imports, notebooks and test"
)]
pub enum Alone {
    /// All of them, or none.
    All(bool),
    /// Those of these kinds.
    Kinds(Vec<TestKind>),
}

impl Default for Alone {
    fn default() -> Self {
        Self::All(false)
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else than settings.
    #[error("{path}{}: {reason}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong with it.
        reason: String,
    },
}

impl Settings {
    /// Whether tests of this kind run beside no other.
    #[must_use]
    pub fn alone(&self, kind: TestKind) -> bool {
        match &self.alone {
            Alone::All(all) => *all,
            Alone::Kinds(kinds) => kinds.contains(&kind),
        }
    }

    /// The settings in `directory`, an environment's `tests`; without a file, those that say nothing.
    pub fn load(directory: &Path) -> Result<Self, SettingsError> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(SettingsError::Read { path, source }),
        };
        let text = text.trim_start_matches('\u{feff}');
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim().starts_with('#'))
        {
            return Ok(Self::default());
        }
        serde_yaml::from_str(text).map_err(|error| SettingsError::Invalid {
            line: error.location().map(|location| location.line()),
            reason: reason(&error),
            path,
        })
    }
}

/// What is wrong, without the place, which the error names itself.
fn reason(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), text).unwrap();
        Settings::load(directory.path()).map_err(|error| {
            let place = format!("{}/", directory.path().display());
            error.to_string().replace(&place, "")
        })
    }

    #[test]
    fn limits_retries_and_what_runs_alone_are_read() {
        let settings =
            load("# of our tests\ncell-timeout: 90\nnotebook-timeout: 1h\nretries: 2\nalone: [test]\n").unwrap();
        assert_eq!(settings.cell_timeout, Some(Limit(Duration::from_secs(90))));
        assert_eq!(settings.notebook_timeout, Some(Limit(Duration::from_hours(1))));
        assert_eq!((settings.import_timeout, settings.retries), (None, Some(2)));
        assert!(settings.alone(TestKind::Script) && !settings.alone(TestKind::Notebook));
        assert!(load("alone: true").unwrap().alone(TestKind::Import));
    }

    #[test]
    fn an_empty_or_missing_file_says_nothing() {
        assert_eq!(load("# nothing\n\n"), Ok(Settings::default()));
        assert_eq!(Settings::load(Path::new("/nowhere")).unwrap(), Settings::default());
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        let errors = [
            "retries: 1\ntimeout: 3\n",
            "cell-timeout: soon\n",
            "retries: -1\n",
            "alone: [gpu]\n",
            "- x\n",
        ]
        .map(|text| load(text).unwrap_err());
        insta::assert_debug_snapshot!(errors, @r#"
        [
            "settings.yml:2: unknown field `timeout`, expected one of `cell-timeout`, `notebook-timeout`, `import-timeout`, `script-timeout`, `retries`, `alone`, `isolated`, `own-kernels`",
            "settings.yml:1: cell-timeout: \"soon\" is no time: write seconds, or a number with s, m or h, such as 90, 90s, 10m or 1h30m",
            "settings.yml:1: retries: invalid type: integer `-1`, expected u32",
            "settings.yml:1: expected true, false or a list of imports, notebooks and test",
            "settings.yml:1: invalid type: sequence, expected names of settings with their values",
        ]
        "#);
    }
}
