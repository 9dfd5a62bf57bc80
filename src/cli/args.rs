//! The command line of the host, as clap reads it.

pub mod trial;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::trial::{ForeignArgs, RunArgs, SelectionArgs};
use crate::quantity::Size;
use crate::reference::EnvironmentName;

/// Turns the definition of a JupyterHub user image into a tested, pushed container image.
#[derive(Debug, Parser)]
#[command(name = "floe", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The repository, if it is not the current directory or one above
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// When to colour the display
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,
    /// Show what every step of a build prints
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Build from frozen specs (1) or floating ones (0)
    #[arg(long, global = true, value_name = "0|1")]
    use_frozen: Option<String>,
    /// What the common image extends: an image, or `debian`
    #[arg(long, global = true, value_name = "IMAGE")]
    base_image: Option<String>,
    /// Where images are pushed
    #[arg(long, global = true, value_name = "HOST/PATH")]
    registry: Option<String>,
}

impl Global {
    /// What the command line sets, by the name of the setting.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<&'static str, String> {
        let flags = [
            ("USE_FROZEN", &self.use_frozen),
            ("BASE_IMAGE", &self.base_image),
            ("REGISTRY", &self.registry),
        ];
        flags
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

/// When to do something that suits a terminal only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands of the host.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compose and build the images of missions, as far as they are not up to date
    Build(BuildArgs),
    /// Run the tests of missions' images in containers
    Test(TestArgs),
    /// Push images that passed their tests, and refuse others
    Push(Missions),
    /// Build, test and push; stop at the first failure with its exit code
    All(BuildArgs),
    /// Write frozen specs from what missions' built images hold, and show what changed
    Freeze(FreezeArgs),
    /// Show which packages differ between two frozen specs
    Diff(DiffArgs),
    /// Write or print the reports of earlier test runs; several are read as one, and must all have ended
    Report(ReportArgs),
    /// List earlier test runs, the newest first
    Runs(RunsArgs),
    /// Print the composed Dockerfile of a mission
    Compose {
        /// The mission; `setup-env` names one otherwise
        mission: Option<String>,
    },
    /// Print the reference and ID of a mission's built image
    Image {
        /// The mission; `setup-env` names one otherwise
        mission: Option<String>,
        /// How to print it
        #[arg(long, default_value = "text")]
        format: Format,
    },
    /// Run a command as it runs inside an image, e.g. `floe applet test-imports base numpy`
    #[command(disable_help_flag = true)]
    Applet {
        /// The name of the command, and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<String>,
    },
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people and shells
    Text,
    /// For programs
    Json,
}

/// Arguments of `floe diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// A frozen spec, a commit, or COMMIT:PATH
    #[arg(value_name = "FROM")]
    pub from: String,
    /// The same; after a commit alone, the file as it is now
    #[arg(value_name = "TO")]
    pub to: Option<String>,
    /// The mission whose frozen spec a commit is asked for; `setup-env` names one otherwise
    #[arg(long)]
    pub mission: Option<String>,
    /// The environment whose frozen spec a commit is asked for, if the mission has several
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<EnvironmentName>,
    /// How to print the changes
    #[arg(long, default_value = "text")]
    pub format: DiffFormat,
}

/// The form of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people
    Text,
    /// A table for a pull request
    Markdown,
    /// For programs
    Json,
}

/// Arguments of `floe report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The runs: IDs, beginnings of IDs, or directories with an `events.jsonl`; the last run otherwise
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    /// Where the reports are written; the run's own directory, or for several runs a new one below `.floe/reports/`
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Print one report instead
    #[arg(long)]
    pub format: Option<ReportFormat>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people, as the terminal shows a run
    Text,
    /// For programs: one document
    Json,
    /// For the summary of a CI job, or a comment
    Markdown,
    /// For CI services
    Junit,
    /// A page that needs nothing else
    Html,
    /// Annotations of GitHub Actions
    Github,
}

/// Arguments of `floe runs`.
#[derive(Debug, Clone, Args)]
pub struct RunsArgs {
    /// How many are listed
    #[arg(short, long, value_name = "N", default_value_t = 20)]
    pub number: usize,
    /// List all
    #[arg(long, conflicts_with = "number")]
    pub all: bool,
    /// How to print them
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// The missions that a command is for.
#[derive(Debug, Clone, Args)]
pub struct Missions {
    /// The missions; `setup-env` names one otherwise
    #[arg(value_name = "MISSION")]
    pub missions: Vec<String>,
    /// Take all missions
    #[arg(long, conflicts_with = "missions")]
    pub all_missions: bool,
}

/// Arguments of commands that build.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// The missions.
    #[command(flatten)]
    pub missions: Missions,
    /// Build everything anew
    #[arg(long)]
    pub no_cache: bool,
    /// Solve floating specs anew: with `USE_FROZEN=0`, build the common image and the missions' without the builder's cache
    #[arg(long)]
    pub refresh: bool,
    /// Refuse frozen specs whose floating specs have changed since
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `floe freeze`.
#[derive(Debug, Clone, Args)]
pub struct FreezeArgs {
    /// The missions.
    #[command(flatten)]
    pub missions: Missions,
    /// Solve the floating specs on this machine for the images' platform, without building an image
    #[arg(long)]
    pub solve: bool,
}

/// Arguments of `floe test`.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// Missions, then parts of test IDs to run only those tests (`roman-cal::imports`, `intro.ipynb`)
    ///
    /// A mission's own script `environments/test` is the test `MISSION::test`. It runs where it is selected, and starts
    /// what else is selected; otherwise the selected tests are started without it. It belongs to one part of a
    /// partition like any other test, so what all tests need belongs into the image, not into the script.
    #[arg(value_name = "MISSION… FILTER")]
    pub words: Vec<String>,
    /// Take all missions
    #[arg(long)]
    pub all_missions: bool,
    /// Which tests.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Only the tests that failed or did not run in the mission's last run
    #[arg(long)]
    pub rerun_failed: bool,
    /// Print the IDs of the tests, in the order in which they would begin, and run nothing
    #[arg(long)]
    pub list: bool,
    /// How to print them
    #[arg(long, requires = "list", default_value = "text")]
    pub format: Format,
    /// How to run them.
    #[command(flatten)]
    pub run: RunArgs,
    /// How much memory the container may take, e.g. 8G, the limit that a hub sets for its users
    #[arg(long, value_name = "SIZE")]
    pub container_memory: Option<Size>,
    /// Any image.
    #[command(flatten)]
    pub foreign: ForeignArgs,
}

impl TestArgs {
    /// What the options set, by the name of the setting.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<&'static str, String> {
        let memory = self.container_memory.map(|size| ("CONTAINER_MEMORY", size.to_string()));
        memory.into_iter().collect()
    }
}
