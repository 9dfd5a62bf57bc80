//! Evidence in a real registry: attached once, and found again with and without the registry's help.

use floe::attest::{self, Evidence, Keys};
use floe::reference::ImageReference;
use floe::registry::{Artifact, Attached, Content, Registry as _, Remote};
use floe::run::evidence::Statement;
use world::{LocalRegistry, Proxy};

use crate::artifacts::{pushed, remote, tag};

fn statement(image: &ImageReference) -> Statement {
    serde_json::from_value(world::statement(image.digest().unwrap().as_str())).unwrap()
}

async fn attach(remote: &Remote, image: &ImageReference) -> usize {
    let evidence = Evidence {
        statement: Some(&statement(image)),
        sbom: Some(b"{\"spdxVersion\": \"SPDX-2.3\"}"),
        key: None,
    };
    attest::attach(remote, image, &evidence).await.unwrap()
}

#[tokio::test]
async fn what_is_attached_is_found_again_in_a_registry_that_keeps_lists_and_in_one_that_does_not() {
    let (plain, listing) = (LocalRegistry::start(), Proxy::with_referrers());
    for (address, keeps_lists) in [(plain.address("hub/m"), false), (listing.address("hub/m"), true)] {
        let remote = remote(&address);
        let image = pushed(&remote, &address).await;
        assert_eq!(attach(&remote, &image).await, 2);
        assert_eq!(attach(&remote, &image).await, 0, "nothing is attached twice");
        let found = remote.referrers(&image, Some("application/spdx+json")).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let sbom = image.beside(&format!("@{}", found[0].digest));
        let sbom = remote.artifact(&sbom).await.unwrap().unwrap();
        assert_eq!(&*sbom.layers[0].bytes, b"{\"spdxVersion\": \"SPDX-2.3\"}");
        let proof = attest::proof(&remote, &image, &Keys::default()).await.unwrap();
        assert_eq!(proof.statement, statement(&image));
        // Where the registry keeps the list, no tag stands in its place.
        let list = tag(&address, &image.digest().unwrap().as_str().replace(':', "-"));
        assert_eq!(remote.artifact(&list).await.is_err(), !keeps_lists);
    }
}

#[tokio::test]
async fn what_others_attached_stays_where_floe_attaches_something() {
    let registry = LocalRegistry::start();
    let address = registry.address("hub/m");
    let remote = remote(&address);
    let image = pushed(&remote, &address).await;
    let digest = image.digest().unwrap();
    let others = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": registry.size("hub/m", digest.as_str()),
            "artifactType": "application/vnd.example",
            "annotations": {"kept": "as it is"},
            "unknown": [1],
        }],
        "annotations": {"list": "too"},
    });
    let tag = digest.as_str().replace(':', "-");
    registry.put("hub/m", &tag, &others);
    attach(&remote, &image).await;
    let list = registry.manifest("hub/m", &tag);
    assert_eq!(list["manifests"][0], others["manifests"][0]);
    assert_eq!(list["annotations"], others["annotations"]);
    assert_eq!(list["manifests"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn attached_at_the_same_time_neither_is_lost() {
    let registry = LocalRegistry::start();
    let address = registry.address("hub/m");
    let remote = remote(&address);
    let image = pushed(&remote, &address).await;
    let one = |text: &'static str| Artifact::of(Content::new("application/vnd.example", text));
    let (a, b, c) = (one("a"), one("b"), one("c"));
    let all = tokio::join!(
        remote.attach(&image, &a),
        remote.attach(&image, &b),
        remote.attach(&image, &c)
    );
    for attached in [all.0, all.1, all.2] {
        let Attached { digest, sent } = attached.unwrap();
        let found = remote.referrers(&image, None).await.unwrap();
        assert!(
            sent && found.iter().any(|referrer| referrer.digest == digest),
            "{found:?}"
        );
    }
}
