//! A registry that fails now and then, or always: what floe asks of it is survived or told as a fault that may pass, and no
//! tag names what is not whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use floe::fault::{Explained as _, Kind};
use floe::reference::ImageReference;
use floe::registry::{Registry as _, RegistryError, Remote};
use world::{Passing, Proxy, Reply, Turn};

use crate::artifacts::{image, pushed, remote, tag};

const JSON: (&str, &str) = ("Content-Type", "application/json");

pub fn refusal(status: u16, code: &str) -> Reply {
    Reply::new(
        status,
        JSON,
        format!("{{\"errors\": [{{\"code\": \"{code}\", \"message\": \"no\"}}]}}"),
    )
}

/// What sends a request to the token service of the registry that it asks.
pub fn challenge(request: &Passing) -> Turn {
    let host = request.header("host").unwrap_or_default();
    let mut reply = refusal(401, "UNAUTHORIZED");
    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
    reply.headers.push(("WWW-Authenticate".to_owned(), challenge));
    Turn::Answer(reply)
}

/// A registry that turns the first `times` requests that are `hit` as `turn` says.
pub fn failing(
    times: usize,
    hit: impl Fn(&Passing) -> bool + Send + 'static,
    turn: impl Fn() -> Turn + Send + 'static,
) -> Proxy {
    let mut left = times;
    Proxy::new(move |request| {
        if left > 0 && hit(request) {
            left -= 1;
            return turn();
        }
        Turn::Pass
    })
}

pub fn is(method: &'static str, part: &'static str) -> impl Fn(&Passing) -> bool + Send + Clone {
    move |request| request.method == method && request.path.contains(part)
}

/// A client that does not wait for long.
pub fn impatient(proxy: &Proxy) -> Remote {
    remote(&proxy.address("hub/m")).pausing(&[Duration::from_millis(10); 2])
}

/// Puts an image to the registry.
async fn put(proxy: &Proxy) -> Result<ImageReference, RegistryError> {
    let target = tag(&proxy.address("hub/m"), "1");
    impatient(proxy).put(&target, &image()).await.map(|_| target)
}

/// What the registry itself has under the tag.
async fn arrived(proxy: &Proxy) -> bool {
    let address = proxy.registry.address("hub/m");
    let artifact = remote(&address).artifact(&tag(&address, "1")).await.unwrap();
    artifact.is_some_and(|artifact| artifact == image())
}

pub type Fault = fn() -> Turn;

/// Ways to fail, and what is hit by them.
pub fn faults() -> Vec<(&'static str, &'static str, Fault)> {
    let broken: Fault = || Turn::Answer(Reply::new(500, ("Content-Type", "text/html"), "<html>no</html>"));
    let unavailable: Fault = || Turn::Answer(refusal(503, "UNAVAILABLE"));
    let busy: Fault = || Turn::Answer(refusal(429, "TOOMANYREQUESTS"));
    let (dropped, lost): (Fault, Fault) = (|| Turn::Drop, || Turn::Lose);
    let mut all = Vec::new();
    for (method, part) in [
        ("HEAD", "/blobs/"),
        ("POST", "/uploads/"),
        ("PUT", "/uploads/"),
        ("PUT", "/manifests/"),
    ] {
        for turn in [broken, unavailable, busy, dropped, lost] {
            all.push((method, part, turn));
        }
    }
    all
}

#[tokio::test]
async fn what_fails_twice_is_survived_wherever_it_does() {
    for (method, part, turn) in faults() {
        let proxy = failing(2, is(method, part), turn);
        put(&proxy)
            .await
            .unwrap_or_else(|error| panic!("{method} {part}: {error}"));
        assert!(arrived(&proxy).await, "{method} {part}");
    }
}

#[tokio::test]
async fn what_fails_always_may_pass_and_leaves_no_tag() {
    for (method, part, turn) in faults() {
        let proxy = failing(usize::MAX, is(method, part), turn);
        let error = put(&proxy).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Temporary, "{method} {part}: {error}");
        assert!(error.hint().is_some(), "{error}");
        let lost = matches!(turn(), Turn::Lose) && part == "/manifests/";
        assert_eq!(arrived(&proxy).await, lost, "{method} {part}");
    }
}

#[tokio::test]
async fn a_registry_that_says_when_to_come_back_is_left_alone_until_then() {
    let busy = || {
        let mut reply = refusal(429, "TOOMANYREQUESTS");
        reply.headers.push(("Retry-After".to_owned(), "1".to_owned()));
        Turn::Answer(reply)
    };
    let proxy = failing(2, is("POST", "/uploads/"), busy);
    let begun = Instant::now();
    put(&proxy).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(arrived(&proxy).await);
}

#[tokio::test]
async fn a_registry_that_wants_an_hour_is_not_waited_for() {
    let busy = || {
        let mut reply = refusal(429, "TOOMANYREQUESTS");
        reply.headers.push(("Retry-After".to_owned(), "3600".to_owned()));
        Turn::Answer(reply)
    };
    let proxy = failing(usize::MAX, is("POST", "/uploads/"), busy);
    let begun = Instant::now();
    let error = put(&proxy).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(error.kind(), Kind::Temporary);
    assert!(error.to_string().contains("left alone for 3600 s"), "{error}");
    assert!(!arrived(&proxy).await);
}

#[tokio::test]
async fn what_is_refused_is_asked_for_once() {
    for (status, code) in [
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (404, "NAME_UNKNOWN"),
        (400, "MANIFEST_INVALID"),
    ] {
        let proxy = failing(usize::MAX, is("PUT", "/manifests/"), move || {
            Turn::Answer(refusal(status, code))
        });
        let error = put(&proxy).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        let asked = proxy
            .seen()
            .iter()
            .filter(|seen| seen.contains("PUT /v2/hub/m/manifests/"))
            .count();
        assert_eq!(asked, 1, "{status}: {:?}", proxy.seen());
        assert!(!arrived(&proxy).await);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_what_its_digest_says_is_asked_for_again_and_never_believed() {
    for (times, part) in [
        (1, "/manifests/"),
        (1, "/blobs/"),
        (usize::MAX, "/manifests/"),
        (usize::MAX, "/blobs/"),
    ] {
        let alter: fn() -> Turn = || Turn::Alter(|reply| reply.body.push(b' '));
        let proxy = failing(times, is("GET", part), alter);
        let address = proxy.address("hub/m");
        let image = pushed(&impatient(&proxy), &address).await;
        match impatient(&proxy).artifact(&image).await {
            Ok(read) => assert!(times == 1 && read.unwrap() == crate::artifacts::image(), "{part}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Temporary, "{error}");
                assert!(times > 1, "{part}: {error}");
            }
        }
    }
}

/// A registry that lets nobody in without a token, which is good for `uses` requests. Counts the tokens that it gave.
pub fn guarded(uses: usize) -> (Proxy, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let (count, mut left) = (Arc::clone(&given), Vec::new());
    let proxy = Proxy::new(move |request| {
        if request.path.starts_with("/token") {
            let number = count.fetch_add(1, Ordering::SeqCst);
            left.push(uses);
            return Turn::Answer(Reply::new(200, JSON, format!("{{\"token\": \"number {number}\"}}")));
        }
        let number = request
            .header("authorization")
            .and_then(|shown| shown.strip_prefix("Bearer number "));
        let number = number.and_then(|number| number.parse::<usize>().ok());
        if let Some(left) = number.and_then(|number| left.get_mut(number)).filter(|left| **left > 0) {
            *left -= 1;
            return Turn::Pass;
        }
        challenge(request)
    });
    (proxy, given)
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_is_renewed() {
    for uses in [1, 2, 3, 100] {
        let (proxy, given) = guarded(uses);
        put(&proxy).await.unwrap();
        assert!(arrived(&proxy).await);
        let given = given.load(Ordering::SeqCst);
        assert!(
            if uses == 100 { given <= 2 } else { given > 2 },
            "{uses}: {given} tokens"
        );
    }
}

#[tokio::test]
async fn a_copy_that_breaks_off_leaves_no_tag_at_its_target() {
    // The registry does not make a blob known in another repository by itself: it is sent once more.
    let unmounted = |request: &Passing| request.method == "POST" && request.path.contains("mount=");
    for (times, arrives) in [(1, true), (usize::MAX, false)] {
        let mut left = times;
        let proxy = Proxy::new(move |request| {
            if unmounted(request) {
                return Turn::Answer(refusal(405, "UNSUPPORTED"));
            }
            if left > 0 && request.method == "PUT" && request.path.contains("/production/m/blobs/uploads/") {
                left -= 1;
                return Turn::Drop;
            }
            Turn::Pass
        });
        let staged = pushed(&impatient(&proxy), &proxy.address("hub/m")).await;
        let target = floe::reference::ImageTag {
            repository: proxy.address("production/m"),
            tag: "1".to_owned(),
        };
        let copied = impatient(&proxy).copy(&staged, &target).await;
        let there = proxy.registry.address("production/m");
        let there = remote(&there).manifest(&tag(&there, "1")).await.unwrap();
        assert_eq!((copied.is_ok(), there.is_some()), (arrives, arrives));
        if let Err(error) = copied {
            assert_eq!(error.kind(), Kind::Temporary, "{error}");
        }
    }
}
