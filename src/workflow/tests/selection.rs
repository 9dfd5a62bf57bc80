//! Which tests a call is for.

use std::os::unix::fs::PermissionsExt as _;

use super::case::{Case, filtered, m, numpy};
use crate::event::{Part, Verdict};
use crate::fault::Explained as _;
use crate::reference::{TestId, TestKind};
use crate::suite::selection::Selection;
use crate::workflow::{Asked, Nothing, WorkflowError, choose, choose_all, list};

fn nothing(error: WorkflowError) -> Nothing {
    match error {
        WorkflowError::Nothing(nothing) => nothing,
        other => panic!("{other}"),
    }
}

#[test]
fn a_mission_without_tests_is_told_from_one_whose_tests_were_not_selected() {
    let case = Case::new();
    let error = choose(&case.workplace, &m(), &filtered("scipy")).unwrap_err();
    assert!(matches!(nothing(error), Nothing::NoneSelected { some, .. } if some == [numpy()]));
    std::fs::remove_file(case.path("missions/m/environments/e/tests/imports")).unwrap();
    let error = choose(&case.workplace, &m(), &Asked::default()).unwrap_err();
    assert!(matches!(nothing(error), Nothing::NoTests { misnamed, .. } if misnamed.is_empty()));
    case.write("missions/m/environments/e/tests/import", "numpy\n");
    let error = choose(&case.workplace, &m(), &Asked::default()).unwrap_err();
    assert!(
        error
            .hint()
            .unwrap()
            .contains("tests/import is read by nobody: is it meant to be called imports?")
    );
}

#[tokio::test]
async fn an_environment_for_which_no_test_is_defined_is_named() {
    let case = Case::new();
    case.write("missions/m/environments/f/f.pip", "scipy\n");
    case.write("missions/m/environments/f/tests/imports", "# scipy\n");
    case.build().await;
    case.next_run_passes();
    case.test(&Asked::default()).await.unwrap();
    let warnings = case.warnings();
    assert!(
        warnings
            .iter()
            .any(|text| text.starts_with("no test is defined for the environment f")),
        "{warnings:?}"
    );
    case.write("missions/m/environments/f/tests/imports", "scipy\n");
    let choice = choose(&case.workplace, &m(), &Asked::default()).unwrap();
    assert!(
        choice
            .untested(&case.workplace.repository.environment_names(&m()))
            .is_empty()
    );
}

#[test]
fn of_several_missions_those_without_a_selected_test_are_left_out() {
    let case = Case::new();
    case.mission("n");
    case.write("missions/n/environments/e/tests/imports", "scipy\n");
    let both = [m(), "n".parse().unwrap()];
    let chosen = choose_all(&case.workplace, &both, &filtered("scipy")).unwrap();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].mission, both[1]);
    assert!(choose_all(&case.workplace, &both, &filtered("pandas")).is_err());
}

#[test]
fn a_script_of_the_mission_is_its_own_test_and_needs_its_run_bit() {
    let case = Case::new();
    case.write("missions/m/environments/test", "#! /bin/sh\n");
    let error = choose(&case.workplace, &m(), &Asked::default()).unwrap_err();
    assert!(matches!(error, WorkflowError::NotExecutable { .. }));
    let script = case.path("missions/m/environments/test");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let choice = choose(&case.workplace, &m(), &Asked::default()).unwrap();
    assert!(choice.script);
    assert_eq!(choice.expected, [TestId::of_mission("m"), numpy()]);
}

#[tokio::test]
async fn a_mission_and_an_environment_of_one_name_each_have_their_own_script() {
    let case = Case::new();
    case.write("missions/m/environments/m/m.pip", "numpy\n");
    for script in ["missions/m/environments/test", "missions/m/environments/m/tests/test"] {
        case.write(script, "#! /bin/sh\n");
        std::fs::set_permissions(case.path(script), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (of_mission, of_environment) = (TestId::of_mission("m"), TestId::script("m"));
    let choice = choose(&case.workplace, &m(), &Asked::default()).unwrap();
    assert_eq!(choice.expected, [of_mission.clone(), numpy(), of_environment.clone()]);
    let alone = Asked {
        selection: Selection {
            environments: vec!["m".parse().unwrap()],
            ..Selection::default()
        },
        ..Asked::default()
    };
    let choice = choose(&case.workplace, &m(), &alone).unwrap();
    assert_eq!((choice.expected, choice.script), (vec![of_environment], false));
    // What the mission's script says of itself says nothing of the environment's.
    case.build().await;
    case.next_run(&[(&of_mission, Verdict::Passed), (&numpy(), Verdict::Passed)]);
    assert!(!case.test(&Asked::default()).await.unwrap().passed());
}

#[test]
fn servers_are_tested_only_beside_tests_that_the_files_define() {
    let case = Case::with(&[("USE_FROZEN", "0"), ("TEST_SERVER", "1")]);
    let choice = choose(&case.workplace, &m(), &Asked::default()).unwrap();
    assert!(choice.server.iter().any(|id| id.kind == TestKind::Server));
    std::fs::remove_file(case.path("missions/m/environments/e/tests/imports")).unwrap();
    let error = choose(&case.workplace, &m(), &Asked::default()).unwrap_err();
    assert!(matches!(nothing(error), Nothing::NoTests { .. }));
}

#[tokio::test]
async fn what_failed_last_is_run_again_and_nothing_else() {
    let case = Case::new();
    case.write("missions/m/environments/e/tests/imports", "numpy\nscipy\n");
    let again = Asked {
        rerun_failed: true,
        ..Asked::default()
    };
    let error = choose(&case.workplace, &m(), &again).unwrap_err();
    assert_eq!(nothing(error), Nothing::NeverRun { mission: m() });
    case.build().await;
    case.next_run(&[
        (&numpy(), super::case::failed()),
        (&TestId::import("e", "scipy"), crate::event::Verdict::Passed),
    ]);
    case.test(&Asked::default()).await.unwrap();
    let choice = choose(&case.workplace, &m(), &again).unwrap();
    assert_eq!(choice.expected, [numpy()]);
    assert!(!again.is_complete(), "its result does not stand for the image");
}

#[test]
fn parts_hold_each_test_once_and_are_parts_of_one_selection() {
    let case = Case::new();
    let modules = (0..20)
        .map(|number| format!("module{number}"))
        .collect::<Vec<_>>()
        .join("\n");
    case.write("missions/m/environments/e/tests/imports", &modules);
    let part = |index| Asked {
        selection: Selection {
            part: Some(Part { index, of: 2 }),
            ..Selection::default()
        },
        ..Asked::default()
    };
    let [one, two] = [1, 2].map(|index| choose(&case.workplace, &m(), &part(index)).unwrap());
    assert_eq!(one.digest(), two.digest());
    assert_eq!(one.expected.len() + two.expected.len(), 20);
    assert!(one.expected.iter().all(|id| !two.expected.contains(id)));
}

#[test]
fn the_list_says_what_would_not_run_and_why() {
    let case = Case::new();
    case.write(
        "missions/m/environments/e/tests/notebooks",
        "# slow.ipynb\ngone.ipynb\n",
    );
    let choice = choose(&case.workplace, &m(), &Asked::default()).unwrap();
    let modes = list(&case.workplace, &choice).into_iter();
    let modes = modes.map(|test| (test.id.name.clone(), test.mode)).collect::<Vec<_>>();
    assert!(modes.contains(&("numpy".to_owned(), "parallel")), "{modes:?}");
    assert!(modes.contains(&("gone.ipynb".to_owned(), "broken")), "{modes:?}");
}
