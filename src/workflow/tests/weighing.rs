//! How large images may be.

use super::case::{Case, m};
use crate::engine::fake::Run;
use crate::event::{Event, Portion};
use crate::fault::{Explained as _, Kind};
use crate::quantity::Size;
use crate::workflow::{self, Asked, Budget, BuildOptions, WorkflowError};

/// The next image that is asked says that it holds a package of so many bytes.
fn next_holds(case: &Case, package: u64) {
    let files = [
        ("/opt/floe/image.json", r#"{"environments": []}"#.to_owned()),
        (
            "/opt/floe/packages.json",
            format!(
                r#"[{{"name": "e", "packages": [{{"name": "numpy", "manager": "pip", "version": "1", "size": {package}}}]}}]"#
            ),
        ),
    ];
    case.engine.script_run(Run {
        files: files.map(|(path, text)| (path.to_owned(), text.into_bytes())).into(),
        ..Run::default()
    });
}

/// Builds the image of `m`.
async fn built(case: &Case, budget: Budget) -> Result<(), WorkflowError> {
    let options = BuildOptions {
        budget: Some(budget),
        ..BuildOptions::default()
    };
    let images = workflow::images(&case.workplace, &[m()], options, &case.interrupts).await;
    images.map(|_| ())
}

/// Makes the image that was weighed last one that took nothing.
fn lighten(case: &Case) {
    let path = case.workplace.state.sizes(&m());
    let mut known: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    known["all"] = 0.into();
    std::fs::write(&path, known.to_string()).unwrap();
}

fn told(case: &Case) -> Vec<String> {
    let notes = case.shown.events().into_iter().filter_map(|event| match event {
        Event::Note { text } => text.strip_prefix("mission m: ").map(str::to_owned),
        _ => None,
    });
    notes.collect()
}

#[tokio::test]
async fn what_made_an_image_larger_is_told() {
    let case = Case::new();
    next_holds(&case, 4_000_000);
    built(&case, Budget::default()).await.unwrap();
    case.write("missions/m/environments/e/e.pip", "numpy\nscipy\n");
    next_holds(&case, 6_000_000);
    built(&case, Budget::default()).await.unwrap();
    let told = told(&case);
    assert!(!told[0].contains("before"), "{told:?}");
    assert!(told[1].contains("before: e/numpy (2.0 MB)"), "{told:?}");
}

#[tokio::test]
async fn a_run_says_how_large_its_image_is_and_what_takes_how_much() {
    let case = Case::new();
    next_holds(&case, 4_000_000);
    built(&case, Budget::default()).await.unwrap();
    case.next_run_passes();
    let observed = case.test(&Asked::default()).await.unwrap();
    let account = observed.account.unwrap();
    let size = account.size().unwrap();
    let of = |portions: &[Portion]| {
        let portions = portions.iter().map(|portion| (portion.name.clone(), portion.bytes));
        portions.collect::<Vec<_>>()
    };
    assert_eq!(of(&size.environments), [("e".to_owned(), 4_000_000)]);
    assert_eq!(of(&size.packages), [("e/numpy".to_owned(), 4_000_000)]);
    assert!(size.bytes > 0);
}

#[tokio::test]
async fn an_image_beyond_its_budget_is_refused_with_the_packages_as_often_as_it_is_asked_for() {
    let case = Case::new();
    let small = Budget {
        size: Some(Size(1)),
        growth: None,
    };
    for _ in 0..2 {
        next_holds(&case, 4_000_000);
        let error = built(&case, small).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(
            error
                .to_string()
                .contains("may have 1 B; its largest packages: e/numpy (4.0 MB)"),
            "{error}"
        );
    }
    next_holds(&case, 4_000_000);
    built(&case, Budget::default()).await.unwrap();
    assert!(
        built(&case, small).await.is_err(),
        "it was built, and is as large as before"
    );

    lighten(&case);
    case.write("missions/m/environments/e/e.pip", "numpy\nscipy\n");
    let steady = Budget {
        size: None,
        growth: Some(Size(1)),
    };
    for _ in 0..2 {
        next_holds(&case, 6_000_000);
        let error = built(&case, steady).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(
            error.to_string().contains("may grow by 1 B; most by e/numpy (2.0 MB)"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn growth_is_refused_also_of_an_image_that_was_built_when_nobody_minded() {
    let case = Case::new();
    next_holds(&case, 4_000_000);
    built(&case, Budget::default()).await.unwrap();
    lighten(&case);
    case.write("missions/m/environments/e/e.pip", "numpy\nscipy\n");
    next_holds(&case, 6_000_000);
    built(&case, Budget::default()).await.unwrap();
    let steady = Budget {
        size: None,
        growth: Some(Size(1)),
    };
    for _ in 0..2 {
        assert_eq!(built(&case, steady).await.unwrap_err().kind(), Kind::Refused);
    }
}

#[tokio::test]
async fn an_image_weighs_what_its_files_take_also_where_its_engine_counts_what_it_has_compressed() {
    let case = Case::new();
    let id = case.build().await.of(&m()).id.clone();
    let files = "x".repeat(2_000_000);
    case.engine
        .script_layers(&id, &[("COPY a /", &files), ("COPY b /", "b")]);
    next_holds(&case, 1);
    let budget = Budget {
        size: Some(Size(1_000_000)),
        growth: None,
    };
    let error = built(&case, budget).await.unwrap_err();
    assert!(error.to_string().contains("has 2.0 MB"), "{error}");
}
