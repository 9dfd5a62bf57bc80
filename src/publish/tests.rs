//! Pushes that happen, and those that do not.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::watch;

use super::*;
use crate::engine::EngineError;
use crate::engine::fake::Fake;
use crate::event::{Memory, TestFinished, Verdict};
use crate::fault::Trouble;
use crate::layers::{Compression, Packing, Shelf};
use crate::reference::{ImageReference, TestId};
use crate::registry::{Artifact, Assembled, Attached, Blob, Layers, Manifest, Referrer, Registry, RegistryError};

/// A registry that answers what it was told to, once for each call, and to what is attached with this trouble.
struct Answers(Mutex<Vec<Option<Manifest>>>, Option<Trouble>);

#[async_trait]
impl Registry for Answers {
    async fn manifest(&self, _: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        Ok(self.0.lock().unwrap().remove(0))
    }

    async fn tag(&self, _: &ImageReference, _: &str) -> Result<Option<Digest>, RegistryError> {
        unreachable!("no tag of one's own was asked for")
    }

    async fn copy(&self, _: &ImageReference, _: &ImageTag) -> Result<Digest, RegistryError> {
        unreachable!("a push copies nothing")
    }

    async fn referrers(&self, _: &ImageReference, _: Option<&str>) -> Result<Vec<Referrer>, RegistryError> {
        Ok(Vec::new())
    }

    async fn attach(&self, image: &ImageReference, artifact: &Artifact) -> Result<Attached, RegistryError> {
        if let Some(trouble) = self.1 {
            return Err(RegistryError {
                image: image.to_string(),
                reason: "manifest invalid".to_owned(),
                trouble,
            });
        }
        Ok(Attached {
            digest: Digest::of(&artifact.layers[0].bytes),
            sent: true,
        })
    }

    async fn put(&self, _: &ImageReference, _: &Artifact) -> Result<Digest, RegistryError> {
        unreachable!("a push puts nothing")
    }

    async fn artifact(&self, _: &ImageReference) -> Result<Option<Artifact>, RegistryError> {
        unreachable!("a push reads no artifact")
    }
}

#[async_trait]
impl Layers for Answers {
    async fn has(&self, _: &ImageReference, _: &Digest) -> Result<bool, RegistryError> {
        Ok(false)
    }

    async fn mount(&self, _: &ImageReference, _: &Digest, _: &str) -> Result<bool, RegistryError> {
        unreachable!("the engine pushes")
    }

    async fn send(&self, _: &ImageReference, _: &Blob, _: &watch::Sender<u64>) -> Result<(), RegistryError> {
        unreachable!("the engine pushes")
    }

    async fn assemble(&self, _: &ImageReference, _: &Assembled) -> Result<Digest, RegistryError> {
        unreachable!("the engine pushes")
    }
}

struct Case {
    engine: Fake,
    state: State,
    id: Digest,
    /// The tests that there are now.
    expected: Vec<TestId>,
    _directory: tempfile::TempDir,
}

fn passed(id: &Digest, definitions: &[u8]) -> Statement {
    let test = TestFinished::new(TestId::script("m"), Verdict::Passed);
    Statement::of("floe/m", id, "run", &Digest::of(definitions), &[test])
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = Fake::new();
        let id = engine.add_image("floe/m:1", BTreeMap::new());
        Self {
            state: State::of(directory.path()),
            engine,
            id,
            expected: vec![TestId::script("m")],
            _directory: directory,
        }
    }

    fn tested(self) -> Self {
        self.tested_by(b"definitions")
    }

    /// Writes evidence that rests on these definitions.
    fn tested_by(self, definitions: &[u8]) -> Self {
        let statement = passed(&self.id, definitions);
        statement.write(&self.state.evidence(&self.id)).unwrap();
        self
    }

    async fn publish(&self, answers: Vec<Option<Manifest>>) -> Result<Published, PublishError> {
        self.publish_to(Answers(Mutex::new(answers), None)).await
    }

    async fn publish_to(&self, registry: Answers) -> Result<Published, PublishError> {
        let request = Request {
            role: &Role::Mission("m".parse().unwrap()),
            id: &self.id,
            demand: &Demand {
                definitions: Digest::of(b"definitions"),
                tests: self.expected.clone(),
            },
            target: ImageTag {
                repository: "r.example/m".to_owned(),
                tag: "1".to_owned(),
            },
            tags: &[],
            credentials: None,
            sbom: Some(b"{}"),
            key: None,
            agent: Path::new("/nowhere/floe"),
            packing: Some(&Packing {
                compression: Compression::Gzip,
                shelf: Shelf::at(self.state.layers()),
            }),
            pauses: &[Duration::ZERO],
        };
        publish(request, &self.engine, &registry, &self.state, &Memory::default()).await
    }

    fn pushed(&self) -> bool {
        self.engine.calls().iter().any(|call| call.starts_with("push "))
    }

    /// What the registry holds after a push of the image with ID `config`.
    fn arrived(&self, config: &Digest) -> Manifest {
        Manifest {
            digest: Digest::of(format!("the manifest of {}", self.id).as_bytes()),
            config: config.clone(),
            size: 0,
        }
    }
}

#[tokio::test]
async fn an_image_without_evidence_is_refused_before_anything_is_sent() {
    let case = Case::new();
    let refused = case.publish(Vec::new()).await;
    assert!(matches!(refused, Err(PublishError::Untested { .. })));
    assert!(!case.pushed());
}

#[tokio::test]
async fn evidence_for_another_image_does_not_count() {
    let case = Case::new();
    let other = passed(&Digest::of(b"other"), b"definitions");
    other.write(&case.state.evidence(&case.id)).unwrap();
    let refused = case.publish(Vec::new()).await;
    assert!(matches!(refused, Err(PublishError::Untested { .. })));
}

#[tokio::test]
async fn evidence_for_other_tests_than_there_are_now_is_refused() {
    let case = Case::new().tested_by(b"earlier definitions");
    let refused = case.publish(Vec::new()).await;
    assert!(matches!(refused, Err(PublishError::Redefined { .. })));
    assert!(!case.pushed());
}

#[tokio::test]
async fn evidence_of_a_run_without_tests_that_are_expected_now_is_refused() {
    let mut case = Case::new().tested();
    case.expected.push(TestId::server("m", "api"));
    let refused = case.publish(Vec::new()).await.unwrap_err();
    assert!(
        refused.to_string().ends_with("was tested without m::server::api"),
        "{refused}"
    );
    assert!(!case.pushed());
}

#[tokio::test]
async fn a_tag_that_moved_between_test_and_push_changes_nothing() {
    let case = Case::new().tested();
    let tag = "floe/m:1".to_owned();
    let (repository, tag) = tag.split_once(':').unwrap();
    let moved = case
        .engine
        .add_image("floe/other:1", BTreeMap::from([("other".to_owned(), String::new())]));
    let tag = ImageTag {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
    };
    case.engine.tag(&moved, &tag).await.unwrap();
    let good = case.arrived(&case.id);
    assert!(case.publish(vec![None, Some(good)]).await.unwrap().sent);
    let tested = format!("tag {} as r.example/m:1", case.id.short());
    assert!(
        case.engine.calls().contains(&tested),
        "what was tested is what was pushed"
    );
}

#[tokio::test]
async fn a_registry_that_refuses_after_a_pass_costs_no_evidence() {
    let case = Case::new().tested();
    let refusal = EngineError::Transfer {
        action: "push r.example/m:1".to_owned(),
        reason: "denied: requested access to the resource is denied".to_owned(),
        trouble: Trouble::Denied,
    };
    case.engine.script_failure("push", refusal);
    let refused = case.publish(vec![None]).await;
    assert!(matches!(refused, Err(PublishError::Engine(_))));
    let good = case.arrived(&case.id);
    assert!(
        case.publish(vec![None, Some(good)]).await.unwrap().sent,
        "it is not tested again"
    );
}

#[tokio::test]
async fn a_push_that_broke_is_tried_again_and_one_that_was_refused_is_not() {
    let failure = |trouble| EngineError::Transfer {
        action: "push r.example/m:1".to_owned(),
        reason: "no".to_owned(),
        trouble,
    };
    for (trouble, pushes) in [(Trouble::Lost, 2), (Trouble::Denied, 1)] {
        let case = Case::new().tested();
        case.engine.script_failure("push", failure(trouble));
        let good = case.arrived(&case.id);
        let published = case.publish(vec![None, Some(good)]).await;
        assert_eq!(published.is_ok(), pushes == 2);
        let calls = case.engine.calls();
        assert_eq!(calls.iter().filter(|call| call.starts_with("push ")).count(), pushes);
    }
}

#[tokio::test]
async fn a_registry_that_takes_no_evidence_keeps_no_image_from_being_pushed_and_one_that_fails_does() {
    let case = Case::new().tested();
    let held = || Mutex::new(vec![Some(case.arrived(&case.id))]);
    let published = case.publish_to(Answers(held(), Some(Trouble::Refusal))).await.unwrap();
    assert_eq!(published.attached, 0);
    let failed = case
        .publish_to(Answers(held(), Some(Trouble::Broken)))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), Kind::Temporary, "{failed}");
    let published = case.publish_to(Answers(held(), None)).await.unwrap();
    assert_eq!((published.attached, published.sent), (2, false));
}

#[tokio::test]
async fn what_the_registry_holds_already_is_not_sent_again() {
    let case = Case::new().tested();
    let held = case.arrived(&case.id);
    let published = case.publish(vec![Some(held)]).await.unwrap();
    assert!(!published.sent && !case.pushed());
}

#[tokio::test]
async fn a_pushed_tag_never_moves() {
    let case = Case::new().tested();
    let other = case.arrived(&Digest::of(b"other"));
    let refused = case.publish(vec![Some(other)]).await;
    assert!(matches!(refused, Err(PublishError::Taken { .. })));
    assert!(!case.pushed());
}

#[tokio::test]
async fn what_arrived_must_be_what_was_tested() {
    let case = Case::new().tested();
    let good = case.arrived(&case.id);
    assert!(case.publish(vec![None, Some(good)]).await.unwrap().sent);
    let other = case.arrived(&Digest::of(b"other"));
    let refused = case.publish(vec![None, Some(other)]).await;
    assert!(matches!(refused, Err(PublishError::Mismatch { .. })));
}
