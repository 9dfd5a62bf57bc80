//! When frozen specs are written.

use super::case::{Case, m};
use crate::event::Verdict;
use crate::workflow::{BuildOptions, build, freeze};

fn frozen(case: &Case) -> Option<String> {
    std::fs::read_to_string(case.path("missions/m/environments/e/e-frozen.yml")).ok()
}

#[tokio::test]
async fn a_floating_build_freezes_what_it_came_to() {
    let case = Case::new();
    case.next_export_holds("2.0");
    let options = BuildOptions::default();
    let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    assert_eq!(written.unwrap().len(), 1);
    assert!(frozen(&case).unwrap().contains("numpy==2.0"));
}

#[tokio::test]
async fn what_is_up_to_date_and_frozen_is_not_frozen_again() {
    let case = Case::new();
    let options = BuildOptions::default();
    case.next_export_holds("2.0");
    build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    let builds = case.engine.builds().len();
    let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    assert_eq!(written, None);
    assert_eq!(case.engine.builds().len(), builds);
}

#[tokio::test]
async fn a_frozen_spec_that_is_gone_is_written_again_without_a_build_of_the_image() {
    let case = Case::new();
    let options = BuildOptions::default();
    case.next_export_holds("2.0");
    build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    std::fs::remove_file(case.path("missions/m/environments/e/e-frozen.yml")).unwrap();
    case.next_export_holds("2.0");
    let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    assert!(written.unwrap()[0].new);
}

#[tokio::test]
async fn a_frozen_build_writes_no_frozen_spec() {
    let case = Case::with(&[("USE_FROZEN", "1")]);
    let text = "name: e\ndependencies:\n  - python=3.11.2\n  - pip:\n      - numpy==1.0\n";
    case.write("missions/m/environments/e/e-frozen.yml", text);
    let options = BuildOptions::default();
    let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    assert_eq!(written, None);
    assert_eq!(frozen(&case).unwrap(), text);
}

#[tokio::test]
async fn what_fails_its_tests_is_not_frozen() {
    let case = Case::new();
    case.next_run_fails();
    let (reached, ended) = case.all().await;
    assert_eq!(reached, ["tested"]);
    assert!(ended.unwrap().is_some());
    assert_eq!(frozen(&case), None);
}

#[tokio::test]
async fn what_passes_its_tests_is_frozen_before_it_is_pushed() {
    let case = Case::new();
    case.next_run(&[(&super::case::numpy(), Verdict::Passed)]);
    case.next_export_holds("2.0");
    let (reached, ended) = case.all().await;
    assert_eq!(reached, ["tested", "frozen", "pushed"]);
    assert!(ended.unwrap().is_none());
    assert!(frozen(&case).is_some());
}

#[tokio::test]
async fn freezing_says_what_changed_and_nothing_where_nothing_did() {
    let case = Case::new();
    case.build().await;
    case.next_export_holds("2.0");
    assert!(freeze(&case.workplace, &[m()]).await.unwrap()[0].new);
    case.next_export_holds("2.0");
    assert!(freeze(&case.workplace, &[m()]).await.unwrap().is_empty());
    case.next_export_holds("2.1");
    let written = freeze(&case.workplace, &[m()]).await.unwrap();
    assert!(!written[0].new && !written[0].changes.is_empty());
}
