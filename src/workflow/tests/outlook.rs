//! What `floe plan` says of a repository: what is up to date, what is not and why, and what a change touches.

use super::case::{Case, m};
use crate::reference::MissionName;
use crate::workflow::{Freshness, MissionOutlook, Outlook, Part, outlook};

async fn look(case: &Case, missions: &[MissionName]) -> Outlook {
    outlook(&case.workplace, missions, None).await.unwrap()
}

/// What is said of the mission `m`.
async fn of_m(case: &Case) -> MissionOutlook {
    look(case, &[m()]).await.missions.remove(0)
}

fn told(part: &Part) -> (Freshness, &str) {
    (part.state, part.reason.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn what_was_never_built_is_built_from_the_base_on_and_what_passed_is_up_to_date() {
    let case = Case::new();
    let before = look(&case, &[m()]).await;
    assert_eq!(told(&before.shared[0]), (Freshness::Stale, "not built before"));
    let mission = &before.missions[0];
    assert_eq!(
        told(&mission.image),
        (Freshness::Stale, "not built before; common is built first")
    );
    assert_eq!(told(&mission.environments[0]), (Freshness::Stale, "not built before"));
    assert_eq!(told(&mission.tests), (Freshness::Stale, "the image is built first"));
    assert!(mission.is_due() && mission.image.seconds.is_none());
    case.build().await;
    assert_eq!(
        told(&of_m(&case).await.tests),
        (Freshness::Stale, "the image has not passed them")
    );
    case.next_run_passes();
    case.test(&crate::workflow::Asked::default()).await.unwrap();
    let after = of_m(&case).await;
    for part in [&after.image, &after.environments[0], &after.tests] {
        assert_eq!(told(part), (Freshness::UpToDate, ""));
    }
    assert!(!after.is_due() && after.image.seconds.is_some() && after.tests.seconds.is_some());
    assert_eq!(after.tests.name, "1 test");
}

#[tokio::test]
async fn a_changed_file_is_named_where_it_belongs_and_leaves_the_other_environment_alone() {
    let case = Case::new();
    case.write("missions/m/environments/f/f.pip", "scipy\n");
    case.build().await;
    case.write("missions/m/environments/f/f.pip", "scipy>1\n");
    let mission = of_m(&case).await;
    assert!(mission.image.reason.unwrap().contains("environments/f/f.pip changed"));
    let parts = mission.environments.iter().map(|part| (part.name.as_str(), told(part)));
    let expected = [("e", (Freshness::UpToDate, "")), ("f", (Freshness::Stale, "f.pip"))];
    assert_eq!(parts.collect::<Vec<_>>(), expected);
    case.write("missions/m/environments/f/f.pip", "scipy\n");
    case.write("missions/m/environments/f/tests/imports", "scipy\n");
    let mission = of_m(&case).await;
    assert!(
        mission
            .environments
            .iter()
            .all(|part| part.state == Freshness::UpToDate)
    );
    assert_eq!(mission.image.state, Freshness::Stale);
}

#[tokio::test]
async fn a_change_of_what_missions_share_is_said_once_and_all_follow() {
    let case = Case::new();
    case.mission("n");
    let missions = [m(), "n".parse().unwrap()];
    let options = crate::workflow::BuildOptions::default();
    crate::workflow::images(&case.workplace, &missions, options, &case.interrupts)
        .await
        .unwrap();
    case.write("common/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN true\n");
    let outlook = look(&case, &missions).await;
    assert!(
        outlook.shared[0]
            .reason
            .as_ref()
            .unwrap()
            .contains("Dockerfile changed")
    );
    for mission in &outlook.missions {
        assert_eq!(told(&mission.image), (Freshness::Stale, "common is built first"));
    }
}

#[tokio::test]
async fn the_engine_is_asked_for_the_base_and_once_for_all_images() {
    let case = Case::new();
    case.mission("n");
    let missions = [m(), "n".parse().unwrap()];
    let options = crate::workflow::BuildOptions::default();
    crate::workflow::images(&case.workplace, &missions, options, &case.interrupts)
        .await
        .unwrap();
    let before = case.engine.calls().len();
    let outlook = look(&case, &missions).await;
    let up_to_date = |mission: &MissionOutlook| mission.image.state == Freshness::UpToDate;
    assert!(outlook.missions.iter().all(up_to_date));
    let calls = case.engine.calls().split_off(before);
    assert_eq!(calls, ["image upstream:1", "labelled org.floe.input-digest"]);
}
