//! `floe report`: the reports of earlier runs, derived anew from their logs; several runs are read as one.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::args::{Global, ReportArgs, ReportFormat};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::{delivery, output, session};
use crate::event::Record;
use crate::report::account::Account;
use crate::report::place::Places;
use crate::report::runs::{self, LOG};
use crate::report::terminal::{self, Style};
use crate::report::{folder, github, markdown, result};
use crate::state::State;

/// Derives the reports of the runs that `args` names. Ends as the tests did.
pub fn command(global: &Global, args: &ReportArgs) -> Result<(), Failure> {
    let root = session::repository(global)?;
    let known = root.as_deref().map(State::of);
    let directories = find(known.as_ref(), &args.runs)?;
    let mut read = Vec::new();
    for directory in directories {
        let records = runs::read(&directory)?;
        read.push((directory, records));
    }
    let records = read.iter().flat_map(|(_, records)| records.clone()).collect::<Vec<_>>();
    let places = root.as_deref().map(Places::of).unwrap_or_default();
    let account = Account::of(&records);
    if args.format.is_none() || args.output.is_some() {
        let directory = write(
            &read,
            &records,
            &account,
            args.output.as_deref(),
            known.as_ref(),
            &places,
        )?;
        let shown = root.as_deref().and_then(|root| directory.strip_prefix(root).ok());
        let shown = shown.unwrap_or(&directory).join("report.html");
        output::say(&format!("Report: {}", shown.display()));
    }
    if let Some(format) = args.format {
        output::result(&form(format, &records, &account, &read, global, &places)?)?;
    }
    if account.outcome.passed {
        Ok(())
    } else if account.ran() > 0 {
        Err(Failure::shown(ExitCode::TestsFailed))
    } else {
        Err(Failure::shown(ExitCode::NothingRan))
    }
}

/// The reports as one text.
fn form(
    format: ReportFormat,
    records: &[Record],
    account: &Account,
    read: &[(PathBuf, Vec<Record>)],
    global: &Global,
    places: &Places,
) -> Result<String, Failure> {
    // Notebooks and their pictures are found beside a log; those of several runs lie in several places.
    let beside = read.first().map_or(Path::new(""), |(directory, _)| directory);
    Ok(match format {
        ReportFormat::Text => {
            let style = Style {
                color: output::colored_result(global.color),
                live: false,
                ..output::style(global.color, global.verbose)
            };
            terminal::text(&account.outcome, style)
        }
        ReportFormat::Json => format!("{:#}\n", result::to_json(account)),
        ReportFormat::Markdown => markdown::to_string(account),
        ReportFormat::Junit => folder::junit(records, places)?,
        ReportFormat::Html => folder::page(records, beside, places)?,
        ReportFormat::Github => {
            let lines = github::annotations(account, places);
            lines.iter().flat_map(|line| [line, "\n"]).collect()
        }
    })
}

/// Writes the reports; answers where they are. Those of one run belong into its directory, those of several into a new
/// one.
fn write(
    read: &[(PathBuf, Vec<Record>)],
    records: &[Record],
    account: &Account,
    output: Option<&Path>,
    known: Option<&State>,
    places: &Places,
) -> Result<PathBuf, Failure> {
    let directory = match (output, read, known) {
        (Some(output), ..) => std::path::absolute(output).map_err(|error| (output.to_owned(), error))?,
        (None, [(directory, _)], _) => directory.clone(),
        (None, _, Some(state)) => state.report(&account.begun.map_or_else(String::new, |begun| {
            let unique = uuid::Uuid::new_v4().simple().to_string();
            format!("{}-{}", begun.strftime("%Y%m%dT%H%M%SZ"), &unique[..6])
        })),
        (None, _, None) => {
            return Err(
                Failure::new(ExitCode::Usage, "no repository is here to keep a report in")
                    .hint("say where it goes with --output, or what to print with --format"),
            );
        }
    };
    std::fs::create_dir_all(&directory).map_err(|error| (directory.clone(), error))?;
    let own = read.iter().any(|(run, _)| same(run, &directory));
    if !own {
        folder::gather(account, read, &directory)?;
        let log = directory.join(LOG);
        let lines = records.iter().map(|record| Ok(serde_json::to_string(record)? + "\n"));
        let text = lines.collect::<Result<String, serde_json::Error>>();
        let written = text
            .map_err(io::Error::from)
            .and_then(|text| std::fs::write(&log, text));
        written.map_err(|error| (log, error))?;
    }
    delivery::deliver(records, &directory, places)?;
    Ok(directory)
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
        Some(state) => runs::directories(&state.runs_directory()).map_err(|error| (state.runs_directory(), error))?,
        None => Vec::new(),
    };
    if words.is_empty() {
        let last = all.into_iter().next();
        let missing = || Failure::new(ExitCode::NothingRan, "no test has been run here").hint("`floe test` runs them");
        return Ok(vec![last.ok_or_else(missing)?]);
    }
    words.iter().map(|word| one(&all, word)).collect()
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
