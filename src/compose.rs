//! Composing: from a mission's files to the one Dockerfile that is built, with a map back to the lines people wrote.
//!
//! Plain files that people wrote are concatenated, never rendered: real Dockerfiles hold `{{ }}`. Only a file that says so
//! by its name, `Dockerfile.custom.tera`, is a template. What floe adds is plain Dockerfile text: mounts on `RUN`
//! instructions and `ARG` lines after `FROM`, none of which leaves anything in the image.

pub mod dockerfile;
mod generate;
mod site;
mod template;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::image;
use crate::image::applet::ENV_EXPORT;
use crate::reference::EnvironmentName;

pub use generate::Stage;
pub use site::{APT, CA, CONDA, Mounts, PIP, UV};
pub use template::{Facts, Rendered, render};

/// A file that people wrote, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, relative to the repository's root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A Dockerfile ready to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// Its text.
    pub text: String,
    /// For each line of the text, where it comes from; `None` for a line that floe wrote.
    origins: Vec<Option<Place>>,
}

/// A line of a file that people wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the repository's root.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
}

/// Where the instructions of a mission's image come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The mission's own `Dockerfile.custom`, followed by the trailer.
    Custom(Source),
    /// The mission's own `Dockerfile.custom.tera`, rendered, followed by the trailer.
    Rendered(Rendered),
    /// Nothing of the mission's own: environments as stages, followed by the trailer.
    Generated(Vec<Stage>),
    /// A complete `Dockerfile` of the mission's own: it has opted out of composing.
    OptedOut(Source),
}

/// Composes the Dockerfile of a mission.
#[must_use]
pub fn mission(mission: &str, body: &Body, trailer: &Source, mounts: &Mounts) -> Composed {
    let mut draft = Draft::default();
    match body {
        Body::OptedOut(source) => draft.source(source),
        Body::Custom(source) => {
            draft.header(mission, "Dockerfile.custom");
            draft.source(source);
            draft.source(trailer);
        }
        Body::Rendered(rendered) => {
            draft.header(mission, "Dockerfile.custom.tera");
            draft.rendered(rendered);
            draft.source(trailer);
        }
        Body::Generated(stages) => {
            draft.header(mission, "environments/");
            draft.own(&generate::body(stages));
            draft.source(trailer);
        }
    }
    draft.finish(mounts)
}

/// Composes a Dockerfile that stands alone: that of the common or base image.
#[must_use]
pub fn single(source: &Source, mounts: &Mounts) -> Composed {
    let mut draft = Draft::default();
    draft.source(source);
    draft.finish(mounts)
}

/// Composes the Dockerfile of an image that holds, in `directory`, the frozen specs of what `BASE_IMAGE` has installed.
#[must_use]
pub fn export(environments: &[EnvironmentName], directory: &str, mounts: &Mounts) -> Composed {
    let exports = environments
        .iter()
        .map(|name| format!("{} {name} --to {directory}", image::program(ENV_EXPORT)));
    let commands = std::iter::once(format!("mkdir -p {directory}")).chain(exports);
    let run = commands.collect::<Vec<_>>().join(" \\\n && ");
    let mut draft = Draft::default();
    draft.own(&format!("ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nUSER root\nRUN {run}\n"));
    draft.finish(mounts)
}

impl Composed {
    /// Where line `line` (counted from 1) of the text was written; `None` for a line of floe's own.
    #[must_use]
    pub fn place(&self, line: usize) -> Option<&Place> {
        self.origins.get(line.checked_sub(1)?)?.as_ref()
    }

    /// Where the instruction was written that a builder names `step`, e.g. `[2/5] RUN apt-get update`.
    ///
    /// Builders print instructions with their variables replaced and blanks folded, so the instruction that shares the
    /// longest beginning with the step's name is taken, if it shares more than its keyword.
    #[must_use]
    pub fn place_of_step(&self, step: &str) -> Option<&Place> {
        let name = step.rsplit_once("] ").map_or(step, |(_, name)| name);
        let words = name
            .split_whitespace()
            .filter(|word| !word.starts_with("--mount="))
            .collect::<Vec<_>>();
        let shared = |arguments: &str, keyword: &str| {
            let own = arguments
                .split_whitespace()
                .filter(|word| !word.starts_with("--mount="));
            let own = std::iter::once(keyword).chain(own);
            words.iter().zip(own).take_while(|(a, b)| *a == b).count()
        };
        let best = dockerfile::parse(&self.text)
            .into_iter()
            .map(|i| (shared(&i.arguments, &i.keyword), i.lines.start + 1))
            .max_by_key(|(count, line)| (*count, std::cmp::Reverse(*line)))?;
        (best.0 > 1).then(|| self.place(best.1)).flatten()
    }
}

/// A Dockerfile in the making: lines and their origins.
#[derive(Default)]
struct Draft {
    lines: Vec<String>,
    origins: Vec<Option<Place>>,
}

impl Draft {
    fn header(&mut self, mission: &str, body: &str) {
        self.own(&format!(
            "# Composed by floe for mission {mission} from {body} and common/Dockerfile.trailer.\n\
             # The build's context is missions/{mission}/; BASE_IMAGE is the common image.\n"
        ));
    }

    /// Adds text of floe's own.
    fn own(&mut self, text: &str) {
        for line in text.lines() {
            self.lines.push(line.to_owned());
            self.origins.push(None);
        }
    }

    /// Adds a file as it is.
    fn source(&mut self, source: &Source) {
        for (index, line) in source.text.trim_start_matches('\u{feff}').lines().enumerate() {
            self.lines.push(line.to_owned());
            self.origins.push(Some(Place {
                path: source.path.clone(),
                line: index + 1,
            }));
        }
    }

    fn rendered(&mut self, rendered: &Rendered) {
        for (line, origin) in &rendered.lines {
            self.lines.push(line.clone());
            self.origins.push(origin.map(|index| Place {
                path: rendered.source.path.clone(),
                line: index + 1,
            }));
        }
    }

    fn finish(self, mounts: &Mounts) -> Composed {
        let mut text = String::new();
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        let mut composed = Composed {
            text: String::new(),
            origins: Vec::new(),
        };
        for (line, before) in mounts.add_to(&text) {
            let _ = writeln!(composed.text, "{line}");
            composed
                .origins
                .push(before.and_then(|index| self.origins[index].clone()));
        }
        composed
    }
}

/// A file of a mission that composing needs and cannot read or use.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A template cannot be rendered.
    #[error("{path}{}: {message}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Template {
        /// The template.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong, in Tera's words.
        message: String,
    },
    /// Two files claim to be the mission's Dockerfile.
    #[error("{first} and {second} cannot both be there: a mission has one such file")]
    Ambiguous {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The mission holds nothing to build.
    #[error(
        "{path} holds nothing to build: no Dockerfile.custom or Dockerfile.custom.tera, no environments/ with an environment, no Dockerfile"
    )]
    Nothing {
        /// The mission's directory.
        path: PathBuf,
    },
}

/// Reads the file at `root`/`path`.
pub fn load(root: &Path, path: impl Into<PathBuf>) -> Result<Source, ComposeError> {
    let path = path.into();
    match std::fs::read_to_string(root.join(&path)) {
        Ok(text) => Ok(Source { path, text }),
        Err(source) => Err(ComposeError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    fn trailer() -> Source {
        source(
            "common/Dockerfile.trailer",
            "USER ${NB_UID}\nRUN echo '{{base_url | urlencode}}'\n",
        )
    }

    #[test]
    fn a_plain_file_passes_through_untouched_whatever_its_braces_hold() {
        let text = "FROM x\n\nENV A='{{ b }}' B=\"{% c %}\" # {# d #}\nCMD [\"x\"]";
        let body = Body::Custom(source("missions/m/Dockerfile.custom", text));
        let composed = mission("m", &body, &trailer(), &Mounts::default());
        for line in text.lines().chain(["USER ${NB_UID}"]) {
            assert!(
                composed.text.lines().any(|l| l == line),
                "{line:?} is missing in:\n{}",
                composed.text
            );
        }
        assert!(composed.text.contains(" echo '{{base_url | urlencode}}'\n"));
    }

    #[test]
    fn every_run_gets_the_site_and_every_stage_its_variables() {
        let text = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS a\nrun one \\\n  && two\nUSER 1000:100\nRUN --mount=type=tmpfs,target=/x apt-get update\nFROM b\n";
        let body = Body::OptedOut(source("missions/m/Dockerfile", text));
        let composed = mission("m", &body, &trailer(), &Mounts::for_secrets([CA]));
        insta::assert_snapshot!(composed.text, @r"
        ARG BASE_IMAGE
        FROM ${BASE_IMAGE} AS a
        ARG UV_CACHE_DIR=/dev/floe/cache/uv UV_LINK_MODE=copy PIP_CACHE_DIR=/dev/floe/cache/pip CONDA_PKGS_DIRS=/dev/floe/cache/conda
        ARG SSL_CERT_FILE=/dev/floe/ca.crt REQUESTS_CA_BUNDLE=/dev/floe/ca.crt PIP_CERT=/dev/floe/ca.crt CURL_CA_BUNDLE=/dev/floe/ca.crt GIT_SSL_CAINFO=/dev/floe/ca.crt NODE_EXTRA_CA_CERTS=/dev/floe/ca.crt
        run --mount=type=cache,id=floe-packages-the-base-image-user,target=/dev/floe/cache,uid=1000,gid=100 --mount=type=secret,id=ca.crt,target=/dev/floe/ca.crt,mode=0444 one \
          && two
        USER 1000:100
        RUN --mount=type=cache,id=floe-packages-1000-100,target=/dev/floe/cache,uid=1000,gid=100 --mount=type=cache,id=floe-var-cache-apt,target=/var/cache/apt,sharing=locked --mount=type=cache,id=floe-var-lib-apt-lists,target=/var/lib/apt/lists,sharing=locked --mount=type=secret,id=ca.crt,target=/dev/floe/ca.crt,mode=0444 --mount=type=tmpfs,target=/x apt-get update
        FROM b
        ARG UV_CACHE_DIR=/dev/floe/cache/uv UV_LINK_MODE=copy PIP_CACHE_DIR=/dev/floe/cache/pip CONDA_PKGS_DIRS=/dev/floe/cache/conda
        ARG SSL_CERT_FILE=/dev/floe/ca.crt REQUESTS_CA_BUNDLE=/dev/floe/ca.crt PIP_CERT=/dev/floe/ca.crt CURL_CA_BUNDLE=/dev/floe/ca.crt GIT_SSL_CAINFO=/dev/floe/ca.crt NODE_EXTRA_CA_CERTS=/dev/floe/ca.crt
        ");
    }

    #[test]
    fn a_line_of_the_composed_file_leads_back_to_the_line_that_was_written() {
        let body = Body::Custom(source("missions/m/Dockerfile.custom", "FROM x\nRUN one\n"));
        let composed = mission("m", &body, &trailer(), &Mounts::default());
        let place = |needle: &str| {
            let line = composed.text.lines().position(|l| l.contains(needle)).unwrap() + 1;
            composed.place(line).map(|p| format!("{}:{}", p.path.display(), p.line))
        };
        assert_eq!(place("one").unwrap(), "missions/m/Dockerfile.custom:2");
        assert_eq!(place("urlencode").unwrap(), "common/Dockerfile.trailer:2");
        assert_eq!(place("Composed by floe"), None);
        assert_eq!(composed.place(0), None);
        assert_eq!(composed.place(1000), None);
    }

    #[test]
    fn a_failed_step_leads_back_to_its_instruction() {
        let text = "FROM x\nRUN apt-get update\nRUN apt-get install \\\n  wget nothing\n";
        let body = Body::Custom(source("missions/m/Dockerfile.custom", text));
        let composed = mission("m", &body, &trailer(), &Mounts::for_secrets([CA]));
        let line = |step: &str| composed.place_of_step(step).map(|place| place.line);
        let mount = "--mount=type=secret,id=ca.crt,target=/x";
        assert_eq!(
            line(&format!("[3/4] RUN {mount} apt-get install   wget nothing")),
            Some(3)
        );
        assert_eq!(line("[2/4] RUN apt-get update"), Some(2));
        assert_eq!(line("exporting to image"), None);
    }
}
