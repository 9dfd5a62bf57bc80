//! What several spec files list, and how it gets into an environment of conda packages.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::envs::conda::Addition;
use crate::envs::error::io_error;
use crate::envs::pip::installer::Mode;
use crate::envs::pip::list::List;
use crate::envs::pip::overridden::Overridden;
use crate::envs::{EnvsError, Installer, Work};
use crate::image;
use crate::spec::env::{CondaSpec, EnvironmentSpec, SpecKind};

/// What several files list.
#[derive(Default)]
pub(in crate::envs) struct Lists {
    pub channels: Vec<String>,
    pub conda: Vec<CondaSpec>,
    pub pip: Vec<List>,
    pub variables: BTreeMap<String, String>,
}

impl Lists {
    pub fn load(files: &[PathBuf]) -> Result<Self, EnvsError> {
        let mut lists = Self::default();
        for file in files {
            match SpecKind::of(file) {
                Some(SpecKind::Pip) if file.is_file() => lists.pip.push(List::File(file.clone())),
                Some(SpecKind::Pip) => return Err(io_error(file)(io::ErrorKind::NotFound.into())),
                Some(SpecKind::Conda) => {
                    let text = fs::read_to_string(file).map_err(io_error(file))?;
                    lists.conda.extend(crate::spec::env::conda::list(&text, file));
                }
                Some(SpecKind::Yml) => {
                    let spec = EnvironmentSpec::load(file)?;
                    lists.channels.extend(spec.channels);
                    lists.conda.extend(spec.conda);
                    lists.variables.extend(spec.variables);
                    lists.pip.push(List::Lines {
                        file: file.clone(),
                        lines: spec.pip,
                    });
                }
                None => return Err(EnvsError::UnknownKind { path: file.clone() }),
            }
        }
        Ok(lists)
    }
}

/// Where pip itself installs the lists, it must be in the environment: as conda does, it is added.
pub(super) fn add_pip(work: Work<'_>, lists: &[List], addition: &mut Addition) {
    let Some(list) = lists.iter().find(|list| !list.is_empty()) else {
        return;
    };
    let named = addition.specs.iter().any(|spec| spec.name() == "pip");
    if work.tools.pip == Installer::Pip && !named && !work.prefix().join("bin/pip").exists() {
        addition.specs.push(CondaSpec {
            text: "pip".to_owned(),
            file: list.file().to_owned(),
            line: None,
        });
    }
}

/// Installs pip lists into an environment of conda packages, and says which of those they replaced.
pub(super) fn install_pip(work: Work<'_>, lists: &[List], mode: Mode) -> Result<(), EnvsError> {
    let Some(first) = lists.iter().find(|list| !list.is_empty()) else {
        return Ok(());
    };
    let prefix = work.prefix();
    if !image::python(&prefix).exists() {
        return Err(EnvsError::NoPython {
            name: work.name.clone(),
            file: first.file().to_owned(),
        });
    }
    let before = Overridden::find(&prefix)?;
    let mode = Mode {
        externally: true,
        ..mode
    };
    work.tools.pip.install(work, lists, mode)?;
    Overridden::find(&prefix)?.report(&before, lists, work);
    Ok(())
}
