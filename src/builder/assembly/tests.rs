//! Assembling against an engine in memory: which layers it is given, and what comes of what goes wrong.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::compose::{self, Body, Facts, Mounts, Source, Stage, Unbounded};
use crate::context::Context;
use crate::engine::fake::{Fake, Handing};
use crate::event::Memory;
use crate::fault::Trouble;
use crate::layers::{Compression, Shelf};
use crate::reference::Role;

/// Assembles the environments `a` and `b` on top of an image that the engine has.
async fn assembled_by(fake: &Fake, events: &Memory) -> Result<Option<ImageTag>, BuildError> {
    assembled_with(fake, &With::default(), events).await
}

/// What is more than environments and an image.
#[derive(Default)]
struct With<'a> {
    /// How an engine is given layers that keeps them compressed.
    packing: Option<Packing>,
    /// What a template does before it takes the environments over.
    before: Option<&'a str>,
    /// The program that the image adds to another one.
    program: Option<&'a Path>,
}

async fn assembled_with(
    fake: &Fake,
    With {
        packing,
        before,
        program,
    }: &With<'_>,
    events: &Memory,
) -> Result<Option<ImageTag>, BuildError> {
    let stage = |name: &str| Stage {
        environment: name.parse().unwrap(),
        files: Vec::new(),
        commands: Vec::new(),
        layers: 2,
    };
    let trailer = Source {
        path: "common/Dockerfile.trailer".into(),
        text: "USER jovyan\n".to_owned(),
    };
    let stages = [stage("a"), stage("b")];
    let body = match before {
        None => Body::Generated(stages.to_vec()),
        Some(before) => {
            let template = Source {
                path: "missions/m/Dockerfile.custom.tera".into(),
                text: format!("{{{{ env_stages }}}}\nFROM {{{{ common_image }}}}\n{before}\n{{{{ env_layers }}}}\n"),
            };
            let facts = Facts {
                mission: "m".to_owned(),
                frozen: true,
            };
            Body::Rendered(compose::render(&template, &facts, &stages, &Unbounded).unwrap())
        }
    };
    let assembly = compose::assembly("m", &body, &trailer, &Mounts::default())
        .unwrap()
        .unwrap();
    let above = assembly.above.clone();
    let image = ImagePlan::of_dockerfile(Role::Mission("m".parse().unwrap()), above, Some(assembly));
    let parent = Parent {
        reference: "floe/common:1".to_owned(),
        id: fake.add_image("floe/common:1", BTreeMap::new()),
        foundation: program.map(|program| Foundation {
            id: fake.add_image("floe/foundation:1", BTreeMap::new()),
            program: program.to_owned(),
        }),
    };
    let request = |image: &ImagePlan| BuildRequest {
        image: image.role.to_string(),
        dockerfile: image.dockerfile.text.clone(),
        context: Context::new("/nowhere"),
        args: BTreeMap::new(),
        mounts: BTreeMap::new(),
        labels: BTreeMap::new(),
        tags: Vec::new(),
        no_cache: false,
    };
    let options = Options {
        retries: vec![Duration::ZERO],
        packing: packing.clone(),
        ..Options::default()
    };
    assembled(&image, &parent, request, (fake, fake), &options, events).await
}

/// An environment with these layers; a known one begins with `=`.
fn handing(environment: &str, layers: &[&str]) -> Handing {
    let layers = layers.iter().map(|layer| match layer.strip_prefix('=') {
        Some(known) => (known.as_bytes().to_vec(), true),
        None => (layer.as_bytes().to_vec(), false),
    });
    Handing {
        environment: environment.parse().unwrap(),
        layers: layers.collect(),
        unable: None,
        breaks: false,
        has_door: false,
    }
}

fn extensions(fake: &Fake) -> Vec<String> {
    let calls = fake.calls().into_iter();
    let extensions = calls.filter_map(|call| Some(call.strip_prefix("extend ")?.split_once(" by ")?.1.to_owned()));
    extensions.collect()
}

/// The layers that steps were asked for.
fn handed_over(fake: &Fake) -> Vec<String> {
    let calls = fake.calls().into_iter();
    calls
        .filter_map(|call| Some(call.strip_prefix("hand over ")?.to_owned()))
        .collect()
}

#[tokio::test]
async fn layers_lie_in_the_order_of_environments_whichever_comes_first_and_known_ones_stay_away() {
    let (fake, events) = (Fake::new(), Memory::default());
    fake.script_performance(vec![handing("b", &["b1", "b2"]), handing("a", &["a1"])]);
    let tag = assembled_by(&fake, &events).await.unwrap().unwrap();
    assert!(tag.to_string().starts_with("floe/assembled:"));
    fake.label_all(label::INPUT_DIGEST);
    fake.script_performance(vec![handing("a", &["=a1"]), handing("b", &["=b1", "changed"])]);
    assembled_by(&fake, &events).await.unwrap().unwrap();
    assert_eq!(extensions(&fake), ["a1, b1, b2", "there, there, changed"]);
}

#[tokio::test]
async fn an_environment_that_can_be_reached_past_the_builder_hands_its_layers_over_there() {
    let (fake, events) = (Fake::new(), Memory::default());
    let behind_door = Handing {
        has_door: true,
        ..handing("b", &["b1", "=b2"])
    };
    fake.script_performance(vec![behind_door.clone(), handing("a", &["a1"])]);
    assembled_by(&fake, &events).await.unwrap().unwrap();
    let led = |fake: &Fake| fake.calls().into_iter().filter(|call| call.starts_with("lead")).count();
    assert_eq!((extensions(&fake), led(&fake)), (vec!["a1, b1, b2".to_owned()], 1));
    // Nothing is worth a way of its own where nothing is wanted.
    fake.label_all(label::INPUT_DIGEST);
    let known = Handing {
        has_door: true,
        ..handing("b", &["=b1", "=b2"])
    };
    fake.script_performance(vec![known, handing("a", &["=a1"])]);
    assembled_by(&fake, &events).await.unwrap().unwrap();
    assert_eq!(led(&fake), 1);
    fake.script_performance(vec![
        Handing {
            breaks: true,
            ..behind_door
        },
        handing("a", &["a2"]),
    ]);
    fake.script_performance(vec![handing("b", &["b1"]), handing("a", &["a2"])]);
    assembled_by(&fake, &events).await.unwrap().unwrap();
    assert_eq!(led(&fake), 2, "what breaks off there is tried again");
}

#[tokio::test]
async fn what_a_template_does_before_is_built_first_and_the_layers_lie_on_that() {
    let (fake, events) = (Fake::new(), Memory::default());
    fake.script_performance(vec![handing("a", &["a1"]), handing("b", &["b1"])]);
    let with = With {
        before: Some("RUN before"),
        ..With::default()
    };
    assembled_with(&fake, &with, &events).await.unwrap().unwrap();
    let calls = fake.calls();
    let after = |beginning: &str| {
        let mut found = calls.iter().filter_map(|call| call.strip_prefix(beginning));
        found.next().unwrap_or_else(|| panic!("{beginning}: {calls:#?}"))
    };
    let tag = after("build mission m as ");
    assert_eq!(after("untag "), tag);
    let (below, layers) = after("extend ").split_once(" by ").unwrap();
    assert_eq!(layers, "a1, b1");
    let parent = fake.image("floe/common:1").await.unwrap().unwrap();
    assert_ne!(below, parent.id.short());
    let built = &fake.builds()[0].dockerfile;
    assert!(built.ends_with(" before\n") && !built.contains("env-a"), "{built}");
}

#[tokio::test]
async fn a_new_program_lies_on_layers_that_stay_as_they_are() {
    let (fake, events, directory) = (Fake::new(), Memory::default(), tempfile::tempdir().unwrap());
    let program = directory.path().join("floe");
    let with = With {
        program: Some(&program),
        ..With::default()
    };
    for (content, known) in [("the program", ""), ("a new one", "="), ("a new one", "=")] {
        std::fs::write(&program, content).unwrap();
        let [a, b] = ["a1", "b1"].map(|layer| format!("{known}{layer}"));
        fake.script_performance(vec![handing("a", &[&a]), handing("b", &[&b])]);
        assembled_with(&fake, &with, &events).await.unwrap().unwrap();
        fake.label_all(label::INPUT_DIGEST);
    }
    let extensions = extensions(&fake);
    for (extension, beginning, program) in [
        (&extensions[0], "a1, b1, opt/common-scripts/floe\0", "the program\0"),
        (&extensions[1], "there, there, opt/common-scripts/floe\0", "a new one\0"),
    ] {
        assert!(
            extension.starts_with(beginning) && extension.contains(program),
            "{extension}"
        );
    }
    assert_eq!(extensions[2], "there, there, there");
    let foundation = fake.image("floe/foundation:1").await.unwrap().unwrap().id;
    let extended = fake.calls().into_iter().filter(|call| call.starts_with("extend "));
    assert!(extended.into_iter().all(|call| call.contains(foundation.short())));
}

#[tokio::test]
async fn what_lies_on_a_new_layer_is_new_though_its_digest_is_known() {
    let (fake, events) = (Fake::new(), Memory::default());
    fake.script_performance(vec![handing("a", &["a1", "a2"]), handing("b", &["b1"])]);
    assembled_by(&fake, &events).await.unwrap();
    fake.label_all(label::INPUT_DIGEST);
    fake.script_performance(vec![handing("a", &["=other", "=a2"]), handing("b", &["=b1"])]);
    assembled_by(&fake, &events).await.unwrap();
    assert_eq!(extensions(&fake)[1], "other, a2, b1");
}

#[tokio::test]
async fn a_step_that_breaks_off_is_tried_again_and_nothing_is_made_of_half_a_layer() {
    let (fake, events) = (Fake::new(), Memory::default());
    let broken = Handing {
        breaks: true,
        ..handing("a", &["first layer"])
    };
    fake.script_performance(vec![broken.clone(), handing("b", &["b1"])]);
    fake.script_performance(vec![handing("a", &["first layer"]), handing("b", &["b1"])]);
    assembled_by(&fake, &events).await.unwrap().unwrap();
    assert_eq!(extensions(&fake), ["first layer, b1"]);

    for _ in 0..2 {
        fake.script_performance(vec![broken.clone(), handing("b", &["b1"])]);
    }
    let error = assembled_by(&fake, &events).await.map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("exit code: 75"),
        "the build knows why: {error}"
    );
}

#[tokio::test]
async fn an_environment_that_cannot_be_assembled_is_said_and_left_to_the_builder() {
    let (fake, events) = (Fake::new(), Memory::default());
    let unable = Handing {
        unable: Some("it has no lock".to_owned()),
        ..handing("a", &[])
    };
    fake.script_performance(vec![unable, handing("b", &["b1"])]);
    assert!(assembled_by(&fake, &events).await.unwrap().is_none());
    let noted = events
        .events()
        .into_iter()
        .any(|event| matches!(event, Event::Note { text } if text == "a is installed as a whole: it has no lock"));
    assert!(noted);
    assert_eq!(extensions(&fake), [""; 0]);
}

#[tokio::test]
async fn an_engine_that_keeps_layers_compressed_is_given_them_so_and_each_is_compressed_once() {
    let (fake, events, directory) = (Fake::new(), Memory::default(), tempfile::tempdir().unwrap());
    fake.packs_layers();
    let packing = || {
        Some(Packing {
            compression: Compression::Gzip,
            shelf: Shelf::at(directory.path().to_owned()),
        })
    };
    let build = async |handings: Vec<Handing>| {
        fake.script_performance(handings);
        let with = With {
            packing: packing(),
            ..With::default()
        };
        assembled_with(&fake, &with, &events).await.unwrap().unwrap();
        fake.label_all(label::INPUT_DIGEST);
    };
    build(vec![handing("a", &["a1", "a2"]), handing("b", &["b1"])]).await;
    build(vec![handing("a", &["=a1", "changed"]), handing("b", &["=b1"])]).await;
    assert_eq!(extensions(&fake), ["a1, a2, b1", "there, changed, b1"]);
    // What lies on a changed layer is sent again. Who made it is not asked for it.
    assert_eq!(handed_over(&fake), ["a1", "a2", "b1", "changed"]);

    let known = packing()
        .unwrap()
        .shelf
        .known(&Digest::of(b"b1"), Compression::Gzip)
        .unwrap();
    let blob = directory.path().join("blobs").join(known.packed.digest.hex());
    std::fs::write(blob, "damaged").unwrap();
    build(vec![handing("a", &["other"]), handing("b", &["=b1"])]).await;
    assert_eq!(handed_over(&fake)[4..], ["other", "b1"]);
}

#[tokio::test]
async fn where_nothing_says_how_an_engine_is_given_them_the_builder_makes_them() {
    let (fake, events) = (Fake::new(), Memory::default());
    fake.packs_layers();
    fake.script_performance(vec![handing("a", &["a1"]), handing("b", &["b1"])]);
    assert!(assembled_by(&fake, &events).await.unwrap().is_none());
    assert_eq!(extensions(&fake), [""; 0]);
}

#[tokio::test]
async fn an_engine_that_takes_no_more_of_them_is_what_is_said() {
    let (fake, events) = (Fake::new(), Memory::default());
    let full = || EngineError::Request {
        action: "load layers".to_owned(),
        reason: "no space left on device".to_owned(),
        trouble: Trouble::NoSpace,
    };
    for _ in 0..2 {
        fake.script_failure("take", full());
        fake.script_performance(vec![handing("a", &["a1"]), handing("b", &["b1"])]);
    }
    let error = assembled_by(&fake, &events).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("no space left on device"), "{error}");
}
