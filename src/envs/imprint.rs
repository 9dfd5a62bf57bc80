//! The files that say what an image is and holds, as the content of a layer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::error::io_error;
use super::export::env_contents;
use super::sizes::Sizes;
use super::stage::STAGED_TIME;
use super::{EnvsError, Layout, tree};
use crate::image;
use crate::imprint::{Build, IMAGE, Imprint, PACKAGES};
use crate::packages::{Environment, Package};
use crate::reference::EnvironmentName;

/// What an environment holds, and how many bytes that takes.
fn contents(layout: &Layout, name: &EnvironmentName) -> Result<(Vec<Package>, Sizes), EnvsError> {
    let mut packages = env_contents(layout, name)?;
    let others = image::environments_below(&layout.conda_dir);
    let sizes = Sizes::of(&layout.prefix(name), &others)?;
    for package in &mut packages {
        sizes.tell(package);
    }
    Ok((packages, sizes))
}

/// Writes what the image is and holds to its place below `out`, with times that do not vary. An environment that cannot be read is
/// there with the reason.
pub fn env_imprint(layout: &Layout, build: Option<Build>, out: &Path) -> Result<(), EnvsError> {
    let mut names = layout.installed()?;
    names.push(EnvironmentName::base());
    names.sort();
    let mission = build.as_ref().map(|build| build.mission.clone());
    let environments = names.into_par_iter().map(|name| {
        let (packages, unknown, size) = match contents(layout, &name) {
            Ok((packages, sizes)) => (packages, None, Some(sizes.all)),
            Err(error) => (Vec::new(), Some(error.to_string()), None),
        };
        Environment {
            mission: mission.clone(),
            name,
            source: None,
            unknown,
            packages,
            asked: Vec::new(),
            size,
        }
    });
    let environments = environments.collect::<Vec<_>>();
    let imprint = Imprint::of(build, &environments);
    let directory = out.join(image::GUEST.trim_start_matches('/'));
    fs::create_dir_all(&directory).map_err(io_error(&directory))?;
    let texts = [
        (IMAGE, serde_json::to_string_pretty(&imprint)),
        (PACKAGES, serde_json::to_string(&environments)),
    ];
    for (name, text) in texts {
        let file = directory.join(name);
        let text = text.map_err(|error| io_error(&file)(error.into()))?;
        fs::write(&file, text + "\n").map_err(io_error(&file))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).map_err(io_error(&file))?;
    }
    let mut entries = tree::walk(out)?;
    entries.reverse();
    for entry in entries {
        if entry.file_type().is_dir() {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(entry.path(), mode).map_err(io_error(entry.path()))?;
        }
        tree::set_time(entry.path(), STAGED_TIME, 0).map_err(io_error(entry.path()))?;
    }
    Ok(())
}
