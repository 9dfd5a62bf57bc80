//! An image that floe did not build: the agent and the tests are brought into its container.

use std::path::{Path, PathBuf};

use crate::cli::args::TestArgs;
use crate::cli::commands::test::observed;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::{Session, credentials};
use crate::cli::signals::Signals;
use crate::context::{Context, Overlay};
use crate::engine::{Engine, Image};
use crate::history;
use crate::image::variable;
use crate::reference::{EnvironmentName, TestId, TestKind};
use crate::server;
use crate::suite::TestPlan;
use crate::suite::request::Request;
use crate::suite::selection::Selection;
use crate::trial::{Stage, Trial};

/// Files of a directory of notebooks that would define tests of their own.
const DEFINITIONS: [&str; 4] = ["imports", "notebooks", "settings.yml", "test"];

/// Tests the image that `reference` names, which is pulled where the engine does not have it.
pub async fn run(session: &Session, reference: &str, args: &TestArgs, signals: &Signals) -> Result<(), Failure> {
    let files = tempfile::tempdir().map_err(|error| (std::env::temp_dir(), error))?;
    let tests = tests(args, files.path())?;
    if args.list {
        let ids = tests.ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        return output::result(&(ids.join("\n") + "\n"));
    }
    let engine = session.engine().await?;
    let image = if let Some(image) = engine.image(reference).await? {
        image
    } else {
        let display = session.display();
        engine.pull(reference, credentials(reference), display.as_ref()).await?
    };
    runs_here(reference, &image)?;
    let trial = prepare(session, reference, args, &image, tests)?;
    observed::run(session, &trial, &engine, signals).await?.verdict()
}

/// The tests that a call names, and the files that they are.
struct Tests {
    ids: Vec<TestId>,
    environment: EnvironmentName,
    files: Context,
    agent: Context,
}

fn tests(args: &TestArgs, own: &Path) -> Result<Tests, Failure> {
    let foreign = &args.foreign;
    let environment = match args.selection.environment() {
        Some(name) => name.clone(),
        None => EnvironmentName::base(),
    };
    let modules = foreign.imports.iter().map(|module| module.trim().to_owned());
    let modules = modules.filter(|module| !module.is_empty()).collect::<Vec<_>>();
    let (directory, notebooks) = match &foreign.notebooks {
        Some(path) => notebooks(path)?,
        None => (empty(own, "nothing")?, Vec::new()),
    };
    let mut plan = TestPlan::imports(&environment, &modules).ids();
    plan.extend(TestPlan::notebooks(&environment, &notebooks, &directory).ids());
    if foreign.server {
        plan.extend(server::tests("image", std::slice::from_ref(&environment)));
    }
    // The environment was the answer to where, and the directory holds no tests of others.
    let selection = Selection {
        environments: Vec::new(),
        ..args.selection.selection(Vec::new())
    };
    let ids = plan.into_iter().filter(|id| selection.selects(id)).collect::<Vec<_>>();
    if ids.is_empty() {
        return Err(Failure::new(ExitCode::NothingRan, "no test is named or selected")
            .hint("name some: `--imports numpy,scipy`, `--notebooks DIRECTORY`, `--server`"));
    }
    Ok(Tests {
        files: files(&modules, &directory, &notebooks, own)?,
        agent: agent(own)?,
        environment,
        ids,
    })
}

/// The notebooks at a path, relative to the directory that goes with them.
fn notebooks(path: &Path) -> Result<(PathBuf, Vec<String>), Failure> {
    let path = std::path::absolute(path).map_err(|error| (path.to_owned(), error))?;
    if path.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let directory = path.parent().unwrap_or(&path).to_owned();
        return Ok((directory, vec![format!("./{name}")]));
    }
    let mut found = Vec::new();
    let visible = |entry: &walkdir::DirEntry| entry.file_name() != ".ipynb_checkpoints";
    for entry in walkdir::WalkDir::new(&path).into_iter().filter_entry(visible) {
        let entry = entry.map_err(|error| (path.clone(), error.into()))?;
        let is_notebook = entry.path().extension().is_some_and(|extension| extension == "ipynb");
        if is_notebook && entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&path).unwrap_or(entry.path());
            // So that nothing in a name is taken for a mark.
            found.push(format!("./{}", name.display()));
        }
    }
    if found.is_empty() {
        let message = format!("{} holds no notebook", path.display());
        return Err(Failure::new(ExitCode::NothingRan, message));
    }
    found.sort();
    Ok((path, found))
}

/// The directory of the notebooks as that of an environment's tests, with lists in the place of what it may hold of its
/// own.
fn files(modules: &[String], directory: &Path, notebooks: &[String], own: &Path) -> Result<Context, Failure> {
    let mut files = Context::new(directory).without(DEFINITIONS.map(PathBuf::from));
    for (name, lines) in [("imports", modules), ("notebooks", notebooks)] {
        let source = own.join(name);
        std::fs::write(&source, lines.join("\n")).map_err(|error| (source.clone(), error))?;
        files = files.with(name, Overlay::File { source, mode: 0o644 });
    }
    Ok(files)
}

/// floe's own program, as it is brought into a container.
fn agent(own: &Path) -> Result<Context, Failure> {
    let source = std::env::current_exe()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("floe's own program: {error}")))?;
    Ok(Context::new(empty(own, "agent")?).with("floe", Overlay::File { source, mode: 0o755 }))
}

fn empty(own: &Path, name: &str) -> Result<PathBuf, Failure> {
    let directory = own.join(name);
    std::fs::create_dir(&directory).map_err(|error| (directory.clone(), error))?;
    Ok(directory)
}

/// Refuses an image that the agent cannot run in.
fn runs_here(reference: &str, image: &Image) -> Result<(), Failure> {
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
    let message = format!("{reference} is an image for {there}, and floe here is a program for {here}");
    Err(Failure::new(ExitCode::Invalid, message).hint("test it on a machine of its own kind"))
}

fn prepare(session: &Session, reference: &str, args: &TestArgs, image: &Image, tests: Tests) -> Result<Trial, Failure> {
    let settings = &session.settings;
    let request = Request {
        selection: Selection {
            tests: Some(tests.ids.clone()),
            ..Selection::default()
        },
        options: args.run.options().over(&settings.run),
        ..Request::default()
    };
    let mut environment = request.variables();
    environment.insert(variable::ENVIRONMENTS.to_owned(), Stage::given_environments());
    let run = history::new_run(&"image".parse()?);
    Ok(Trial {
        mission: reference.to_owned(),
        image: image.id.clone(),
        reference: reference.to_owned(),
        part: args.selection.selection(Vec::new()).part,
        selected: Some(TestId::digest(&tests.ids)),
        stages: stages(session, image, &tests),
        expected: tests.ids,
        definitions: None,
        limit: request.options.run_timeout.map(|limit| limit.0),
        memory: settings.container_memory.map(|size| size.0),
        environment,
        directory: session.state.run(&run),
        run,
    })
}

fn stages(session: &Session, image: &Image, tests: &Tests) -> Vec<Stage> {
    let servers = tests.ids.iter().filter(|id| id.kind == TestKind::Server);
    let servers = servers.cloned().collect::<Vec<_>>();
    let mut stages = Vec::new();
    if tests.ids.len() > servers.len() {
        stages.push(Stage::suite(false));
    }
    if !servers.is_empty() {
        let limit = session.settings.server_timeout.map_or(server::START, |limit| limit.0);
        stages.push(Stage::server(&servers, limit, &image.command));
    }
    let given = |stage: Stage| stage.with_agent(tests.agent.clone(), &tests.environment, tests.files.clone());
    stages.into_iter().map(given).collect()
}
