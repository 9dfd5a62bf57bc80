//! The builder against an engine in memory: which calls it makes, and which it spares.

use std::fs;
use std::path::Path;

use super::*;
use crate::compose::{Mounts, Unbounded};
use crate::config::Settings;
use crate::engine::fake::Fake;
use crate::event::Memory;
use crate::fault::{Explained as _, Kind, Trouble};
use crate::memo::Memo;
use crate::plan::{self, PlanError};
use crate::repository::Repository;

/// A repository with the mission `m`, whose own Dockerfile has a failing line 3, on the base image `upstream:1`.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let file = dir.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    write("common/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n");
    write("common/Dockerfile.trailer", "USER jovyan\n");
    write(
        "missions/m/Dockerfile.custom",
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN make it\n",
    );
    write("agent", "the program");
    dir
}

fn plan_of(root: &Path) -> BuildPlan {
    loaded(root).unwrap()
}

fn loaded(root: &Path) -> Result<BuildPlan, PlanError> {
    let environment = |name: &str| (name == "BASE_IMAGE").then(|| "upstream:1".to_owned());
    let settings: Settings = crate::config::resolve(&BTreeMap::new(), environment, &BTreeMap::new()).unwrap();
    let missions = ["m".parse().unwrap()];
    let host = plan::Host {
        agent: &root.join("agent"),
        mounts: &Mounts::default(),
        renderer: &Unbounded,
        memo: &Memo::none(),
        solved: None,
    };
    plan::load(&Repository::at(root), &missions, &settings, host)
}

fn engine() -> Fake {
    let fake = Fake::new();
    fake.add_image("upstream:1", BTreeMap::new());
    fake
}

fn failed_build(temporary: bool) -> EngineError {
    EngineError::Build {
        image: "common".to_owned(),
        reason: "exit code: 1".to_owned(),
        line: None,
        step: Some("[2/2] RUN make it".to_owned()),
        output: "making it\nerror: /opt/environments/e/e.pip:3 is odd\n".to_owned(),
        trouble: temporary.then_some(Trouble::Lost),
    }
}

/// Options that try twice more, at once.
fn patient() -> Options {
    Options {
        retries: vec![Duration::ZERO; 2],
        ..Options::default()
    }
}

/// The calls that change something, without digests.
fn changes(fake: &Fake) -> Vec<String> {
    let calls = fake.calls().into_iter();
    let verbs = calls.map(|call| call.split(':').next().unwrap_or_default().to_owned());
    verbs
        .filter(|call| !call.starts_with("image ") && !call.starts_with("tag "))
        .collect()
}

#[tokio::test]
async fn images_are_chained_by_references_that_cannot_move() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    let state = State::of(dir.path());
    let built = build(&plan_of(dir.path()), &fake, &fake, &state, &Options::default(), &events)
        .await
        .unwrap();
    let requests = fake.builds();
    let upstream = &requests[0].args["BASE_IMAGE"];
    assert!(upstream.starts_with("floe/upstream:"), "{upstream}");
    assert_eq!(requests[1].args["BASE_IMAGE"], built[0].reference.to_string());
    assert_eq!(
        requests[1].labels[label::INPUT_DIGEST].get(7..19),
        Some(built[1].reference.tag.as_str())
    );
}

#[tokio::test]
async fn a_new_program_lies_on_the_foundation_that_the_one_before_has_made() {
    let dir = repository();
    let write = |path: &str, text: &str| fs::write(dir.path().join(path), text).unwrap();
    write(
        "common/Dockerfile",
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY common-scripts/ /opt/common-scripts/\nRUN install-common base\n",
    );
    let (fake, events) = (engine(), Memory::default());
    let state = State::of(dir.path());
    let built = async || {
        let plan = plan_of(dir.path());
        let built = build(&plan, &fake, &fake, &state, &Options::default(), &events).await;
        let built = built.unwrap().into_iter();
        built
            .filter(|image| image.fresh)
            .map(|image| image.role.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(built().await, ["foundation", "common", "mission m"]);
    write("agent", "a new program");
    assert_eq!(built().await, ["common", "mission m"]);
    let mut reasons = events.events().into_iter().filter_map(|event| match event {
        Event::ImageStarted { image, reason } if image == "common" => Some(reason),
        _ => None,
    });
    assert_eq!(reasons.next_back().as_deref(), Some("floe itself changed"));
    write("common/common.pip", "numpy");
    assert_eq!(built().await, ["foundation", "common", "mission m"]);
}

#[test]
fn an_instruction_before_the_first_stage_is_refused_with_its_line_with_a_foundation_and_without() {
    for copies in ["", "COPY common-scripts/ /opt/common-scripts/\n"] {
        let dir = repository();
        let text = format!("# A comment.\nRUN make\nFROM x\n{copies}");
        fs::write(dir.path().join("common/Dockerfile"), text).unwrap();
        let error = loaded(dir.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(error.place().unwrap().to_string(), "common/Dockerfile:2");
    }
}

#[tokio::test]
async fn an_image_whose_inputs_are_known_calls_no_builder() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    let state = State::of(dir.path());
    let options = Options::default();
    let first = build(&plan_of(dir.path()), &fake, &fake, &state, &options, &events)
        .await
        .unwrap();
    let second = build(&plan_of(dir.path()), &fake, &fake, &state, &options, &events)
        .await
        .unwrap();
    assert_eq!(fake.builds().len(), 2);
    assert!(first.iter().all(|image| image.fresh) && second.iter().all(|image| !image.fresh));
    assert_eq!(find(&plan_of(dir.path()), &fake, &state).await.unwrap(), second);

    fs::write(dir.path().join("missions/m/more"), "x").unwrap();
    let error = find(&plan_of(dir.path()), &fake, &state).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "mission m has not been built from its present files: more is new"
    );
    build(&plan_of(dir.path()), &fake, &fake, &state, &options, &events)
        .await
        .unwrap();
    assert_eq!(fake.builds().len(), 3, "only the mission is built again");
}

#[tokio::test]
async fn without_cache_every_image_is_built_again() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    fake.add_remote_image("upstream:1", BTreeMap::new());
    let state = State::of(dir.path());
    let rebuild = Options {
        no_cache: true,
        ..Options::default()
    };
    for _ in 0..2 {
        build(&plan_of(dir.path()), &fake, &fake, &state, &rebuild, &events)
            .await
            .unwrap();
    }
    assert_eq!(
        changes(&fake),
        [
            "pull upstream",
            "build common as floe/common",
            "build mission m as floe/m"
        ]
        .repeat(2)
    );
}

#[tokio::test]
async fn a_temporary_failure_is_tried_again() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    fake.script_failure("build", failed_build(true));
    let state = State::of(dir.path());
    build(&plan_of(dir.path()), &fake, &fake, &state, &patient(), &events)
        .await
        .unwrap();
    let warned = events
        .events()
        .into_iter()
        .any(|event| matches!(event, Event::Warning { .. }));
    assert!(warned, "trying again is said");
}

#[tokio::test]
async fn a_temporary_failure_that_stays_ends_as_one() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    for _ in 0..3 {
        fake.script_failure("build", failed_build(true));
    }
    let state = State::of(dir.path());
    let error = build(&plan_of(dir.path()), &fake, &fake, &state, &patient(), &events)
        .await
        .unwrap_err();
    assert!(matches!(error, BuildError::Engine { source, .. } if source.is_temporary()));
}

#[tokio::test]
async fn a_legitimate_failure_is_not_tried_again_and_names_the_line_that_was_written() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    let state = State::of(dir.path());
    let plan = plan_of(dir.path());
    // The common image is there already, so that the failure is the mission's.
    let common = BuildPlan {
        images: plan.images[..1].to_vec(),
        ..plan.clone()
    };
    build(&common, &fake, &fake, &state, &Options::default(), &events)
        .await
        .unwrap();
    fake.script_failure("build", failed_build(false));
    let error = build(&plan, &fake, &fake, &state, &patient(), &events)
        .await
        .unwrap_err();
    let place = error.place().unwrap();
    assert_eq!(place.to_string(), "missions/m/environments/e/e.pip:3");
    let text = error.to_string();
    assert_eq!(
        text,
        "missions/m/Dockerfile.custom:3: building common failed: missions/m/environments/e/e.pip:3 is odd"
    );
    assert_eq!(
        changes(&fake).iter().filter(|call| call.contains("mission m")).count(),
        1
    );
}

#[tokio::test]
async fn what_the_agent_ends_with_says_what_a_failed_step_means() {
    for (code, kind) in [
        (3, Kind::Invalid),
        (75, Kind::Temporary),
        (101, Kind::Build),
        (1, Kind::Build),
    ] {
        let dir = repository();
        let (fake, events) = (engine(), Memory::default());
        let failed = EngineError::Build {
            image: "common".to_owned(),
            reason: format!("exit code: {code}"),
            line: None,
            step: None,
            output: "error: it is odd\nhint: make it even\n".to_owned(),
            trouble: None,
        };
        fake.script_failure("build", failed);
        let state = State::of(dir.path());
        let error = build(&plan_of(dir.path()), &fake, &fake, &state, &Options::default(), &events)
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.hint().as_deref()), (kind, Some("make it even")));
    }
}

#[tokio::test]
async fn what_a_file_is_compared_with_is_what_it_was_last_and_not_what_was_built_last() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    let state = State::of(dir.path());
    let write = |file: &str, text: &str| fs::write(dir.path().join("missions/m").join(file), text).unwrap();
    let built = async || {
        let plan = plan_of(dir.path());
        build(&plan, &fake, &fake, &state, &Options::default(), &events)
            .await
            .unwrap();
    };
    built().await;
    write("more", "x");
    built().await;
    // Back to what there was, whose image is still there.
    fs::remove_file(dir.path().join("missions/m/more")).unwrap();
    built().await;
    write("other", "x");
    let error = find(&plan_of(dir.path()), &fake, &state).await.unwrap_err();
    assert!(error.to_string().ends_with(": other is new"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("build it first: `scripts/image-build m`"));
}

#[tokio::test]
async fn an_image_that_another_tag_replaced_is_not_taken_for_up_to_date() {
    let dir = repository();
    let (fake, events) = (engine(), Memory::default());
    let state = State::of(dir.path());
    let built = build(&plan_of(dir.path()), &fake, &fake, &state, &Options::default(), &events)
        .await
        .unwrap();
    let other = fake.add_image("other:1", BTreeMap::new());
    fake.tag(&other, &built[1].reference).await.unwrap();
    let again = build(&plan_of(dir.path()), &fake, &fake, &state, &Options::default(), &events)
        .await
        .unwrap();
    assert!(again[1].fresh);
    assert_eq!(again[1].id, built[1].id);
}
