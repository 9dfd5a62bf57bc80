//! What a site and a cache add to a Dockerfile, without a trace in the image: mounts on every `RUN`, and the variables
//! that point to them for the `RUN`s of each stage alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::dockerfile;
use crate::image::variable;

/// Where secrets are mounted while a `RUN` runs. Builders leave the directories of mount points behind in the layer,
/// but `/dev` is a file system of the `RUN`'s own, of which nothing is kept.
const SECRETS: &str = "/dev/floe";

/// Where the cache of downloaded packages is mounted, likewise.
const CACHE: &str = "/dev/floe/cache";

/// The user and group of what a cache holds, as Jupyter's images number theirs. Builders apply the process's umask to
/// `mode`, so that another user than the owner could not write; root can in any case.
const OWNER: &str = "uid=1000,gid=100";

/// What every `RUN` of a composed Dockerfile is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Files that are mounted, by ID, with the variables that point to each.
    files: BTreeMap<&'static str, &'static [&'static str]>,
}

/// The variables that tools read the path of a CA bundle from.
const CA_VARIABLES: &[&str] = &[
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
];

/// The secret that holds the site's CA bundle.
pub const CA: &str = "ca.crt";
/// The secret that holds pip's configuration.
pub const PIP: &str = "pip.conf";
/// The secret that holds uv's configuration.
pub const UV: &str = "uv.toml";
/// The secret that holds conda's configuration, which floe's agent reads, too.
pub const CONDA: &str = "condarc";
/// The secret that holds apt's configuration.
pub const APT: &str = "apt.conf";
/// The secret that holds the credentials in the addresses of a mission's lists, which its frozen specs are without.
pub const NETRC: &str = "netrc";

impl Mounts {
    /// The mounts with these IDs ([`CA`], [`PIP`], [`UV`], [`CONDA`], [`APT`], [`NETRC`]).
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        Self::default().with(ids)
    }

    /// These mounts and those with the IDs.
    #[must_use]
    pub fn with<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        let known: [(&'static str, &'static [&'static str]); 6] = [
            (CA, CA_VARIABLES),
            (PIP, &["PIP_CONFIG_FILE"]),
            (UV, &["UV_CONFIG_FILE"]),
            (CONDA, &["CONDARC"]),
            (APT, &["APT_CONFIG"]),
            (NETRC, &["NETRC"]),
        ];
        let ids = ids.into_iter().collect::<Vec<_>>();
        let mut mounts = self.clone();
        mounts
            .files
            .extend(known.into_iter().filter(|(id, _)| ids.contains(id)));
        mounts
    }

    /// The lines of `text` with the mounts and variables added, and the lines of `stage` behind each `FROM`, each with the
    /// index of the line that it was.
    pub(super) fn add_to(&self, text: &str, stage: &[&str]) -> Vec<(String, Option<usize>)> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| vec![(line.to_owned(), Some(index))])
            .collect::<Vec<_>>();
        let mut user = "the-base-image-user";
        let instructions = dockerfile::parse(text);
        for instruction in &instructions {
            match instruction.keyword.as_str() {
                "FROM" => {
                    user = "the-base-image-user";
                    let last = instruction.lines.end - 1;
                    let added = stage.iter().map(|&line| line.to_owned()).chain(self.variables());
                    lines[last].extend(added.map(|line| (line, None)));
                }
                "USER" => user = &instruction.arguments,
                "RUN" => {
                    let first = &mut lines[instruction.lines.start][0].0;
                    let flags = self.flags(user, &instruction.arguments);
                    dockerfile::give_flags(first, &flags);
                }
                _ => {}
            }
        }
        lines.into_iter().flatten().collect()
    }

    fn flags(&self, user: &str, command: &str) -> String {
        let mut flags = String::new();
        // What root has written into a cache is not for others to write, so each user has its own.
        let owner = user.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let _ = write!(
            flags,
            " --mount=type=cache,id=floe-packages-{owner},target={CACHE},{OWNER}"
        );
        if command.contains("apt") {
            for directory in ["/var/cache/apt", "/var/lib/apt/lists"] {
                let _ = write!(
                    flags,
                    " --mount=type=cache,id=floe{0},target={directory},sharing=locked",
                    directory.replace('/', "-")
                );
            }
        }
        for id in self.files.keys() {
            let _ = write!(flags, " --mount=type=secret,id={id},target={SECRETS}/{id},mode=0444");
        }
        flags
    }

    /// `ARG` gives every `RUN` of its stage a variable and leaves none in the image.
    fn variables(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "ARG UV_CACHE_DIR={CACHE}/uv UV_LINK_MODE=copy PIP_CACHE_DIR={CACHE}/pip CONDA_PKGS_DIRS={CACHE}/conda {}={CACHE}/floe",
            variable::CACHE
        )];
        for (id, names) in &self.files {
            let assignments = names.iter().map(|name| format!("{name}={SECRETS}/{id}"));
            lines.push(format!("ARG {}", assignments.collect::<Vec<_>>().join(" ")));
        }
        lines
    }
}
