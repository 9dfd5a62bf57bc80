//! `floe test`: the tests of an image run in a container, and the run's directory tells what happened.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::machines::MachineArgs;
use crate::cli::args::run::{RunArgs, SelectionArgs};
use crate::cli::args::{Format, Global, Missions};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::Session;
use crate::cli::{delivery, output};
use crate::engine::EngineError;
use crate::event::CauseKind;
use crate::quantity::Size;
use crate::reference::{EnvironmentName, ImageReference};
use crate::report::amounts::count;
use crate::report::location::Locations;
use crate::run::outcome::Outcome;
use crate::workflow::{self, Asked, Choice, Detached, End, Foreign, ForeignTests, Observed, WorkflowError, Workplace};

/// Run the tests of missions' images in containers
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Missions, then parts of test IDs to run only those tests (`roman-cal::imports`, `intro.ipynb`)
    ///
    /// A mission's own script `environments/test` is the test `mission:MISSION::test`. It runs where it is selected, and starts
    /// what else is selected; otherwise the selected tests are started without it. It belongs to one part of a
    /// partition like any other test, so what all tests need belongs into the image, not into the script.
    #[arg(value_name = "MISSION… FILTER")]
    words: Vec<String>,
    /// Take all missions
    #[arg(long)]
    all_missions: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Only the tests whose last result is a failure, or that did not run when they were last to
    #[arg(long, visible_alias = "last-failed")]
    rerun_failed: bool,
    #[command(flatten)]
    building: BuildingArgs,
    #[command(flatten)]
    addition: AdditionArgs,
    /// Print the IDs of the tests, in the order in which they would begin, and run nothing
    #[arg(long)]
    list: bool,
    /// How to print them
    #[arg(long, requires = "list", default_value = "text")]
    format: Format,
    #[command(flatten)]
    run: RunArgs,
    /// How much memory the container may take, e.g. 8G, the limit that a hub sets for its users
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    container_memory: Option<Size>,
    #[command(flatten)]
    cluster: MachineArgs,
    #[command(flatten)]
    foreign: ForeignArgs,
}

/// When images are built before they are tested.
#[derive(Debug, Clone, Default, Args)]
struct BuildingArgs {
    /// Refuse an image that is not up to date, in place of building it first
    #[arg(long)]
    no_build: bool,
    /// Stay, and test again what each edit touches, on an image with the edit
    #[arg(long, conflicts_with_all = ["list", "added", "image"])]
    watch: bool,
}

/// Imports of what was added to the specs.
#[derive(Debug, Clone, Default, Args)]
struct AdditionArgs {
    /// Only import what was added to the specs, whether or not a file lists it: the modules that the image has of it
    ///
    /// What was added since a commit is what the specs name now and did not then. Without `--since`, that commit is HEAD where
    /// specs are edited, else the one before the last commit that touched them.
    #[arg(long, conflicts_with_all = ["rerun_failed", "list", "image", "partition"])]
    added: bool,
    /// The commit since which it was added
    #[arg(long, value_name = "COMMIT", requires = "added", hide_short_help = true)]
    since: Option<String>,
}

/// An image that floe did not build, and its tests.
#[derive(Debug, Clone, Default, Args)]
struct ForeignArgs {
    /// Test this image, which need not be floe's, with the tests that --imports, --notebooks and --server name
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["all_missions", "rerun_failed"], help_heading = "Any image")]
    image: Option<ImageReference>,
    /// Modules to import, separated by commas
    #[arg(
        long,
        value_name = "MODULE,…",
        value_delimiter = ',',
        requires = "image",
        help_heading = "Any image",
        hide_short_help = true
    )]
    imports: Vec<String>,
    /// A notebook, or a directory whose notebooks, less those in hidden directories, run with all files beside them
    #[arg(
        long,
        value_name = "PATH",
        requires = "image",
        help_heading = "Any image",
        hide_short_help = true
    )]
    notebooks: Option<PathBuf>,
    /// Start the image as a JupyterHub does, and see whether its server answers
    #[arg(long, requires = "image", help_heading = "Any image", hide_short_help = true)]
    server: bool,
}

/// Tests the images of missions, or any other image.
pub async fn execute(global: &Global, args: TestArgs) -> Result<(), Failure> {
    let memory = args.container_memory.map(|size| ("CONTAINER_MEMORY", size.to_string()));
    let flags = Vec::from_iter(memory);
    if let Some(image) = args.foreign.image.clone() {
        if let Some(word) = args.words.first() {
            let option = if Path::new(word).extension().is_some() || word.contains('/') {
                "--notebooks"
            } else {
                "--imports"
            };
            let message = format!("with --image, options name what to test, and \"{word}\" is none");
            return Err(Failure::new(ExitCode::Usage, message).hint(format!("name it as `{option} {word}`")));
        }
        let session = Session::open_anywhere(global, &flags)?;
        return test_foreign(&session, image, args).await;
    }
    args.cluster.check()?;
    let session = Session::open(global, &flags)?;
    let workplace = &session.workplace;
    let (missions, filters) = args.words(workplace);
    let missions = missions.of(workplace)?;
    let asked = args.asked(filters);
    let said = |observed: &Observed| say(workplace, observed);
    if args.addition.added {
        let since = args.addition.since.as_deref();
        let runs = workflow::test_added(workplace, &missions, since, &asked, &session.interrupts, said).await?;
        return workflow::decisive(runs).map_or(Ok(()), verdict);
    }
    if args.building.watch {
        let told = |told: Result<&Observed, WorkflowError>| match told {
            Ok(observed) => say(workplace, observed),
            Err(error) => output::failure(&error.into()),
        };
        let how = workflow::watch(workplace, &missions, &asked, &session.interrupts, told).await?;
        return Err(Failure::shown(how.into()));
    }
    let choices = workflow::choose_all(workplace, &missions, &asked)?;
    if args.list {
        return list(workplace, &choices, args.format);
    }
    if args.cluster.detach {
        return Ok(workflow::detach(workplace, &choices, &asked, &session.interrupts, detached).await?);
    }
    let runs = workflow::test(workplace, &choices, &asked, &session.interrupts, said).await?;
    if let Some(decisive) = workflow::decisive(runs) {
        return verdict(decisive);
    }
    let names = choices
        .iter()
        .map(|choice| choice.mission.to_string())
        .collect::<Vec<_>>();
    let push = format!("floe push {}", names.join(" "));
    if !asked.is_complete() {
        output::next(
            &format!("floe test {}", names.join(" ")),
            "runs all tests, as a push needs",
        );
    } else if workplace.settings.registry.is_some() {
        output::next(&push, "pushes exactly what passed");
    }
    Ok(())
}

impl TestArgs {
    /// Splits the words of the command line: leading names of missions, then parts of test IDs.
    fn words(&self, workplace: &Workplace) -> (Missions, Vec<String>) {
        let known = workplace.repository.missions();
        let is_mission = |word: &&String| known.iter().any(|mission| mission.as_str() == **word);
        let named = if self.all_missions {
            0
        } else {
            self.words.iter().take_while(is_mission).count()
        };
        let (missions, filters) = self.words.split_at(named);
        let missions = Missions {
            missions: missions.to_vec(),
            all_missions: self.all_missions,
        };
        (missions, filters.to_vec())
    }

    /// What the options ask for.
    fn asked(&self, filters: Vec<String>) -> Asked {
        Asked {
            selection: self.selection.selection(filters),
            rerun_failed: self.rerun_failed,
            options: self.run.options(),
            all_tests: self.run.all_tests(),
            no_build: self.building.no_build,
            cluster: self.cluster.cluster(),
            engines: self.cluster.engines(),
        }
    }
}

async fn test_foreign(session: &Session, reference: ImageReference, args: TestArgs) -> Result<(), Failure> {
    let asked = args.asked(Vec::new());
    let environment = args.selection.environment().cloned();
    let foreign = Foreign {
        reference,
        imports: args.foreign.imports,
        notebooks: args.foreign.notebooks,
        server: args.foreign.server,
        environment: environment.unwrap_or_else(EnvironmentName::base),
    };
    let tests = ForeignTests::new(foreign, &asked.selection)?;
    if args.list {
        let ids = tests.ids.iter().map(|id| format!("{id}\n"));
        return output::result(&ids.collect::<String>());
    }
    let observed = tests.run(&session.workplace, &asked, &session.interrupts).await?;
    say(&session.workplace, &observed);
    verdict(observed)
}

/// Says of a run that it goes on, and how to come back to it.
fn detached(left: &Detached) {
    output::say(&format!(
        "{} runs {} of {} in {}",
        left.run,
        count(left.tests, "test"),
        left.mission,
        count(left.pods, "pod")
    ));
    output::next(&format!("floe attach {}", left.run), "comes back to it");
}

/// Prints the tests that a call is for, in the order in which they would begin.
fn list(workplace: &Workplace, choices: &[Choice], format: Format) -> Result<(), Failure> {
    let mut lines = String::new();
    let mut values = Vec::new();
    for choice in choices {
        for test in workflow::list(workplace, choice) {
            let _ = writeln!(lines, "{}", test.id);
            values.push(serde_json::json!({
                "mission": choice.mission,
                "id": test.id,
                "kind": test.id.kind,
                "mode": test.mode,
                "reason": test.reason,
                "seconds": test.seconds,
            }));
        }
    }
    output::result(&match format {
        Format::Text => lines,
        Format::Json => format!("{:#}\n", serde_json::Value::from(values)),
    })
}

/// Says where the reports of a run are, and tells the CI service that floe runs in.
pub(super) fn say(workplace: &Workplace, observed: &Observed) {
    if let Ok(account) = &observed.account {
        delivery::tell_service(account, &Locations::of(workplace.repository.root()));
        let directory = workplace.repository.relative(&observed.directory);
        output::say(&format!("Report: {}/report.html", directory.display()));
        if let Some(words) = shell_at(workplace, &observed.outcome) {
            output::tell(&format!("Shell:  {words}"));
        }
    }
}

/// What opens a shell at the first test that failed, where a mission's image has it.
fn shell_at(workplace: &Workplace, outcome: &Outcome) -> Option<String> {
    let mission = outcome.run.as_ref()?.mission.as_str();
    let known = workplace.repository.missions();
    let mission = known.iter().find(|known| known.as_str() == mission)?;
    let mut failures = outcome.failures();
    let (test, _) = failures.find(|(_, cause)| cause.kind != CauseKind::NotRun)?;
    let id = test.id.to_string();
    let id = shlex::try_quote(&id).ok()?;
    Some(format!("floe shell {mission} --at {id}"))
}

/// What a call ends with after a run. A pass that cannot be shown is no pass; a failure stands in any case.
pub(super) fn verdict(observed: Observed) -> Result<(), Failure> {
    if let Err(error) = observed.account {
        let failure = Failure::from(error);
        if observed.outcome.passed {
            return Err(failure);
        }
        output::failure(&failure);
    }
    match observed.end {
        End::Broken(error) => Err(EngineError::into(error)),
        End::Interrupted(how) => Err(Failure::new(how.into(), "interrupted; the container is removed")),
        End::Complete if observed.outcome.passed => Ok(()),
        End::Complete if observed.ran => Err(Failure::shown(ExitCode::TestsFailed)),
        End::Complete => Err(Failure::shown(ExitCode::NothingRan)),
    }
}
