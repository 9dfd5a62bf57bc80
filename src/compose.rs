//! Composing: from a mission's files to the one Dockerfile that is built, with a map back to the lines people wrote.
//!
//! Plain files that people wrote are concatenated, never rendered: real Dockerfiles hold `{{ }}`. Only a file that says so
//! by its name, `Dockerfile.custom.tera`, is a template. What floe adds is plain Dockerfile text: mounts on `RUN`
//! instructions and `ARG` lines after `FROM`, none of which leaves anything in the image.

mod assembly;
pub mod dockerfile;
mod error;
mod generate;
mod imprint;
pub mod program;
mod site;
mod split;
mod template;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fault::Place;
use crate::image;
use crate::image::applet::{ENV_EXPORT, ENV_UPDATE};
use crate::reference::EnvironmentName;

pub use assembly::{Assembly, assembly};
pub use error::ComposeError;
pub use generate::Stage;
pub use site::{APT, CA, CONDA, Mounts, NETRC, PIP, UV};
pub use template::{Facts, Rendered, Renderer, render, text};

#[cfg(test)]
pub(crate) use template::Unbounded;

/// A file that people wrote, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, relative to the repository's root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A Dockerfile ready to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composed {
    /// Its text.
    pub text: String,
    /// For each line of the text, where it comes from; `None` for a line that floe wrote.
    origins: Vec<Option<Place>>,
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

impl Body {
    /// The mission's own file, if it has one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Custom(source) | Self::OptedOut(source) => Some(&source.path),
            Self::Rendered(rendered) => Some(&rendered.source.path),
            Self::Generated(_) => None,
        }
    }

    /// What it is composed from, as a composed Dockerfile says.
    fn described(&self) -> &'static str {
        match self {
            Self::Custom(_) => "Dockerfile.custom",
            Self::Rendered(_) => "Dockerfile.custom.tera",
            Self::Generated(_) => "environments/",
            Self::OptedOut(_) => "Dockerfile",
        }
    }

    /// What each stage of a mission's own Dockerfile begins with: the scripts that it calls obey `USE_FROZEN`, whether or not
    /// its author has thought of it.
    const fn beginning(&self) -> &'static [&'static str] {
        match self {
            Self::Custom(_) | Self::Rendered(_) => &["ARG USE_FROZEN"],
            Self::Generated(_) | Self::OptedOut(_) => &[],
        }
    }
}

/// Composes the Dockerfile of a mission.
#[must_use]
pub fn mission(mission: &str, body: &Body, trailer: &Source, mounts: &Mounts) -> Composed {
    let mut draft = Draft::default();
    match body {
        Body::OptedOut(source) => {
            draft.source(source);
            return draft.finish(mounts, &[]);
        }
        Body::Custom(source) => draft.source(source),
        Body::Rendered(rendered) => draft.lines(body.file(), &rendered.lines),
        Body::Generated(stages) => draft.own(&generate::body(stages)),
    }
    draft.put_header(mission, body.described());
    draft.trailer(trailer);
    draft.imprint();
    draft.finish(mounts, body.beginning())
}

/// Composes a Dockerfile that stands alone: that of the common or base image.
#[must_use]
pub fn single(source: &Source, mounts: &Mounts) -> Composed {
    let mut draft = Draft::default();
    draft.source(source);
    draft.finish(mounts, &[])
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
    draft.finish(mounts, &[])
}

/// Composes the Dockerfile of an image that holds, in `directory`, the frozen specs that the floating ones of these
/// environments are solved to. Nothing is written of what only an installation can tell.
#[must_use]
pub fn solved(stages: &[Stage], directory: &str, mounts: &Mounts) -> Composed {
    let mut draft = Draft::default();
    draft.own(&generate::solved(stages, directory));
    draft.finish(mounts, &[])
}

/// Composes the Dockerfile of an image like `BASE_IMAGE`, in which `list`, a file of the context, was added to an environment.
#[must_use]
pub fn addition(environment: &EnvironmentName, list: &str, user: &str, mounts: &Mounts) -> Composed {
    let update = image::program(ENV_UPDATE);
    let user = if user.is_empty() { "root" } else { user };
    let mut draft = Draft::default();
    draft.own(&format!(
        "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nUSER root\nCOPY {list} /tmp/{list}\nRUN USE_FROZEN=0 {update} {environment} \
         /tmp/{list}\nUSER {user}\n"
    ));
    draft.finish(mounts, &[])
}

impl Composed {
    /// The same, if its first instruction begins a stage, as every builder wants it. Docker 20.10 itself ends when it is
    /// given a Dockerfile of `ARG` lines alone. `path` is the file that has to begin one.
    pub fn staged(self, path: &Path) -> Result<Self, ComposeError> {
        let instructions = dockerfile::parse(self.text.trim_start_matches('\u{feff}'));
        let first = instructions.iter().find(|instruction| instruction.keyword != "ARG");
        if first.is_some_and(|first| first.keyword == "FROM" && !first.arguments.trim().is_empty()) {
            return Ok(self);
        }
        let place = first.and_then(|first| self.place(first.lines.start + 1));
        // What comes first may be the trailer, which begins no stage and need not.
        let line = place.filter(|place| place.path == path).and_then(|place| place.line);
        Err(ComposeError::NoStage {
            path: path.to_owned(),
            line,
        })
    }

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
    /// Puts what a composed Dockerfile begins with before what there is so far, but behind directives to the parser,
    /// which count at the top alone.
    fn put_header(&mut self, mission: &str, body: &str) {
        let rest = std::mem::take(self);
        let directives = dockerfile::directives(&rest.lines.join("\n")).len();
        let mut parts = rest.lines.into_iter().zip(rest.origins);
        for (line, origin) in parts.by_ref().take(directives) {
            self.lines.push(line);
            self.origins.push(origin);
        }
        self.own(&format!(
            "# Composed by floe for mission {mission} from {body} and common/Dockerfile.trailer.\n\
             # The build's context is missions/{mission}/; BASE_IMAGE is the common image.\n"
        ));
        for (line, origin) in parts {
            self.lines.push(line);
            self.origins.push(origin);
        }
    }

    /// Adds the trailer, continued by the character that the directives at the top name.
    fn trailer(&mut self, trailer: &Source) {
        let escape = dockerfile::escape(&self.lines.join("\n"));
        self.source(&Source {
            path: trailer.path.clone(),
            text: dockerfile::continued_by(&trailer.text, escape),
        });
    }

    /// Adds the layer in which the image says what it is. What begins no stage is left as it is.
    fn imprint(&mut self) {
        let Some((line, text, rest)) = imprint::of(&self.lines.join("\n")) else {
            return;
        };
        self.lines[line] = text;
        self.own(&rest);
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
                line: Some(index + 1),
            }));
        }
    }

    /// Adds lines, and where they are written in the file `path`, if they are.
    fn lines(&mut self, path: Option<&Path>, lines: &[split::Line]) {
        for (line, origin) in lines {
            self.lines.push(line.clone());
            let place = origin.zip(path).map(|(index, path)| Place {
                path: path.to_owned(),
                line: Some(index + 1),
            });
            self.origins.push(place);
        }
    }

    /// Adds the mounts, and `stage` to the beginning of each stage.
    fn finish(self, mounts: &Mounts, stage: &[&str]) -> Composed {
        let mut text = String::new();
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        let mut composed = Composed {
            text: String::new(),
            origins: Vec::new(),
        };
        for (line, before) in mounts.add_to(&text, stage) {
            let _ = writeln!(composed.text, "{line}");
            composed
                .origins
                .push(before.and_then(|index| self.origins[index].clone()));
        }
        composed
    }
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
mod tests;
