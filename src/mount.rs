//! Directories and files of the host that a container sees: as people write them, parsed once.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// A directory or file of the host, at a place in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What, on the host.
    pub source: PathBuf,
    /// Where the container has it: an absolute path.
    pub target: PathBuf,
    /// Whether nothing in the container can change it.
    pub read_only: bool,
}

/// A text that names no mount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no mount: {rule}")]
pub struct MountError {
    text: String,
    rule: &'static str,
}

impl Mount {
    /// A mount that can be written to.
    #[must_use]
    pub fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            read_only: false,
        }
    }

    /// The same with its source below `directory`, where that is not an absolute path.
    #[must_use]
    pub fn below(mut self, directory: &Path) -> Self {
        self.source = directory.join(self.source);
        self
    }
}

/// `HOST:CONTAINER`, `HOST:CONTAINER:ro` or `HOST:CONTAINER:rw`, as Docker's client takes it.
impl FromStr for Mount {
    type Err = MountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |rule| MountError {
            text: text.to_owned(),
            rule,
        };
        let form = "expected HOST:CONTAINER, HOST:CONTAINER:ro or HOST:CONTAINER:rw";
        let (places, read_only) = match text.rsplit_once(':') {
            Some((places, "ro")) => (places, true),
            Some((places, "rw")) => (places, false),
            Some(_) => (text, false),
            None => return Err(wrong(form)),
        };
        let (source, target) = places.rsplit_once(':').ok_or_else(|| wrong(form))?;
        if source.is_empty() {
            return Err(wrong(form));
        }
        let target = PathBuf::from(target);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
        if !target.is_absolute() || target.parent().is_none() || !target.components().all(plain) {
            return Err(wrong("the path in the container is absolute, and not the root"));
        }
        Ok(Self {
            source: source.into(),
            target,
            read_only,
        })
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.read_only { ":ro" } else { "" };
        write!(f, "{}:{}{mode}", self.source.display(), self.target.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_as_dockers_client_reads_it() {
        for (text, source, target, read_only) in [
            ("/data:/data", "/data", "/data", false),
            ("/data:/srv/data:ro", "/data", "/srv/data", true),
            ("data:/srv:rw", "data", "/srv", false),
            ("/a:b:/srv", "/a:b", "/srv", false),
        ] {
            let mount = text.parse::<Mount>().unwrap();
            assert_eq!(mount.source, Path::new(source), "{text}");
            assert_eq!(
                (mount.target.as_path(), mount.read_only),
                (Path::new(target), read_only),
                "{text}"
            );
        }
        for text in [
            "",
            "/data",
            "/data:srv",
            ":/srv",
            "/data:/",
            "/data:/srv:x",
            "/data:/a/../b",
        ] {
            assert!(text.parse::<Mount>().is_err(), "{text:?} was accepted");
        }
    }
}
