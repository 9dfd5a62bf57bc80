//! What an image says of itself, with the real engine; and that a repository which floe has begun builds as it is.

use serde_json::Value;
use world::{committed, floe_with_engine};

use super::tiny;
use crate::workshop::{Workshop, docker, turn};

fn json(repository: &Workshop, words: &[&str]) -> Value {
    serde_json::from_str(&repository.floe(words).expect(0).stdout).unwrap()
}

fn id(repository: &Workshop) -> String {
    let image = json(repository, &["image", "tiny", "--format", "json"]);
    image["id"].as_str().unwrap().to_owned()
}

fn layers(image: &str) -> Vec<String> {
    let layers = docker(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", image]);
    serde_json::from_str(&layers).unwrap()
}

#[test]
fn an_image_says_what_it_is_in_its_last_layer_which_alone_knows_the_commit() {
    let repository = tiny();
    repository.floe(&["build", "tiny"]).expect(0);
    let told = json(&repository, &["image", "tiny", "--info"]);
    assert_eq!((&told["mission"], &told["commit"]), (&"tiny".into(), &Value::Null));
    let names = told["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|environment| &environment["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["base", "small"]);
    let sizes = told["environments"].as_array().unwrap().iter();
    let sizes = sizes.map(|environment| environment["size"].as_u64().unwrap());
    assert!(sizes.clone().min().unwrap() > 10_000_000, "{told}");
    let first = id(&repository);
    let listed = json(
        &repository,
        &["packages", "iniconfig", "--image", &first, "--format", "json"],
    );
    assert_eq!(listed["packages"][0]["environment"], "tiny/small");
    assert_eq!(listed["packages"][0]["license"], "MIT");
    let size = listed["packages"][0]["size"].as_u64().unwrap();
    assert!((5_000..500_000).contains(&size), "{size}");
    let listed = json(&repository, &["image", "tiny", "--layers", "--format", "json"]);
    let listed = listed.as_array().unwrap();
    let digests = listed.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned());
    assert_eq!(digests.collect::<Vec<_>>(), layers(&first));
    let sizes = listed.iter().map(|layer| layer["size"].as_u64().unwrap());
    assert_eq!(
        sizes.sum::<u64>().to_string(),
        docker(&["image", "inspect", "--format", "{{.Size}}", &first])
    );
    let page = repository.path().join("page.html");
    let page = page.to_str().unwrap();
    repository
        .floe(&["packages", "--html", "--image", &first, "-o", page])
        .expect(0);
    assert!(std::fs::read_to_string(page).unwrap().contains(">iniconfig</a>"));
    let before = layers(&first);
    std::fs::remove_file(page).unwrap();
    committed(repository.path(), &["."]);
    repository.floe(&["build", "tiny"]).expect(0);
    assert_eq!(
        id(&repository),
        first,
        "a commit of the same files is no reason to build"
    );
    docker(&["rmi", "--force", &first]);
    repository.floe(&["build", "tiny"]).expect(0);
    let told = json(&repository, &["image", "tiny", "--info"]);
    assert_eq!(told["commit"].as_str().map(str::len), Some(12), "{told}");
    let after = layers(&id(&repository));
    let last = before.len() - 1;
    assert_eq!(before[..last], after[..last]);
    assert_ne!(before[last..], after[last..]);
    let why = repository
        .floe(&["why", "iniconfig", "--image", &id(&repository)])
        .expect(0)
        .stdout;
    assert!(why.contains("missions/tiny/environments/small/small.pip:1"), "{why}");
}

#[test]
fn a_repository_that_floe_began_is_built_tested_and_frozen_as_it_is() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let floe = |words: &[&str]| {
        let output = floe_with_engine().args(words).current_dir(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    floe(&["init", "--mission", "begun"]);
    floe(&["all", "begun"]);
    let frozen = dir.path().join("missions/begun/environments/begun/begun-frozen.yml");
    assert!(std::fs::read_to_string(frozen).unwrap().contains("tabulate=="));
    assert!(!dir.path().join("common/Dockerfile").exists());
    let image = floe(&["image", "begun"]);
    docker(&["rmi", "--force", image.split(' ').next().unwrap()]);
}
