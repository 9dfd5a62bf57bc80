//! What a `deployment.yml` says, and the image in values.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::reference::StageName;
use crate::values::{self, Node};

fn parsed(text: &str) -> Deployment {
    definition::parse(text, Path::new("deployment.yml"), "pub".parse().unwrap()).unwrap()
}

fn values(text: &str) -> Node {
    values::read(text, &Arc::from(Path::new("values.yaml"))).unwrap()
}

#[test]
fn a_stage_comes_from_the_one_above_it_unless_it_says_so() {
    let deployment = parsed("stages: [{name: a}, {name: b}, {name: c, from: a}]");
    let from = |name: &str| deployment.stage(name).unwrap().from.as_ref().map(StageName::as_str);
    assert_eq!([from("a"), from("b"), from("c")], [None, Some("a"), Some("a")]);
    assert_eq!(deployment.images, ["singleuser.image".parse().unwrap()]);
}

#[test]
fn an_image_is_read_from_every_form_that_charts_have() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let field = "image".parse().unwrap();
    let read = |text: &str| {
        let held = held(&values(text), &field).map_err(|error| error.to_string());
        held.map(|held| held.map(|held| held.reference()))
    };
    for (text, reference) in [
        (
            "image: {name: r.example.org:5000/x, tag: '1'}",
            "r.example.org:5000/x:1".to_owned(),
        ),
        ("image: r.example.org:5000/x", "r.example.org:5000/x".to_owned()),
        (&format!("image: x:1@{digest}"), format!("x:1@{digest}")),
        (
            &format!("image: {{name: x, tag: '1@{digest}'}}"),
            format!("x:1@{digest}"),
        ),
        (
            &format!("image: {{name: x, tag: t, digest: '{digest}'}}"),
            format!("x:t@{digest}"),
        ),
        (&format!("image: x@{digest}"), format!("x@{digest}")),
    ] {
        assert_eq!(read(text), Ok(Some(reference)), "{text}");
    }
    for text in ["other: 1", "image: null", "image: {}", "image: {name: null}"] {
        assert_eq!(read(text), Ok(None), "{text}");
    }
    for (text, said) in [
        (
            "image: {name: x, tag: 1.10}",
            "values.yaml:1: image: the tag 1.1 is read as a number; write it in quotes",
        ),
        ("image: {tag: '1'}", "it has a tag and no name"),
        ("image: [x]", "an image is text, or a map of name and tag"),
        ("image: x@sha256:12", "64 lower-case hexadecimal digits"),
    ] {
        let refused = read(text).unwrap_err();
        assert!(refused.contains(said), "{text}: {refused}");
    }
}

#[test]
fn an_image_is_written_in_the_form_that_is_there() {
    let digest: crate::reference::Digest = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
    let image = crate::reference::ImageTag {
        repository: "r/x".to_owned(),
        tag: "2".to_owned(),
    };
    let written = |text: &str| {
        let field = "image".parse().unwrap();
        let path = Path::new("values.yaml");
        let edits = edits(&values(text), path, &field, &image, &digest).map_err(|error| error.to_string())?;
        values::edited(text, &Arc::from(path), &edits).map_err(|error| error.to_string())
    };
    assert_eq!(written("image: r/x:1"), Ok(format!("image: r/x:2@{digest}")));
    assert_eq!(
        written("image: {name: r/y, tag: '1'}"),
        Ok(format!("image: {{name: r/x, tag: '2@{digest}'}}"))
    );
    assert_eq!(
        written("image: {tag: '1'}"),
        Ok(format!("image: {{tag: '2@{digest}'}}"))
    );
    assert_eq!(
        written("image:\n  tag: v1\n  digest: x\n"),
        Ok(format!("image:\n  tag: \"2\"\n  digest: {digest}\n"))
    );
    assert!(
        written("image: {name: r/x}")
            .unwrap_err()
            .contains("there is no image to write the image to")
    );
    assert!(
        written("other: 1")
            .unwrap_err()
            .contains("there is no image to write the image to")
    );
}

#[test]
fn a_driver_is_a_name_or_a_map_of_one() {
    let driver = |text: &str| {
        parsed(&format!("stages: [{{name: a, driver: {text}}}]")).stages[0]
            .driver
            .clone()
    };
    assert_eq!(driver("git"), driver::Driver::default());
    assert!(matches!(driver("helm"), driver::Driver::Helm(_)));
    let command = driver("{command: {apply: make apply}}");
    assert!(matches!(command, driver::Driver::Command(command) if command.apply == "make apply"));
}
