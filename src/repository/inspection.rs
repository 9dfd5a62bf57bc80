//! What a definition may be: a regular file below its own directory, of a size that somebody could have written.
//!
//! A repository may be somebody else's. A link out of it would show files of the host in an error or an image, and what is
//! no file at all may never end. So everything below a directory is looked at before any of it is read.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::fault::{Explained, Kind, Place};

/// The longest definition that is read, in bytes: specs, lists, Dockerfiles.
const LONGEST: u64 = 4 << 20;

/// The longest lock, which has about a kilobyte for each package.
const LONGEST_LOCK: u64 = 64 << 20;

/// Something below a directory of definitions that is not read.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// A directory cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link leads to somewhere else.
    #[error("{path} is a link to {target}, which is outside of {directory}")]
    LinkOut {
        /// The link, relative to the repository.
        path: PathBuf,
        /// What it names.
        target: PathBuf,
        /// Where it would have to stay.
        directory: PathBuf,
    },
    /// A pipe, a socket or a device.
    #[error("{path} is {what}, and no file")]
    NoFile {
        /// What it is called, relative to the repository.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A definition that nobody wrote.
    #[error("{path} has {size} bytes; a definition of this kind has {most} at most")]
    TooLong {
        /// The file, relative to the repository.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The greatest size.
        most: u64,
    },
}

impl Explained for DefinitionError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { .. } => Kind::Internal,
            Self::LinkOut { .. } | Self::NoFile { .. } | Self::TooLong { .. } => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::LinkOut { directory, .. } => Some(format!(
                "put a copy into {}; an image could not follow the link either",
                directory.display()
            )),
            Self::Read { .. } | Self::NoFile { .. } | Self::TooLong { .. } => None,
        }
    }

    fn place(&self) -> Option<Place> {
        let (Self::Read { path, .. }
        | Self::LinkOut { path, .. }
        | Self::NoFile { path, .. }
        | Self::TooLong { path, .. }) = self;
        Some(Place::of(path, None))
    }
}

/// Looks at everything below `directory` of the repository at `root`, without reading any of it. A directory that is not
/// there holds nothing.
pub fn inspect(root: &Path, directory: &Path) -> Result<(), DefinitionError> {
    let top = root.join(directory);
    let Ok(real) = fs::canonicalize(&top) else {
        return Ok(());
    };
    // The directory itself may not be a link out either.
    if let Ok(inside) = fs::canonicalize(root)
        && !real.starts_with(inside)
    {
        return Err(DefinitionError::LinkOut {
            path: directory.to_owned(),
            target: real,
            directory: PathBuf::from("."),
        });
    }
    for entry in WalkDir::new(&real) {
        let entry = entry.map_err(|error| DefinitionError::Read {
            path: error.path().unwrap_or(&real).to_owned(),
            source: error.into(),
        })?;
        let shown = || directory.join(entry.path().strip_prefix(&real).unwrap_or(entry.path()));
        let kind = entry.file_type();
        if kind.is_symlink() {
            let leads = fs::canonicalize(entry.path());
            // What leads nowhere shows nothing.
            if leads.is_ok_and(|target| !target.starts_with(&real)) {
                return Err(DefinitionError::LinkOut {
                    path: shown(),
                    target: fs::read_link(entry.path()).unwrap_or_default(),
                    directory: directory.to_owned(),
                });
            }
        } else if let Some(what) = no_file(kind) {
            return Err(DefinitionError::NoFile { path: shown(), what });
        } else if let Some(most) = longest(entry.path()).filter(|_| kind.is_file()) {
            let size = entry.metadata().map_or(0, |metadata| metadata.len());
            if size > most {
                return Err(DefinitionError::TooLong {
                    path: shown(),
                    size,
                    most,
                });
            }
        }
    }
    Ok(())
}

fn no_file(kind: fs::FileType) -> Option<&'static str> {
    if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else {
        None
    }
}

/// How long a file of this name may be; `None` for what floe does not read.
fn longest(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    match extension {
        "lock" => Some(LONGEST_LOCK),
        "yml" | "yaml" | "conda" | "pip" | "name" => Some(LONGEST),
        _ if name.starts_with("Dockerfile") || name.ends_with(".dockerignore") => Some(LONGEST),
        _ if matches!(name, "imports" | "notebooks" | "no-common") => Some(LONGEST),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn inspected(make: impl FnOnce(&Path)) -> Result<(), String> {
        let repository = tempfile::tempdir().unwrap();
        let mission = repository.path().join("missions/m");
        fs::create_dir_all(mission.join("environments/e/tests")).unwrap();
        fs::write(repository.path().join("elsewhere"), "x").unwrap();
        make(&mission);
        inspect(repository.path(), Path::new("missions/m")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_link_that_leads_out_is_refused_by_name() {
        for (link, target) in [
            ("environments/e/tests/imports", "/etc/passwd"),
            ("environments/e/e.pip", "../../../../elsewhere"),
            ("data", "/dev/zero"),
            ("default-home-contents", "/root"),
        ] {
            let refused = inspected(|mission| symlink(target, mission.join(link)).unwrap()).unwrap_err();
            let expected = format!("missions/m/{link} is a link to {target}, which is outside of missions/m");
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn a_mission_that_is_itself_a_link_out_is_refused() {
        let (repository, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(repository.path().join("missions")).unwrap();
        symlink(other.path(), repository.path().join("missions/m")).unwrap();
        assert!(inspect(repository.path(), Path::new("missions/m")).is_err());
    }

    #[test]
    fn links_that_stay_inside_and_those_to_nowhere_are_let_be() {
        inspected(|mission| {
            fs::write(mission.join("environments/e/a.pip"), "x").unwrap();
            symlink("a.pip", mission.join("environments/e/b.pip")).unwrap();
            symlink("nowhere", mission.join("environments/e/c.pip")).unwrap();
        })
        .unwrap();
        assert!(inspect(Path::new("/nonexistent"), Path::new("missions/m")).is_ok());
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let pipe = inspected(|mission| {
            let path = mission.join("environments/e/tests/imports");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap();
        });
        assert_eq!(
            pipe.unwrap_err(),
            "missions/m/environments/e/tests/imports is a pipe, and no file"
        );
        let socket = inspected(|mission| drop(UnixListener::bind(mission.join("e.pip")).unwrap()));
        assert_eq!(socket.unwrap_err(), "missions/m/e.pip is a socket, and no file");
    }

    #[test]
    fn a_definition_that_nobody_wrote_is_refused_before_it_is_read() {
        let refused = inspected(|mission| {
            let file = fs::File::create(mission.join("environments/e/e.pip")).unwrap();
            file.set_len(1 << 40).unwrap();
        });
        assert!(refused.unwrap_err().contains("e.pip has 1099511627776 bytes"));
        let data = |mission: &Path| {
            let file = fs::File::create(mission.join("data.fits")).unwrap();
            file.set_len(1 << 40).unwrap();
        };
        inspected(data).unwrap();
    }
}
