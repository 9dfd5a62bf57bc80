//! What stands for an image in a registry, where no engine pushes one.

use floe::attest::{self, Evidence};
use floe::reference::{ImageReference, ImageTag};
use floe::registry::{Artifact, Content, Registry as _, Remote};
use floe::run::evidence::Statement;
use serde_json::json;

/// A client of the registry that has repositories below `address`.
pub fn remote(address: &str) -> Remote {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Remote::new(&address.split('/').next().unwrap().parse().unwrap(), None, None).unwrap()
}

/// Something that is an image, as far as a registry can tell: put under the tag `1` of the repository at `address`.
pub async fn pushed(remote: &Remote, address: &str) -> ImageReference {
    let tag = tag(address, "1");
    let digest = remote.put(&tag, &image()).await.unwrap();
    tag.beside(&format!("@{digest}"))
}

/// The image that [`pushed`] puts.
pub fn image() -> Artifact {
    Artifact {
        artifact_type: None,
        config: Content::new("application/vnd.oci.image.config.v1+json", "{\"rootfs\": {}}"),
        ..Artifact::of(Content::new("application/vnd.oci.image.layer.v1.tar", vec![7; 100_000]))
    }
}

/// A tag of the repository at `address`.
pub fn tag(address: &str, tag: &str) -> ImageReference {
    ImageTag {
        repository: address.to_owned(),
        tag: tag.to_owned(),
    }
    .reference()
}

/// Attaches evidence to an image by its digest: that another one, or itself, passed its tests; and a bill of materials.
pub fn attest(address: &str, image: &str, tested: &str) {
    let [image, tested] = [image, tested].map(|text| text.parse::<ImageReference>().unwrap());
    let statement = world::statement(tested.digest().unwrap().as_str());
    let statement: Statement = serde_json::from_value(statement).unwrap();
    let digest = image.digest().unwrap();
    let bill = json!({ "packages": [{
        "name": "numpy",
        "versionInfo": digest.short(),
        "externalRefs": [{
            "referenceType": "purl",
            "referenceLocator": format!("pkg:pypi/numpy@{}", digest.short()),
        }],
    }] });
    let bill = bill.to_string();
    let evidence = Evidence {
        statement: Some(&statement),
        sbom: Some(bill.as_bytes()),
        key: None,
    };
    let remote = remote(address);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(attest::attach(&remote, &image, &evidence)).unwrap();
}
