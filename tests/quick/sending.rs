//! Layers on their way to a registry that fails now and then, or always: they arrive whole, what has arrived of a long one
//! counts, and no tag names what is not whole.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe::engine::Credentials;
use floe::fault::{Explained as _, Kind};
use floe::layers::{Compression, Packed};
use floe::reference::{Digest, ImageReference};
use floe::registry::{Assembled, Blob, Layers as _, Registry as _, RegistryError, Remote};
use tokio::sync::watch;
use world::{LocalRegistry, Proxy, Reply, Turn};

use crate::artifacts::{remote, tag};
use crate::unreliable::{challenge, failing, faults, guarded, impatient, is, refusal};

const CONFIGURATION: &[u8] = br#"{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}}"#;

/// So long that it is sent in pieces once it has broken off: in three.
const LONG: usize = 70 << 20;

/// A layer of this content, as it is sent.
fn blob(content: &[u8]) -> Blob {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    Blob {
        packed: Packed {
            digest: Digest::of(content),
            size: content.len() as u64,
        },
        file: Arc::new(file),
    }
}

fn short() -> Blob {
    blob(&vec![7; 100_000])
}

fn long() -> Blob {
    blob(&(0..=u8::MAX).cycle().take(LONG).collect::<Vec<_>>())
}

/// Puts an image of one layer to `address`.
async fn put(remote: &Remote, address: &str, blob: &Blob) -> Result<ImageReference, RegistryError> {
    let target = tag(address, "1");
    remote.send(&target, blob, &watch::channel(0).0).await?;
    let assembled = Assembled {
        configuration: CONFIGURATION.into(),
        layers: vec![blob.packed.clone()],
        compression: Compression::Gzip,
    };
    let digest = remote.assemble(&target, &assembled).await?;
    Ok(target.beside(&format!("@{digest}")))
}

async fn put_to(proxy: &Proxy, blob: &Blob) -> Result<ImageReference, RegistryError> {
    put(&impatient(proxy), &proxy.address("hub/m"), blob).await
}

/// Whether the registry itself has the image under the tag, with this layer. It verifies what it takes.
async fn arrived(registry: &LocalRegistry, blob: &Blob) -> bool {
    let address = registry.address("hub/m");
    let (remote, tag) = (remote(&address), tag(&address, "1"));
    let Some(held) = remote.manifest(&tag).await.unwrap() else {
        return false;
    };
    assert_eq!(held.config, Digest::of(CONFIGURATION));
    assert_eq!(held.size, blob.packed.size);
    remote.has(&tag, &blob.packed.digest).await.unwrap()
}

fn count(proxy: &Proxy, beginning: &str) -> usize {
    proxy.seen().iter().filter(|seen| seen.starts_with(beginning)).count()
}

#[tokio::test]
async fn requests_at_the_same_time_are_all_let_in_by_what_one_of_them_was_let_in_by() {
    let with_passwords = LocalRegistry::start_for_a_user();
    // Its service gives everybody the same token.
    let with_tokens = Proxy::new(|request| {
        if request.path.starts_with("/token") {
            let json = ("Content-Type", "application/json");
            return Turn::Answer(Reply::new(200, json, r#"{"token": "same"}"#));
        }
        if request.header("authorization") == Some("Bearer same") {
            return Turn::Pass;
        }
        challenge(request)
    });
    let credentials = Credentials::Password {
        username: "reader".to_owned(),
        password: "pass word".to_owned(),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    for address in [with_passwords.address("hub/m"), with_tokens.address("hub/m")] {
        let host = address.split('/').next().unwrap().parse().unwrap();
        let remote = Remote::new(&host, Some(credentials.clone()), None).unwrap();
        let (image, blob) = (tag(&address, "1"), short());
        let asked = (0..16).map(|_| remote.has(&image, &blob.packed.digest));
        for answer in futures_util::future::join_all(asked).await {
            assert!(!answer.unwrap(), "{address}");
        }
    }
}

#[tokio::test]
async fn a_layer_whose_way_is_broken_twice_arrives_whole_and_one_whose_way_is_broken_always_may_be_tried_again() {
    let blob = short();
    for (method, part, turn) in faults() {
        let proxy = failing(2, is(method, part), turn);
        put_to(&proxy, &blob)
            .await
            .unwrap_or_else(|error| panic!("{method} {part}: {error}"));
        assert!(arrived(&proxy.registry, &blob).await, "{method} {part}");

        let proxy = failing(usize::MAX, is(method, part), turn);
        match put_to(&proxy, &blob).await {
            // A second look finds what has arrived without an answer.
            Ok(_) => assert!(matches!(turn(), Turn::Lose) && method == "PUT" && part == "/uploads/"),
            Err(error) => assert_eq!(error.kind(), Kind::Temporary, "{method} {part}: {error}"),
        }
        if part != "/manifests/" && !(method == "PUT" && matches!(turn(), Turn::Lose)) {
            assert!(!arrived(&proxy.registry, &blob).await, "{method} {part}");
        }
    }
}

#[tokio::test]
async fn what_has_arrived_of_a_long_layer_is_not_sent_again() {
    let blob = long();
    for turn in [
        (|| Turn::Answer(refusal(503, "UNAVAILABLE"))) as fn() -> Turn,
        || Turn::Drop,
        || Turn::Answer(refusal(429, "TOOMANYREQUESTS")),
    ] {
        // The first request, for the whole, breaks off; of those for pieces the second one does.
        let (mut whole, mut pieces) = (0, 0);
        let proxy = Proxy::new(move |request| {
            let (of_whole, of_piece) = (
                request.method == "PUT" && request.path.contains("/uploads/"),
                request.method == "PATCH",
            );
            whole += usize::from(of_whole);
            pieces += usize::from(of_piece);
            match (of_whole && whole == 1, of_piece && pieces == 2) {
                (true, _) => Turn::Drop,
                (_, true) => turn(),
                _ => Turn::Pass,
            }
        });
        put_to(&proxy, &blob).await.unwrap();
        assert!(arrived(&proxy.registry, &blob).await);
        let uploads = count(&proxy, "POST /v2/hub/m/blobs/uploads/");
        // That of the configuration is the third.
        assert_eq!((count(&proxy, "PATCH "), uploads), (4, 3), "{:?}", proxy.seen());
    }
}

#[tokio::test]
async fn a_registry_that_has_lost_its_place_in_a_long_layer_gets_it_from_the_beginning() {
    let blob = long();
    let (mut whole, mut pieces) = (0, 0);
    let proxy = Proxy::new(move |request| {
        whole += usize::from(request.method == "PUT" && request.path.contains("/uploads/"));
        pieces += usize::from(request.method == "PATCH");
        match request.method.as_str() {
            "PUT" if whole == 1 && request.path.contains("/uploads/") => Turn::Drop,
            // It arrives, and where the next piece is to go does not.
            "PATCH" if pieces == 2 => Turn::Lose,
            _ => Turn::Pass,
        }
    });
    put_to(&proxy, &blob).await.unwrap();
    assert!(arrived(&proxy.registry, &blob).await);
}

#[tokio::test]
async fn a_registry_that_says_when_to_come_back_gets_no_part_of_a_layer_before() {
    let blob = short();
    let busy = || {
        let mut reply = refusal(429, "TOOMANYREQUESTS");
        reply.headers.push(("Retry-After".to_owned(), "1".to_owned()));
        Turn::Answer(reply)
    };
    let proxy = failing(2, is("PUT", "/uploads/"), busy);
    let begun = Instant::now();
    put_to(&proxy, &blob).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(arrived(&proxy.registry, &blob).await);
}

#[tokio::test]
async fn a_token_that_expires_between_layers_is_renewed() {
    let blob = short();
    for uses in [1, 2, 3, 100] {
        let (proxy, _) = guarded(uses);
        put_to(&proxy, &blob).await.unwrap();
        assert!(arrived(&proxy.registry, &blob).await, "{uses}");
    }
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused_and_not_sent_twice() {
    let mut altered = short();
    altered.packed.digest = Digest::of(b"another");
    let proxy = Proxy::new(|_| Turn::Pass);
    let refused = put_to(&proxy, &altered).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused, "{refused}");
    assert_eq!(count(&proxy, "PUT "), 1);
    assert!(proxy.registry.tags("hub/m").is_empty());
}

#[tokio::test]
async fn a_layer_that_another_repository_has_is_made_known_and_one_that_it_has_not_is_not() {
    let (registry, another, blob) = (LocalRegistry::start(), LocalRegistry::start(), short());
    let (from, to) = (registry.address("hub/m"), registry.address("hub/n"));
    let remote = remote(&from);
    put(&remote, &from, &blob).await.unwrap();
    let (target, digest) = (tag(&to, "1"), &blob.packed.digest);
    for from in [another.address("hub/m"), registry.address("hub/other"), to.clone()] {
        assert!(!remote.mount(&target, digest, &from).await.unwrap(), "{from}");
    }
    assert!(!remote.has(&target, digest).await.unwrap());
    assert!(remote.mount(&target, digest, &from).await.unwrap());
    assert!(remote.has(&target, digest).await.unwrap());
}

#[tokio::test]
async fn how_much_is_sent_is_told_on_the_way() {
    let (registry, blob) = (LocalRegistry::start(), long());
    let address = registry.address("hub/m");
    let (remote, target) = (remote(&address), tag(&address, "1"));
    let (sent, mut telling) = watch::channel(0);
    let watching = tokio::spawn(async move {
        let mut told = Vec::new();
        while telling.changed().await.is_ok() {
            told.push(*telling.borrow_and_update());
        }
        told
    });
    remote.send(&target, &blob, &sent).await.unwrap();
    drop(sent);
    let told = watching.await.unwrap();
    assert!(told.is_sorted() && told.len() > 3, "{told:?}");
    assert_eq!(told.last(), Some(&blob.packed.size));
}
