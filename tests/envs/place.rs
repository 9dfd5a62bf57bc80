//! A place for the environments of one test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use floe::envs::conda::{CondaError, Config};
use floe::envs::{EnvsError, Installer, Layout, Tools, Work, env_clone, env_create, env_update};
use floe::event::{Event, Memory};
use floe::reference::EnvironmentName;
use rattler_conda_types::PrefixRecord;
use tempfile::TempDir;
use world::channel::Channel;
use world::{run, scratch, venv};

/// A base environment, channels and spec files.
pub struct Place {
    /// Where files are written, and where the base environment is unless it is a venv.
    pub root: TempDir,
    pub layout: Layout,
    pub tools: Tools,
    pub sink: Memory,
}

impl Place {
    /// A place with no base environment, where the test channel is configured.
    pub fn new() -> Self {
        Self::with(&[&Channel::shared().file_url()])
    }

    /// A place with no base environment, where these channels are configured.
    pub fn with(channels: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let conda_dir = root.path().join("conda");
        fs::create_dir(&conda_dir).unwrap();
        let mut place = Self::at(conda_dir, root);
        place.tools.conda.channels = channels.iter().map(|&channel| channel.to_owned()).collect();
        place.tools.pip = Installer::Uv {
            program: venv("uv", &["uv"]).join("bin/uv"),
            cache: None,
        };
        place
    }

    /// A place of the test's own whose base environment is a venv with uv and ipykernel.
    pub fn venv(test: &str) -> Self {
        let shared = Layout::of_image(venv("base", &["uv", "ipykernel"]));
        let clone = name(&format!("{test}.conda"));
        let prefix = shared.prefix(&clone);
        if prefix.exists() {
            fs::remove_dir_all(&prefix).unwrap();
        }
        let work = Work {
            layout: &shared,
            tools: &Self::tools(&shared.conda_dir),
            name: &clone,
            sink: &Memory::default(),
        };
        env_clone(work, &name("base")).unwrap();
        let place = Self::at(prefix, tempfile::tempdir().unwrap());
        fs::create_dir(&place.layout.environments).unwrap();
        place
    }

    fn at(conda_dir: PathBuf, root: TempDir) -> Self {
        Self {
            tools: Self::tools(&conda_dir),
            layout: Layout {
                common_env: root.path().join("common-env"),
                environments: root.path().join("environments"),
                conda_dir,
            },
            sink: Memory::default(),
            root,
        }
    }

    /// What installs packages where nothing is configured. Bytecode that one test has compiled serves the others.
    pub fn tools(conda_dir: &Path) -> Tools {
        Tools {
            pip: Installer::of(conda_dir),
            conda: Config::default(),
            cache: Some(scratch().join("bytecode")),
        }
    }

    /// The same place without a cache of bytecode.
    pub fn uncached(mut self) -> Self {
        self.tools.cache = None;
        self
    }

    /// Work on an environment.
    pub fn work<'a>(&'a self, name: &'a EnvironmentName) -> Work<'a> {
        Work {
            layout: &self.layout,
            tools: &self.tools,
            name,
            sink: &self.sink,
        }
    }

    /// Writes a file, with its directories, and returns its path.
    pub fn file(&self, file: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Where an environment is.
    pub fn prefix(&self, environment: &str) -> PathBuf {
        self.layout.prefix(&name(environment))
    }

    /// Makes a copy of the base environment.
    pub fn clone_base(&self, environment: &str) -> PathBuf {
        env_clone(self.work(&name(environment)), &name("base")).unwrap();
        self.prefix(environment)
    }

    /// Makes an environment of a spec with this text.
    pub fn create(&self, environment: &str, text: &str) -> Result<PathBuf, EnvsError> {
        let yml = self.file(&format!("{environment}.yml"), text);
        self.create_from(environment, Some(&yml))
    }

    /// Makes an environment of a spec file, or else a copy of the base environment.
    pub fn create_from(&self, environment: &str, yml: Option<&Path>) -> Result<PathBuf, EnvsError> {
        env_create(self.work(&name(environment)), yml)?;
        Ok(self.prefix(environment))
    }

    /// Installs a list with this text into an environment.
    pub fn update(&self, environment: &str, file: &str, text: &str) -> Result<(), EnvsError> {
        let path = self.file(file, text);
        self.update_from(environment, &[path])
    }

    /// Installs lists into an environment.
    pub fn update_from(&self, environment: &str, files: &[PathBuf]) -> Result<(), EnvsError> {
        env_update(self.work(&name(environment)), files)
    }

    /// Everything that was said, one event after the other.
    pub fn said(&self) -> String {
        let said = self.sink.events().into_iter().filter_map(|event| match event {
            Event::Note { text } | Event::Warning { text } | Event::Output { text } => Some(text),
            _ => None,
        });
        said.collect::<Vec<_>>().join("\n")
    }

    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.sink.events().into_iter().filter_map(|event| match event {
            Event::Warning { text } => Some(text),
            _ => None,
        });
        warnings.collect()
    }
}

pub fn name(text: &str) -> EnvironmentName {
    text.parse().unwrap()
}

/// The dependencies of an environment, as a yml.
pub fn yml(dependencies: &[&str]) -> String {
    let items = dependencies.iter().map(|item| format!("- \"{item}\"\n"));
    format!("dependencies:\n{}", items.collect::<String>())
}

/// The error of conda packages that this is.
pub fn conda_error(error: EnvsError) -> CondaError {
    match error {
        EnvsError::Conda(error) => error,
        error => panic!("{error}"),
    }
}

pub fn records(prefix: &Path) -> Vec<PrefixRecord> {
    PrefixRecord::collect_from_prefix(prefix).unwrap()
}

/// `fixlib 1.1 h1_0`, and so on, in the order of names.
pub fn packages(prefix: &Path) -> Vec<String> {
    let mut packages = records(prefix)
        .into_iter()
        .map(|record| {
            let package = record.repodata_record.package_record;
            format!("{} {} {}", package.name.as_normalized(), package.version, package.build)
        })
        .collect::<Vec<_>>();
    packages.sort();
    packages
}

/// The version of one package that is installed.
pub fn version(prefix: &Path, name: &str) -> Option<String> {
    let packages = packages(prefix);
    let mut found = packages
        .iter()
        .filter_map(|package| package.strip_prefix(&format!("{name} ")));
    Some(found.next()?.split(' ').next()?.to_owned())
}

/// Every file below a directory: its mode, and its content or where it points.
pub fn tree(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let content = if about.is_dir() {
                directories.push(path.clone());
                Vec::new()
            } else if about.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            let relative = path.strip_prefix(directory).unwrap().to_owned();
            found.insert(relative, (about.permissions().mode(), content));
        }
    }
    found
}

/// The files below a directory that hold one of these texts.
pub fn holding(directory: &Path, texts: &[&str]) -> Vec<PathBuf> {
    let holds = |content: &[u8], text: &str| content.windows(text.len()).any(|part| part == text.as_bytes());
    let files = tree(directory).into_iter();
    let found = files.filter(|(_, (_, content))| texts.iter().any(|text| holds(content, text)));
    found.map(|(path, _)| path).collect()
}

/// A copy of the test channel with some of its packages left out of its index.
pub fn channel_without(directory: &Path, left_out: impl Fn(&str) -> bool) -> Channel {
    let channel = Channel::shared().copy_to(directory);
    for subdir in ["linux-64", "noarch"] {
        let path = directory.join(subdir).join("repodata.json");
        let mut repodata: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for kind in ["packages", "packages.conda"] {
            if let Some(packages) = repodata[kind].as_object_mut() {
                packages.retain(|file, _| !left_out(file));
            }
        }
        fs::write(&path, repodata.to_string()).unwrap();
        let _ = fs::remove_file(path.with_extension("json.zst"));
    }
    channel
}

/// What a program prints, without blanks around it.
pub fn output(command: &mut Command) -> String {
    run(command).trim().to_owned()
}

/// What a program of an environment's Python prints.
pub fn python(prefix: &Path, program: &str) -> String {
    output(Command::new(prefix.join("bin/python")).args(["-c", program]))
}
