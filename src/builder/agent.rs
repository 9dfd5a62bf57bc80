//! What floe's own program said in the step of a build that failed. Its exit code says more than a builder can know: whether
//! a file is wrong, a package is not to be had, or another attempt may succeed.

use std::path::Path;

use crate::engine::EngineError;
use crate::fault::{Kind, Place};
use crate::image;
use crate::plan::ImagePlan;
use crate::repository;

/// The agent's last words, with the repository's paths in place of the image's.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// Its error.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What its exit code means, where that is one of floe's for a failed installation.
    pub kind: Option<Kind>,
    /// The file of the repository that its error names first, one with a line rather than one without.
    pub place: Option<Place>,
}

/// What the agent said in the step that failed, if it was the agent that failed there.
pub(super) fn said(image: &ImagePlan, error: &EngineError) -> Option<Said> {
    let EngineError::Build { output, reason, .. } = error else {
        return None;
    };
    let last = |beginning: &str| {
        let mut lines = output.lines().rev();
        lines.find_map(|line| line.trim().strip_prefix(beginning))
    };
    let in_repository = |text: &str| {
        let text = text.replace(image::COMMON_ENV, repository::COMMON_ENV);
        match image.role.mission() {
            Some(mission) => text.replace(
                image::ENVIRONMENTS,
                &repository::environments(mission).to_string_lossy(),
            ),
            None => text,
        }
    };
    let error = in_repository(last("error: ")?);
    let code = reason
        .rsplit_once("exit code: ")
        .and_then(|(_, code)| code.trim().parse::<u8>().ok());
    Some(Said {
        kind: code.and_then(kind),
        place: place(&error),
        hint: last("hint: ").map(in_repository),
        error,
    })
}

/// What an exit code of the agent means for a build.
fn kind(code: u8) -> Option<Kind> {
    match code {
        3 => Some(Kind::Invalid),
        75 => Some(Kind::Temporary),
        101 => Some(Kind::Build),
        _ => None,
    }
}

/// The first file with a line that the words name, else the first file.
fn place(words: &str) -> Option<Place> {
    let places = words.split_whitespace().filter_map(|word| {
        let word = word.trim_end_matches([':', ',', ';']);
        let in_repository = word.starts_with("missions/") || word.starts_with("common/");
        let (path, line) = match word.rsplit_once(':') {
            Some((path, line)) => (path, Some(line.parse().ok()?)),
            None => (word, None),
        };
        in_repository.then(|| Place::of(Path::new(path), line))
    });
    let places = places.collect::<Vec<_>>();
    let with_line = places.iter().find(|place| place.line.is_some());
    with_line.or(places.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_first_file_with_a_line() {
        for (words, expected) in [
            (
                "installing missions/m/environments/e/e.pip into e failed; see missions/m/environments/e/e.pip:3 `x`",
                Some("missions/m/environments/e/e.pip:3"),
            ),
            (
                "common/common-env/a.conda:2: `x` is no conda package",
                Some("common/common-env/a.conda:2"),
            ),
            (
                "missions/m/environments/e/e.yml: it is empty",
                Some("missions/m/environments/e/e.yml"),
            ),
            ("/usr/lib/x.py:3: no file of the repository", None),
            ("no place at all", None),
        ] {
            assert_eq!(place(words).map(|place| place.to_string()).as_deref(), expected);
        }
    }
}
