//! An image that floe did not build: the agent and the tests are brought into its container.

use std::path::{Path, PathBuf};

use super::observe::observe;
use super::{Asked, Interrupts, Nothing, Observed, WorkflowError, Workplace};
use crate::context::{Context, Overlay};
use crate::engine::Image;
use crate::image::variable;
use crate::reference::{EnvironmentName, TestId, TestKind};
use crate::run::history;
use crate::server;
use crate::suite::TestPlan;
use crate::suite::request::Request;
use crate::suite::selection::Selection;
use crate::trial::{Stage, Trial};

/// Files of a directory of notebooks that would define tests of their own.
const DEFINITIONS: [&str; 4] = ["imports", "notebooks", "settings.yml", "test"];

/// An image, and the tests that it is given.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The image.
    pub reference: String,
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
    agent: Context,
    /// Holds what the contexts are made of.
    _scratch: tempfile::TempDir,
}

impl ForeignTests {
    /// The tests that `foreign` names and `selection` selects. That there are none is an error.
    pub fn new(workplace: &Workplace, foreign: Foreign, selection: &Selection) -> Result<Self, WorkflowError> {
        let scratch = tempfile::tempdir().map_err(|error| WorkflowError::File(std::env::temp_dir(), error))?;
        let own = scratch.path();
        let modules = foreign.imports.iter().map(|module| module.trim().to_owned());
        let modules = modules.filter(|module| !module.is_empty()).collect::<Vec<_>>();
        let (directory, notebooks) = match &foreign.notebooks {
            Some(path) => notebooks(path)?,
            None => (empty(own, "nothing")?, Vec::new()),
        };
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
        let program = Overlay::File {
            source: workplace.agent.clone(),
            mode: 0o755,
        };
        Ok(Self {
            files: files(&modules, &directory, &notebooks, own)?,
            agent: Context::new(empty(own, "agent")?).with("floe", program),
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
        let reference = &self.foreign.reference;
        let engine = workplace.engine().await?;
        let image = if let Some(image) = engine.image(reference).await? {
            image
        } else {
            let display = workplace.display();
            engine
                .pull(reference, (workplace.login)(reference), display.as_ref())
                .await?
        };
        runs_here(reference, &image)?;
        observe(workplace, &self.prepare(workplace, asked, &image)?, interrupts).await
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
        let mut environment = request.variables();
        environment.insert(variable::ENVIRONMENTS.to_owned(), Stage::given_environments());
        let run = history::new_run(&"image".parse()?);
        Ok(Trial {
            mission: self.foreign.reference.clone(),
            image: image.id.clone(),
            reference: self.foreign.reference.clone(),
            part: asked.selection.part,
            selected: Some(TestId::digest(&self.ids)),
            stages: self.stages(workplace, image),
            expected: self.ids.clone(),
            definitions: None,
            limit: request.options.run_timeout.map(|limit| limit.0),
            memory: settings.container_memory.map(|size| size.0),
            environment,
            directory: workplace.state.run(&run),
            run,
        })
    }

    fn stages(&self, workplace: &Workplace, image: &Image) -> Vec<Stage> {
        let servers = self.ids.iter().filter(|id| id.kind == TestKind::Server);
        let servers = servers.cloned().collect::<Vec<_>>();
        let mut stages = Vec::new();
        if self.ids.len() > servers.len() {
            stages.push(Stage::suite(false));
        }
        if !servers.is_empty() {
            let limit = workplace.settings.server_timeout.map_or(server::START, |limit| limit.0);
            stages.push(Stage::server(&servers, limit, &image.command));
        }
        let environment = &self.foreign.environment;
        let given = |stage: Stage| stage.with_agent(self.agent.clone(), environment, self.files.clone());
        stages.into_iter().map(given).collect()
    }
}

/// The notebooks at a path, relative to the directory that goes with them.
fn notebooks(path: &Path) -> Result<(PathBuf, Vec<String>), WorkflowError> {
    let path = std::path::absolute(path).map_err(|error| WorkflowError::File(path.to_owned(), error))?;
    if path.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let directory = path.parent().unwrap_or(&path).to_owned();
        return Ok((directory, vec![format!("./{name}")]));
    }
    let mut found = Vec::new();
    let visible = |entry: &walkdir::DirEntry| entry.file_name() != ".ipynb_checkpoints";
    for entry in walkdir::WalkDir::new(&path).into_iter().filter_entry(visible) {
        let entry = entry.map_err(|error| WorkflowError::File(path.clone(), error.into()))?;
        let is_notebook = entry.path().extension().is_some_and(|extension| extension == "ipynb");
        if is_notebook && entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&path).unwrap_or(entry.path());
            // So that nothing in a name is taken for a mark.
            found.push(format!("./{}", name.display()));
        }
    }
    if found.is_empty() {
        return Err(WorkflowError::NoNotebooks(path));
    }
    found.sort();
    Ok((path, found))
}

/// The directory of the notebooks as that of an environment's tests, with lists in the place of what it may hold of its
/// own.
fn files(modules: &[String], directory: &Path, notebooks: &[String], own: &Path) -> Result<Context, WorkflowError> {
    let mut files = Context::new(directory).without(DEFINITIONS.map(PathBuf::from));
    for (name, lines) in [("imports", modules), ("notebooks", notebooks)] {
        let source = own.join(name);
        std::fs::write(&source, lines.join("\n")).map_err(|error| WorkflowError::File(source.clone(), error))?;
        files = files.with(name, Overlay::File { source, mode: 0o644 });
    }
    Ok(files)
}

fn empty(own: &Path, name: &str) -> Result<PathBuf, WorkflowError> {
    let directory = own.join(name);
    std::fs::create_dir(&directory).map_err(|error| WorkflowError::File(directory.clone(), error))?;
    Ok(directory)
}

/// Refuses an image that the agent cannot run in.
fn runs_here(reference: &str, image: &Image) -> Result<(), WorkflowError> {
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
        reference: reference.to_owned(),
        there,
        here,
    })
}
