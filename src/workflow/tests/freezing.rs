//! When frozen specs are written.

use std::collections::BTreeMap;

use super::case::{Case, m};
use crate::engine::Images as _;
use crate::engine::fake::Run;
use crate::event::Verdict;
use crate::image::label;
use crate::workflow::{BuildOptions, Interrupt, WorkflowError, build, freeze};

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
    assert_eq!(case.engine.labelled(label::FREEZE).await.unwrap(), []);
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
    assert!(freeze(&case.workplace, &[m()], &case.interrupts).await.unwrap()[0].new);
    case.next_export_holds("2.0");
    assert!(
        freeze(&case.workplace, &[m()], &case.interrupts)
            .await
            .unwrap()
            .is_empty()
    );
    case.next_export_holds("2.1");
    let written = freeze(&case.workplace, &[m()], &case.interrupts).await.unwrap();
    assert!(!written[0].new && !written[0].changes.is_empty());
}

#[tokio::test]
async fn an_interrupt_ends_freezing_and_writes_nothing() {
    let case = Case::new();
    case.build().await;
    case.engine.hang_builds();
    assert!(!case.interrupter.interrupt(Interrupt::Terminated));
    let ended = freeze(&case.workplace, &[m()], &case.interrupts).await;
    assert!(matches!(ended, Err(WorkflowError::Interrupted(Interrupt::Terminated))));
    assert!(!case.path("missions/m/environments/e/e-frozen.yml").exists());
}

/// A floating build of `m`, whose image holds this version of numpy if it is asked.
async fn floats(case: &Case, version: &str, options: BuildOptions) -> Option<usize> {
    case.next_export_holds(version);
    let written = build(&case.workplace, &[m()], options, &case.interrupts).await.unwrap();
    written.map(|written| written.len())
}

#[tokio::test]
async fn the_frozen_base_of_all_missions_does_not_move_because_one_of_them_was_built() {
    let case = Case::new();
    let options = BuildOptions::default();
    case.write("common/common-env/all.pip", "six\n");
    let base = |version: &str| {
        let text = format!("name: base\ndependencies:\n  - python=3.11.2\n  - pip:\n      - six=={version}\n");
        case.engine.script_run(Run {
            files: BTreeMap::from([("/floe-frozen/base-frozen.yml".to_owned(), text.into_bytes())]),
            ..Run::default()
        });
    };
    let frozen_base = || std::fs::read_to_string(case.path("common/common-env/base-frozen.yml")).unwrap();
    base("1.0");
    assert_eq!(floats(&case, "2.0", options).await, Some(2));
    // Both images are built again, and come to other packages.
    case.write("common/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nUSER root\n");
    assert_eq!(floats(&case, "2.1", options).await, Some(1));
    assert!(frozen(&case).unwrap().contains("numpy==2.1"));
    assert!(frozen_base().contains("six==1.0"));
    let refresh = BuildOptions {
        refresh: true,
        ..options
    };
    base("1.1");
    assert_eq!(floats(&case, "2.2", refresh).await, Some(2));
    case.write("common/common-env/all.pip", "six<2\n");
    base("1.2");
    assert_eq!(floats(&case, "2.3", options).await, Some(2));
    assert!(frozen_base().contains("six==1.2"));
}

#[tokio::test]
async fn what_a_frozen_build_calls_stale_a_floating_one_writes_and_freezing_calls_stale_too() {
    let case = Case::new();
    let options = BuildOptions::default();
    floats(&case, "2.0", options).await;
    // As a checkout of an earlier commit leaves it beside lists of today.
    let text = frozen(&case).unwrap();
    let (before, after) = text.split_once("# specs: ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let text = format!("{before}# specs: {}\n{after}", crate::reference::Digest::of(b"other"));
    case.write("missions/m/environments/e/e-frozen.yml", &text);
    let of = |name: &'static str| case.with_settings(&[("USE_FROZEN", name)]);
    let frozen_build = of("1");
    build(&frozen_build, &[m()], options, &case.interrupts).await.unwrap();
    let stale = |case: &Case| case.warnings().iter().filter(|text| text.contains("is stale")).count();
    assert_eq!(stale(&case), 1);
    case.next_export_holds("2.0");
    assert_eq!(freeze(&frozen_build, &[m()], &case.interrupts).await.unwrap(), []);
    assert_eq!(stale(&case), 2, "freezing says so, too");
    assert_eq!(floats(&case, "2.0", options).await, Some(1));
    build(&of("1"), &[m()], options, &case.interrupts).await.unwrap();
    assert_eq!(stale(&case), 2);
}

#[tokio::test]
async fn a_frozen_spec_in_other_words_builds_nothing() {
    let case = Case::new();
    let options = BuildOptions::default();
    floats(&case, "2.0", options).await;
    let frozen_build = case.with_settings(&[("USE_FROZEN", "1")]);
    build(&frozen_build, &[m()], options, &case.interrupts).await.unwrap();
    let builds = case.engine.builds().len();
    let text = frozen(&case)
        .unwrap()
        .replace("- numpy==2.0", "- 'NumPy==2.0'  # by hand");
    assert!(text.contains("NumPy"), "{text}");
    case.write("missions/m/environments/e/e-frozen.yml", &text);
    build(&frozen_build, &[m()], options, &case.interrupts).await.unwrap();
    assert_eq!(case.engine.builds().len(), builds);
}

#[tokio::test]
async fn a_frozen_spec_without_builds_stops_no_build_and_is_replaced_by_a_floating_one() {
    let text = "name: e\nchannels: [conda-forge]\ndependencies:\n  - python=3.11.2\n  - numpy=1.26.4\n";
    for (use_frozen, line) in [("0", "- numpy==2.0"), ("1", "- numpy=1.26.4")] {
        let case = Case::with(&[("USE_FROZEN", use_frozen)]);
        case.write("missions/m/environments/e/e-frozen.yml", text);
        floats(&case, "2.0", BuildOptions::default()).await;
        assert!(frozen(&case).unwrap().contains(line), "{:?}", frozen(&case));
        // What the warning in a frozen build tells people to type.
        case.next_export_holds("2.1");
        freeze(&case.workplace, &[m()], &case.interrupts).await.unwrap();
        assert!(frozen(&case).unwrap().contains("numpy=="), "{:?}", frozen(&case));
    }
}
