//! `floe report`: the reports of earlier runs, derived again from their logs; several runs are read as one.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::{delivery, output, session};
use crate::event::Record;
use crate::report::files;
use crate::report::form::{FORMS, Form, Subject};
use crate::report::location::Locations;
use crate::report::terminal::Style;
use crate::repository::Repository;
use crate::run::account::Account;
use crate::run::store::{self, LOG};
use crate::state::FileError;
use crate::state::State;

/// Write or print the reports of earlier test runs; several are read as one, and must all have ended
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The runs: IDs, beginnings of IDs, directories with an `events.jsonl`, or directories of those; the last run otherwise
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Where the reports are written; the run's own directory, or for several runs a new one below `.floe/reports/`
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print one report instead
    #[arg(long, value_parser = forms())]
    format: Option<String>,
}

/// The forms by their names.
fn forms() -> PossibleValuesParser {
    let values = FORMS.iter().map(|form| PossibleValue::new(form.name).help(form.about));
    values.collect::<Vec<_>>().into()
}

/// The runs that are read, and what they tell.
struct Reading {
    /// Each run's directory, and its log.
    runs: Vec<(PathBuf, Vec<Record>)>,
    account: Account,
    places: Locations,
    /// The repository, if there is one.
    repository: Option<Repository>,
}

/// Derives the reports of the runs that `args` names, which must be the whole of something: an undivided run, or every
/// part of a divided one. Ends as the tests did.
pub fn execute(global: &Global, args: &ReportArgs) -> Result<(), Failure> {
    let reading = Reading::of(global, args)?;
    if args.format.is_none() || args.output.is_some() {
        let directory = reading.write(args)?;
        let root = reading.repository.as_ref().map(Repository::root);
        let shown = root
            .and_then(|root| directory.strip_prefix(root).ok())
            .unwrap_or(&directory);
        output::say(&format!("Report: {}", shown.join("report.html").display()));
    }
    if let Some(form) = args.format.as_deref().and_then(Form::called) {
        output::result(&reading.form(form)?)?;
    }
    let outcome = &reading.account.outcome;
    if outcome.passed {
        return Ok(());
    }
    let code = if reading.account.ran() > 0 {
        ExitCode::TestsFailed
    } else {
        ExitCode::NothingRan
    };
    let reasons = std::iter::once(reading.account.counts()).chain(outcome.problems.iter().cloned());
    let reasons = reasons.collect::<Vec<_>>().join("; ");
    Err(Failure::new(code, format!("what is reported did not pass: {reasons}")))
}

impl Reading {
    fn of(global: &Global, args: &ReportArgs) -> Result<Self, Failure> {
        let repository = session::repository(global)?;
        let state = repository.as_ref().map(|repository| State::of(repository.root()));
        let mut runs = Vec::new();
        for directory in find(state.as_ref(), &args.runs)? {
            let records = store::read(&directory)?;
            runs.push((directory, records));
        }
        let records = runs.iter().flat_map(|(_, records)| records.clone()).collect::<Vec<_>>();
        Ok(Self {
            // Of the last run that is asked for without its name, no other part is here to be named.
            account: if args.runs.is_empty() {
                Account::of(&records)
            } else {
                Account::merged(&records)
            },
            places: repository
                .as_ref()
                .map(|repository| Locations::of(repository.root()))
                .unwrap_or_default(),
            runs,
            repository,
        })
    }

    /// One report.
    fn form(&self, form: &Form) -> Result<String, Failure> {
        let style = Style {
            color: output::colored_result(),
            live: false,
            ..output::style()
        };
        Ok(form.render(&Subject {
            account: &self.account,
            // Notebooks and their pictures are found beside a log; those of several runs lie in several places.
            directory: self.runs.first().map_or(Path::new(""), |(directory, _)| directory),
            places: &self.places,
            style,
        })?)
    }

    /// Writes the reports. Returns where they are.
    fn write(&self, args: &ReportArgs) -> Result<PathBuf, Failure> {
        let directory = self.directory(args)?;
        std::fs::create_dir_all(&directory).map_err(FileError::of(&directory))?;
        if !self.runs.iter().any(|(run, _)| same(run, &directory)) {
            files::gather(&self.account, &self.runs, &directory)?;
            let log = directory.join(LOG);
            let written = self.log().and_then(|text| std::fs::write(&log, text));
            written.map_err(FileError::of(&log))?;
        }
        let written = files::write(&self.account, &directory, &self.places);
        delivery::tell_service(&self.account, &self.places);
        written?;
        Ok(directory)
    }

    /// Where the reports belong: those of one undivided run beside its log, others into a directory of their own.
    fn directory(&self, args: &ReportArgs) -> Result<PathBuf, Failure> {
        if let Some(output) = &args.output {
            return Ok(output.clone());
        }
        if let [(directory, _)] = &self.runs[..]
            && (args.runs.is_empty() || self.account.parts().is_empty())
        {
            return Ok(directory.clone());
        }
        let missing = || {
            Failure::new(ExitCode::Usage, "no repository is here to keep a report in")
                .hint("say where it goes with --output, or what to print with --format")
        };
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let begun = self.account.begun.unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
        let repository = self.repository.as_ref().ok_or_else(missing)?;
        Ok(State::of(repository.root()).report(&format!("{begun}-{}", &unique[..6])))
    }

    /// The logs of all runs as one.
    fn log(&self) -> io::Result<String> {
        let records = self.runs.iter().flat_map(|(_, records)| records);
        let lines = records.map(|record| Ok(serde_json::to_string(record)? + "\n"));
        lines.collect()
    }
}

fn same(a: &Path, b: &Path) -> bool {
    a.canonicalize()
        .ok()
        .zip(b.canonicalize().ok())
        .is_some_and(|(a, b)| a == b)
}

/// The directories of the runs that `words` name; of the last run, if there are none.
fn find(known: Option<&State>, words: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let all = match known {
        Some(state) => store::directories(&state.runs_directory())?,
        None => Vec::new(),
    };
    if words.is_empty() {
        let last = all.into_iter().next();
        let missing = || Failure::new(ExitCode::NothingRan, "no test has been run here").hint("`floe test` runs them");
        return Ok(vec![last.ok_or_else(missing)?]);
    }
    let found = words.iter().map(|word| several(&all, word));
    Ok(found.collect::<Result<Vec<_>, _>>()?.concat())
}

/// The runs of a directory that holds the directories of runs, as `.floe/runs` does; one otherwise.
fn several(all: &[PathBuf], word: &str) -> Result<Vec<PathBuf>, Failure> {
    let path = Path::new(word);
    if path.is_dir() && !path.join(LOG).is_file() {
        let mut below = store::directories(path)?;
        below.reverse();
        if !below.is_empty() {
            return Ok(below);
        }
    }
    one(all, word).map(|run| vec![run])
}

/// One run: its directory, its log, its ID or the beginning of that.
fn one(all: &[PathBuf], word: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(word);
    if path.join(LOG).is_file() {
        return Ok(path.to_owned());
    }
    if path.is_file() && path.file_name().is_some_and(|name| name == LOG) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        return Ok(parent.unwrap_or(Path::new(".")).to_owned());
    }
    let name = |run: &&PathBuf| {
        run.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(word))
    };
    let matching = all.iter().filter(name).collect::<Vec<_>>();
    match matching[..] {
        [run] => Ok(run.clone()),
        [] => Err(Failure::new(ExitCode::Invalid, format!("there is no run {word:?}"))
            .hint("`floe runs` lists the runs of this repository; a directory must hold events.jsonl")),
        _ => Err(Failure::new(
            ExitCode::Invalid,
            format!("{} runs begin with {word:?}", matching.len()),
        )
        .hint("`floe runs` lists them")),
    }
}
