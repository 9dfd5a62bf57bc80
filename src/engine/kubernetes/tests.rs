//! The cluster against an API in memory: what is asked of it, and what its answers come to.

mod api;

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::json;
use tokio::sync::mpsc;

use self::api::Api;
use crate::engine::{
    Cluster, Container, ContainerRequest, Containers as _, EngineError, LeftRun, LeftRuns as _, SharedProgram,
};
use crate::image::{self, label};

const IMAGE: &str = "r.example/m@sha256:0123456789012345678901234567890123456789012345678901234567890123";

fn request() -> ContainerRequest {
    ContainerRequest {
        image: IMAGE.to_owned(),
        environment: BTreeMap::from([("FLOE_EVENTS".to_owned(), "the key".to_owned())]),
        labels: BTreeMap::from([
            (label::RUN.to_owned(), "r".to_owned()),
            (label::MISSION.to_owned(), "m".to_owned()),
            (label::OWNER.to_owned(), "an owner".to_owned()),
        ]),
        program: Some(SharedProgram {
            name: "agent".to_owned(),
            path: image::AGENT.into(),
            source: "floe".into(),
            image: Some(IMAGE.parse().unwrap()),
        }),
        ..ContainerRequest::default()
    }
}

async fn started(cluster: &Cluster) -> Container {
    cluster.start(&request()).await.unwrap()
}

fn left() -> LeftRun {
    LeftRun {
        run: "20300101T000000Z-m_1-abcdef".to_owned(),
        labels: BTreeMap::from([(label::MISSION.to_owned(), "m_1".to_owned())]),
        content: vec![0, 159, 146, 150],
        version: String::new(),
    }
}

fn terminated(code: i64) -> serde_json::Value {
    json!({"phase": "Succeeded", "containerStatuses": [{
        "name": "tests", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "reason": "Completed"}},
    }]})
}

/// All that a container prints, and how following it ended.
async fn followed(cluster: &Cluster, container: &Container) -> (String, Result<(), EngineError>) {
    let (sender, mut receiver) = mpsc::channel(64);
    let listen = async {
        let mut all = Vec::new();
        while let Some(bytes) = receiver.recv().await {
            all.extend::<Vec<u8>>(bytes);
        }
        String::from_utf8(all).unwrap()
    };
    let (ended, all) = tokio::join!(cluster.follow(container, sender), listen);
    (all, ended)
}

#[tokio::test]
async fn a_job_takes_its_secret_along_and_nothing_stays_of_one_that_is_refused() {
    let api = Api::default();
    let cluster = api.cluster();
    let container = started(&cluster).await;
    assert_eq!(api.names("secrets"), std::slice::from_ref(&container.id));
    api.remove("jobs", &container.id);
    assert_eq!(api.names("secrets"), [""; 0]);
    api.state().forbidden = Some((Method::POST, "/jobs"));
    let refused = cluster.start(&request()).await.unwrap_err();
    assert!(refused.to_string().contains("forbidden by the test"), "{refused}");
    assert_eq!(api.names("secrets"), [""; 0]);
}

#[tokio::test]
async fn a_run_that_was_left_is_kept_as_it_is_until_the_last_of_its_jobs_goes() {
    let api = Api::default();
    let cluster = api.cluster();
    let (first, second) = (started(&cluster).await, started(&cluster).await);
    cluster.keep(&left(), &[first.clone(), second.clone()]).await.unwrap();
    let kept = cluster.kept().await.unwrap();
    assert_eq!((&kept[0].run, &kept[0].content), (&left().run, &left().content));
    assert_eq!(kept[0].labels[label::MISSION], "m_1");
    api.remove("jobs", &first.id);
    assert_eq!(cluster.kept().await.unwrap().len(), 1);
    api.remove("jobs", &second.id);
    assert_eq!(cluster.kept().await.unwrap(), []);
    cluster.forget(&left().run).await.unwrap();
}

#[tokio::test]
async fn of_two_who_take_up_a_run_at_a_time_one_gets_it() {
    let api = Api::default();
    let cluster = api.cluster();
    let container = started(&cluster).await;
    cluster.keep(&left(), &[container]).await.unwrap();
    let seen = cluster.kept().await.unwrap().remove(0);
    assert!(cluster.claim(&seen, Some("one")).await.unwrap());
    assert!(!cluster.claim(&seen, Some("another")).await.unwrap());
    let seen = cluster.kept().await.unwrap().remove(0);
    assert_eq!(seen.labels[label::OWNER], "one");
    assert!(cluster.claim(&seen, None).await.unwrap());
    let seen = cluster.kept().await.unwrap().remove(0);
    assert!(!seen.labels.contains_key(label::OWNER));
    cluster.forget(&seen.run).await.unwrap();
    assert!(!cluster.claim(&seen, Some("late")).await.unwrap());
}

#[tokio::test]
async fn jobs_of_a_run_that_was_left_have_no_owner_whose_end_would_mean_anything() {
    let api = Api::default();
    let cluster = api.cluster();
    let container = started(&cluster).await;
    let owner = async || {
        let found = cluster.containers(label::RUN).await.unwrap().remove(0);
        found.labels.get(label::OWNER).cloned()
    };
    assert_eq!(owner().await.as_deref(), Some("an owner"));
    let run = LeftRun {
        run: "r".to_owned(),
        ..left()
    };
    cluster.keep(&run, &[container]).await.unwrap();
    assert_eq!(owner().await, None);
}

#[tokio::test]
async fn what_a_pod_was_given_is_known_as_long_as_its_job_is_there() {
    let api = Api::default();
    let cluster = api.cluster();
    let container = started(&cluster).await;
    let given = cluster.given(&container).await.unwrap().unwrap();
    assert_eq!(given["FLOE_EVENTS"], "the key");
    api.remove("jobs", &container.id);
    assert_eq!(cluster.given(&container).await.unwrap(), None);
}

#[tokio::test]
async fn a_log_that_breaks_off_is_heard_to_its_end_and_nothing_of_it_twice() {
    let api = Api::default();
    let cluster = api.cluster();
    let container = started(&cluster).await;
    api.give_pod(&container.id, &terminated(0), &["abc", "abcdef"]);
    let (heard, ended) = followed(&cluster, &container).await;
    ended.unwrap();
    assert_eq!(heard, "abcdef");
    assert_eq!(cluster.wait(&container).await.unwrap().code, 0);
}

#[tokio::test]
async fn a_pod_that_went_while_nobody_followed_it_is_lost_and_not_waited_for() {
    let api = Api::default();
    let cluster = api.cluster();
    let container = started(&cluster).await;
    let over = json!({"conditions": [{"type": "Failed", "status": "True"}]});
    api.give_status("jobs", &container.id, over);
    let (_, ended) = followed(&cluster, &container).await;
    assert!(matches!(ended, Err(EngineError::Lost { .. })), "{ended:?}");
    let container = started(&cluster).await;
    api.remove("jobs", &container.id);
    let (_, ended) = followed(&cluster, &container).await;
    assert!(matches!(ended, Err(EngineError::Lost { .. })), "{ended:?}");
}

#[tokio::test]
async fn what_floe_removes_is_a_job_its_pods_and_its_secret_and_that_it_is_gone_is_no_error() {
    let api = Api::default();
    let cluster = api.cluster();
    let container = started(&cluster).await;
    for _ in 0..2 {
        cluster.remove(&container).await.unwrap();
    }
    assert_eq!((api.names("jobs").len(), api.names("secrets").len()), (0, 0));
    let changes = api.state().changes.clone();
    assert!(
        changes
            .last()
            .unwrap()
            .starts_with("DELETE /api/v1/namespaces/ns/secrets/"),
        "{changes:?}"
    );
}
