//! A registry beyond a push: more tags for an image, copies of it, and what refers to it.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use floe::engine::Directions;
use floe::event::Memory;
use floe::fault::{Explained as _, Kind};
use floe::reference::{Digest, ImageReference, ImageTag};
use floe::registry::{Registry as _, Remote};
use world::{Ended, LocalRegistry};

use crate::docker::bench::Bench;
use crate::site::Site;

#[test]
fn an_authority_that_floe_or_the_engine_does_not_know_is_named_as_whose_lack_it_is() {
    // The address by which this machine is known to others: engines take certificates of local ones as they come.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").unwrap();
    let host = socket.local_addr().unwrap().ip().to_string();
    let files = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed([host.clone()]).unwrap();
    let file = |name: &str, text: String| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let ca = file("ca.pem", certificate.cert.pem());
    let key = file("key.pem", certificate.signing_key.serialize_pem());
    let another = rcgen::generate_simple_self_signed([host.clone()]).unwrap();
    let another = file("another.pem", another.cert.pem());
    let registry = LocalRegistry::secured(&host, &ca, &key);
    let site = Site::new("true");
    let address = format!("{host}:{}/hub", registry.port());
    let trusting = |authority: &Path, words: &[&str]| {
        let mut command = site.prepared(words);
        Ended::of(command.env("SITE_CA", authority).output().unwrap())
    };
    trusting(&another, &["test", "tiny"]).expect(0);
    let push = |authority: &Path, compression: &str| {
        let mut push = site.prepared(&["push", "tiny", "--registry", &address]);
        push.env("SITE_CA", authority).env("LAYER_COMPRESSION", compression);
        Ended::of(push.output().unwrap())
    };
    let floes = push(&another, "gzip").expect(75);
    let floes = floes.says(&["invalid peer certificate", "SITE_CA"]);
    let engines = push(&ca, "engine").expect(75);
    let engines = engines.says(&["the engine itself does not know", "/etc/docker/certs.d"]);
    push(&ca, "gzip").expect(0);
    for said in [floes.stderr, engines.stderr] {
        assert!(!said.contains("docker login"), "{said}");
    }
}

/// A registry with one image, which is in `staging/m`.
pub struct Case {
    registry: LocalRegistry,
    pub remote: Remote,
    digest: Digest,
}

impl Case {
    pub async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (bench, registry) = (Bench::new().await, LocalRegistry::start());
        let id = bench.docker.image(&bench.base.to_string()).await.unwrap().unwrap().id;
        let tag = tag(&registry, "staging/m", "1");
        bench.docker.tag(&id, &tag).await.unwrap();
        let digest = bench.docker.push(&tag, None, &Memory::default()).await.unwrap();
        let host = tag.reference().registry();
        let remote = Remote::new(&host, None, None).unwrap();
        Self {
            registry,
            remote,
            digest,
        }
    }

    /// The image by its digest.
    pub fn image(&self) -> ImageReference {
        let repository = self.registry.address("staging/m");
        format!("{repository}@{}", self.digest).parse().unwrap()
    }

    /// The digest of what a tag names.
    async fn digest_of(&self, repository: &str, tag_name: &str) -> Option<Digest> {
        let reference = tag(&self.registry, repository, tag_name).reference();
        self.remote
            .manifest(&reference)
            .await
            .unwrap()
            .map(|found| found.digest)
    }
}

fn tag(registry: &LocalRegistry, repository: &str, tag: &str) -> ImageTag {
    ImageTag {
        repository: registry.address(repository),
        tag: tag.to_owned(),
    }
}

#[tokio::test]
async fn one_more_tag_names_the_same_digest() {
    let case = Case::new().await;
    assert_eq!(case.digest_of("staging/m", "tested").await, None);
    let before = case.remote.tag(&case.image(), "tested").await.unwrap();
    assert_eq!(before, None, "it named nothing before");
    assert_eq!(case.digest_of("staging/m", "tested").await, Some(case.digest));
}

#[tokio::test]
async fn a_copy_in_another_repository_has_the_same_digest_and_is_whole() {
    let case = Case::new().await;
    let target = tag(&case.registry, "production/m", "1");
    for _ in 0..2 {
        let copied = case.remote.copy(&case.image(), &target).await.unwrap();
        assert_eq!(copied, case.digest);
    }
    assert_eq!(case.digest_of("production/m", "1").await, Some(case.digest.clone()));
    // A registry takes no manifest whose blobs it does not have, and what was copied is what an engine pulls.
    let engine = floe::engine::connect(&Directions::default()).await.unwrap();
    let pulled = engine
        .pull(&target.reference(), None, &Memory::default())
        .await
        .unwrap();
    let held = case.remote.manifest(&target.reference()).await.unwrap().unwrap();
    assert!(held.is(&pulled.id), "{held:?} is not {}", pulled.id);
}

#[tokio::test]
async fn a_copy_of_what_is_not_there_is_refused() {
    let case = Case::new().await;
    let missing = tag(&case.registry, "staging/m", "nosuch").reference();
    let refused = case
        .remote
        .copy(&missing, &tag(&case.registry, "production/m", "1"))
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("nosuch"), "{error}");
}

#[tokio::test]
async fn what_refers_to_an_image_is_found_without_the_registrys_help() {
    let case = Case::new().await;
    assert!(case.remote.referrers(&case.image(), None).await.unwrap().is_empty());
    // The tag by which registries without an API for referrers keep them.
    let fallback = case.digest.as_str().replace(':', "-");
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": case.digest,
            "size": case.registry.size("staging/m", case.digest.as_str()),
            "artifactType": "application/vnd.in-toto+json",
        }],
    });
    case.registry.put("staging/m", &fallback, &index);
    let found = case.remote.referrers(&case.image(), None).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].digest, case.digest);
    assert_eq!(found[0].artifact_type.as_deref(), Some("application/vnd.in-toto+json"));
    let others = case
        .remote
        .referrers(&case.image(), Some("application/spdx+json"))
        .await;
    assert!(others.unwrap().is_empty());
}
