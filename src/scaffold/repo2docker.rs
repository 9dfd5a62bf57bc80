//! A mission from a directory as repo2docker reads it.

use std::fs;
use std::path::{Path, PathBuf};

use super::custom::{self, Needs};
use super::mission::TEST;
use super::source::{fitting, read};
use super::{NewFile, Scaffold, ScaffoldError};
use crate::address;
use crate::config::BaseImage;
use crate::reference::{EnvironmentName, MissionName};
use crate::repository;
use crate::spec::env::{EnvironmentSpec, pip, with_included};

/// The channel that repo2docker takes where none is named.
const CHANNEL: &str = "conda-forge";

/// The imports that every environment passes, until somebody lists better ones.
pub(super) const IMPORTS: &str = "\
# The modules that must be importable: one on each line. This one is in every kernel; list what users rely on.
ipykernel
";

/// What repo2docker reads and floe does not, with what to do instead.
const OTHERS: [(&str, &str); 9] = [
    (
        "install.R",
        "R packages are installed by conda (r-*) or by apt (r-cran-*): list them in a spec file",
    ),
    (
        "DESCRIPTION",
        "R packages are installed by conda (r-*) or by apt (r-cran-*): list them in a spec file",
    ),
    (
        "Project.toml",
        "Julia is installed by nothing here: add what it needs to Dockerfile.custom.tera",
    ),
    (
        "REQUIRE",
        "Julia is installed by nothing here: add what it needs to Dockerfile.custom.tera",
    ),
    (
        "Pipfile",
        "list what it names in a .pip file: `pipenv requirements` prints that",
    ),
    (
        "Pipfile.lock",
        "list what it names in a .pip file: `pipenv requirements` prints that",
    ),
    (
        "setup.py",
        "the directory itself is no package that others could install: publish it, and list it",
    ),
    (
        "pyproject.toml",
        "the directory itself is no package that others could install: publish it, and list it",
    ),
    ("default.nix", "nix is not installed: list the packages in a spec file"),
];

/// The mission `name` from the files in `directory`. Its environment has its name, unless one is given or the files give another.
pub fn repo2docker(
    directory: &Path,
    name: &MissionName,
    environment: Option<&EnvironmentName>,
    base_image: &BaseImage,
) -> Result<Scaffold, ScaffoldError> {
    let mut scaffold = Scaffold {
        missions: vec![name.clone()],
        ..Scaffold::default()
    };
    let has = |name: &str| directory.join(name).is_file().then(|| directory.join(name));
    let yml = has("environment.yml").or_else(|| has("environment.yaml"));
    let spec = yml.as_deref().map(EnvironmentSpec::load).transpose()?;
    let told = spec.as_ref().and_then(|spec| spec.name.as_deref());
    let told = told.and_then(|told| fitting(told).parse::<EnvironmentName>().ok());
    let own = name.as_str().parse::<EnvironmentName>().ok();
    let environment = environment.cloned().or(told.filter(|told| !told.is_base())).or(own);
    let environment = environment.ok_or_else(|| ScaffoldError::Nameless {
        path: directory.to_owned(),
    })?;
    let place = repository::environments(name).join(environment.as_str());
    let python = runtime(&mut scaffold, directory)?;
    let mut conda = false;
    match (&yml, &spec) {
        (Some(yml), Some(spec)) => {
            conda = true;
            scaffold.list(yml, &place.join(format!("{environment}.yml")), directory)?;
            if python.is_some() {
                scaffold.leave(
                    "runtime.txt",
                    "environment.yml says which python there is, as repo2docker has it",
                );
            }
            channels(&mut scaffold, spec, base_image);
        }
        _ => {
            if let Some(python) = &python {
                conda = true;
                let text = format!("channels:\n- {CHANNEL}\ndependencies:\n- python={python}\n- pip\n");
                scaffold.text(place.join(format!("{environment}.yml")), text);
                channels(&mut scaffold, &EnvironmentSpec::default(), base_image);
            }
        }
    }
    match (has("requirements.txt"), conda && yml.is_some()) {
        (Some(_), true) => scaffold.leave(
            "requirements.txt",
            "repo2docker does not read it beside environment.yml either",
        ),
        (Some(list), false) => scaffold.list(&list, &place.join("requirements.pip"), directory)?,
        // Something has to say what the environment is.
        (None, false) if !conda => scaffold.text(
            place.join(format!("{environment}.pip")),
            "# A requirement on each line.\n",
        ),
        (None, _) => {}
    }
    scaffold.text(place.join("tests/imports"), IMPORTS);
    scaffold.program(repository::environments(name).join("test"), TEST);
    extras(&mut scaffold, directory, name, &environment, base_image)?;
    Ok(scaffold)
}

/// The python that `runtime.txt` names: `python-3.10`.
fn runtime(scaffold: &mut Scaffold, directory: &Path) -> Result<Option<String>, ScaffoldError> {
    let path = directory.join("runtime.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let text = read(&path)?;
    let python = text.trim().strip_prefix("python-").map(str::to_owned);
    let python = python.filter(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    if python.is_none() {
        scaffold.leave(
            format!("runtime.txt: {}", text.trim()),
            "only a python can be chosen: R comes by conda (r-base) or apt (r-base)",
        );
    }
    Ok(python)
}

/// Where conda packages come from, which the Debian base does not know by itself.
pub(super) fn channels(scaffold: &mut Scaffold, spec: &EnvironmentSpec, base_image: &BaseImage) {
    if *base_image != BaseImage::Debian {
        return;
    }
    let named = spec
        .channels
        .iter()
        .filter(|channel| !["nodefaults", "defaults"].contains(&channel.as_str()));
    let mut named = named.cloned().collect::<Vec<_>>();
    if named.is_empty() {
        named.push(CHANNEL.to_owned());
    }
    scaffold.settings.push(("CONDA_CHANNELS", named.join(" ")));
}

/// `apt.txt`, `postBuild` and `start`, and what is not carried over.
fn extras(
    scaffold: &mut Scaffold,
    directory: &Path,
    name: &MissionName,
    environment: &EnvironmentName,
    base_image: &BaseImage,
) -> Result<(), ScaffoldError> {
    let mission = repository::mission(name);
    let mut needs = Needs {
        starts: *base_image != BaseImage::Debian,
        ..Needs::default()
    };
    if directory.join("apt.txt").is_file() {
        let text = read(&directory.join("apt.txt"))?;
        let packages = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        needs.apt = packages.flat_map(str::split_whitespace).map(str::to_owned).collect();
    }
    for script in ["postBuild", "start"] {
        let path = directory.join(script);
        if !path.is_file() {
            continue;
        }
        let text = read(&path)?;
        scaffold.program(mission.join(script), text);
        if script == "start" {
            needs.start = true;
        } else {
            needs.post_build = Some(environment);
            scaffold.leave(
                "what postBuild reads beside itself",
                "the image has the script alone; add a COPY to Dockerfile.custom.tera for what else it needs",
            );
        }
    }
    if let Some(text) = needs.dockerfile() {
        scaffold.text(mission.join(custom::FILE), text);
    }
    for (file, why) in OTHERS {
        if directory.join(file).is_file() {
            scaffold.leave(file, why);
        }
    }
    scaffold.leave(
        "notebooks and all other files",
        format!(
            "put what must run in the image into {}, and what every user begins with into {}",
            repository::environments(name)
                .join(environment.as_str())
                .join("tests")
                .display(),
            mission.join(repository::HOME_CONTENTS).display()
        ),
    );
    Ok(())
}

impl Scaffold {
    /// Carries a list or yml over to `to`, with the files that it names beside it. Lines that are of the one machine are made
    /// comments.
    pub(super) fn list(&mut self, from: &Path, to: &Path, within: &Path) -> Result<(), ScaffoldError> {
        let named = match with_included(&[from.to_owned()]) {
            Ok(named) => named,
            // It names a file that is not there, which a build would refuse with the line.
            Err(_) => vec![from.to_owned()],
        };
        for file in named {
            let below = file.strip_prefix(within).map(Path::to_owned);
            let (Ok(below), directory) = (below, to.parent().unwrap_or(Path::new(""))) else {
                let what = file.display().to_string();
                self.leave(
                    what,
                    "a list names it, and it is outside of the directory: copy it beside the list",
                );
                continue;
            };
            let to = if file == from {
                to.to_owned()
            } else {
                directory.join(&below)
            };
            let text = self.less_local(&file, &below)?;
            self.files.push(NewFile {
                path: to,
                bytes: text.into_bytes(),
                program: false,
            });
        }
        Ok(())
    }

    /// The text of a list whose lines that are of the one machine are comments.
    fn less_local(&mut self, file: &Path, shown: &Path) -> Result<String, ScaffoldError> {
        let text = read(file)?;
        let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
        for line in pip::lines(file)? {
            let (Some(reason), Some(number)) = (line.stays_here(), line.line) else {
                continue;
            };
            let what = format!(
                "{}:{number}: {}",
                shown.display(),
                address::without_credentials(&line.text)
            );
            self.leave(what, format!("{reason}: nobody else could install it"));
            if let Some(line) = lines.get_mut(number - 1) {
                *line = format!("# {line}");
            }
        }
        Ok(lines.join("\n") + "\n")
    }
}

/// Copies the files below `from` to `to`, less what is nobody's.
pub(super) fn copy(scaffold: &mut Scaffold, from: &Path, to: &Path) -> Result<(), ScaffoldError> {
    use std::os::unix::fs::PermissionsExt as _;
    let nobodys = |name: &std::ffi::OsStr| {
        [".git", "__pycache__", ".ipynb_checkpoints", ".DS_Store"]
            .iter()
            .any(|other| name == *other)
    };
    let walk = walkdir::WalkDir::new(from).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| !nobodys(entry.file_name())) {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ScaffoldError::File { path, source }
        };
        let entry = entry.map_err(|error| failed(from)(error.into()))?;
        let below = entry.path().strip_prefix(from).unwrap_or(entry.path());
        let path = if below.as_os_str().is_empty() {
            to.to_owned()
        } else {
            to.join(below)
        };
        if entry.path_is_symlink() {
            let why = "a link, which is not followed: put a copy there";
            scaffold.leave(entry.path().display().to_string(), why);
        } else if entry.file_type().is_file() {
            let about = fs::metadata(entry.path()).map_err(failed(entry.path()))?;
            scaffold.files.push(NewFile {
                path,
                bytes: fs::read(entry.path()).map_err(failed(entry.path()))?,
                program: about.permissions().mode() & 0o100 != 0,
            });
        }
    }
    Ok(())
}

/// The paths of the entries of a directory, in the order of names; none where there is no such directory.
pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path()).collect::<Vec<_>>();
    paths.sort();
    paths
}
