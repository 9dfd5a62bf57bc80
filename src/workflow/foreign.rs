//! An image that floe did not build: the agent and the tests are brought into its container.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::observe::observe;
use super::{Asked, Interrupts, Nothing, Observed, WorkflowError, Workplace};
use crate::context::{Context, Overlay};
use crate::engine::Image;
use crate::reference::{EnvironmentName, ImageReference, TestId, TestKind};
use crate::run::history;
use crate::server;
use crate::state::{self, FileError};
use crate::suite::TestPlan;
use crate::suite::request::Request;
use crate::suite::selection::Selection;
use crate::suite::settings;
use crate::trial::{Stage, Trial};

/// What defines tests where it lies beside notebooks. Somebody else's files of these names mean something else.
const DEFINITIONS: [&str; 4] = ["imports", "notebooks", "settings.yml", "test"];

/// An image, and the tests that it is given.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The image.
    pub reference: ImageReference,
    /// Modules to import.
    pub imports: Vec<String>,
    /// A notebook, or a directory of notebooks.
    pub notebooks: Option<PathBuf>,
    /// Whether its server is tested.
    pub server: bool,
    /// The environment that the tests run in.
    pub environment: EnvironmentName,
}

/// The tests of a foreign image, and the files that they are.
pub struct ForeignTests {
    /// The tests.
    pub ids: Vec<TestId>,
    foreign: Foreign,
    files: Context,
    /// Holds what the contexts are made of.
    _scratch: tempfile::TempDir,
}

impl ForeignTests {
    /// The tests that `foreign` names and `selection` selects. That there are none is an error.
    pub fn new(foreign: Foreign, selection: &Selection) -> Result<Self, WorkflowError> {
        let scratch = tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?;
        let own = scratch.path();
        let modules = foreign.imports.iter().map(|module| module.trim().to_owned());
        let modules = modules.filter(|module| !module.is_empty()).collect::<Vec<_>>();
        let (directory, notebooks) = match &foreign.notebooks {
            Some(path) => notebooks(path)?,
            None => (empty(own, "nothing")?, Vec::new()),
        };
        let place = place(&directory);
        let notebooks = notebooks.iter().map(|name| place.join(name)).map(|name| {
            // So that nothing in a name is taken for a mark.
            format!("./{}", name.display())
        });
        let notebooks = notebooks.collect::<Vec<_>>();
        let environment = &foreign.environment;
        let mut all = TestPlan::imports(environment, &modules).ids();
        all.extend(TestPlan::notebooks(environment, &notebooks, &directory).ids());
        if foreign.server {
            all.extend(server::tests("image", std::slice::from_ref(environment)));
        }
        // The environment was the answer to where, and the directory holds no tests of others.
        let selection = Selection {
            environments: Vec::new(),
            ..selection.clone()
        };
        let ids = all.into_iter().filter(|id| selection.selects(id)).collect::<Vec<_>>();
        if ids.is_empty() {
            return Err(Nothing::Unnamed.into());
        }
        Ok(Self {
            files: files(&modules, (&directory, &place), &notebooks, own)?
                .with(settings::FILE, own_kernels(environment, own)?),
            ids,
            foreign,
            _scratch: scratch,
        })
    }

    /// Runs the tests. The image is pulled where the engine does not have it.
    pub async fn run(
        &self,
        workplace: &Workplace,
        asked: &Asked,
        interrupts: &Interrupts,
    ) -> Result<Observed, WorkflowError> {
        let image = here(workplace, &self.foreign.reference).await?;
        let trial = self.prepare(workplace, asked, &image)?;
        observe(workplace, &trial, workplace.engine().await?, interrupts).await
    }

    fn prepare(&self, workplace: &Workplace, asked: &Asked, image: &Image) -> Result<Trial, WorkflowError> {
        let settings = &workplace.settings;
        let request = Request {
            selection: Selection {
                tests: Some(self.ids.clone()),
                ..Selection::default()
            },
            options: asked.options.over(&settings.run),
            ..Request::default()
        };
        let run = history::new_run(&"image".parse()?);
        Ok(Trial {
            mission: self.foreign.reference.to_string(),
            image: image.id.clone(),
            reference: self.foreign.reference.to_string(),
            part: asked.selection.part,
            selected: Some(TestId::digest(&self.ids)),
            stages: self.stages(workplace, image),
            spread: None,
            expected: self.ids.clone(),
            carried: Vec::new(),
            grounds: BTreeMap::new(),
            size: None,
            skips: BTreeSet::new(),
            definitions: None,
            limit: request.options.run_timeout.map(|limit| limit.0),
            memory: settings.container_memory.map(|size| size.0),
            agent: workplace.agent.clone(),
            environments: Some(Stage::given_environments()),
            // Nothing is pushed of it.
            fixed: Vec::new(),
            request,
            directory: workplace.state.run(&run),
            run,
        })
    }

    fn stages(&self, workplace: &Workplace, image: &Image) -> Vec<Stage> {
        let servers = self.ids.iter().filter(|id| id.kind == TestKind::Server);
        let servers = servers.cloned().collect::<Vec<_>>();
        let mut stages = Vec::new();
        if self.ids.len() > servers.len() {
            // Whatever its entrypoint would make of an argument, the tests are run without it.
            stages.push(Stage::suite(&[]));
        }
        if !servers.is_empty() {
            let limit = workplace
                .settings
                .server_timeout
                .map_or(server::START_TIMEOUT, |limit| limit.0);
            stages.push(Stage::server(&servers, limit, &image.command, &image.entrypoint));
        }
        let environment = &self.foreign.environment;
        let given = |stage: Stage| stage.with_tests(environment, self.files.clone());
        stages.into_iter().map(given).collect()
    }
}

/// The image that `reference` names, in which the agent can run. It is pulled where the engine does not have it.
pub(super) async fn here(workplace: &Workplace, reference: &ImageReference) -> Result<Image, WorkflowError> {
    let engine = workplace.engine().await?;
    let image = if let Some(image) = engine.image(reference.as_str()).await? {
        image
    } else {
        let display = workplace.display();
        engine
            .pull(reference, (workplace.login)(&reference.registry()), display.as_ref())
            .await?
    };
    runs_here(reference, &image)?;
    Ok(image)
}

/// The notebooks at a path, relative to the directory that goes with them.
fn notebooks(path: &Path) -> Result<(PathBuf, Vec<String>), WorkflowError> {
    let path = std::path::absolute(path).map_err(FileError::of(path))?;
    if path.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let directory = path.parent().unwrap_or(&path).to_owned();
        return Ok((directory, vec![name]));
    }
    let mut found = Vec::new();
    // Checkpoints, environments, and the notebooks that floe keeps of earlier runs.
    let hidden = |entry: &walkdir::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !(entry.file_type().is_dir() && hidden(entry));
    for entry in walkdir::WalkDir::new(&path).into_iter().filter_entry(visible) {
        let entry = entry.map_err(|error| FileError::of(&path)(error.into()))?;
        let is_notebook = entry.path().extension().is_some_and(|extension| extension == "ipynb");
        if is_notebook && entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&path).unwrap_or(entry.path());
            found.push(name.display().to_string());
        }
    }
    if found.is_empty() {
        return Err(WorkflowError::NoNotebooks(path));
    }
    found.sort();
    Ok((path, found))
}

/// Where the directory of the notebooks lies in that of the tests: it is the same, unless it holds a directory where
/// that of the tests has a definition.
fn place(directory: &Path) -> PathBuf {
    if !DEFINITIONS.iter().any(|name| directory.join(name).is_dir()) {
        return PathBuf::new();
    }
    let name = directory
        .file_name()
        .filter(|name| !DEFINITIONS.iter().any(|other| name == other));
    name.map_or_else(|| "files".into(), PathBuf::from)
}

/// The directory of the notebooks at its place in that of an environment's tests, with lists of what is to be tested.
fn files(
    modules: &[String],
    (directory, place): (&Path, &Path),
    notebooks: &[String],
    own: &Path,
) -> Result<Context, WorkflowError> {
    let mut files = below(directory, place, Context::new(empty(own, "tests")?))?;
    for (name, lines) in [("imports", modules), ("notebooks", notebooks)] {
        let source = own.join(name);
        std::fs::write(&source, lines.join("\n")).map_err(FileError::of(&source))?;
        files = files.with(name, Overlay::File { source, mode: 0o644 });
    }
    Ok(files)
}

/// The same context with the files of a directory at `place`, less what floe keeps there, and what would define tests.
fn below(directory: &Path, place: &Path, mut context: Context) -> Result<Context, WorkflowError> {
    let defines = |name: &OsStr| place.as_os_str().is_empty() && DEFINITIONS.iter().any(|other| name == *other);
    let is_left_out = |name: &OsStr| name == state::DIRECTORY || defines(name);
    let walk = walkdir::WalkDir::new(directory).min_depth(1).into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() != 1 || !is_left_out(entry.file_name())) {
        let entry = entry.map_err(|error| FileError::of(directory)(error.into()))?;
        let path = entry.path();
        let kind = entry.file_type();
        let overlay = if kind.is_dir() {
            Overlay::Directory
        } else if kind.is_symlink() {
            Overlay::Symlink(std::fs::read_link(path).map_err(FileError::of(path))?)
        } else if kind.is_file() {
            let metadata = std::fs::metadata(path).map_err(FileError::of(path))?;
            Overlay::File {
                source: path.to_owned(),
                mode: metadata.permissions().mode() & 0o777,
            }
        } else {
            continue;
        };
        context = context.with(place.join(path.strip_prefix(directory).unwrap_or(path)), overlay);
    }
    Ok(context)
}

/// What says that notebooks run on the kernels that they name, unless an environment was asked for.
fn own_kernels(environment: &EnvironmentName, own: &Path) -> Result<Overlay, WorkflowError> {
    let source = own.join(settings::FILE);
    let text = format!("own-kernels: {}\n", environment.is_base());
    std::fs::write(&source, text).map_err(FileError::of(&source))?;
    Ok(Overlay::File { source, mode: 0o644 })
}

fn empty(own: &Path, name: &str) -> Result<PathBuf, WorkflowError> {
    let directory = own.join(name);
    std::fs::create_dir(&directory).map_err(FileError::of(&directory))?;
    Ok(directory)
}

/// Refuses an image that the agent cannot run in.
pub(super) fn runs_here(reference: &ImageReference, image: &Image) -> Result<(), WorkflowError> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let (here, there) = (
        format!("linux/{architecture}"),
        format!("{}/{}", image.os, image.architecture),
    );
    if here == there {
        return Ok(());
    }
    Err(WorkflowError::OtherPlatform {
        reference: reference.to_string(),
        there,
        here,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a context for a project that holds these, and the notebooks that it lists.
    fn given(name: &str, paths: &[&str]) -> (Vec<String>, String) {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join(name);
        for path in paths {
            std::fs::create_dir_all(project.join(path).parent().unwrap()).unwrap();
            std::fs::write(project.join(path), "").unwrap();
        }
        let own = tempfile::tempdir().unwrap();
        let (directory, found) = notebooks(&project).unwrap();
        let place = place(&directory);
        let found = found.iter().map(|name| place.join(name).display().to_string());
        let found = found.collect::<Vec<_>>();
        let context = files(&[], (&directory, &place), &found, own.path()).unwrap();
        let entries = context.entries().unwrap().into_iter();
        let entries = entries.map(|entry| entry.path.display().to_string()).collect();
        (entries, std::fs::read_to_string(own.path().join("notebooks")).unwrap())
    }

    #[test]
    fn notebooks_in_hidden_directories_are_nobodys_and_what_floe_keeps_stays_here() {
        let paths = [".floe/runs/r/notebooks/a.ipynb", ".venv/lib/b.ipynb", "a.ipynb"];
        let (files, list) = given("project", &paths);
        assert_eq!(list, "a.ipynb");
        assert_eq!(
            files,
            [
                ".venv",
                ".venv/lib",
                ".venv/lib/b.ipynb",
                "a.ipynb",
                "imports",
                "notebooks"
            ]
        );
        let (files, list) = given("project", &[&paths[..], &["notebooks/c.ipynb"]].concat());
        assert_eq!(list, "project/a.ipynb\nproject/notebooks/c.ipynb");
        assert!(!files.iter().any(|file| file.contains(".floe")), "{files:?}");
    }

    #[test]
    fn what_docker_would_ignore_lies_beside_a_notebook_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [(".dockerignore", "*"), ("a.ipynb", ""), ("data.csv", "")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let own = tempfile::tempdir().unwrap();
        let context = files(&[], (dir.path(), Path::new("")), &["a.ipynb".to_owned()], own.path()).unwrap();
        let entries = context.entries().unwrap();
        assert!(
            entries.iter().any(|entry| entry.path == Path::new("data.csv")),
            "{entries:?}"
        );
    }

    #[test]
    fn what_would_define_tests_keeps_its_name_and_its_content() {
        let (files, list) = given(
            "project",
            &["notebooks/a.ipynb", "settings.yml", "sub/b.ipynb", "test/d.csv"],
        );
        assert_eq!(list, "project/notebooks/a.ipynb\nproject/sub/b.ipynb");
        for path in ["notebooks/a.ipynb", "settings.yml", "sub/b.ipynb", "test/d.csv"] {
            assert!(files.contains(&format!("project/{path}")), "{path}: {files:?}");
        }
        assert!(files.contains(&"notebooks".to_owned()), "{files:?}");
        let (files, list) = given("test", &["notebooks/a.ipynb"]);
        assert_eq!(list, "files/notebooks/a.ipynb", "{files:?}");
        let (files, list) = given("notebooks", &["a.ipynb"]);
        assert_eq!(list, "a.ipynb", "{files:?}");
    }
}
