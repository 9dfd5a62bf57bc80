//! Lists of pip packages, as far as floe must know them by itself: which files, indexes and directories they name. What a
//! requirement asks for is the installer's to read.

mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use super::{EnvironmentSpec, Lists, SpecError, SpecKind, yml};
use crate::address;

pub use sources::{Sources, netrc};

/// The options that have a short form: `-r more.txt`, `-rmore.txt`, `--requirement=more.txt`.
const SHORT: [(&str, &str); 5] = [
    ("-r", "--requirement"),
    ("-c", "--constraint"),
    ("-e", "--editable"),
    ("-i", "--index-url"),
    ("-f", "--find-links"),
];

/// What ends the name of an archive.
const ARCHIVES: [&str; 6] = [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"];

/// One line of a list, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipLine {
    /// The file that holds it.
    pub file: PathBuf,
    /// The line, counted from 1; `None` where the pip list of a yml holds it in another notation.
    pub line: Option<usize>,
    /// What it says, without comments; lines that a backslash continues are one.
    pub text: String,
}

impl PipLine {
    /// The option that the line is, in its long form, and its value; `None` for a requirement.
    #[must_use]
    pub fn option(&self) -> Option<(&str, &str)> {
        let text = self.text.as_str();
        if !text.starts_with('-') {
            return None;
        }
        let (name, value) = if text.starts_with("--") {
            let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
            text.split_at(end)
        } else {
            let (short, value) = text.split_at(text.char_indices().nth(2).map_or(text.len(), |(at, _)| at));
            let long = SHORT.iter().find(|(known, _)| *known == short);
            (long.map_or(short, |(_, long)| long), value)
        };
        let value = value.trim_start().trim_start_matches('=').trim();
        Some((name, value.trim_matches(['"', '\''])))
    }

    /// Why what the line asks for can be had on this machine alone, if so.
    #[must_use]
    pub fn stays_here(&self) -> Option<String> {
        match self.option() {
            Some(("--editable", _)) => Some("an editable installation, whose text may change at any time".to_owned()),
            Some(("--index-url" | "--extra-index-url" | "--find-links", value)) if is_local(value) => {
                Some(format!("packages of {value}, which exists on this machine alone"))
            }
            Some(_) => None,
            None => {
                let source = self.source()?;
                let repository = source.split("://").next().and_then(|scheme| scheme.split_once('+'));
                match repository {
                    Some((kind @ ("hg" | "svn" | "bzr"), _)) => Some(format!(
                        "a package from a repository of {kind}, which nothing here can read"
                    )),
                    Some((_, "file")) => Some(format!("{source} exists on this machine alone")),
                    None if is_local(source) => Some(format!("{source} exists on this machine alone")),
                    _ => None,
                }
            }
        }
    }

    /// Where a requirement says that its package is: `./x`, `https://host/x.whl`, `x @ git+https://host/x.git`.
    fn source(&self) -> Option<&str> {
        let text = self.text.split(" ;").next().unwrap_or_default();
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        let rest = match rest
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((_, rest)) => rest,
            None => rest,
        };
        if let Some(source) = rest.trim_start().strip_prefix('@') {
            return source.split_whitespace().next();
        }
        let path = rest.starts_with(['/', '\\', ':', '+']) || name.starts_with('.') || text.starts_with('~');
        let archive = ARCHIVES.iter().any(|end| name.ends_with(end)) && rest.trim().is_empty();
        (path || archive).then(|| text.split_whitespace().next().unwrap_or(text))
    }
}

/// Whether a path or `file:` address is meant, and nothing on another machine.
fn is_local(source: &str) -> bool {
    source.starts_with("file:") || !(source.contains("://") || source.is_empty())
}

/// The lines of one list or of the pip list of a yml; none of any other file.
pub fn lines(spec: &Path) -> Result<Vec<PipLine>, SpecError> {
    if SpecKind::of(spec) == Some(SpecKind::Conda) {
        return Ok(Vec::new());
    }
    let bytes = fs::read(spec).map_err(|source| SpecError::Read {
        path: spec.to_owned(),
        source,
    })?;
    lines_of(&String::from_utf8_lossy(&bytes), spec)
}

/// The same of a file of the text `text`.
pub fn lines_of(text: &str, spec: &Path) -> Result<Vec<PipLine>, SpecError> {
    let line = |line, text: &str| PipLine {
        file: spec.to_owned(),
        line,
        text: without_comment(text).to_owned(),
    };
    // A constraint or another list may have any name; only the two other kinds are no lists.
    let lines = match SpecKind::of(spec) {
        Some(SpecKind::Conda) => Vec::new(),
        Some(SpecKind::Yml) => {
            let pip = EnvironmentSpec::parse(text, spec)?.pip;
            pip.iter()
                .map(|item| line(yml::line_of(text, item), item))
                .collect::<Vec<_>>()
        }
        Some(SpecKind::Pip) | None => {
            let joined = joined(text);
            joined.iter().map(|(number, text)| line(Some(*number), text)).collect()
        }
    };
    Ok(lines.into_iter().filter(|line| !line.text.is_empty()).collect())
}

/// The lines of all these specs, and of the files that they name.
pub fn all_lines(specs: &[PathBuf]) -> Result<Vec<PipLine>, SpecError> {
    Ok(Lists::read(specs)?.lines)
}

/// The lines of a text with their numbers; one that ends in a backslash goes on in the next.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let continues = continues(line);
        let part = if continues { &line[..line.len() - 1] } else { line };
        match joined.last_mut().filter(|_| open) {
            Some((_, whole)) => whole.push_str(part),
            None => joined.push((number, part.to_owned())),
        }
        open = continues;
    }
    joined
}

/// Whether the next line belongs to this one.
pub(in crate::spec) fn continues(line: &str) -> bool {
    line.ends_with('\\') && !line.trim_start().starts_with('#')
}

/// The line without its comment.
fn without_comment(line: &str) -> &str {
    line[..comment(line).unwrap_or(line.len())].trim()
}

/// Where the comment of a line begins: at a `#` with a blank or nothing before it.
pub(in crate::spec) fn comment(line: &str) -> Option<usize> {
    let mut hashes = line.match_indices('#').map(|(at, _)| at);
    hashes.find(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace))
}

/// What must not be in lists whose environment is frozen after the build: what nobody else could install. The error
/// names the first such line.
pub fn refuse_local(lines: &[PipLine]) -> Result<(), SpecError> {
    for line in lines {
        if let Some(reason) = line.stays_here() {
            return Err(SpecError::NotFreezable {
                path: line.file.clone(),
                line: line.line,
                text: address::without_credentials(&line.text),
                reason: address::without_credentials(&reason),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> PipLine {
        PipLine {
            file: PathBuf::from("e.pip"),
            line: Some(1),
            text: without_comment(text).to_owned(),
        }
    }

    #[test]
    fn the_options_of_lists_are_read_as_pip_reads_them() {
        for (line, expected) in [
            ("-r more.txt", Some(("--requirement", "more.txt"))),
            ("-rmore.txt", Some(("--requirement", "more.txt"))),
            (
                "  -c  constraints.txt  # why",
                Some(("--constraint", "constraints.txt")),
            ),
            ("--requirement=sub/more.txt", Some(("--requirement", "sub/more.txt"))),
            (
                "--extra-index-url https://h/s#x",
                Some(("--extra-index-url", "https://h/s#x")),
            ),
            ("-i https://h/s", Some(("--index-url", "https://h/s"))),
            ("--no-index", Some(("--no-index", ""))),
            ("-é", Some(("-é", ""))),
            ("requests # -r", None),
        ] {
            assert_eq!(of(line).option(), expected, "{line}");
        }
    }

    #[test]
    fn a_backslash_continues_a_line_and_its_number_is_the_first() {
        let root = tempfile::tempdir().unwrap();
        let list = root.path().join("e.pip");
        fs::write(&list, "\u{feff}# a \\\nsix \\\n  --hash=sha256:0\n\r\nnumpy # b\n").unwrap();
        let lines = lines(&list).unwrap();
        let shown = lines.iter().map(|line| (line.line.unwrap(), line.text.as_str()));
        assert_eq!(shown.collect::<Vec<_>>(), [(2, "six   --hash=sha256:0"), (5, "numpy")]);
    }

    #[test]
    fn what_exists_on_one_machine_alone_is_told_from_its_line() {
        for local in [
            "-e .",
            "-e git+https://h/x.git",
            "--editable=./x",
            "./x",
            "../x[extra]",
            "/srv/x",
            "~/x",
            "dir/x",
            "x-1.0-py3-none-any.whl",
            "file:///srv/x.whl",
            "x @ file:///srv/x.whl",
            "x[y] @ ./x",
            "x@./x",
            "hg+https://h/x",
            "x @ svn+https://h/x",
            "git+file:///srv/x.git",
            "-f wheels",
            "--find-links=/srv/wheels",
            "--index-url file:///srv/simple",
        ] {
            assert!(of(local).stays_here().is_some(), "{local}");
        }
        for anywhere in [
            "numpy",
            "numpy[x,y]>=1,<2 ; python_version > '3'",
            "ruamel.yaml==0.17",
            "x @ https://h/x.whl",
            "https://h/x.whl",
            "git+https://h/x.git@main",
            "x @ git+ssh://git@h/x.git",
            "--find-links https://h/wheels/",
            "--extra-index-url https://h/simple",
            "--no-index",
            "--pre",
            "-r ./more.txt",
            "-c /opt/constraints.txt",
        ] {
            assert_eq!(of(anywhere).stays_here(), None, "{anywhere}");
        }
    }
}
