//! What is known of a push before anything is built for it.

use floe::reference::{Digest, ImageReference, RegistryPath};
use floe::registry::{Registry as _, Remote};
use world::{Ended, LocalRegistry, Repository};

/// Calls floe in a repository whose images go to `registry`, with what `docker login` has stored, in base64.
fn floe(registry: &str, login: Option<&str>, words: &[&str]) -> Ended {
    let repository = Repository::new();
    repository.write("missions/tiny/environments/small/small.pip", "six\n");
    let host = registry.split('/').next().unwrap();
    let logins = login.map(|login| format!("\"{host}\": {{\"auth\": \"{login}\"}}"));
    let text = format!("{{\"auths\": {{{}}}}}", logins.unwrap_or_default());
    let config = repository.write("docker/config.json", &text);
    let mut command = repository.command(words);
    command
        .env("REGISTRY", registry)
        .env("DOCKER_CONFIG", config.parent().unwrap());
    Ended::of(command.output().unwrap())
}

#[test]
fn a_registry_that_would_take_no_push_ends_the_call_before_anything_is_built() {
    let registry = LocalRegistry::start_for_a_user();
    let address = registry.address("hub");
    // `reader:wrong`
    for login in [None, Some("cmVhZGVyOndyb25n")] {
        floe(&address, login, &["all", "tiny"])
            .expect(102)
            .says(&[&format!("{address}/tiny: it takes no push there (401"), "docker login"]);
    }
    // `reader:pass word`: the next that is asked is the engine, and there is none.
    floe(&address, Some("cmVhZGVyOnBhc3Mgd29yZA=="), &["all", "tiny"])
        .expect(75)
        .says(&["no container engine answers"]);
}

#[test]
fn what_podmans_login_has_stored_counts_where_dockers_has_stored_nothing() {
    let registry = LocalRegistry::start_for_a_user();
    let address = registry.address("hub");
    let host = address.split('/').next().unwrap();
    let repository = Repository::new();
    repository.write("missions/tiny/environments/small/small.pip", "six\n");
    // `reader:pass word`
    let stored = format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"cmVhZGVyOnBhc3Mgd29yZA==\"}}}}}}");
    for (file, variable, value) in [
        ("named.json", "REGISTRY_AUTH_FILE", "named.json"),
        ("runtime/containers/auth.json", "XDG_RUNTIME_DIR", "runtime"),
        (".config/containers/auth.json", "HOME", ""),
    ] {
        let called = || {
            let mut command = repository.command(&["all", "tiny"]);
            command
                .env("REGISTRY", &address)
                .env("HOME", repository.path())
                .env(variable, repository.path().join(value));
            Ended::of(command.output().unwrap())
        };
        called().expect(102).says(&["podman login"]);
        let file = repository.write(file, &stored);
        // The next that is asked is the engine, and there is none.
        called().expect(75).says(&["no container engine answers"]);
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn to_ask_whether_a_push_is_taken_leaves_nothing_in_the_registry() {
    let registry = LocalRegistry::start();
    floe(&registry.address("hub"), None, &["all", "tiny"])
        .expect(75)
        .says(&["no container engine answers"]);
    assert_eq!(registry.repositories(), Vec::<String>::new());
}

#[test]
fn a_tag_that_nobody_may_give_ends_the_call_before_anything_is_asked() {
    // Nothing answers there, and there is no engine.
    let called =
        |command: &str, tag: &str| floe("localhost:9/hub", None, &[command, "tiny", "--tag", "ok", "--tag", tag]);
    for command in ["push", "all"] {
        called(command, "v1:x")
            .expect(3)
            .says(&["tag \"v1:x\" is not valid: use at most 128 letters"]);
        for tag in ["0123456789ab", "git-0123456", "sha256-00"] {
            called(command, tag).expect(3).says(&[tag, "never moves"]);
        }
    }
    called("all", "stable").expect(75);
}

#[tokio::test]
async fn a_tag_moves_to_the_digest_that_it_is_given_to_and_tells_what_it_named() {
    let registry = LocalRegistry::start();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let host = registry.address("x").parse::<RegistryPath>().unwrap().host();
    let remote = Remote::new(&host, None, None).unwrap();
    let known = ["one", "two"].map(|name| registry.image("hub/tiny", name).parse::<Digest>().unwrap());
    let image = |digest: &Digest| -> ImageReference {
        let name = format!("{}@{digest}", registry.address("hub/tiny"));
        name.parse().unwrap()
    };
    let [first, second] = &known;
    let [one, two] = &known.each_ref().map(image);
    assert_ne!(first, second);
    let stable = one.beside(":stable");
    assert_eq!(remote.tag(one, "stable").await.unwrap(), None);
    assert_eq!(remote.tag(one, "stable").await.unwrap(), Some(first.clone()));
    assert_eq!(remote.tag(two, "stable").await.unwrap(), Some(first.clone()));
    assert_eq!(&remote.manifest(&stable).await.unwrap().unwrap().digest, second);
}

#[test]
fn a_registry_that_does_not_answer_is_no_refusal() {
    floe("localhost:9/hub", None, &["all", "tiny"])
        .expect(75)
        .says(&["localhost:9/hub/tiny"]);
}
