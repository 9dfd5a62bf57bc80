//! What is known of a push before anything is built for it.

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
fn to_ask_whether_a_push_is_taken_leaves_nothing_in_the_registry() {
    let registry = LocalRegistry::start();
    floe(&registry.address("hub"), None, &["all", "tiny"])
        .expect(75)
        .says(&["no container engine answers"]);
    assert_eq!(registry.repositories(), Vec::<String>::new());
}

#[test]
fn a_registry_that_does_not_answer_is_no_refusal() {
    floe("localhost:9/hub", None, &["all", "tiny"])
        .expect(75)
        .says(&["localhost:9/hub/tiny"]);
}
