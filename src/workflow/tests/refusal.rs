//! What is refused, and what is not done twice.

use super::case::{Case, digest, m};
use crate::publish::PublishError;
use crate::workflow::{Asked, Foreign, ForeignTests, WorkflowError, push};

const REGISTRY: [(&str, &str); 2] = [("USE_FROZEN", "0"), ("REGISTRY", "registry.invalid/hub")];

#[tokio::test]
async fn an_image_that_was_not_tested_is_not_pushed() {
    let case = Case::with(&REGISTRY);
    case.build().await;
    let refused = push(&case.workplace, &[m()], &case.interrupts, |_, _| panic!("pushed")).await;
    assert!(matches!(
        refused,
        Err(WorkflowError::Publish(PublishError::Untested { .. }))
    ));
    assert!(!case.engine.calls().iter().any(|call| call.starts_with("push ")));
}

#[tokio::test]
async fn an_image_whose_tests_have_changed_since_is_not_pushed() {
    let case = Case::with(&REGISTRY);
    case.write("missions/m/Dockerfile", "FROM upstream:1\n");
    // The image stays the same where its tests change.
    case.write("missions/m/.dockerignore", "environments\n");
    case.build().await;
    case.next_run_passes();
    assert!(case.test(&Asked::default()).await.unwrap().passed());
    case.write("missions/m/environments/e/tests/imports", "numpy\nscipy\n");
    let refused = push(&case.workplace, &[m()], &case.interrupts, |_, _| panic!("pushed")).await;
    assert!(matches!(
        refused,
        Err(WorkflowError::Publish(PublishError::Redefined { .. }))
    ));
}

#[tokio::test]
async fn a_push_without_a_registry_is_refused_before_the_engine_is_asked() {
    let case = Case::new();
    let refused = push(&case.workplace, &[m()], &case.interrupts, |_, _| panic!("pushed")).await;
    assert!(matches!(refused, Err(WorkflowError::NoRegistry)));
    assert!(case.engine.calls().is_empty());
}

#[tokio::test]
async fn without_a_registry_all_ends_with_an_image_that_stays() {
    let case = Case::new();
    case.next_run_passes();
    case.next_export_holds("2.0");
    let (reached, _) = case.all().await;
    assert_eq!(reached.last(), Some(&"pushed"));
    assert!(!case.engine.calls().iter().any(|call| call.starts_with("push ")));
}

#[tokio::test]
async fn an_image_with_evidence_is_not_tested_again() {
    let case = Case::new();
    case.next_run_passes();
    case.next_export_holds("2.0");
    case.all().await.1.unwrap();
    let (reached, _) = case.all().await;
    assert_eq!(reached, ["passed before", "pushed"]);
    assert_eq!(case.containers(), 1);
}

#[tokio::test]
async fn containers_of_a_floe_that_is_gone_are_removed_before_a_run() {
    let case = Case::new();
    case.build().await;
    case.leave_container().await;
    case.next_run_passes();
    case.test(&Asked::default()).await.unwrap();
    assert_eq!(case.warnings(), ["removed 1 container of a run that was killed"]);
}

#[tokio::test]
async fn a_foreign_image_without_a_test_is_refused_before_it_is_pulled() {
    let case = Case::new();
    let foreign = Foreign {
        reference: "elsewhere:1".parse().unwrap(),
        imports: Vec::new(),
        notebooks: None,
        server: false,
        environment: crate::reference::EnvironmentName::base(),
    };
    let refused = ForeignTests::new(foreign, &crate::suite::selection::Selection::default());
    assert!(matches!(refused.err(), Some(WorkflowError::Nothing(_))));
    assert!(case.engine.calls().is_empty());
}

#[tokio::test]
async fn a_test_of_a_foreign_image_is_no_evidence_for_any_image() {
    let case = Case::new();
    case.engine.add_image("elsewhere:1", std::collections::BTreeMap::new());
    let foreign = Foreign {
        reference: "elsewhere:1".parse().unwrap(),
        imports: vec!["numpy".to_owned()],
        notebooks: None,
        server: false,
        environment: "e".parse().unwrap(),
    };
    let selection = crate::suite::selection::Selection::default();
    let tests = ForeignTests::new(foreign, &selection).unwrap();
    case.next_run_passes();
    let observed = tests
        .run(&case.workplace, &Asked::default(), &case.interrupts)
        .await
        .unwrap();
    assert!(observed.passed());
    assert!(
        !case
            .workplace
            .state
            .evidence(&digest("elsewhere:1"))
            .parent()
            .unwrap()
            .exists()
    );
}
