//! What is attached, what is believed, and why something is not.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::dsse::SigningKey;
use crate::event::{Cause, CauseKind, TestFinished, Verdict};
use crate::fault::{Explained as _, Kind};
use crate::reference::{ImageTag, TestId};
use crate::registry::{Attached, Manifest, Referrer};

/// A registry in memory, of one repository.
#[derive(Default)]
struct Held {
    artifacts: Mutex<BTreeMap<String, Artifact>>,
    referrers: Mutex<Vec<Referrer>>,
    /// What it answers to all that is asked for.
    trouble: Option<Trouble>,
}

impl Held {
    fn answer(&self, image: &ImageReference) -> Result<(), RegistryError> {
        let Some(trouble) = self.trouble else { return Ok(()) };
        Err(RegistryError {
            image: image.to_string(),
            reason: "no".to_owned(),
            trouble,
        })
    }

    fn key(image: &ImageReference) -> String {
        image
            .digest()
            .map_or_else(|| image.tag().unwrap_or_default().to_owned(), String::from)
    }
}

#[async_trait]
impl Registry for Held {
    async fn manifest(&self, image: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        self.answer(image)?;
        Ok((image.tag() == Some("1")).then(|| Manifest {
            digest: pushed(),
            config: id(),
            size: 0,
        }))
    }

    async fn tag(&self, _: &ImageReference, _: &str) -> Result<Option<Digest>, RegistryError> {
        unreachable!("evidence gives no tag to an image")
    }

    async fn copy(&self, _: &ImageReference, _: &ImageTag) -> Result<Digest, RegistryError> {
        unreachable!("evidence copies no image")
    }

    async fn referrers(&self, image: &ImageReference, _: Option<&str>) -> Result<Vec<Referrer>, RegistryError> {
        self.answer(image)?;
        Ok(self.referrers.lock().unwrap().clone())
    }

    async fn attach(&self, image: &ImageReference, artifact: &Artifact) -> Result<Attached, RegistryError> {
        self.answer(image)?;
        let digest = Digest::of(format!("{artifact:?}").as_bytes());
        let before = self
            .artifacts
            .lock()
            .unwrap()
            .insert(digest.to_string(), artifact.clone());
        if before.is_none() {
            self.referrers.lock().unwrap().push(Referrer {
                digest: digest.clone(),
                artifact_type: artifact.artifact_type.clone(),
            });
        }
        Ok(Attached {
            digest,
            sent: before.is_none(),
        })
    }

    async fn put(&self, target: &ImageReference, artifact: &Artifact) -> Result<Digest, RegistryError> {
        self.artifacts
            .lock()
            .unwrap()
            .insert(Self::key(target), artifact.clone());
        Ok(Digest::of(b"put"))
    }

    async fn artifact(&self, image: &ImageReference) -> Result<Option<Artifact>, RegistryError> {
        self.answer(image)?;
        Ok(self.artifacts.lock().unwrap().get(&Self::key(image)).cloned())
    }
}

fn id() -> Digest {
    Digest::of(b"configuration")
}

fn pushed() -> Digest {
    Digest::of(b"manifest")
}

fn image() -> ImageReference {
    format!("r.example/m@{}", pushed()).parse().unwrap()
}

fn of(manifest: &Digest, verdict: Verdict) -> Statement {
    let test = TestFinished::new(TestId::script("m"), verdict);
    Statement::of("floe/m", &id(), "run", &Digest::of(b"definitions"), &[test]).pushed_as("r.example/m", manifest)
}

fn passed() -> Statement {
    of(&pushed(), Verdict::Passed)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::of_seed(seed)
}

fn requiring(key: &SigningKey) -> Keys {
    Keys {
        verify: Some(key.public()),
    }
}

async fn attached(registry: &Held, statement: &Statement, key: Option<&SigningKey>) -> usize {
    let evidence = Evidence {
        statement: Some(statement),
        sbom: Some(b"{}"),
        key,
    };
    attach(registry, &image(), &evidence).await.unwrap()
}

/// The reason why there is no proof, which is a refusal with a way out.
async fn refused(registry: &Held, keys: &Keys) -> ProofError {
    let error = proof(registry, &image(), keys).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.hint().is_some(), "{error}");
    error
}

#[tokio::test]
async fn what_was_attached_is_proof_of_exactly_that_digest_and_is_attached_once() {
    for key in [None, Some(key(1))] {
        let registry = Held::default();
        let first = attached(&registry, &passed(), key.as_ref()).await;
        assert_eq!(first, if key.is_some() { 4 } else { 2 });
        assert_eq!(attached(&registry, &passed(), key.as_ref()).await, 0);
        let keys = key.as_ref().map(requiring).unwrap_or_default();
        let found = proof(&registry, &image(), &keys).await.unwrap();
        assert_eq!((found.statement, found.digest), (passed(), pushed()));
        assert_eq!(found.signer, key.as_ref().map(|key| key.public().fingerprint()));
        let by_tag = "r.example/m:1".parse().unwrap();
        assert_eq!(proof(&registry, &by_tag, &keys).await.unwrap().digest, pushed());
    }
}

#[tokio::test]
async fn each_lack_of_a_proof_has_its_own_reason() {
    let (none, ours, theirs) = (Keys::default(), key(1), key(2));
    let registry = Held::default();
    assert!(matches!(refused(&registry, &none).await, ProofError::Missing { .. }));
    attached(&registry, &of(&Digest::of(b"other"), Verdict::Passed), None).await;
    assert!(matches!(
        refused(&registry, &none).await,
        ProofError::OtherDigest { .. }
    ));
    let failed = Verdict::Failed(Cause::new(CauseKind::Error, "no"));
    attached(&registry, &of(&pushed(), failed), None).await;
    assert!(matches!(refused(&registry, &none).await, ProofError::Failed { .. }));
    let unsigned = refused(&registry, &requiring(&ours)).await;
    assert!(matches!(unsigned, ProofError::Unsigned { .. }));
    attached(&registry, &passed(), Some(&theirs)).await;
    let other = refused(&registry, &requiring(&ours)).await;
    assert!(matches!(other, ProofError::OtherSigner { .. }));
    attached(&registry, &passed(), Some(&ours)).await;
    assert!(proof(&registry, &image(), &requiring(&ours)).await.is_ok());
    let absent = "r.example/m:2".parse().unwrap();
    let absent = proof(&registry, &absent, &none).await.unwrap_err();
    assert!(matches!(absent, ProofError::Absent { .. }));
}

#[tokio::test]
async fn a_registry_that_does_not_answer_refuses_nothing() {
    let registry = Held {
        trouble: Some(Trouble::Broken),
        ..Held::default()
    };
    let error = proof(&registry, &image(), &Keys::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Temporary, "{error}");
}

#[tokio::test]
async fn attestations_of_others_stay_where_one_is_added() {
    let registry = Held::default();
    attached(&registry, &passed(), Some(&key(1))).await;
    attached(&registry, &passed(), Some(&key(2))).await;
    let kept = registry
        .artifact(&attestations(&image(), &pushed()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.layers.len(), 4, "a statement and a bill of each");
    // Whoever knows cosign's place alone finds both.
    registry.referrers.lock().unwrap().clear();
    for seed in [1, 2] {
        assert!(proof(&registry, &image(), &requiring(&key(seed))).await.is_ok());
    }
}

#[tokio::test]
async fn where_a_key_is_required_a_bill_counts_that_it_signed_and_no_other() {
    let registry = Held::default();
    attached(&registry, &passed(), None).await;
    let bill_for = async |keys: &Keys| bill(&registry, &image(), keys).await.unwrap();
    assert_eq!(bill_for(&Keys::default()).await.as_deref(), Some(&b"{}"[..]));
    assert_eq!(bill_for(&requiring(&key(1))).await, None);
    attached(&registry, &passed(), Some(&key(1))).await;
    assert_eq!(bill_for(&requiring(&key(1))).await.as_deref(), Some(&b"{}"[..]));
    assert_eq!(bill_for(&requiring(&key(2))).await, None);
    // Not even in the name of the same image, if it is about another one.
    let other = image().beside(&format!("@{}", Digest::of(b"other")));
    assert_eq!(bill(&registry, &other, &requiring(&key(1))).await.unwrap(), None);
}
