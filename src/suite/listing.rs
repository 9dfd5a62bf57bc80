//! The files `imports` and `notebooks`, line by line.

use std::path::Path;

/// A notebook as a list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path as it was written.
    pub path: String,
    /// Whether it runs alone (`!`).
    pub alone: bool,
    /// Why it is not to be run (`#`).
    pub skipped: Option<String>,
}

/// The modules of an `imports` file, with the number of their line counted from 1.
///
/// A line holds one module, or several between white space; `#` begins a comment anywhere.
pub fn modules(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).flat_map(|(number, line)| {
        let code = line.split('#').next().unwrap_or_default();
        code.split_whitespace().map(move |module| (number, module))
    })
}

/// The notebooks of a `notebooks` file, a path on each line.
///
/// A line that begins with `#` skips the notebook it names. It names one if it ends in `.ipynb` and either holds no
/// white space or is the path of a file, which `exists` tells; otherwise it is a comment. After a path, white space and
/// `#` begin a comment.
pub fn notebooks(text: &str, exists: impl Fn(&str) -> bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (number, line) in lines(text) {
        let line = without_comment(line.trim());
        let mut entry = argument(line);
        if entry.skipped.is_some() {
            let is_path =
                is_notebook(&entry.path) && (!entry.path.contains(char::is_whitespace) || exists(&entry.path));
            if !is_path {
                continue;
            }
            entry.skipped = Some(format!("commented out in notebooks, line {number}"));
        }
        if !entry.path.is_empty() {
            entries.push(entry);
        }
    }
    entries
}

/// A notebook given as an argument: a path with `!` or `#` before it.
#[must_use]
pub fn argument(text: &str) -> Entry {
    let mut rest = text.trim();
    let (mut alone, mut skipped) = (false, false);
    loop {
        if let Some(after) = rest.strip_prefix('#') {
            (rest, skipped) = (after.trim_start(), true);
        } else if let Some(after) = rest.strip_prefix('!') {
            (rest, alone) = (after.trim_start(), true);
        } else {
            break;
        }
    }
    Entry {
        path: rest.to_owned(),
        alone,
        skipped: skipped.then(|| "marked with # on the command line".to_owned()),
    }
}

fn is_notebook(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "ipynb")
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .zip(1..)
        .map(|(line, number)| (number, line))
}

/// Cuts a comment off a path. A path may itself hold ` #`, so the comment must follow the extension.
fn without_comment(line: &str) -> &str {
    match line.split_once(".ipynb") {
        Some((stem, rest)) if rest.starts_with(char::is_whitespace) && rest.trim_start().starts_with('#') => {
            &line[..stem.len() + ".ipynb".len()]
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_never_imported() {
        let text = "\u{feff}numpy\r\n# prose about it\n\ntess_stars2px  #tess-point\nscipy astropy.io # two\n   \n";
        let found: Vec<_> = modules(text).collect();
        assert_eq!(
            found,
            [(1, "numpy"), (4, "tess_stars2px"), (5, "scipy"), (5, "astropy.io")]
        );
    }

    #[test]
    fn an_empty_list_has_no_tests() {
        assert_eq!(modules("").count() + modules("\n \n#\n").count(), 0);
        assert!(notebooks("\n \n#\n!\n", |_| true).is_empty());
    }

    #[test]
    fn a_commented_path_is_skipped_and_prose_is_not() {
        let text = "a.ipynb\n!sub/b.ipynb # slow\n#c.ipynb\n# !d.ipynb\n# see e.ipynb\n# my note.ipynb\nf #2.ipynb\n";
        let found = notebooks(text, |path| path == "my note.ipynb");
        let shown: Vec<_> = found
            .iter()
            .map(|entry| (entry.path.as_str(), entry.alone, entry.skipped.as_deref()))
            .collect();
        insta::assert_debug_snapshot!(shown, @r#"
        [
            (
                "a.ipynb",
                false,
                None,
            ),
            (
                "sub/b.ipynb",
                true,
                None,
            ),
            (
                "c.ipynb",
                false,
                Some(
                    "commented out in notebooks, line 3",
                ),
            ),
            (
                "d.ipynb",
                true,
                Some(
                    "commented out in notebooks, line 4",
                ),
            ),
            (
                "my note.ipynb",
                false,
                Some(
                    "commented out in notebooks, line 6",
                ),
            ),
            (
                "f #2.ipynb",
                false,
                None,
            ),
        ]
        "#);
    }
}
