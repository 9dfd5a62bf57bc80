//! What is kept on disks, and what of it goes.

use std::time::Duration;

use super::case::{Case, ended_owner};
use crate::engine::Images as _;
use crate::image::label;
use crate::process::Owner;
use crate::workflow::{self, Held, HeldKind, Keep};

/// What stays unless a person says otherwise.
fn kept() -> Keep {
    Keep {
        shared: true,
        caches: true,
        ..Keep::default()
    }
}

fn going(held: &[Held], kind: HeldKind) -> Vec<&str> {
    let going = held.iter().filter(|held| held.stays.is_none() && held.kind == kind);
    going.map(|held| held.name.as_str()).collect()
}

#[tokio::test]
async fn images_of_earlier_files_go_and_those_of_the_present_and_of_others_stay() {
    let case = Case::new();
    case.build().await;
    case.write("missions/m/environments/e/e.pip", "scipy\n");
    case.build().await;
    let (held, _) = workflow::held(&case.workplace, &kept()).await.unwrap();
    let images = going(&held, HeldKind::Image);
    assert!(images.len() == 1 && images[0].starts_with("floe/m:"), "{images:?}");
    workflow::prune(&case.workplace, &held).await.unwrap();
    let (held, _) = workflow::held(&case.workplace, &kept()).await.unwrap();
    assert_eq!(going(&held, HeldKind::Image), [""; 0]);
    assert!(case.engine.image("upstream:1").await.unwrap().is_some());
    let none = Keep {
        missions: vec!["other".parse().unwrap()],
        ..kept()
    };
    let (held, _) = workflow::held(&case.workplace, &none).await.unwrap();
    assert_eq!(going(&held, HeldKind::Image), [""; 0]);
}

#[tokio::test]
async fn images_of_other_repositories_go_only_where_they_are_named() {
    let case = Case::new();
    let labelled = |mission: Option<&str>| {
        let mission = mission.map(|mission| (label::MISSION.to_owned(), mission.to_owned()));
        mission
            .into_iter()
            .chain([(label::INPUT_DIGEST.to_owned(), "x".to_owned())])
            .collect()
    };
    case.engine.add_image("floe/elsewhere:1", labelled(Some("elsewhere")));
    case.engine.add_image("floe/common:1", labelled(None));
    let of = |keep: Keep| {
        let case = &case;
        async move {
            let (held, _) = workflow::held(&case.workplace, &keep).await.unwrap();
            going(&held, HeldKind::Image)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(of(kept()).await, [""; 0]);
    let named = Keep {
        missions: vec!["elsewhere".parse().unwrap()],
        ..kept()
    };
    assert_eq!(of(named).await, ["floe/elsewhere:1"]);
    let shared = Keep {
        shared: false,
        ..kept()
    };
    assert_eq!(of(shared).await, ["floe/common:1"]);
}

#[tokio::test]
async fn runs_go_only_where_somebody_says_how_many_or_how_old() {
    let case = Case::new();
    for run in ["20250101T000000Z-m-aaaaaa", "20250102T000000Z-m-bbbbbb"] {
        case.write(&format!(".floe/runs/{run}/events.jsonl"), "");
    }
    let of = |keep: Keep| {
        let case = &case;
        async move {
            let (held, _) = workflow::held(&case.workplace, &keep).await.unwrap();
            going(&held, HeldKind::Run)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(of(kept()).await, [""; 0]);
    let newest = Keep {
        runs: Some(1),
        ..kept()
    };
    assert_eq!(of(newest.clone()).await, ["20250101T000000Z-m-aaaaaa"]);
    // Their logs were written a moment ago.
    let old = Keep {
        younger: Some(Duration::from_hours(1)),
        ..kept()
    };
    assert_eq!(of(old).await, [""; 0]);
    let (held, _) = workflow::held(&case.workplace, &newest).await.unwrap();
    workflow::prune(&case.workplace, &held).await.unwrap();
    assert!(!case.path(".floe/runs/20250101T000000Z-m-aaaaaa").exists());
    assert!(case.path(".floe/runs/20250102T000000Z-m-bbbbbb").exists());
}

#[tokio::test]
async fn a_container_whose_call_was_killed_goes() {
    let case = Case::new();
    case.leave_container().await;
    // One of no run, as a killed push leaves it.
    case.container(&[(label::OWNER, &ended_owner())]).await;
    case.container(&[(label::OWNER, &Owner::current().to_string())]).await;
    let (held, _) = workflow::held(&case.workplace, &kept()).await.unwrap();
    assert_eq!(going(&held, HeldKind::Container), ["old", "container-2"]);
}

#[tokio::test]
async fn what_a_killed_freeze_has_left_at_the_engine_goes() {
    let case = Case::new();
    let labels = [(label::FREEZE.to_owned(), "1".to_owned())].into();
    let left = case.engine.add_image("<none>:<none>", labels);
    let (held, _) = workflow::held(
        &case.workplace,
        &Keep {
            shared: false,
            ..kept()
        },
    )
    .await
    .unwrap();
    assert_eq!(going(&held, HeldKind::Image).len(), 1, "{held:?}");
    workflow::prune(&case.workplace, &held).await.unwrap();
    assert!(case.engine.image(left.as_str()).await.unwrap().is_none());
}
