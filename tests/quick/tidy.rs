//! What keeps the code in shape: who may import whom, how long files are, and that ARCHITECTURE.md speaks of what exists.

mod imports;
mod owners;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::IMPORTS;

const LONGEST_FILE: usize = 400;

const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "manager", "misc", "mod", "imp",
];

#[test]
fn a_layer_imports_exactly_what_the_table_says() {
    let mut broken = Vec::new();
    let mut unused = IMPORTS
        .iter()
        .flat_map(|(name, allowed)| allowed.iter().map(move |import| (*name, *import)))
        .collect::<BTreeSet<_>>();
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        let Some((name, allowed)) = rule(&module(&path)) else {
            continue;
        };
        for (line, import) in imports(&text) {
            let own = import == name.split("::").next().unwrap_or(name);
            if !own && !allowed.contains(&import.as_str()) {
                broken.push(format!("{}:{line}: {name} imports {import}", path.display()));
            }
            unused.retain(|entry| *entry != (name, import.as_str()));
        }
    }
    let unused = unused
        .iter()
        .map(|(name, import)| format!("nothing in {name} imports {import}"));
    broken.extend(unused);
    assert!(broken.is_empty(), "the import table is broken:\n{}", broken.join("\n"));
}

#[test]
fn every_module_is_in_the_import_table() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for module in lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
    {
        let known = IMPORTS.iter().any(|(name, _)| name.split("::").next() == Some(module));
        assert!(known, "src/lib.rs names {module}, which the import table does not");
    }
}

#[test]
fn the_environment_is_read_by_the_command_line_alone() {
    let mut broken = Vec::new();
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| !module(path).starts_with("cli"))
    {
        let lines = code_lines(&text).filter(|(_, code)| code.contains("env::var"));
        broken.extend(lines.map(|(line, _)| format!("{}:{line}", path.display())));
    }
    assert!(broken.is_empty(), "the environment is read at:\n{}", broken.join("\n"));
}

#[test]
fn files_are_short_and_named_after_what_they_hold() {
    let mut broken = Vec::new();
    for (path, text) in sources().into_iter().chain(files("tests")) {
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            broken.push(format!("{} has {lines} lines", path.display()));
        }
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&stem.as_str()) {
            broken.push(format!("{} says nothing of what it holds", path.display()));
        }
        if !text.starts_with("//! ") {
            broken.push(format!("{} does not begin with what it is for", path.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_mission_is_named_in_the_code() {
    let missions = fs::read_dir(root().join("missions")).unwrap().flatten();
    let names = missions
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    let mut broken = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        for (line, code) in code_lines(&text) {
            if names.iter().any(|name| code.contains(&format!("\"{name}\""))) {
                broken.push(format!("{}:{line}: {code}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn architecture_speaks_of_files_that_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        ["src/", "tests/", "scripts/", "common/"]
            .iter()
            .any(|top| word.starts_with(top))
    };
    let missing = quoted
        .filter(is_path)
        .filter(|path| !root().join(path).exists())
        .collect::<Vec<_>>();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md names what does not exist: {missing:?}"
    );
}

#[test]
fn architecture_names_every_module() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (name, _) in IMPORTS {
        let path = format!("src/{}", name.replace("::", "/"));
        let named = text.contains(&format!("`{path}.rs`")) || text.contains(&format!("`{path}/"));
        assert!(named, "ARCHITECTURE.md does not name {path}.rs");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the program, relative to the root, with its text.
fn sources() -> BTreeMap<PathBuf, String> {
    files("src")
}

/// Every file of Rust below a directory, relative to the root, with its text.
fn files(top: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root().join(top)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    found
}

/// Whether a file of `src/` holds nothing but tests.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.parent().is_some_and(|parent| parent.ends_with("tests"))
}

/// `src/suite/discover.rs` is `suite::discover`.
fn module(path: &Path) -> String {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("::")
}

/// The rule for a module: that of the longest name which it has or lies below.
fn rule(module: &str) -> Option<(&'static str, &'static [&'static str])> {
    let covers = |name: &str| module == name || module.starts_with(&format!("{name}::"));
    let rules = IMPORTS.iter().filter(|(name, _)| covers(name));
    rules.max_by_key(|(name, _)| name.len()).copied()
}

/// The modules of this crate that a file names outside of its tests, with the line of each.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, code) in code_lines(text) {
        for rest in code.split("crate::").skip(1) {
            let name = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            if !name.is_empty() {
                found.push((line, name.to_owned()));
            }
        }
    }
    found
}

/// The lines of code before the file's tests, without comments, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = before_tests
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}
