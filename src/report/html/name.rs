//! Tests by their names and endings, as every part of the page shows them.

use std::fmt;

use serde::Serialize;

use crate::event::{CauseKind, TestFinished, Verdict};
use crate::reference::TestId;
use crate::report::untrusted::Untrusted;

/// A test's ID in its parts.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Name {
    owner: String,
    kind: String,
    #[serde(rename = "name")]
    own: String,
}

/// How a test ended: a class of the style, and the word for it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ending {
    class: &'static str,
    label: &'static str,
}

impl Name {
    pub(super) fn of(id: &TestId) -> Self {
        let word = id.kind.word();
        let (kind, own) = match id.name.as_str() {
            "" => ("", word),
            name => (word, name),
        };
        Self {
            owner: visible(&id.owner),
            kind: kind.to_owned(),
            own: visible(own),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, kind, own } = self;
        if kind.is_empty() {
            write!(f, "{owner}::{own}")
        } else {
            write!(f, "{owner}::{kind}::{own}")
        }
    }
}

impl Ending {
    pub(super) fn of(test: &TestFinished) -> Self {
        let (class, label) = match &test.verdict {
            Verdict::Passed if test.is_flaky() => ("flaky", "FLAKY"),
            Verdict::Passed if test.is_carried() => ("carried", "CARRIED"),
            Verdict::Passed => ("passed", "PASS"),
            Verdict::Skipped { .. } => ("skipped", "SKIP"),
            Verdict::Failed(cause) => ("failed", cause.kind.label()),
        };
        Self { class, label }
    }

    pub(super) fn failed(kind: CauseKind) -> Self {
        Self {
            class: "failed",
            label: kind.label(),
        }
    }
}

/// Text on one line, with what cannot be seen made visible.
pub(super) fn visible(text: &str) -> String {
    Untrusted::default().inline(text)
}
