//! The reports in a run's directory, derived from its log.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::ReportError;
use super::executed::Executed;
use super::form::{FORMS, Subject};
use super::location::Locations;
use super::terminal::Style;
use crate::event::{Event, Record, TestFinished};
use crate::run::account::Account;

/// Writes the reports of a run into its `directory`, as far as they can be written. Returns the first error.
pub fn write(account: &Account, directory: &Path, places: &Locations) -> Result<(), ReportError> {
    let subject = Subject {
        account,
        directory,
        places,
        style: Style::default(),
    };
    let mut result = Ok(());
    for (form, name) in FORMS.iter().filter_map(|form| Some((form, form.file?))) {
        let text = form.render(&subject);
        let written = text.and_then(|text| replace(&directory.join(name), &text));
        result = result.and(written);
    }
    result
}

/// Writes a file whole or not at all.
fn replace(path: &Path, text: &str) -> Result<(), ReportError> {
    let part = path.with_extension("part");
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, path));
    written.map_err(|source| {
        let _ = fs::remove_file(&part);
        ReportError::File {
            path: path.to_owned(),
            source,
        }
    })
}

/// Copies the executed notebooks of what counts in `account` into `directory`, each out of the run that it belongs to.
pub fn gather(account: &Account, runs: &[(PathBuf, Vec<Record>)], directory: &Path) -> Result<(), ReportError> {
    for test in account.outcome.tests.iter().filter(|test| test.notebook.is_some()) {
        let told = |records: &[Record]| records.iter().any(|record| is(&record.event, test));
        let Some((run, _)) = runs.iter().find(|(_, records)| told(records)) else {
            continue;
        };
        let name = test.notebook.as_deref().unwrap_or_default();
        let Some(file) = Executed::of(run).file(name) else {
            continue;
        };
        let target = directory.join(name);
        let parent = target.parent().unwrap_or(directory);
        let copied = fs::create_dir_all(parent).and_then(|()| fs::copy(file, &target));
        copied.map_err(|source| ReportError::File { path: target, source })?;
    }
    Ok(())
}

fn is(event: &Event, test: &TestFinished) -> bool {
    matches!(event, Event::TestFinished(other) if other == test)
}
