//! What a repository holds beside its missions: settings, wrappers, what git ignores, and a workflow.

use std::fmt::Write as _;

use super::Scaffold;
use crate::repository::carried;

/// The template of settings, as it is in this repository.
const SETTINGS: &str = include_str!("../../setup-env.template");

const IGNORED: &str = "\
/.floe/
/setup-env
";

/// The wrappers, and the commands that they call.
pub(super) const WRAPPERS: [(&str, &str); 13] = [
    ("image-all", "all"),
    ("image-build", "build"),
    ("image-cp", "cp"),
    ("image-exec", "exec"),
    ("image-freeze", "freeze"),
    ("image-push", "push"),
    ("image-sh", "shell"),
    ("image-test", "test"),
    ("run-lab", "lab"),
    ("secrets-clone", "secrets clone"),
    ("secrets-edit", "secrets edit"),
    ("secrets-get-exports", "secrets exports"),
    ("secrets-push", "secrets push"),
];

/// Whose workflow is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab.
    Gitlab,
}

const GITHUB: &str = include_str!("workflow/github.yml");
const GITLAB: &str = include_str!("workflow/gitlab.yml");

/// The files of a repository. With `common`, those of the common image are among them; without, floe's own are used.
#[must_use]
pub fn repository(common: bool, ci: Option<Ci>) -> Scaffold {
    let mut scaffold = Scaffold {
        frozen: true,
        ..Scaffold::default()
    };
    scaffold.text(".gitignore", IGNORED);
    scaffold.text("setup-env.template", SETTINGS);
    for (name, command) in WRAPPERS {
        let text = format!("#! /bin/bash\nexec \"${{FLOE:-floe}}\" {command} \"$@\"\n");
        scaffold.program(format!("scripts/{name}"), text);
    }
    match ci {
        Some(Ci::Github) => scaffold.text(".github/workflows/images.yml", GITHUB),
        Some(Ci::Gitlab) => scaffold.text(".gitlab-ci.yml", GITLAB),
        None => {}
    }
    for (path, text, program) in carried::FILES.iter().filter(|_| common) {
        if *program {
            scaffold.program(*path, *text);
        } else {
            scaffold.text(*path, *text);
        }
    }
    scaffold
}

impl Scaffold {
    /// The same with `setup-env`, the settings of the person who begins: the mission, what it needs, and whether to build from
    /// floating specs, since there is nothing else to build from.
    #[must_use]
    pub fn with_settings(mut self, given: &[(&'static str, String)]) -> Self {
        let mut lines = String::from(
            "#! /bin/bash\n# Your own settings; git ignores this file. All that there are: setup-env.template.\n",
        );
        let mut set = |name: &str, value: &str| {
            let _ = writeln!(lines, "export {name}=\"{value}\"");
        };
        if let [first, ..] = self.missions.as_slice() {
            set("MISSION", first.as_str());
        }
        let own = self
            .settings
            .iter()
            .filter(|(name, _)| !given.iter().any(|(known, _)| known == name));
        for (name, value) in given.iter().chain(own) {
            set(name, value);
        }
        if !self.frozen {
            lines.push_str(
                "# 0: build from floating specs, and write frozen ones. Once those are committed, 1 builds exactly the same again.\n\
                 export USE_FROZEN=\"0\"\n",
            );
        }
        self.text("setup-env", lines);
        self
    }
}
