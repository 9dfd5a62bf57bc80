//! Patterns in lists of notebooks: `*.ipynb`, `sub/**/x?.ipynb`, `[ab]*.ipynb`.

use std::path::{Path, PathBuf};

use globset::GlobBuilder;

/// The directories in which Jupyter keeps copies of notebooks; nothing in them is ever a test.
pub const CHECKPOINTS: &str = ".ipynb_checkpoints";

/// The characters that make a pattern of a path.
const SPECIAL: &[char] = &['*', '?', '[', '{'];

/// A pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It is malformed.
    #[error("it is no pattern: {0}")]
    Malformed(String),
    /// A directory that it may match in cannot be read.
    #[error("{0}")]
    Read(#[from] walkdir::Error),
}

/// Whether a name in a list is a pattern.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(SPECIAL)
}

/// The notebooks that `pattern` matches, relative to `directory`, in the order of their paths.
///
/// `*` and `?` stay within a name, `**` stands for any number of directories.
pub fn notebooks(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, PatternError> {
    let pattern = pattern.trim_start_matches("./");
    // Only below the part without special characters there is anything to look at.
    let fixed = pattern.split('/').take_while(|part| !is_pattern(part)).count();
    let parts = pattern.split('/').collect::<Vec<_>>();
    let (above, rest) = parts.split_at(fixed.min(parts.len() - 1));
    let base = directory.join(above.join("/"));
    let glob = GlobBuilder::new(&rest.join("/"))
        .literal_separator(true)
        .build()
        .map_err(|error| PatternError::Malformed(error.kind().to_string()))?
        .compile_matcher();
    if !base.is_dir() {
        return Ok(Vec::new());
    }
    let walk = walkdir::WalkDir::new(&base).sort_by_file_name().into_iter();
    let mut found = Vec::new();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != CHECKPOINTS) {
        let path = entry?.into_path();
        let below = path.strip_prefix(&base).unwrap_or(&path);
        if path.extension().is_some_and(|extension| extension == "ipynb") && glob.is_match(below) && path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn matched(pattern: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a.ipynb",
            "b.txt",
            "sub/x1.ipynb",
            "sub/deep/x2.ipynb",
            ".ipynb_checkpoints/a.ipynb",
        ] {
            let path = dir.path().join("tests").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        let found = notebooks(&dir.path().join("tests"), pattern).unwrap();
        let root = dir.path().join("tests");
        let names = found
            .iter()
            .map(|path| path.strip_prefix(&root).unwrap().display().to_string());
        names.collect()
    }

    #[test]
    fn a_star_stays_in_its_directory_and_two_do_not() {
        assert_eq!(matched("*.ipynb"), ["a.ipynb"]);
        assert_eq!(matched("./*"), ["a.ipynb"]);
        assert_eq!(matched("sub/x?.ipynb"), ["sub/x1.ipynb"]);
        assert_eq!(matched("sub/**/x*.ipynb"), ["sub/deep/x2.ipynb", "sub/x1.ipynb"]);
        assert_eq!(matched("**/*.ipynb").len(), 3);
        assert_eq!(matched("{a,b}.ipynb"), ["a.ipynb"]);
        assert_eq!(matched("nowhere/*.ipynb"), [""; 0]);
    }

    #[test]
    fn what_is_no_pattern_is_an_error() {
        let error = notebooks(Path::new("/"), "[a.ipynb").unwrap_err();
        assert!(error.to_string().starts_with("it is no pattern: "), "{error}");
    }
}
