//! Evidence and the real cosign: each verifies what the other signed.

use std::path::{Path, PathBuf};
use std::process::Command;

use floe::attest::{self, Evidence, Keys, Proof, ProofError};
use floe::dsse::{PublicKey, SigningKey};
use floe::reference::{ImageReference, TestId};
use floe::run::evidence::{Statement, TEST_RESULT};
use world::Ended;

use crate::registry::Case;

const PASSWORD: &str = "a password";

/// The real cosign, and a pair of keys that it made.
struct Cosign {
    program: PathBuf,
    files: tempfile::TempDir,
}

fn statement(image: &ImageReference) -> Statement {
    serde_json::from_value(world::statement(image.digest().unwrap().as_str())).unwrap()
}

impl Cosign {
    fn new() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/cosign");
        let found = Ended::of(Command::new(script).output().unwrap()).expect(0);
        let cosign = Self {
            program: PathBuf::from(found.stdout.trim()),
            files: tempfile::tempdir().unwrap(),
        };
        cosign.run(&["generate-key-pair"]).expect(0);
        cosign
    }

    fn run(&self, words: &[&str]) -> Ended {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(self.files.path())
            .env("COSIGN_PASSWORD", PASSWORD)
            .env("HOME", self.files.path());
        Ended::of(command.output().unwrap())
    }

    fn verify(&self, image: &ImageReference, key: &str) -> Ended {
        self.verify_type(image, key, TEST_RESULT)
    }

    fn verify_type(&self, image: &ImageReference, key: &str, predicate: &str) -> Ended {
        let how = [
            "verify-attestation",
            "--key",
            key,
            "--insecure-ignore-tlog",
            "--type",
            predicate,
        ];
        self.run(&[&how[..], &[image.as_str()]].concat())
    }

    /// Has cosign attach a statement of its own about `image`, with the predicate of floe's.
    fn attest(&self, image: &ImageReference, flags: &[&str]) {
        let statement: serde_json::Value = serde_json::from_slice(&statement(image).to_json()).unwrap();
        std::fs::write(self.files.path().join("predicate"), statement["predicate"].to_string()).unwrap();
        let how = [
            "attest",
            "--tlog-upload=false",
            "--yes",
            "--predicate",
            "predicate",
            "--type",
            TEST_RESULT,
        ];
        self.run(&[&how[..], flags, &["--key", "cosign.key", image.as_str()]].concat())
            .expect(0);
    }

    fn key(&self) -> SigningKey {
        SigningKey::read(&self.files.path().join("cosign.key"), PASSWORD).unwrap()
    }

    fn public(&self) -> PublicKey {
        PublicKey::read(&self.files.path().join("cosign.pub")).unwrap()
    }

    async fn proof(&self, case: &Case) -> Result<Proof, ProofError> {
        let keys = Keys {
            verify: Some(self.public()),
        };
        attest::proof(&case.remote, &case.image(), &keys).await
    }
}

async fn attach(case: &Case, key: &SigningKey) -> usize {
    let evidence = Evidence {
        statement: Some(&statement(&case.image())),
        sbom: None,
        key: Some(key),
    };
    attest::attach(&case.remote, &case.image(), &evidence).await.unwrap()
}

#[tokio::test]
async fn cosign_verifies_what_floe_signed_and_floe_what_cosign_signed() {
    let (cosign, other) = (Cosign::new(), Cosign::new());
    let case = Case::new().await;
    let image = case.image();
    assert_eq!(attach(&case, &cosign.key()).await, 2);
    assert_eq!(attach(&case, &cosign.key()).await, 0, "nothing is attached twice");
    cosign
        .verify(&image, "cosign.pub")
        .expect(0)
        .says(&["The signatures were verified against the specified public key"]);
    let public = other.files.path().join("cosign.pub");
    cosign.verify(&image, public.to_str().unwrap()).expect(1);
    let refused = other.proof(&case).await.unwrap_err();
    assert!(matches!(refused, ProofError::OtherSigner { .. }), "{refused}");
    // What another adds beside it hides nothing, neither from the one nor from the other.
    other.attest(&image, &[]);
    for known in [&cosign, &other] {
        known.verify(&image, "cosign.pub").expect(0);
        let proof = known.proof(&case).await.unwrap();
        assert_eq!(proof.signer, Some(known.public().fingerprint()));
    }
    // Nor does what floe adds to what cosign has written.
    let third = Cosign::new();
    attach(&case, &third.key()).await;
    for known in [&cosign, &other, &third] {
        known.verify(&image, "cosign.pub").expect(0);
    }
}

#[tokio::test]
async fn what_cosign_attached_is_believed_wherever_it_put_it() {
    let cosign = Cosign::new();
    for flags in [&[][..], &["--new-bundle-format"]] {
        let case = Case::new().await;
        let missing = cosign.proof(&case).await.unwrap_err();
        assert!(matches!(missing, ProofError::Missing { .. }), "{missing}");
        cosign.attest(&case.image(), flags);
        let proof = cosign.proof(&case).await.unwrap();
        assert_eq!(proof.digest, case.image().digest().unwrap());
        assert_eq!(proof.statement.tests().collect::<Vec<_>>(), [&TestId::script("m")]);
    }
}

#[tokio::test]
async fn cosign_verifies_the_bill_of_materials_that_floe_signed() {
    let (cosign, other) = (Cosign::new(), Cosign::new());
    let case = Case::new().await;
    let image = case.image();
    let bill = b"{\"spdxVersion\": \"SPDX-2.3\"}";
    let key = cosign.key();
    let evidence = Evidence {
        statement: Some(&statement(&image)),
        sbom: Some(bill),
        key: Some(&key),
    };
    assert_eq!(attest::attach(&case.remote, &image, &evidence).await.unwrap(), 4);
    assert_eq!(attest::attach(&case.remote, &image, &evidence).await.unwrap(), 0);
    let verified = cosign.verify_type(&image, "cosign.pub", "spdxjson").expect(0);
    assert!(verified.stdout.contains("payload"), "{}", verified.stdout);
    cosign.verify(&image, "cosign.pub").expect(0);
    let public = other.files.path().join("cosign.pub");
    cosign
        .verify_type(&image, public.to_str().unwrap(), "spdxjson")
        .expect(1);
    // What cosign attests itself counts as well.
    std::fs::write(other.files.path().join("bill"), bill).unwrap();
    let attest = [
        "attest",
        "--tlog-upload=false",
        "--yes",
        "--predicate",
        "bill",
        "--type",
        "spdxjson",
    ];
    other
        .run(&[&attest[..], &["--key", "cosign.key", image.as_str()]].concat())
        .expect(0);
    for known in [&cosign, &other] {
        let keys = Keys {
            verify: Some(known.public()),
        };
        let found = attest::bill(&case.remote, &image, &keys).await.unwrap().unwrap();
        let read: serde_json::Value = serde_json::from_slice(&found).unwrap();
        assert_eq!(read["spdxVersion"], "SPDX-2.3");
    }
}
