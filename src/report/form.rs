//! The forms of a report: one list, of which the files in a run's directory and `floe report --format` are made.

use std::path::Path;

use super::error::ReportError;
use super::executed::Executed;
use super::location::Locations;
use super::terminal::{self, Style};
use super::{github, html, json, junit, markdown};
use crate::run::account::Account;

/// A form of a report.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Its name, e.g. `html`.
    pub name: &'static str,
    /// Whom it serves.
    pub about: &'static str,
    /// The file in a run's directory that always has it.
    pub file: Option<&'static str>,
    render: fn(&Subject<'_>) -> Result<String, ReportError>,
}

/// What a report is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The run.
    pub account: &'a Account,
    /// The directory that holds the executed notebooks.
    pub directory: &'a Path,
    /// Where the tests are defined.
    pub places: &'a Locations,
    /// How the terminal shows it.
    pub style: Style,
}

/// All forms.
pub const FORMS: &[Form] = &[
    Form {
        name: "text",
        about: "For people, as the terminal shows a run",
        file: None,
        render: |subject| Ok(terminal::text(&subject.account.outcome, subject.style)),
    },
    Form {
        name: "json",
        about: "For programs: one document",
        file: None,
        render: |subject| Ok(format!("{:#}\n", json::to_json(subject.account))),
    },
    Form {
        name: "markdown",
        about: "For the summary of a CI job, or a comment",
        file: Some("summary.md"),
        render: |subject| Ok(markdown::to_string(subject.account)),
    },
    Form {
        name: "junit",
        about: "For CI services",
        file: Some("junit.xml"),
        render: |subject| {
            junit::to_string(subject.account, subject.places).map_err(|error| ReportError::Form {
                form: "XML",
                reason: error.to_string(),
            })
        },
    },
    Form {
        name: "html",
        about: "A page that needs nothing else",
        file: Some("report.html"),
        render: |subject| {
            let executed = Executed::of(subject.directory);
            html::to_string(subject.account, &executed, subject.places).map_err(|error| {
                let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                ReportError::Form { form: "HTML", reason }
            })
        },
    },
    Form {
        name: "github",
        about: "Annotations of GitHub Actions",
        file: None,
        render: |subject| {
            let lines = github::annotations(subject.account, subject.places);
            Ok(lines.iter().flat_map(|line| [line, "\n"]).collect())
        },
    },
];

impl Form {
    /// The form called `name`.
    #[must_use]
    pub fn called(name: &str) -> Option<&'static Self> {
        FORMS.iter().find(|form| form.name == name)
    }

    /// The report in this form.
    pub fn render(&self, subject: &Subject<'_>) -> Result<String, ReportError> {
        (self.render)(subject)
    }
}
