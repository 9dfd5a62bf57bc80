//! The Dockerfile of a mission that needs more than its environments: packages of Debian, a script after the installation, a
//! program before the server.

use std::fmt::Write as _;

use crate::image;
use crate::image::applet::ENV_RUN;
use crate::reference::EnvironmentName;

/// The name of the file.
pub(super) const FILE: &str = "Dockerfile.custom.tera";

/// What a mission needs beside its environments.
#[derive(Debug, Default)]
pub(super) struct Needs<'a> {
    /// Packages of Debian.
    pub apt: Vec<String>,
    /// The environment that the script `postBuild` beside the Dockerfile runs in.
    pub post_build: Option<&'a EnvironmentName>,
    /// Whether the program `start` beside the Dockerfile runs before the server, and becomes it.
    pub start: bool,
    /// Whether the base image has a program `start.sh` of its own for that, as those of docker-stacks have.
    pub starts: bool,
}

impl Needs<'_> {
    /// The Dockerfile; `None` where environments are all.
    pub fn dockerfile(&self) -> Option<String> {
        if self.apt.is_empty() && self.post_build.is_none() && !self.start {
            return None;
        }
        let mut text = String::new();
        let base = if self.apt.is_empty() {
            text.push_str("{{ env_stages }}\n");
            "${BASE_IMAGE}"
        } else {
            // Environments may need them while they are installed.
            text.push_str("# Debian's packages first: environments may need them while they are installed.\n");
            text.push_str("ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS system\nUSER root\n");
            let packages = self.apt.join(" \\\n        ");
            let _ = writeln!(text, "RUN {} \\\n        {packages}\n", image::program("apt-install"));
            text.push_str("{{ env_stages | replace(from=\"${BASE_IMAGE}\", to=\"system\") }}\n");
            "system"
        };
        let _ = writeln!(text, "\nFROM {base}\n{{{{ env_layers }}}}");
        if let Some(environment) = self.post_build {
            let run = image::program(ENV_RUN);
            let _ = writeln!(text, "USER root\nCOPY --chmod=755 postBuild /opt/postBuild");
            let _ = writeln!(
                text,
                "USER ${{NB_UID}}\nWORKDIR ${{HOME}}\nRUN {run} {environment} /opt/postBuild"
            );
        }
        if self.start {
            let own = if self.starts { "\"start.sh\", " } else { "" };
            text.push_str("USER root\nCOPY --chmod=755 start /opt/start\n");
            let _ = writeln!(text, "ENTRYPOINT [\"tini\", \"-g\", \"--\", {own}\"/opt/start\"]");
        }
        Some(text)
    }
}
