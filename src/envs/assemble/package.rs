//! The packages of a frozen spec, and all that decides what each brings.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::envs::error::{EnvsError, io_error};
use crate::envs::{Work, bytecode};
use crate::image;
use crate::reference::{Digest, Hasher};
use crate::spec::frozen::Frozen;

/// A package of a frozen spec.
#[derive(Debug, Clone)]
pub(super) struct Package {
    /// The name, as its record spells it.
    pub(super) name: String,
    /// Whether it is one of conda's.
    pub(super) is_conda: bool,
    /// By what its piece is kept; `None` where its archive is not known, so that another may come in its place.
    pub(super) key: Option<Digest>,
}

impl Package {
    /// The packages of a frozen spec, those of conda first, each kind in the order of the spec.
    pub(super) fn all(frozen: &Frozen, surroundings: &Digest) -> Vec<Self> {
        let key = |kind: &str, what: &str, sha256: Option<&String>| {
            let mut hasher = Hasher::default();
            hasher.part("surroundings", surroundings.as_str().as_bytes());
            hasher.part(kind, what.as_bytes());
            hasher.part("archive", sha256?.as_bytes());
            Some(hasher.finish())
        };
        let conda = frozen.conda.iter().map(|package| {
            let what = format!("{}={}={}", package.name, package.version, package.build);
            Self {
                name: package.name.clone(),
                is_conda: true,
                key: key("conda", &what, package.sha256.as_ref()),
            }
        });
        let pip = frozen.pip.iter().map(|package| Self {
            name: package.name.clone(),
            is_conda: false,
            key: key("pip", &package.requirement, package.sha256.as_ref()),
        });
        conda.chain(pip).collect()
    }
}

/// By what that is kept which belongs to no package.
pub(super) fn rest_key(frozen: &Frozen, packages: &[Package], surroundings: &Digest) -> Digest {
    let mut hasher = Hasher::default();
    hasher.part("surroundings", surroundings.as_str().as_bytes());
    for (name, value) in &frozen.variables {
        hasher.part(name, value.as_bytes());
    }
    // The history of a conda environment names all its packages.
    for package in packages.iter().filter(|package| package.is_conda) {
        hasher.part("conda", package.key.as_ref().map_or("", Digest::as_str).as_bytes());
    }
    for channel in &frozen.channels {
        hasher.part("channel", channel.as_bytes());
    }
    hasher.finish()
}

/// What beside its archive decides what a package brings: where the environment is and whose, its python, and the installer.
pub(super) fn surroundings(work: Work<'_>, frozen: &Frozen) -> Result<Digest, EnvsError> {
    let mut hasher = Hasher::default();
    hasher.part("prefix", work.prefix().as_os_str().as_encoded_bytes());
    let conda_dir = &work.layout.conda_dir;
    let like = fs::metadata(conda_dir).map_err(io_error(conda_dir))?;
    let owner = format!("{}:{} {:o}", like.uid(), like.gid(), like.mode());
    hasher.part("owner", owner.as_bytes());
    if frozen.python.is_some() {
        let identity = bytecode::identity(&image::python(conda_dir))?;
        hasher.part("python", identity.as_bytes());
    }
    for python in frozen.conda.iter().filter(|package| package.name == "python") {
        let archive = python.sha256.as_deref().unwrap_or(&python.build);
        hasher.part("python", archive.as_bytes());
    }
    hasher.part("installer", work.tools.pip.version()?.as_bytes());
    hasher.part("floe", image::INSTALLER.as_bytes());
    Ok(hasher.finish())
}
