//! What the CI service that floe runs in is told of a run.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use super::output;
use crate::report::location::Locations;
use crate::report::{github, markdown};
use crate::run::account::Account;

/// Marks failures in the job's log and adds to the job's summary, inside of GitHub Actions.
pub fn tell_service(account: &Account, places: &Locations) {
    if !output::in_github_actions() {
        return;
    }
    for annotation in github::annotations(account, places) {
        output::insist(&annotation);
    }
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else {
        return;
    };
    let text = format!("{}\n", markdown::to_string(account));
    let opened = OpenOptions::new().append(true).create(true).open(&file);
    if let Err(error) = opened.and_then(|mut file| file.write_all(text.as_bytes())) {
        output::warn(&format!("the job's summary {}: {error}", file.display()));
    }
}
