//! Missions from a repository of the original framework, or from one of its missions' directories.
//!
//! Its missions build as they are. What its common image holds, floe's own stands for, with the original's lists and its own
//! scripts laid over it.

use std::path::Path;

use super::mission::TEST;
use super::repo2docker::{copy, entries};
use super::repository::WRAPPERS;
use super::source::read;
use super::{Scaffold, ScaffoldError, name_of};
use crate::compose::dockerfile;
use crate::config;
use crate::image::applet;
use crate::reference::MissionName;
use crate::repository;
use crate::spec::env;

/// All missions of the repository at `root`, and what they share.
pub fn original(root: &Path) -> Result<Scaffold, ScaffoldError> {
    let mut scaffold = Scaffold {
        frozen: true,
        ..Scaffold::default()
    };
    for directory in entries(&root.join(repository::MISSIONS)) {
        if !directory.is_dir() {
            continue;
        }
        match directory
            .file_name()
            .and_then(|name| name.to_str()?.parse::<MissionName>().ok())
        {
            Some(name) => scaffold = scaffold.and(mission(&directory, &name)?),
            None => scaffold.leave(
                shown(root, &directory),
                "no mission can be called so: lower-case letters, digits and hyphens",
            ),
        }
    }
    common(&mut scaffold, root)?;
    settings(&mut scaffold, root)?;
    for path in entries(&root.join("scripts")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let why = if WRAPPERS.iter().any(|(known, _)| *known == name) {
            continue;
        } else {
            "floe has no command that stands for it"
        };
        scaffold.leave(shown(root, &path), why);
    }
    let known = [
        "missions",
        "common",
        "scripts",
        "setup-env",
        "setup-env.template",
        ".git",
        ".gitignore",
        "README.md",
    ];
    for path in entries(root) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !known.contains(&name.as_str()) {
            let why = if name == repository::DEPLOYMENTS {
                "stages are declared in deployment.yml: copy the directory, then `floe init --deployments` writes those"
            } else {
                "no part of an image"
            };
            scaffold.leave(shown(root, &path), why);
        }
    }
    Ok(scaffold)
}

/// The mission `name` from its directory.
pub fn mission(directory: &Path, name: &MissionName) -> Result<Scaffold, ScaffoldError> {
    let mut scaffold = Scaffold {
        missions: vec![name.clone()],
        frozen: true,
        ..Scaffold::default()
    };
    let place = repository::mission(name);
    copy(&mut scaffold, directory, &place)?;
    // The original's build concatenates one beside its parts.
    let made = place.join("Dockerfile");
    if scaffold
        .files
        .iter()
        .any(|file| file.path == place.join("Dockerfile.custom"))
        && scaffold.files.iter().any(|file| file.path == made)
    {
        scaffold.files.retain(|file| file.path != made);
        scaffold.leave(
            made.display().to_string(),
            "the original's build made it of Dockerfile.custom and the trailer",
        );
    }
    let test = repository::environments(name).join("test");
    match scaffold.files.iter_mut().find(|file| file.path == test) {
        // One that no container could start was started by a shell there.
        Some(file) => file.program = true,
        None => scaffold.program(test, TEST),
    }
    for directory in entries(&directory.join(repository::ENVIRONMENTS)) {
        if let Ok(files) = env::load(&directory) {
            scaffold.frozen &= files.frozen.is_some();
        }
    }
    Ok(scaffold)
}

/// A single mission's directory, called after itself unless a name is given.
pub fn alone(directory: &Path, name: Option<&MissionName>) -> Result<Scaffold, ScaffoldError> {
    let name = name.cloned().map_or_else(|| name_of(directory), Ok)?;
    mission(directory, &name)
}

/// The common image.
fn common(scaffold: &mut Scaffold, root: &Path) -> Result<(), ScaffoldError> {
    let image = root.join("common/image");
    let own = "floe's own stands for it; `floe init --common` writes that out, to be changed";
    for path in entries(&image) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.as_str() {
            "common-env" => copy(scaffold, &path, Path::new(repository::COMMON_ENV))?,
            "common-scripts" => {
                for script in entries(&path) {
                    let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    if applet::ALL.contains(&name.as_str()) {
                        scaffold.leave(shown(root, &script), "floe's own program of this name stands for it");
                    } else {
                        let place = Path::new(repository::COMMON).join(repository::SCRIPTS).join(&name);
                        copy(scaffold, &script, &place)?;
                    }
                }
            }
            "Dockerfile" => {
                scaffold.leave(shown(root, &path), own);
                scaffold
                    .settings
                    .extend(base_image(&read(&path)?).map(|image| ("BASE_IMAGE", image)));
            }
            _ => scaffold.leave(shown(root, &path), own),
        }
    }
    // Only that of Debian has a frozen spec that floe carries.
    if scaffold.settings.iter().any(|(name, _)| *name == "BASE_IMAGE") {
        scaffold.frozen = false;
    }
    Ok(())
}

/// What the Dockerfile of the common image extends, where it says so without variables.
fn base_image(text: &str) -> Option<String> {
    let instructions = dockerfile::parse(text);
    let from = instructions.iter().rfind(|instruction| instruction.keyword == "FROM")?;
    let image = from.arguments.split_whitespace().find(|word| !word.starts_with("--"))?;
    let Some(variable) = image.strip_prefix('$') else {
        return Some(image.to_owned());
    };
    let variable = variable.trim_start_matches('{').trim_end_matches('}');
    let mut arguments = instructions.iter().filter(|instruction| instruction.keyword == "ARG");
    let value = arguments.find_map(|argument| argument.arguments.trim().strip_prefix(variable)?.strip_prefix('='));
    value
        .map(|value| value.trim_matches('"').to_owned())
        .filter(|value| !value.contains('$'))
}

/// Settings that floe has, too.
fn settings(scaffold: &mut Scaffold, root: &Path) -> Result<(), ScaffoldError> {
    let file = ["setup-env", "setup-env.template"].map(|name| root.join(name));
    let Some(file) = file.iter().find(|file| file.is_file()) else {
        return Ok(());
    };
    for line in read(file)?.lines() {
        let Some((name, value)) = line
            .trim()
            .strip_prefix("export ")
            .and_then(|rest| rest.split_once('='))
        else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        // What floe itself says of it: which missions there are, and whether they are frozen.
        if ["USE_FROZEN", "BASE_IMAGE", "MISSION"].contains(&name) {
            continue;
        }
        let what = format!("{}: {name}", shown(root, file));
        match config::names().find(|known| *known == name) {
            Some(_) if value.contains(['$', '`', '"']) => scaffold.leave(what, "its value is worked out by a shell"),
            Some(known) => scaffold.settings.push((known, value.to_owned())),
            None => scaffold.leave(what, "floe has no such setting: see setup-env.template"),
        }
    }
    Ok(())
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
