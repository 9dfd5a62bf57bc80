//! Floating builds of images that are made of what their specs come to.

use std::collections::BTreeMap;

use super::case::{Case, m};
use crate::engine::EngineError;
use crate::fault::Trouble;
use crate::image::variable;
use crate::plan;
use crate::workflow::{self, BuildOptions, build};

const FROZEN: &str = "missions/m/environments/e/e-frozen.yml";

/// The next image that solves `e` comes to this version of numpy.
fn next_solution_holds(case: &Case, version: &str) {
    let text = format!("name: e\ndependencies:\n  - python=3.11.2\n  - pip:\n      - numpy=={version}\n");
    case.engine.script_solution(BTreeMap::from([(
        format!("{}/e-frozen.yml", plan::SOLVED),
        text.into_bytes(),
    )]));
}

fn frozen(case: &Case) -> Option<String> {
    std::fs::read_to_string(case.path(FROZEN)).ok()
}

/// How many builds solved specs.
fn solved(case: &Case) -> usize {
    let builds = case.engine.builds().into_iter();
    builds.filter(|build| build.image.starts_with("solution of")).count()
}

#[tokio::test]
async fn a_floating_build_and_the_frozen_one_after_it_are_one_image_tested_once() {
    let case = Case::new();
    next_solution_holds(&case, "2.0");
    case.next_run_passes();
    case.next_export_holds("2.0");
    let (reached, _) = case.all().await;
    assert_eq!(reached, ["tested", "frozen", "pushed"]);
    assert!(frozen(&case).unwrap().contains("numpy==2.0"));
    let mut builds = case.engine.builds().into_iter();
    let image = builds.rfind(|build| build.image == "mission m").unwrap();
    assert_eq!(image.args[variable::USE_FROZEN], "1");
    let builds = case.engine.builds().len();

    let (reached, _) = case.all().await;
    assert_eq!(reached, ["passed before", "pushed"]);
    let frozen_call = case.with_settings(&[("USE_FROZEN", "1")]);
    let (options, missions) = (BuildOptions::default(), [m()]);
    let built = workflow::images(&frozen_call, &missions, options, &case.interrupts).await;
    assert!(built.unwrap().built.iter().all(|image| !image.fresh));
    assert_eq!(case.engine.builds().len(), builds, "something was built again");
    assert_eq!(solved(&case), 1);
}

#[tokio::test]
async fn what_was_solved_is_solved_again_when_specs_change_or_a_refresh_is_asked_for() {
    let case = Case::new();
    let float = async |options| {
        case.next_export_holds("2.9");
        let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
        written.map(|written| written.len())
    };
    let options = BuildOptions::default();
    next_solution_holds(&case, "2.0");
    assert_eq!(float(options).await, Some(1));
    // Nobody asks what is newest, and what the repository holds does not count.
    case.write(FROZEN, &frozen(&case).unwrap().replace("2.0", "1.0"));
    std::fs::remove_file(case.path("missions/m/environments/e/e-frozen.lock")).unwrap();
    assert_eq!(float(options).await, Some(1));
    assert!(frozen(&case).unwrap().contains("numpy==2.0"));
    assert_eq!(solved(&case), 1);

    case.write("missions/m/environments/e/e.pip", "numpy>1\n");
    next_solution_holds(&case, "2.1");
    assert_eq!(float(options).await, Some(1));
    let refresh = BuildOptions {
        refresh: true,
        ..options
    };
    next_solution_holds(&case, "2.1");
    let builds = case.engine.builds().len();
    assert_eq!(float(refresh).await, None, "the same packages are the same image");
    assert_eq!(case.engine.builds().len(), builds + 1, "only what solves was built");
    next_solution_holds(&case, "2.2");
    assert_eq!(float(refresh).await, Some(1));
    assert!(frozen(&case).unwrap().contains("numpy==2.2"));
}

#[tokio::test]
async fn what_fails_its_tests_is_not_frozen_and_stays_to_be_looked_at() {
    let case = Case::new();
    next_solution_holds(&case, "2.0");
    case.next_run_fails();
    let (reached, _) = case.all().await;
    assert_eq!((reached, frozen(&case)), (vec!["tested"], None));
    case.next_run_passes();
    case.next_export_holds("2.0");
    assert_eq!(case.all().await.0, ["tested", "frozen", "pushed"]);
    assert_eq!(solved(&case), 1);
}

#[tokio::test]
async fn what_only_an_installation_can_tell_floats_and_is_asked_for_once() {
    let case = Case::new();
    for _ in 0..2 {
        case.next_export_holds("2.0");
        case.build().await;
    }
    assert_eq!(solved(&case), 1);
    assert_eq!(case.engine.builds().pop().unwrap().args[variable::USE_FROZEN], "0");
    case.write("missions/m/environments/e/e.pip", "numpy<3\n");
    case.build().await;
    assert_eq!(solved(&case), 2);
}

#[tokio::test]
async fn a_mission_whose_specs_have_no_solution_leaves_the_others() {
    let case = Case::new();
    case.mission("other");
    let missions = [m(), "other".parse().unwrap()];
    let unsolvable = || {
        case.engine.script_failure(
            "build",
            EngineError::Request {
                action: "solve".to_owned(),
                reason: "no solution".to_owned(),
                trouble: Trouble::Request,
            },
        );
    };
    // The common image is there.
    workflow::images(&case.workplace, &[], BuildOptions::default(), &case.interrupts)
        .await
        .unwrap();
    unsolvable();
    let built = workflow::images(&case.workplace, &missions, BuildOptions::default(), &case.interrupts).await;
    assert_eq!(
        built.unwrap_err().to_string(),
        "1 of 2 images were not built: mission m"
    );
    let last = case.engine.builds().pop().unwrap();
    assert_eq!(last.image, "mission other");
}

#[tokio::test]
async fn the_base_environment_is_solved_by_an_image_and_built_from_what_came_of_it() {
    let case = Case::new();
    case.write("common/common-env/all.pip", "six\n");
    let next_base_holds = |version: &str| {
        let text = format!("name: base\ndependencies:\n  - python=3.11.2\n  - pip:\n      - six=={version}\n");
        case.engine.script_run(crate::engine::fake::Run {
            files: BTreeMap::from([("/floe-frozen/base-frozen.yml".to_owned(), text.into_bytes())]),
            ..crate::engine::fake::Run::default()
        });
    };
    next_base_holds("1.0");
    next_solution_holds(&case, "2.0");
    case.next_export_holds("2.0");
    let options = BuildOptions::default();
    let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    assert_eq!(written.unwrap().len(), 2);
    let frozen_call = case.with_settings(&[("USE_FROZEN", "1")]);
    let builds = case.engine.builds().len();
    let missions = [m()];
    workflow::images(&frozen_call, &missions, options, &case.interrupts)
        .await
        .unwrap();
    assert_eq!(case.engine.builds().len(), builds, "the frozen image is another");

    // Packages that a frozen base environment brings are others, so what begins as a copy of it is solved again.
    case.write("common/common-env/all.pip", "six<2\n");
    next_base_holds("1.1");
    next_solution_holds(&case, "2.0");
    case.next_export_holds("2.0");
    let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    assert_eq!(written.unwrap().len(), 2);
    assert_eq!(solved(&case), 2);
}
