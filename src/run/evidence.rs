//! Evidence that exactly one image passed its tests: an in-toto statement with a test-result predicate.
//!
//! Written for a complete passing run only, read by the gate before a push. The statement's form is that of
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>.
//!
//! A manifest's digest is not known before a push, so evidence is bound to the image ID (the digest of the
//! configuration), and after a push the registry's manifest must name that configuration. What is attached to it there
//! names the manifest, too, which is all that another machine knows of the image.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{TestFinished, Verdict};
use crate::reference::{Digest, TestId};
use crate::state::{self, FileError};

/// The name of the test definitions among a statement's configuration.
const DEFINITIONS: &str = "test-definitions";

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// What other tools still write, cosign 2.5 among them.
const EARLIER_STATEMENT: &str = "https://in-toto.io/Statement/v0.1";

/// What a statement of test results says that it is.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// The media type of a statement.
pub const STATEMENT_MEDIA_TYPE: &str = "application/vnd.in-toto+json";

/// A statement about one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    predicate_type: String,
    predicate: TestResult,
}

/// What the specification calls a resource descriptor: a name, and the digest of what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Resource {
    #[serde(default)]
    name: String,
    digest: Sha256,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sha256 {
    /// Empty where what is described is known by another digest.
    #[serde(default)]
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    result: String,
    #[serde(default)]
    configuration: Vec<Resource>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    passed_tests: Vec<TestId>,
    /// Those that passed only after they had failed.
    #[serde(default)]
    warned_tests: Vec<TestId>,
    #[serde(default)]
    failed_tests: Vec<TestId>,
    /// Which of those that passed did so in earlier runs and were not run again. The specification knows no such field, and has
    /// readers pass over what they do not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    carried: Vec<CarriedTests>,
}

/// Tests that passed in an earlier run, of another image that is the same to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CarriedTests {
    url: String,
    at: Timestamp,
    tests: Vec<TestId>,
}

/// What an image must have passed to be pushed, as its mission's files say it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The digest of the files that define the tests.
    pub definitions: Digest,
    /// The tests, without those that the files skip.
    pub tests: Vec<TestId>,
}

impl Statement {
    /// The statement that the image `id`, called `name`, passed the tests that `definitions` is the digest of, in the
    /// run `run`, of which `tests` came. A flaky test passed, and is named as one that gave a warning.
    #[must_use]
    pub fn of(name: &str, id: &Digest, run: &str, definitions: &Digest, tests: &[TestFinished]) -> Self {
        let of = |wanted: fn(&TestFinished) -> bool| {
            let tests = tests.iter().filter(|test| wanted(test));
            tests.map(|test| test.id.clone()).collect::<Vec<_>>()
        };
        let (warned, failed) = (
            of(TestFinished::is_flaky),
            of(|test| matches!(test.verdict, Verdict::Failed(_))),
        );
        let result = match (failed.is_empty(), warned.is_empty()) {
            (false, _) => "FAILED",
            (true, false) => "WARNED",
            (true, true) => "PASSED",
        };
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![Resource {
                name: name.to_owned(),
                digest: Sha256 {
                    sha256: id.hex().to_owned(),
                },
            }],
            predicate_type: TEST_RESULT.to_owned(),
            predicate: TestResult {
                result: result.to_owned(),
                configuration: vec![Resource {
                    name: DEFINITIONS.to_owned(),
                    digest: Sha256 {
                        sha256: definitions.hex().to_owned(),
                    },
                }],
                url: format!("runs/{run}"),
                passed_tests: of(|test| test.verdict == Verdict::Passed && !test.is_flaky()),
                warned_tests: warned,
                failed_tests: failed,
                carried: carried(tests),
            },
        }
    }

    /// The same of the image as a registry has it, too: by the digest of its manifest, called `name` there.
    #[must_use]
    pub fn pushed_as(mut self, name: &str, manifest: &Digest) -> Self {
        let manifest = Resource {
            name: name.to_owned(),
            digest: Sha256 {
                sha256: manifest.hex().to_owned(),
            },
        };
        self.subject.retain(|subject| subject.digest != manifest.digest);
        self.subject.insert(0, manifest);
        self
    }

    /// Whether this says that the image `id` passed, by at least one test.
    #[must_use]
    pub fn covers(&self, id: &Digest) -> bool {
        self.is_of(id) && self.passed()
    }

    /// Whether this is about the image `id`, by the digest of its configuration or of its manifest.
    #[must_use]
    pub fn is_of(&self, id: &Digest) -> bool {
        self.subject.iter().any(|subject| subject.digest.sha256 == id.hex())
    }

    /// Whether this is about test results at all.
    #[must_use]
    pub fn is_of_tests(&self) -> bool {
        [STATEMENT, EARLIER_STATEMENT].contains(&self.kind.as_str()) && self.predicate_type == TEST_RESULT
    }

    /// Whether this says that all tests passed, at least one of them.
    #[must_use]
    pub fn passed(&self) -> bool {
        let TestResult {
            result,
            passed_tests,
            warned_tests,
            failed_tests,
            ..
        } = &self.predicate;
        self.is_of_tests()
            && matches!(result.as_str(), "PASSED" | "WARNED")
            && failed_tests.is_empty()
            && !(passed_tests.is_empty() && warned_tests.is_empty())
    }

    /// The tests that passed, flaky ones too.
    pub fn tests(&self) -> impl Iterator<Item = &TestId> {
        self.predicate.passed_tests.iter().chain(&self.predicate.warned_tests)
    }

    /// How many of them passed in an earlier run and were not run again.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.predicate.carried.iter().map(|earlier| earlier.tests.len()).sum()
    }

    /// The tests that failed.
    #[must_use]
    pub fn failed_tests(&self) -> &[TestId] {
        &self.predicate.failed_tests
    }

    /// What this is about, by digest, for people.
    pub fn subjects(&self) -> impl Iterator<Item = String> {
        self.subject
            .iter()
            .map(|subject| format!("sha256:{}", subject.digest.sha256))
    }

    /// Whether the tests were those that `definitions` is the digest of.
    #[must_use]
    pub fn rests_on(&self, definitions: &Digest) -> bool {
        let mut configuration = self.predicate.configuration.iter();
        configuration.any(|part| part.name == DEFINITIONS && part.digest.sha256 == definitions.hex())
    }

    /// Those of `tests` that the statement does not say to have passed.
    #[must_use]
    pub fn lacks(&self, tests: &[TestId]) -> Vec<TestId> {
        let TestResult {
            passed_tests,
            warned_tests,
            ..
        } = &self.predicate;
        let passed = passed_tests.iter().chain(warned_tests).collect::<BTreeSet<_>>();
        tests.iter().filter(|test| !passed.contains(test)).cloned().collect()
    }

    /// The run that the statement rests on.
    #[must_use]
    pub fn run(&self) -> &str {
        self.predicate.url.trim_start_matches("runs/")
    }

    /// The statement as it is attached to images; the same one gives the same bytes.
    ///
    /// # Panics
    ///
    /// Never: it consists of strings.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings are JSON")
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

/// The tests that were carried, by the run that they passed in.
fn carried(tests: &[TestFinished]) -> Vec<CarriedTests> {
    let mut runs = Vec::<CarriedTests>::new();
    for (test, earlier) in tests
        .iter()
        .filter(|test| test.is_carried())
        .filter_map(|test| Some((test, test.carried.as_ref()?)))
    {
        let url = format!("runs/{}", earlier.run);
        match runs.iter_mut().find(|run| run.url == url) {
            Some(run) => run.tests.push(test.id.clone()),
            None => runs.push(CarriedTests {
                url,
                at: earlier.at,
                tests: vec![test.id.clone()],
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Carried, Cause, CauseKind};

    fn ended(attempt: u32, verdict: Verdict) -> TestFinished {
        TestFinished {
            attempt,
            ..TestFinished::new(TestId::import("m", &format!("x{attempt}")), verdict)
        }
    }

    fn statement(id: &Digest, tests: &[TestFinished]) -> Statement {
        Statement::of("floe/m", id, "run", &Digest::of(b"definitions"), tests)
    }

    #[test]
    fn evidence_covers_exactly_the_image_and_the_definitions_that_were_tested() {
        let (tested, other) = (Digest::of(b"tested"), Digest::of(b"other"));
        let statement = statement(&tested, &[ended(1, Verdict::Passed)]);
        assert!(statement.covers(&tested));
        assert!(!statement.covers(&other));
        assert!(statement.rests_on(&Digest::of(b"definitions")));
        assert!(!statement.rests_on(&other));
        assert_eq!(statement.run(), "run");
    }

    #[test]
    fn what_was_pushed_is_named_by_its_manifest_first_and_only_once() {
        let (id, manifest) = (Digest::of(b"id"), Digest::of(b"manifest"));
        let pushed = statement(&id, &[ended(1, Verdict::Passed)]).pushed_as("r.example/m", &manifest);
        assert!(pushed.covers(&id) && pushed.covers(&manifest));
        assert_eq!(pushed.subjects().collect::<Vec<_>>(), [manifest.as_str(), id.as_str()]);
        assert_eq!(pushed.clone().pushed_as("r.example/m", &manifest), pushed);
    }

    #[test]
    fn evidence_of_nothing_or_of_a_failure_covers_nothing() {
        let id = Digest::of(b"x");
        let skipped = Verdict::Skipped { reason: String::new() };
        let failed = Verdict::Failed(Cause::new(CauseKind::Error, "no"));
        for tests in [
            vec![],
            vec![ended(1, skipped)],
            vec![ended(1, Verdict::Passed), ended(2, failed)],
        ] {
            assert!(!statement(&id, &tests).covers(&id), "{tests:?}");
        }
    }

    #[test]
    fn a_flaky_test_passed_and_is_named_with_a_warning() {
        let id = Digest::of(b"x");
        let statement = statement(&id, &[ended(1, Verdict::Passed), ended(2, Verdict::Passed)]);
        assert!(statement.covers(&id));
        let json = serde_json::to_value(&statement).unwrap();
        assert_eq!(json["predicate"]["result"], "WARNED");
        assert_eq!(json["predicate"]["passedTests"], serde_json::json!(["m::imports::x1"]));
        assert_eq!(json["predicate"]["warnedTests"], serde_json::json!(["m::imports::x2"]));
    }

    #[test]
    fn what_was_carried_passed_and_is_named_with_the_run_that_it_passed_in() {
        let id = Digest::of(b"x");
        let carried = TestFinished {
            carried: Some(Carried {
                run: "earlier".to_owned(),
                at: Timestamp::UNIX_EPOCH,
            }),
            ..TestFinished::new(TestId::import("e", "y"), Verdict::Passed)
        };
        let statement = statement(&id, &[ended(1, Verdict::Passed), carried]);
        assert!(statement.covers(&id));
        assert_eq!((statement.tests().count(), statement.carried()), (2, 1));
        let json = serde_json::to_value(&statement).unwrap();
        let told = serde_json::json!([{
            "url": "runs/earlier", "at": "1970-01-01T00:00:00Z", "tests": ["e::imports::y"],
        }]);
        assert_eq!(json["predicate"]["carried"], told);
        assert_eq!(serde_json::from_value::<Statement>(json).unwrap(), statement);
    }

    #[test]
    fn evidence_of_an_earlier_floe_without_definitions_rests_on_nothing() {
        let id = Digest::of(b"x");
        let mut json = serde_json::to_value(statement(&id, &[ended(1, Verdict::Passed)])).unwrap();
        json["predicate"].as_object_mut().unwrap().remove("configuration");
        let read: Statement = serde_json::from_value(json).unwrap();
        assert!(read.covers(&id) && !read.rests_on(&Digest::of(b"definitions")));
    }
}
