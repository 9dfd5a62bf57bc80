//! Which line of which list an installer blames, read from the sentences in which uv and pip do so, and from no other words:
//! what they print names many packages that are sound.
//!
//! uv 0.13 tells a line that it cannot read by file and position, a requirement that nothing satisfies behind `you require`
//! (the leaves of its derivation), and an archive that cannot be fetched or built in backquotes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::list::{List, package};
use crate::envs::error::Culprit;
use crate::spec::SpecError;
use crate::spec::env::yml::line_of;
use crate::spec::frozen::normalized;

/// What stands before a requirement that cannot be met or installed, in the words of uv and of pip.
const BLAMED: [&str; 10] = [
    "Failed to build `",
    "Failed to download and build `",
    "Failed to download `",
    "Failed to fetch `",
    "Failed to resolve requirements from `",
    "that satisfies the requirement ",
    "No matching distribution found for ",
    "The user requested ",
    "Failed building wheel for ",
    "ERROR: Cannot install ",
];

/// The requirements that an installer blames, at most three.
pub(super) fn culprits(lists: &[&List], stderr: &str) -> Vec<Culprit> {
    let text = joined(stderr);
    let mut names = required(&text);
    for (at, words) in BLAMED.iter().flat_map(|words| text.match_indices(words)) {
        names.insert(package(&text[at + words.len()..]));
    }
    let found = of_names(lists, &names);
    if found.is_empty() {
        // A package that a listed one depends on.
        return of_names(lists, &dependents(&text));
    }
    found
}

fn of_names(lists: &[&List], names: &BTreeSet<String>) -> Vec<Culprit> {
    let mut found = Vec::new();
    for list in lists {
        for (line, requirement) in list.requirements() {
            let name = package(&requirement);
            if !name.is_empty() && !requirement.starts_with('-') && names.contains(&name) {
                found.push(Culprit {
                    file: list.file().to_owned(),
                    line: line.or_else(|| line_in(list.file(), &requirement)),
                    requirement,
                });
            }
        }
    }
    found.truncate(3);
    found
}

/// The line of a list that an installer cannot read. `directory` is where it ran, `input` what it read as its own input.
pub(super) fn malformed(lists: &[&List], stderr: &str, directory: &Path, input: &str) -> Option<SpecError> {
    of_uv(lists, stderr, directory, input).or_else(|| of_pip(lists, stderr))
}

/// ``Couldn't parse requirement in `x.pip` at position 4``, and the cause in the next line. The last such line is that of the
/// innermost file.
fn of_uv(lists: &[&List], stderr: &str, directory: &Path, input: &str) -> Option<SpecError> {
    let lines = stderr.lines().map(words).collect::<Vec<_>>();
    let places = lines.iter().enumerate().filter_map(|(index, line)| {
        let (before, position) = line.rsplit_once("` at position ")?;
        let (_, file) = before.rsplit_once('`')?;
        Some((index, file, position.trim_end_matches(':').parse::<usize>().ok()?))
    });
    let (index, file, position) = places.collect::<Vec<_>>().pop()?;
    let message = lines.get(index + 1).copied().unwrap_or_default();
    if file == "-" {
        let line = input.get(position..)?.lines().next()?;
        return Some(of_line(lists, line, message));
    }
    let path = directory.join(file);
    let text = fs::read_to_string(&path).ok()?;
    Some(SpecError::Malformed {
        line: text.get(..position).map(|before| before.matches('\n').count() + 1),
        path,
        message: message.to_owned(),
    })
}

/// `Invalid requirement: 'x>=>1': Expected … (from line 2 of /x.pip)`
fn of_pip(lists: &[&List], stderr: &str) -> Option<SpecError> {
    let line = stderr
        .lines()
        .find_map(|line| line.split_once("Invalid requirement: "))?
        .1;
    let message = line.split(" (from line ").next().unwrap_or(line);
    if let Some((number, file)) = line
        .rsplit_once(" (from line ")
        .and_then(|(_, place)| place.split_once(" of "))
    {
        return Some(SpecError::Malformed {
            path: PathBuf::from(file.trim_end_matches(')')),
            line: number.parse().ok(),
            message: message.to_owned(),
        });
    }
    let quoted = line.trim_start().split(['\'', '"']).nth(1)?.to_owned();
    Some(of_line(lists, &quoted, message))
}

/// The error of a line that is part of a yml.
fn of_line(lists: &[&List], line: &str, message: &str) -> SpecError {
    let holds = |list: &&&List| {
        list.requirements()
            .iter()
            .any(|(_, requirement)| requirement.trim() == line.trim())
    };
    let list = lists.iter().find(holds).or(lists.first());
    let path = list.map(|list| list.file().to_owned()).unwrap_or_default();
    SpecError::Malformed {
        line: line_in(&path, line),
        path,
        message: format!("`{}`: {message}", line.trim()),
    }
}

/// The line of an item in a yml.
fn line_in(yml: &Path, item: &str) -> Option<usize> {
    line_of(&fs::read_to_string(yml).ok()?, item)
}

/// A line without what uv draws and says before each cause.
fn words(line: &str) -> &str {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "×├╰─▶│".contains(c));
    let line = line.trim_end();
    ["cause: ", "Caused by: "]
        .iter()
        .find_map(|before| line.strip_prefix(before))
        .unwrap_or(line)
}

/// The text in one line, for sentences are wrapped.
fn joined(text: &str) -> String {
    let lines = text.lines().map(words).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// The packages behind each `you require`, which are those of the lists: `a>=1 and b<2`, up to the sentence's end.
fn required(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in text.split("you require ").skip(1) {
        let ends = [", we can", ". ", ", which", " because "]
            .iter()
            .filter_map(|end| rest.find(end));
        let clause = &rest[..ends.min().unwrap_or(rest.len())];
        names.extend(clause.split(" and ").flat_map(|part| part.split(", ")).map(package));
    }
    names.remove("");
    names
}

/// The packages that depend on what is blamed: ``was included because `y` (v1) depends on``.
fn dependents(text: &str) -> BTreeSet<String> {
    let rest = text.split("was included because `").skip(1);
    rest.filter_map(|rest| Some(normalized(rest.split(['`', '=']).next()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[&str]) -> List {
        List::Lines {
            file: PathBuf::from("x.yml"),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    fn blamed(lines: &[&str], stderr: &str) -> Vec<String> {
        let found = culprits(&[&list(lines)], stderr);
        found.into_iter().map(|culprit| culprit.requirement).collect()
    }

    #[test]
    fn the_requirement_that_the_installer_blames_is_found_and_no_other_word_is_one() {
        let lines = [
            "pip",
            "build",
            "No_Such.Package[extra] ; python_version > '3'",
            "scipy",
            "requirements",
        ];
        let uv = "Using Python 3.11 environment at: v\nerror: No solution found when resolving dependencies\n  cause: \
                  Because no-such-package was not found in the package registry and you require no-such-package, we can \
                  conclude that your requirements are unsatisfiable.\nhint: a build of scipy by pip needs more\n";
        let earlier = "  × No solution found when resolving dependencies:\n  ╰─▶ Because no-such-package was not found in \
                       the\n      package registry and you require\n      no-such-package, we can conclude that your \
                       requirements are\n      unsatisfiable.\n";
        let pip = "ERROR: Could not find a version that satisfies the requirement no-such-package (from versions: \
                   none)\nERROR: No matching distribution found for no-such-package\n";
        for stderr in [uv, earlier, pip] {
            assert_eq!(blamed(&lines, stderr), [lines[2]], "{stderr}");
        }
    }

    #[test]
    fn both_sides_of_a_conflict_are_blamed() {
        let lines = ["iniconfig>=2", "six", "iniconfig<2"];
        let stderr = "cause: Because you require iniconfig>=2 and iniconfig<2, we can conclude that your requirements are \
                      unsatisfiable.";
        assert_eq!(blamed(&lines, stderr), ["iniconfig>=2", "iniconfig<2"]);
        let stderr = "cause: Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0, we \
                      can conclude that you require urllib3>=1.21.1,<3.\n         And because you require urllib3<1, we \
                      can conclude that your requirements are unsatisfiable.";
        assert_eq!(
            blamed(&["requests==2.31.0", "six", "urllib3<1"], stderr),
            ["requests==2.31.0", "urllib3<1"]
        );
    }

    #[test]
    fn what_cannot_be_built_is_blamed_and_else_what_depends_on_it() {
        let stderr = "error: Failed to build `demjson==2.2.4`\n  cause: The build backend returned an error\n";
        assert_eq!(blamed(&["build", "demjson"], stderr), ["demjson"]);
        let included = "hint: `demjson` (v2.2.4) was included because `asks` (v1.0) depends on `demjson`\n";
        assert_eq!(
            blamed(&["build", "asks>=1"], &format!("{stderr}{included}")),
            ["asks>=1"]
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_with_its_file_and_number() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("x.pip");
        fs::write(&file, "six\nnumpy>=>1\n").unwrap();
        let uv = "error: Couldn't parse requirement in `x.pip` at position 4\n  cause: no such comparison operator \
                  \">=>\", must be one of ~= ==\n         numpy>=>1\n              ^^^^\n";
        let pip = format!(
            "ERROR: Invalid requirement: 'numpy>=>1': no such operator (from line 2 of {})\n",
            file.display()
        );
        for stderr in [uv, &pip] {
            let error = malformed(&[&List::File(file.clone())], stderr, root.path(), "")
                .unwrap()
                .to_string();
            assert!(error.starts_with(&format!("{}:2: ", file.display())), "{error}");
        }
        let yml = root.path().join("x.yml");
        fs::write(&yml, "dependencies:\n- pip:\n  - six\n  - numpy>=>1\n").unwrap();
        let lines = List::Lines {
            file: yml.clone(),
            lines: vec!["six".to_owned(), "numpy>=>1".to_owned()],
        };
        let stderr = uv.replace("x.pip", "-");
        let error = malformed(&[&lines], &stderr, root.path(), "six\nnumpy>=>1\n")
            .unwrap()
            .to_string();
        assert!(
            error.starts_with(&format!("{}:4: `numpy>=>1`: no such", yml.display())),
            "{error}"
        );
        assert_eq!(
            malformed(&[&lines], "error: Failed to build `six`", root.path(), "").map(|_| ()),
            None
        );
    }
}
