//! Finds the tests of all environments: `<environment>/tests/` with `imports`, `notebooks`, `*.ipynb`, `test`, and
//! `settings.yml`, which says how they run.

mod error;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

pub use self::error::DiscoverError;
use super::listing::{self, Entry};
use super::pattern::{self, CHECKPOINTS};
use super::settings::Settings;
use super::{Mode, Subject, Test, TestPlan};
use crate::event::{Cause, CauseKind};
use crate::reference::EnvironmentName;

/// Finds the tests of every environment in `environments`, in the order of their names.
pub fn load(environments: &Path) -> Result<TestPlan, DiscoverError> {
    let environments = std::path::absolute(environments).unwrap_or_else(|_| environments.to_owned());
    let mut tests = Vec::new();
    let mut settings = BTreeMap::new();
    for directory in entries(&environments)? {
        if directory.join("tests").is_dir() {
            let (name, own, found) = environment(&directory)?;
            tests.extend(found);
            settings.insert(name, own);
        }
    }
    Ok(TestPlan::new(tests).with_settings(settings))
}

/// The tests of the notebooks that a list names, relative to `directory`, which is absolute. Those that are named by
/// their path come before those that a pattern matches, so what is said of a path counts. A file is one test, however
/// often and by whatever path it is named.
pub(super) fn listed_notebooks(environment: &EnvironmentName, directory: &Path, entries: Vec<Entry>) -> Vec<Test> {
    let (patterns, paths): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| pattern::is_pattern(&entry.path) && !directory.join(&entry.path).is_file());
    let mut tests = paths
        .into_iter()
        .map(|entry| named(environment, directory, entry))
        .collect::<Vec<_>>();
    for entry in patterns {
        tests.extend(matching(environment, directory, &entry));
    }
    each_once(&mut tests);
    tests
}

/// The test of a notebook that a list names by its path.
fn named(environment: &EnvironmentName, directory: &Path, entry: Entry) -> Test {
    let path = lexical(&directory.join(&entry.path));
    let checkpoint = path.iter().any(|name| name == CHECKPOINTS);
    let broken = |reason: &str| {
        let message = format!("{} is listed, but {reason}", entry.path);
        Mode::Broken(Cause::new(CauseKind::NotRun, message))
    };
    let mode = if let Some(reason) = entry.skipped {
        Mode::Skipped { reason }
    } else if checkpoint {
        broken("checkpoints of notebooks are never run")
    } else if !path.is_file() {
        broken("there is no such file")
    } else if entry.alone {
        Mode::Alone
    } else {
        Mode::Parallel
    };
    notebook(environment, directory, path, mode)
}

/// The tests of the notebooks that a list names by a pattern. One that matches nothing is a test that fails, unless
/// what it matches is to be skipped.
fn matching(environment: &EnvironmentName, directory: &Path, entry: &Entry) -> Vec<Test> {
    let mode = match &entry.skipped {
        Some(reason) => Mode::Skipped { reason: reason.clone() },
        None if entry.alone => Mode::Alone,
        None => Mode::Parallel,
    };
    let reason = match pattern::notebooks(directory, &entry.path) {
        Ok(paths) if !paths.is_empty() => {
            let paths = paths.into_iter();
            return paths
                .map(|path| notebook(environment, directory, lexical(&path), mode.clone()))
                .collect();
        }
        Ok(_) if entry.skipped.is_some() => return Vec::new(),
        Ok(_) => "no notebook matches it".to_owned(),
        Err(error) => error.to_string(),
    };
    let cause = Cause::new(CauseKind::NotRun, format!("{} is listed, but {reason}", entry.path));
    let path = lexical(&directory.join(&entry.path));
    vec![notebook(environment, directory, path, Mode::Broken(cause))]
}

fn environment(directory: &Path) -> Result<(EnvironmentName, Settings, Vec<Test>), DiscoverError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let name: EnvironmentName = name.parse().map_err(|source| DiscoverError::Name {
        path: directory.to_owned(),
        source,
    })?;
    let directory = directory.join("tests");
    let settings = Settings::load(&directory)?;
    let mut tests = Vec::new();
    if let Some(text) = read(&directory.join("imports"))? {
        tests.extend(listing::modules(&text).map(|(_, module)| Test {
            environment: name.clone(),
            subject: Subject::Import {
                module: module.to_owned(),
            },
            mode: Mode::Parallel,
        }));
    }
    tests.extend(notebooks(&name, &directory)?);
    tests.extend(script(&name, directory.join("test")));
    for test in &mut tests {
        if test.mode == Mode::Parallel && settings.alone(test.id().kind) {
            test.mode = Mode::Alone;
        }
    }
    Ok((name, settings, tests))
}

/// The listed notebooks, then those that lie in the directory; the first mention of a file counts.
fn notebooks(name: &EnvironmentName, directory: &Path) -> Result<Vec<Test>, DiscoverError> {
    let listed = read(&directory.join("notebooks"))?.unwrap_or_default();
    let listed = listing::notebooks(&listed, |path| directory.join(path).is_file());
    let mut tests = listed_notebooks(name, directory, listed);
    for path in entries(directory)? {
        if path.extension().is_some_and(|extension| extension == "ipynb") && path.is_file() {
            tests.push(notebook(name, directory, path, Mode::Parallel));
        }
    }
    each_once(&mut tests);
    Ok(tests)
}

/// Keeps the first test of each file.
fn each_once(tests: &mut Vec<Test>) {
    let mut seen = HashSet::new();
    tests.retain(|test| match &test.subject {
        Subject::Notebook { path, .. } => seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
        _ => true,
    });
}

fn notebook(environment: &EnvironmentName, directory: &Path, path: PathBuf, mode: Mode) -> Test {
    let (name, root) = match path.strip_prefix(lexical(directory)) {
        Ok(inside) => (inside.to_string_lossy().into_owned(), directory.to_owned()),
        Err(_) => (
            path.to_string_lossy().into_owned(),
            path.parent().unwrap_or(directory).to_owned(),
        ),
    };
    Test {
        environment: environment.clone(),
        subject: Subject::Notebook { name, path, root },
        mode,
    }
}

fn script(environment: &EnvironmentName, path: PathBuf) -> Option<Test> {
    let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let mode = if metadata.permissions().mode() & 0o111 == 0 {
        Mode::Broken(Cause::new(
            CauseKind::NotRun,
            format!("{} is not executable: chmod +x it", path.display()),
        ))
    } else {
        Mode::Parallel
    };
    Some(Test {
        environment: environment.clone(),
        subject: Subject::Script { path },
        mode,
    })
}

/// The paths in a directory, in the order of their names.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let read = || -> io::Result<Vec<PathBuf>> { fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect() };
    let mut paths = read().map_err(|source| DiscoverError::Read {
        path: directory.to_owned(),
        source,
    })?;
    paths.sort();
    Ok(paths)
}

/// The text of a file, with invalid UTF-8 replaced; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<String>, DiscoverError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DiscoverError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The path without `.` and `..`, by its text alone: the name of a test does not depend on links.
fn lexical(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if result.file_name().is_some() => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Explained as _;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn shown(plan: &TestPlan) -> Vec<String> {
        let mode = |mode: &Mode| match mode {
            Mode::Parallel => "parallel".to_owned(),
            Mode::Alone => "alone".to_owned(),
            Mode::Skipped { reason } => format!("skipped: {reason}"),
            Mode::Broken(cause) => cause.message.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        let tests = plan.tests().iter();
        tests
            .map(|test| format!("{} {}", test.id(), mode(&test.mode)))
            .collect()
    }

    #[test]
    fn a_directory_in_the_place_of_a_list_is_said_to_be_a_list() {
        for (file, example) in [("imports", "numpy"), ("notebooks", "examples/*.ipynb")] {
            let dir = tree(&[(&format!("b/tests/{file}/x.ipynb"), "")]);
            let hint = load(dir.path()).unwrap_err().hint().unwrap();
            assert!(hint.starts_with("it is a list") && hint.contains(example), "{hint}");
        }
    }

    #[test]
    fn everything_that_a_directory_defines_becomes_a_test() {
        let dir = tree(&[
            ("b/tests/imports", "numpy\n# prose\nscipy # comment\n"),
            (
                "b/tests/notebooks",
                "!z.ipynb\n#skipped.ipynb\nsub/deep.ipynb\nmissing.ipynb\n",
            ),
            ("b/tests/z.ipynb", "{}"),
            ("b/tests/skipped.ipynb", "{}"),
            ("b/tests/globbed.ipynb", "{}"),
            ("b/tests/sub/deep.ipynb", "{}"),
            ("b/tests/sub/unlisted.ipynb", "{}"),
            ("b/tests/.ipynb_checkpoints/z-checkpoint.ipynb", "{}"),
            ("b/tests/test", "#!/bin/sh\n"),
            ("a/tests/imports", ""),
            ("c/no-tests", ""),
            ("test", ""),
        ]);
        insta::assert_debug_snapshot!(shown(&load(dir.path()).unwrap()), @r#"
        [
            "b::imports::numpy parallel",
            "b::imports::scipy parallel",
            "b::notebooks::z.ipynb alone",
            "b::notebooks::skipped.ipynb skipped: commented out in notebooks, line 2",
            "b::notebooks::sub/deep.ipynb parallel",
            "b::notebooks::missing.ipynb missing.ipynb is listed, but there is no such file",
            "b::notebooks::globbed.ipynb parallel",
            "b::test test is not executable: chmod +x it",
        ]
        "#);
    }

    #[test]
    fn a_notebook_named_in_several_ways_is_one_test() {
        let dir = tree(&[("a/tests/x.ipynb", "{}"), ("a/tests/y.ipynb", "{}")]);
        let tests = dir.path().join("a/tests");
        let list = format!(
            "./x.ipynb\nx.ipynb\n{}\n../tests/y.ipynb\n",
            tests.join("x.ipynb").display()
        );
        fs::write(tests.join("notebooks"), list).unwrap();
        assert_eq!(
            shown(&load(dir.path()).unwrap()),
            ["a::notebooks::x.ipynb parallel", "a::notebooks::y.ipynb parallel"]
        );
    }

    #[test]
    fn a_pattern_names_every_notebook_that_it_matches_and_what_is_said_of_a_path_counts() {
        let dir = tree(&[
            (
                "a/tests/notebooks",
                "sub/**/x*.ipynb\n!*.ipynb\nb.ipynb\n#skip*.ipynb\nnone*.ipynb\n# gone*.ipynb\n../shared/[cd].ipynb\n",
            ),
            ("a/tests/a.ipynb", "{}"),
            ("a/tests/b.ipynb", "{}"),
            ("a/tests/sub/x1.ipynb", "{}"),
            ("a/tests/sub/deep/x2.ipynb", "{}"),
            ("a/tests/sub/deep/y.ipynb", "{}"),
            ("a/tests/sub/.ipynb_checkpoints/x1-checkpoint.ipynb", "{}"),
            ("a/tests/.ipynb_checkpoints/a-checkpoint.ipynb", "{}"),
            ("a/shared/c.ipynb", "{}"),
        ]);
        let place = dir.path().display().to_string();
        let shown = shown(&load(dir.path()).unwrap());
        let shown: Vec<_> = shown.iter().map(|line| line.replace(&place, "")).collect();
        insta::assert_debug_snapshot!(shown, @r#"
        [
            "a::notebooks::b.ipynb parallel",
            "a::notebooks::sub/deep/x2.ipynb parallel",
            "a::notebooks::sub/x1.ipynb parallel",
            "a::notebooks::a.ipynb alone",
            "a::notebooks::none*.ipynb none*.ipynb is listed, but no notebook matches it",
            "a::notebooks::/a/shared/c.ipynb parallel",
        ]
        "#);
    }

    #[test]
    fn a_checkpoint_is_never_run_even_where_it_is_listed() {
        let dir = tree(&[
            ("a/tests/notebooks", ".ipynb_checkpoints/x-checkpoint.ipynb\n"),
            ("a/tests/.ipynb_checkpoints/x-checkpoint.ipynb", "{}"),
        ]);
        let plan = load(dir.path()).unwrap();
        assert!(matches!(&plan.tests()[0].mode, Mode::Broken(cause) if cause.message.contains("never run")));
    }

    #[test]
    fn an_environment_may_run_its_tests_alone() {
        let dir = tree(&[
            ("a/tests/settings.yml", "alone: [imports]\nretries: 1\n"),
            ("a/tests/imports", "numpy\n"),
            ("a/tests/x.ipynb", "{}"),
        ]);
        let plan = load(dir.path()).unwrap();
        assert_eq!(
            shown(&plan),
            ["a::imports::numpy alone", "a::notebooks::x.ipynb parallel"]
        );
        let settings = plan.settings(&"a".parse().unwrap()).unwrap();
        assert_eq!(settings.retries, Some(1));
    }

    #[test]
    fn an_executable_script_runs() {
        let dir = tree(&[("a/tests/test", "#!/bin/sh\n")]);
        fs::set_permissions(dir.path().join("a/tests/test"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(shown(&load(dir.path()).unwrap()), ["a::test parallel"]);
    }

    #[test]
    fn a_missing_directory_is_an_error_not_an_empty_plan() {
        let error = load(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere: No such file or directory (os error 2)");
    }

    #[test]
    fn arguments_run_alone_skip_and_fail_like_lines_of_a_list() {
        let dir = tree(&[("x.ipynb", "{}"), ("y.ipynb", "{}")]);
        let arguments = ["!x.ipynb", "#y.ipynb", "z.ipynb"].map(str::to_owned);
        let plan = TestPlan::notebooks(&"a".parse().unwrap(), &arguments, dir.path());
        insta::assert_debug_snapshot!(shown(&plan), @r##"
        [
            "a::notebooks::x.ipynb alone",
            "a::notebooks::y.ipynb skipped: marked with # on the command line",
            "a::notebooks::z.ipynb z.ipynb is listed, but there is no such file",
        ]
        "##);
    }
}
