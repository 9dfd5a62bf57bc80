//! Evidence that exactly one image passed its tests: an in-toto statement with a test-result predicate.
//!
//! Written for a complete passing run only, read by the gate before a push. The statement's form is that of
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::reference::{Digest, TestId};
use crate::state::{self, FileError};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// A statement about one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: TestResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: Sha256,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sha256 {
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    result: String,
    passed_tests: Vec<TestId>,
    url: String,
}

impl Statement {
    /// The statement that the image `id`, called `name`, passed `tests` in the run `run`.
    #[must_use]
    pub fn passed(name: &str, id: &Digest, run: &str, tests: Vec<TestId>) -> Self {
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![Subject {
                name: name.to_owned(),
                digest: Sha256 { sha256: hex(id) },
            }],
            predicate_type: TEST_RESULT.to_owned(),
            predicate: TestResult {
                result: "PASSED".to_owned(),
                passed_tests: tests,
                url: format!("runs/{run}"),
            },
        }
    }

    /// Whether this says that the image `id` passed, by at least one test.
    #[must_use]
    pub fn covers(&self, id: &Digest) -> bool {
        self.kind == STATEMENT
            && self.predicate_type == TEST_RESULT
            && self.predicate.result == "PASSED"
            && !self.predicate.passed_tests.is_empty()
            && self.subject.iter().any(|subject| subject.digest.sha256 == hex(id))
    }

    /// The run that the statement rests on.
    #[must_use]
    pub fn run(&self) -> &str {
        self.predicate.url.trim_start_matches("runs/")
    }

    /// Reads the statement at `path`; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, FileError> {
        state::read(path)
    }

    /// Writes the statement to `path`.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        state::write(path, self)
    }
}

fn hex(id: &Digest) -> String {
    id.as_str().trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_covers_exactly_the_image_that_was_tested() {
        let (tested, other) = (Digest::of(b"tested"), Digest::of(b"other"));
        let statement = Statement::passed("floe/m", &tested, "run", vec![TestId::script("m")]);
        assert!(statement.covers(&tested));
        assert!(!statement.covers(&other));
        assert_eq!(statement.run(), "run");
    }

    #[test]
    fn evidence_of_nothing_covers_nothing() {
        let id = Digest::of(b"x");
        assert!(!Statement::passed("floe/m", &id, "run", Vec::new()).covers(&id));
        let mut failed = Statement::passed("floe/m", &id, "run", vec![TestId::script("m")]);
        failed.predicate.result = "FAILED".to_owned();
        assert!(!failed.covers(&id));
    }
}
