//! `floe diff`: what differs between two frozen specs, wherever they are.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::{self, Session};
use crate::git;
use crate::reference::EnvironmentName;
use crate::repository::{self, Repository};
use crate::spec::changes::Changes;
use crate::spec::frozen::Frozen;
use crate::workflow;

/// Show which packages differ between two frozen specs
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A frozen spec, a commit, or COMMIT:PATH
    #[arg(value_name = "FROM")]
    from: String,
    /// The same; after a commit alone, the file as it is now
    #[arg(value_name = "TO")]
    to: Option<String>,
    /// The mission whose frozen spec a commit is asked for; `setup-env` names one otherwise
    #[arg(long)]
    mission: Option<String>,
    /// The environment whose frozen spec a commit is asked for, if the mission has several
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<EnvironmentName>,
    /// How to print the changes
    #[arg(long, default_value = "text")]
    format: DiffFormat,
}

/// The form of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    /// For people
    Text,
    /// A table for a pull request
    Markdown,
    /// For programs
    Json,
}

/// Prints the changes from one frozen spec to the other.
pub async fn execute(global: &Global, args: &DiffArgs) -> Result<(), Failure> {
    let place = Place::open(global, args)?;
    let from = place.source(&args.from);
    let to = match &args.to {
        Some(to) => place.source(to),
        None => place.working_copy(&from)?,
    };
    let changes = Changes::between(&place.load(&from).await?, &place.load(&to).await?);
    output::result(&match args.format {
        DiffFormat::Text => changes.to_text(),
        DiffFormat::Markdown => changes.to_markdown(),
        DiffFormat::Json => changes.to_json(),
    })
}

/// Where a frozen spec is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A file.
    File(PathBuf),
    /// A file of a commit, relative to the repository's root. Without one, that of the environment which is asked for.
    Commit { commit: String, path: Option<PathBuf> },
    /// An environment in an image.
    Image(String),
}

/// What the names of sources mean here.
struct Place<'a> {
    args: &'a DiffArgs,
    global: &'a Global,
    /// The repository; two files can be compared without one.
    repository: Option<Repository>,
}

impl<'a> Place<'a> {
    fn open(global: &'a Global, args: &'a DiffArgs) -> Result<Self, Failure> {
        Ok(Self {
            args,
            global,
            repository: session::repository(global)?,
        })
    }

    /// A file where there is one or where the name is that of one, else a commit, else an image.
    fn source(&self, text: &str) -> Source {
        let file = Path::new(text);
        if file.is_file() {
            return Source::File(file.to_owned());
        }
        if let Some(repository) = &self.repository {
            let (commit, path) = match text.split_once(':') {
                Some((commit, path)) => (commit, Some(PathBuf::from(path))),
                None => (text, None),
            };
            if let Some(commit) = git::commit(repository.root(), commit) {
                return Source::Commit { commit, path };
            }
        }
        if file
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml")
        {
            return Source::File(file.to_owned());
        }
        Source::Image(text.to_owned())
    }

    /// The file that a commit's is compared with, as it is now.
    fn working_copy(&self, from: &Source) -> Result<Source, Failure> {
        let Source::Commit { commit, path } = from else {
            return Err(Failure::new(ExitCode::Usage, "what is it to be compared with?")
                .hint("name a second file, commit or image; only a commit is compared with the files as they are"));
        };
        let repository = self.repository()?;
        let path = match path {
            Some(path) => path.clone(),
            None => self.frozen_in(repository, commit)?,
        };
        Ok(Source::File(repository.path(path)))
    }

    async fn load(&self, source: &Source) -> Result<Frozen, Failure> {
        match source {
            Source::File(file) => Ok(Frozen::load(file)?),
            Source::Commit { commit, path } => {
                let repository = self.repository()?;
                let path = match path {
                    Some(path) => path.clone(),
                    None => self.frozen_in(repository, commit)?,
                };
                of_commit(repository.root(), commit, &path)
            }
            Source::Image(reference) => self.of_image(reference).await,
        }
    }

    /// What an environment in an image holds, exported as freezing does it.
    async fn of_image(&self, reference: &str) -> Result<Frozen, Failure> {
        let unknown = || {
            let message = format!("{reference} is no file, no commit, and no image that the engine has");
            Failure::new(ExitCode::Invalid, message).hint("name a frozen spec, a commit, COMMIT:PATH, or an image")
        };
        if self.repository.is_none() {
            return Err(unknown());
        }
        let Some(environment) = &self.args.env else {
            return Err(
                Failure::new(ExitCode::Usage, format!("which environment of {reference}?")).hint("name it with --env"),
            );
        };
        let session = Session::open(self.global, &[])?;
        let held = workflow::held_by_image(&session.workplace, reference, environment, &session.interrupts).await?;
        held.ok_or_else(unknown)
    }

    fn repository(&self) -> Result<&Repository, Failure> {
        let missing = || Failure::new(ExitCode::Invalid, "this is no repository with missions/");
        self.repository.as_ref().ok_or_else(missing)
    }

    /// The frozen spec of the environment that is asked for, or of the only one that has one in the commit.
    fn frozen_in(&self, repository: &Repository, commit: &str) -> Result<PathBuf, Failure> {
        let session = Session::open(self.global, &[])?;
        let mission = session.workplace.mission(self.args.mission.as_deref())?;
        let environments = repository::environments(&mission);
        let root = repository.root();
        let path_of = |name: &str| Frozen::yml_path(&environments.join(name), name);
        if let Some(environment) = &self.args.env {
            return Ok(path_of(environment.as_str()));
        }
        let names = git::names_in_commit(root, commit, &environments)?;
        let frozen = |name: &String| matches!(git::file_in_commit(root, commit, &path_of(name)), Ok(Some(_)));
        let names = names.into_iter().filter(frozen).collect::<Vec<_>>();
        match names.as_slice() {
            [only] => Ok(path_of(only)),
            [] => Err(Failure::new(
                ExitCode::Invalid,
                format!("{mission} has no frozen spec in the commit {commit}"),
            )),
            several => Err(
                Failure::new(ExitCode::Usage, format!("{mission} has several environments"))
                    .hint(format!("name one with --env: {}", several.join(", "))),
            ),
        }
    }
}

fn of_commit(root: &Path, commit: &str, path: &Path) -> Result<Frozen, Failure> {
    let short = commit.get(..12).unwrap_or(commit);
    let shown = PathBuf::from(format!("{short}:{}", path.display()));
    let text = git::file_in_commit(root, commit, path)?;
    let text = text.ok_or_else(|| {
        let message = format!("the commit {short} holds no {}", path.display());
        Failure::new(ExitCode::Invalid, message)
    })?;
    let lock = git::file_in_commit(root, commit, &Frozen::lock_path(path))?;
    Ok(Frozen::parse(&shown, &text, lock.as_deref())?)
}
