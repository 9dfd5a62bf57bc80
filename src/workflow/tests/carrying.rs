//! Tests that are not run again, since nothing that they rest on has changed.

use std::collections::BTreeSet;

use super::case::{Case, failed, filtered, m, numpy};
use crate::event::Verdict;
use crate::reference::TestId;
use crate::run::evidence::Statement;
use crate::suite::options::RunOptions;
use crate::suite::request::Request;
use crate::workflow::{Asked, Observed};

/// The layers of the image of `m`, by what made them and what they hold.
const LAYERS: [(&str, &str); 4] = [
    ("RUN install-common", "common"),
    ("floe: environment e, layer 1 of 1", "e"),
    ("COPY /floe/f/ / # buildkit", "f"),
    ("RUN fix-permissions", "rest"),
];

fn scipy() -> TestId {
    TestId::import("f", "scipy")
}

/// A case whose image has the environments `e` and `f`, each of which has passed its test, and something in `base`.
async fn passed() -> Case {
    let case = Case::new();
    case.write("missions/m/environments/base/base.pip", "six\n");
    case.write("missions/m/environments/f/f.pip", "scipy\n");
    case.write("missions/m/environments/f/tests/imports", "scipy\n");
    has_layers(&case, &LAYERS).await;
    case.next_run(&[(&numpy(), Verdict::Passed), (&scipy(), Verdict::Passed)]);
    let observed = case.test(&Asked::default()).await.unwrap();
    assert_eq!((observed.passed(), observed.outcome.summary.carried), (true, 0));
    case
}

/// Builds the image of `m`, which has these layers.
async fn has_layers(case: &Case, layers: &[(&str, &str)]) {
    let image = case.build().await.of(&m()).id.clone();
    case.engine.script_layers(&image, layers);
}

/// Tests the image, whose next container runs what it is asked for with success. Returns how that ended, and what was asked for.
async fn tested(case: &Case, asked: &Asked) -> (Observed, BTreeSet<String>) {
    let before = case.containers();
    case.next_run(&[(&numpy(), Verdict::Passed), (&scipy(), Verdict::Passed)]);
    let observed = case.test(asked).await.unwrap();
    let begun = case.engine.started().into_iter().skip(before);
    let ran = begun.flat_map(|container| {
        let request = Request::of_variables(|name| container.environment.get(name).cloned());
        let tests = request.unwrap().unwrap().selection.tests;
        tests.unwrap_or_else(|| vec![numpy(), scipy()])
    });
    let ran = ran.map(|id| id.owner).collect();
    (observed, ran)
}

#[tokio::test]
async fn what_nothing_has_changed_for_is_not_run_again_and_evidence_says_so() {
    let case = passed().await;
    let (observed, ran) = tested(&case, &Asked::default()).await;
    assert_eq!(ran.len(), 0, "{ran:?}");
    assert!(observed.passed(), "{:?}", observed.outcome.problems);
    assert_eq!(observed.outcome.summary.carried, 2);
    assert!(case.has_evidence().await);
    let image = observed.outcome.run.unwrap().image;
    let statement = Statement::read(&case.workplace.state.evidence(&image))
        .unwrap()
        .unwrap();
    assert_eq!((statement.tests().count(), statement.carried()), (2, 2));
    // What is carried is carried from the run in which it ran.
    let (third, _) = tested(&case, &Asked::default()).await;
    let runs = [&observed.outcome.tests, &third.outcome.tests];
    let runs = runs.map(|tests| tests[0].carried.clone().unwrap().run);
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn an_environment_with_changes_runs_alone() {
    let case = passed().await;
    for (path, text, layer) in [
        ("missions/m/environments/f/tests/data", "1", "f"),
        ("missions/m/environments/f/f.pip", "scipy<9\n", "f of another version"),
    ] {
        case.write(path, text);
        let mut layers = LAYERS;
        (layers[2].1, layers[3].1) = (layer, "rest, made again");
        has_layers(&case, &layers).await;
        case.next_run(&[(&scipy(), Verdict::Passed)]);
        let before = case.engine.started().len();
        let observed = case.test(&Asked::default()).await.unwrap();
        let container = &case.engine.started()[before];
        let request = Request::of_variables(|name| container.environment.get(name).cloned());
        assert_eq!(request.unwrap().unwrap().selection.tests, Some(vec![scipy()]), "{path}");
        assert!(observed.passed(), "{path}: {:?}", observed.outcome.problems);
        let summary = observed.outcome.summary;
        assert_eq!((summary.passed, summary.carried), (1, 1), "{path}");
    }
}

/// What changes, how, and what the layers of the image are then.
type Change<'a> = (&'a str, &'a dyn Fn(&Case), [(&'a str, &'a str); 4]);

#[tokio::test]
async fn whatever_tests_rest_on_makes_them_run() {
    let own = |text: &'static str| move |case: &Case| case.write("missions/m/environments/e/tests/data", text);
    let common = [
        ("RUN install-common", "another common"),
        LAYERS[1],
        LAYERS[2],
        LAYERS[3],
    ];
    let layer = [
        LAYERS[0],
        ("floe: environment e, layer 1 of 1", "another e"),
        LAYERS[2],
        LAYERS[3],
    ];
    let untold = [LAYERS[0], ("RUN env-create e", "e"), LAYERS[2], LAYERS[3]];
    let more = |case: &Case| case.write("missions/m/default-home-contents/x", "");
    let nothing = |_: &Case| ();
    let script = |case: &Case| {
        case.write("missions/m/environments/test", "#!/bin/sh\n");
        let path = case.path("missions/m/environments/test");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let base = |case: &Case| case.write("missions/m/environments/base/base.pip", "six<2\n");
    let trailer = |case: &Case| case.write("common/Dockerfile.trailer", "USER jovyan\nENV SEEN=1\n");
    let kernel = |case: &Case| case.write("missions/m/environments/e/kernel.name", "E\n");
    let changes: [Change<'_>; 9] = [
        ("a file of its tests", &own("1"), LAYERS),
        ("the common image", &nothing, common),
        ("its own layer", &nothing, layer),
        ("a history that does not tell its layers", &nothing, untold),
        ("what is added to the base environment", &base, LAYERS),
        ("a file beside the environments", &more, LAYERS),
        ("the trailer of all missions", &trailer, LAYERS),
        ("the name of its kernel", &kernel, LAYERS),
        ("the mission's script, which may do anything", &script, LAYERS),
    ];
    for (what, change, layers) in changes {
        let case = passed().await;
        change(&case);
        has_layers(&case, &layers).await;
        let (_, ran) = tested(&case, &Asked::default()).await;
        assert!(ran.contains("e"), "{what}: {ran:?}");
    }
}

#[tokio::test]
async fn all_run_that_somebody_asks_for() {
    let all = Asked {
        all_tests: true,
        ..Asked::default()
    };
    let hurried = Asked {
        options: RunOptions {
            cell_timeout: Some("90s".parse().unwrap()),
            ..RunOptions::default()
        },
        ..Asked::default()
    };
    for asked in [all, filtered("numpy"), hurried] {
        let case = passed().await;
        assert!(tested(&case, &asked).await.1.contains("e"), "{asked:?}");
    }
    let case = passed().await;
    for value in ["0", "0.000001"] {
        let workplace = case.with_settings(&[("USE_FROZEN", "0"), ("CARRY_TESTS", value)]);
        let (before, missions) = (case.containers(), [m()]);
        case.next_run(&[(&numpy(), Verdict::Passed), (&scipy(), Verdict::Passed)]);
        let asked = Asked::default();
        let choices = crate::workflow::choose_all(&workplace, &missions, &asked).unwrap();
        let runs = crate::workflow::test(&workplace, &choices, &asked, &case.interrupts, |_| ()).await;
        assert!(runs.unwrap()[0].passed());
        assert_eq!(case.containers(), before + 1, "{value}");
    }
}

#[tokio::test]
async fn the_last_run_of_any_of_an_environments_tests_decides() {
    let case = passed().await;
    case.next_run(&[(&numpy(), failed())]);
    assert!(!case.test(&filtered("numpy")).await.unwrap().passed());
    let (observed, _) = tested(&case, &Asked::default()).await;
    let summary = observed.outcome.summary;
    assert_eq!(
        (summary.passed, summary.carried),
        (1, 1),
        "what failed since was carried"
    );
}
