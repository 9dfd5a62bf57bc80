//! All that an environment holds, with what each package says of itself. Unlike a frozen spec it refuses nothing: an editable
//! installation is there, too.

use std::collections::BTreeMap;

use super::{conda_package, distribution, image, ownership, present, record, requires};
use crate::envs::venv::python_version;
use crate::envs::{EnvsError, Layout};
use crate::packages::{Manager, Package};
use crate::reference::EnvironmentName;
use crate::spec::frozen::normalized;

/// The packages of the environment `name`: the python of a venv, those of conda, those of pip, each in the order of names.
pub fn env_contents(layout: &Layout, name: &EnvironmentName) -> Result<Vec<Package>, EnvsError> {
    let prefix = layout.complete(name)?;
    let (records, distributions) = rayon::join(|| record::read(&prefix), || distribution::read(&prefix));
    let (records, distributions) = (records?, distributions?);
    let present = present(&records, &distributions);
    // What conda installs is a distribution of python often enough, which knows its home.
    let told = distributions
        .iter()
        .map(|found| (normalized(&found.name), (found.licence.name(), found.homepage.clone())));
    let told = told.collect::<BTreeMap<_, _>>();
    let (foreign, _) = ownership(&prefix, &records, distributions)?;
    let mut packages = Vec::new();
    if records.is_empty() && image::python(&prefix).exists() {
        packages.push(Package::of_venv(&python_version(&image::python(&prefix))?));
    }
    let mut conda = Vec::new();
    for installed in records {
        let mut package = Package::of_conda(&conda_package(installed.record));
        if let Some((license, homepage)) = told.get(&normalized(&package.name)) {
            package.license = package.license.or(license.clone());
            package.homepage.clone_from(homepage);
        }
        conda.push(package);
    }
    let mut pip = Vec::new();
    for found in &foreign {
        pip.push(Package {
            name: normalized(&found.name),
            manager: Manager::Pip,
            version: found.version.clone(),
            build: None,
            origin: found.address(),
            license: found.licence.name(),
            homepage: found.homepage.clone(),
            needs: requires(found, &present),
            limits: Vec::new(),
            libraries: BTreeMap::new(),
            size: None,
        });
    }
    conda.sort_by(|a, b| a.name.cmp(&b.name));
    pip.sort_by(|a, b| a.name.cmp(&b.name));
    packages.extend(conda);
    packages.extend(pip);
    Ok(packages)
}
