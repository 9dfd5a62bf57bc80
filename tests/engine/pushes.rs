//! What goes with a pushed image: evidence, a bill of materials, and what the site's own gates think of it.

mod outlet;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use floe::attest::{self, Keys, Proof, ProofError};
use floe::dsse::PublicKey;
use floe::reference::{ImageReference, TestId};
use floe::registry::{Registry as _, Remote};
use world::{Ended, LocalRegistry, Proxy, Reply, Turn, run};

use crate::site::Site;

const STATUS: &str =
    "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9\n";

/// A site whose image passed its tests. It says which Debian packages it holds.
fn tested() -> Site {
    let site = Site::new("true");
    site.repository.write("missions/tiny/environments/status", STATUS);
    site.repository.write(
        "missions/tiny/Dockerfile",
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY environments/ /opt/environments/\nCOPY environments/status /var/lib/dpkg/status\n",
    );
    site.command(&["build", "tiny"]).expect(0);
    site.command(&["test", "tiny"]).expect(0);
    site
}

/// What has floe push, and not the engine.
const BY_FLOE: [(&str, &str); 1] = [("LAYER_COMPRESSION", "gzip")];

/// Pushes to `address`; `variables` are set beside.
fn push(site: &Site, address: &str, variables: &[(&str, &str)]) -> Ended {
    let mut command = site.prepared(&["push", "tiny", "--registry", address]);
    Ended::of(command.envs(variables.iter().copied()).output().unwrap())
}

fn remote(image: &ImageReference) -> Remote {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Remote::new(&image.registry(), None, None).unwrap()
}

/// The reference that a push printed.
fn printed(pushed: &Ended) -> ImageReference {
    pushed.stdout.trim().parse().unwrap()
}

pub async fn proof(image: &ImageReference, keys: &Keys) -> Result<Proof, ProofError> {
    attest::proof(&remote(image), image, keys).await
}

/// Waits until something holds, which it does before the time is up.
fn within(time: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + time;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupt_ends_a_push_and_the_gate_that_it_waits_for() {
    let (site, registry) = (tested(), LocalRegistry::start());
    let asked = site.repository.path().join("asked");
    let gate = format!("echo $$ > {} && exec sleep 600", asked.display());
    let mut push = site.prepared(&["push", "tiny", "--registry", &registry.address("hub")]);
    push.env("GATE_COMMANDS", gate)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = push.spawn().unwrap();
    let mut gate = String::new();
    within(Duration::from_mins(1), "the gate is asked", || {
        gate = fs::read_to_string(&asked).unwrap_or_default();
        gate.ends_with('\n')
    });
    run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    within(Duration::from_secs(20), "the push ends", || {
        child.try_wait().unwrap().is_some()
    });
    Ended::of(child.wait_with_output().unwrap()).expect(130);
    // What is dead and waits for whoever started it has no words any more.
    let words = fs::read(Path::new("/proc").join(gate.trim()).join("cmdline"));
    assert_eq!(words.unwrap_or_default(), b"");
}

#[tokio::test]
async fn a_push_attaches_evidence_and_a_bill_of_materials_once() {
    let (site, registry) = (tested(), LocalRegistry::start());
    let address = registry.address("hub");
    let pushed = push(&site, &address, &[]).expect(0).says(&["its evidence is attached"]);
    let image = printed(&pushed);
    let found = proof(&image, &Keys::default()).await.unwrap();
    assert_eq!(
        found.statement.tests().collect::<Vec<_>>(),
        [&TestId::of_mission("tiny")]
    );
    let remote = remote(&image);
    let bills = remote.referrers(&image, Some(attest::SBOM_MEDIA_TYPE)).await.unwrap();
    assert_eq!(bills.len(), 1);
    let bill = image.beside(&format!("@{}", bills[0].digest));
    let bill = remote.artifact(&bill).await.unwrap().unwrap();
    let bill: serde_json::Value = serde_json::from_slice(&bill.layers[0].bytes).unwrap();
    let text = bill.to_string();
    assert!(
        text.contains("\"pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-\""),
        "{text}"
    );
    let created = bill["creationInfo"]["created"].as_str().unwrap();
    assert!(created.starts_with("20"), "{created}");

    let again = push(&site, &address, &[]).expect(0).says(&["is there already"]);
    assert_eq!(again.stdout, pushed.stdout);
    assert!(!again.stderr.contains("its evidence is attached"), "{}", again.stderr);
    assert_eq!(remote.referrers(&image, None).await.unwrap().len(), 2);
}

#[test]
fn tags_of_ones_own_name_what_was_pushed_and_move_to_what_is_pushed_later() {
    let (site, registry) = (tested(), LocalRegistry::start());
    let address = registry.address("hub");
    let push = |words: &[&str]| {
        let words = [&["push", "tiny", "--registry", &address], words].concat();
        let mut command = site.prepared(&words);
        Ended::of(command.env("IMAGE_TAG", "stable 2026.1").output().unwrap())
    };
    let digest = |ended: &Ended| ended.stdout.trim().rsplit_once('@').unwrap().1.to_owned();
    let named = |tag: &str| {
        let reference = registry.reference("hub/tiny", tag);
        reference.trim().rsplit_once('@').unwrap().1.to_owned()
    };
    let first = push(&[]).expect(0).says(&[
        &format!("{address}/tiny:stable names it, too\n"),
        "tiny:2026.1 names it, too\n",
    ]);
    assert_eq!([named("stable"), named("2026.1")], [digest(&first), digest(&first)]);
    assert_eq!(push(&[]).expect(0).stdout, first.stdout, "nothing moves");

    site.repository
        .write("missions/tiny/environments/status", "Package: other\n");
    site.command(&["build", "tiny"]).expect(0);
    push(&[]).expect(102);
    assert_eq!(named("stable"), digest(&first), "what did not pass gets no tag");
    site.command(&["test", "tiny"]).expect(0);
    let moved = format!("tiny:stable names it, too; it named {} before", digest(&first));
    let second = push(&["--tag", "stable"]).expect(0).says(&[&moved]);
    assert_eq!([named("stable"), named("2026.1")], [digest(&second), digest(&first)]);
    assert_ne!(digest(&first), digest(&second));
    let mut tags = registry.tags("hub/tiny");
    // The lists of what is attached, which this registry keeps as tags.
    tags.retain(|tag| !tag.starts_with("sha256-"));
    assert_eq!(tags.len(), 4, "{tags:?}");
}

#[tokio::test]
async fn what_is_pushed_with_a_key_is_proof_for_who_requires_it_and_what_is_not_is_none() {
    let (site, registry) = (tested(), LocalRegistry::start());
    let address = registry.address("hub");
    let key = site.repository.path().join("key.pem");
    let public = site.repository.path().join("pub.pem");
    let (key, public) = (key.to_str().unwrap(), public.to_str().unwrap());
    let openssl = |words: &[&str]| assert!(Command::new("openssl").args(words).output().unwrap().status.success());
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        key,
    ]);
    openssl(&["pkey", "-in", key, "-pubout", "-out", public]);
    let image = printed(&push(&site, &address, &[]).expect(0));
    let keys = Keys {
        verify: Some(PublicKey::read(public.as_ref()).unwrap()),
    };
    let unsigned = proof(&image, &keys).await.unwrap_err();
    assert!(matches!(unsigned, ProofError::Unsigned { .. }), "{unsigned}");
    let signed = push(&site, &address, &[("SIGNING_KEY", key)]).expect(0);
    assert_eq!(printed(&signed), image);
    signed.says(&["is there already", "its evidence is attached"]);
    proof(&image, &keys).await.unwrap();
    let told = "gates will not believe the evidence of what is pushed: VERIFY_KEY is set, and SIGNING_KEY is not set";
    push(&site, &address, &[("VERIFY_KEY", public)]).expect(0).says(&[told]);
    let both = push(&site, &address, &[("VERIFY_KEY", public), ("SIGNING_KEY", key)]).expect(0);
    assert!(!both.stderr.contains("will not believe"), "{}", both.stderr);
    let no_key = site.repository.path().join("setup-env.template");
    fs::write(&no_key, "no key").unwrap();
    push(&site, &address, &[("SIGNING_KEY", no_key.to_str().unwrap())])
        .expect(3)
        .says(&["it holds no private key", "cosign generate-key-pair"]);
}

#[test]
fn a_sites_own_gates_see_the_image_before_anything_is_pushed() {
    let (site, registry) = (tested(), LocalRegistry::start());
    let address = registry.address("hub");
    let gated = |gates: &str| {
        push(
            &site,
            &address,
            &[("GATE_COMMANDS", gates), ("DB_PASSWORD", "never shown")],
        )
    };
    gated("grep -q glibc $FLOE_SBOM; sh -c 'echo libc6 is bad: never shown; exit 7'")
        .expect(102)
        .says(&[
            "the gate `sh -c",
            "refuses floe/tiny:",
            "exit code 7",
            "libc6 is bad: ***",
        ]);
    gated("no-such-scanner")
        .expect(3)
        .says(&["cannot be started", "not found", "GATE_COMMANDS"]);
    assert_eq!(registry.repositories(), Vec::<String>::new());
    let looks =
        "docker inspect $FLOE_IMAGE $FLOE_REFERENCE >looked; cat $FLOE_CHANGES >changes; test $FLOE_MISSION = tiny";
    gated(looks).expect(0);
    let changes = fs::read(site.repository.path().join("changes")).unwrap();
    let changes: serde_json::Value = serde_json::from_slice(&changes).unwrap();
    assert_eq!(changes["mission"], "tiny");
}

#[test]
fn what_is_pushed_is_the_tested_configuration_with_layers_that_the_engine_pulls_and_runs() {
    let (site, registry) = (tested(), LocalRegistry::start());
    let pushed = push(&site, &registry.address("hub"), &BY_FLOE).expect(0);
    let image = printed(&pushed);
    let manifest = registry.manifest("hub/tiny", image.digest().unwrap().as_str());
    let told = site.command(&["image", "tiny", "--format", "json"]).expect(0).stdout;
    let id = serde_json::from_str::<serde_json::Value>(&told).unwrap()["id"].clone();
    assert_eq!(manifest["config"]["digest"], id);
    let layers = manifest["layers"].as_array().unwrap();
    assert!(layers.len() >= 3);
    for layer in layers {
        assert_eq!(layer["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    }
    // floe has compressed them: the engine keeps no layer as it is sent.
    let kept = fs::read_dir(site.repository.path().join(".floe/cache/layers/blobs")).unwrap();
    assert!(kept.count() > layers.len());
    run(site.docker().args(["rmi", "--force", id.as_str().unwrap()]));
    let ran = site
        .docker()
        .args([
            "run",
            "--rm",
            "--pull",
            "always",
            image.as_str(),
            "/bin/cat",
            "/opt/environments/status",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), STATUS, "{ran:?}");
}

#[test]
fn layers_are_read_where_the_engine_keeps_them_and_no_image_is_saved() {
    let (site, registry) = (tested(), LocalRegistry::start());
    let before = SystemTime::now();
    let told = site.command(&["image", "tiny", "--format", "json"]).expect(0).stdout;
    let id = serde_json::from_str::<serde_json::Value>(&told).unwrap()["id"].clone();
    let id = id.as_str().unwrap();
    push(&site, &registry.address("hub"), &BY_FLOE).expect(0);
    assert!(!site.saved(before).contains(id), "{}", site.saved(before));
    let containers = run(site
        .docker()
        .args(["ps", "--all", "--quiet", "--filter", &format!("ancestor={id}")]));
    assert_eq!(containers, "", "what reads them goes");
    // That it would be told:
    let archive = site.repository.path().join("saved.tar");
    run(site.docker().args(["save", "--output", archive.to_str().unwrap(), id]));
    assert!(site.saved(before).contains(id), "{}", site.saved(before));
}

#[test]
fn a_second_registry_gets_what_is_kept_and_another_repository_what_the_registry_has() {
    let (site, first, second) = (tested(), LocalRegistry::start(), LocalRegistry::start());
    let pushed = push(&site, &first.address("hub"), &BY_FLOE).expect(0);
    let of = |image: &ImageReference| image.digest().unwrap();
    let again = push(&site, &second.address("hub"), &BY_FLOE).expect(0);
    assert_eq!(
        of(&printed(&again)),
        of(&printed(&pushed)),
        "the same manifest, to the byte"
    );
    assert!(!again.stderr.contains("exists"), "{}", again.stderr);
    let beside = push(&site, &first.address("other"), &BY_FLOE).expect(0);
    assert_eq!(of(&printed(&beside)), of(&printed(&pushed)));
    let from = format!("Mounted from {}", first.address("hub/tiny"));
    beside.says(&[&from]);
}

#[test]
fn a_registry_that_fails_at_the_end_of_a_push_names_nothing_and_may_be_tried_again() {
    let site = tested();
    let unavailable = || Turn::Answer(Reply::new(503, ("Content-Type", "text/plain"), "later"));
    for (times, code) in [(usize::MAX, 75), (1, 0)] {
        let mut left = times;
        let proxy = Proxy::new(move |request| {
            // The image's own manifest, under its tag.
            let tag = request
                .path
                .rsplit_once("/manifests/")
                .map(|(_, name)| !name.contains("sha256"));
            if left > 0 && request.method == "PUT" && tag == Some(true) {
                left -= 1;
                return unavailable();
            }
            Turn::Pass
        });
        let pushed = push(&site, &proxy.address("hub"), &[]).expect(code);
        assert_eq!(pushed.stdout.is_empty(), code == 75);
        let tags = proxy.registry.tags("hub/tiny");
        assert_eq!(tags.is_empty(), code == 75, "{tags:?}");
    }
}
