//! What a pod tells of itself: whether it waits, runs, has ended or was taken away, in its own words.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

use super::job::{AGENT, TESTS};
use crate::engine::ContainerExit;
use crate::fault::Trouble;

/// How a pod stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its tests have not begun, and why.
    Waiting(String),
    /// They never will.
    Hopeless(String, Trouble),
    /// Its tests run.
    Running,
    /// They ended.
    Ended(ContainerExit),
    /// It was taken away before they ended.
    Lost(String),
}

/// What a node says that cannot start a container, where no time will mend it.
const HOPELESS: [&str; 5] = [
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// How `pod` stands. `ours` says whether floe itself asked it to end.
pub(super) fn standing(pod: &Pod, ours: bool) -> Standing {
    let status = pod.status.clone().unwrap_or_default();
    let failed = status.phase.as_deref() == Some("Failed");
    // A pod that its node or a controller ended says so itself; one that ended by itself says nothing.
    if let Some(reason) = status.reason.as_deref().filter(|_| failed) {
        return Standing::Lost(said(reason, status.message.as_deref()));
    }
    let tests = of(status.container_statuses.as_deref(), TESTS);
    let deleted = pod.metadata.deletion_timestamp.is_some() && !ours;
    match tests.and_then(|tests| tests.state.as_ref()) {
        Some(ContainerState {
            terminated: Some(ended),
            ..
        }) => {
            // What was asked to end tells so of its tests, as if somebody had interrupted them.
            if deleted {
                return Standing::Lost(deletion(&status));
            }
            Standing::Ended(exit(ended))
        }
        _ if deleted => Standing::Lost(deletion(&status)),
        Some(ContainerState { running: Some(_), .. }) => Standing::Running,
        Some(ContainerState {
            waiting: Some(waiting), ..
        }) => match waiting.reason.as_deref() {
            None | Some("PodInitializing" | "ContainerCreating") => beginning(&status),
            Some(reason) => waits(reason, waiting.message.as_deref()),
        },
        _ => beginning(&status),
    }
}

/// How a pod stands whose tests have not begun, and which says nothing of them.
fn beginning(status: &PodStatus) -> Standing {
    let agent = of(status.init_container_statuses.as_deref(), AGENT);
    let agent = agent.and_then(|agent| agent.state.as_ref());
    if let Some(waiting) = agent.and_then(|agent| agent.waiting.as_ref())
        && let Some(reason) = waiting.reason.as_deref().filter(|reason| *reason != "PodInitializing")
    {
        return waits(reason, waiting.message.as_deref());
    }
    if let Some(ended) = agent.and_then(|agent| agent.terminated.as_ref())
        && ended.exit_code != 0
    {
        let words = format!(
            "floe's own program could not be brought into it: {}",
            said(ended.reason.as_deref().unwrap_or("Error"), ended.message.as_deref())
        );
        return Standing::Hopeless(words, Trouble::Runtime);
    }
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    Standing::Waiting(match unscheduled {
        Some(condition) => said(
            condition.reason.as_deref().unwrap_or("Unscheduled"),
            condition.message.as_deref(),
        ),
        None => "its node prepares it".to_owned(),
    })
}

/// What it means that a container waits.
fn waits(reason: &str, message: Option<&str>) -> Standing {
    let words = said(reason, message);
    if HOPELESS.contains(&reason) {
        return Standing::Hopeless(words, Trouble::Runtime);
    }
    if reason == "ErrImagePull" {
        // A registry that says no says it again; a network may come back.
        let trouble = Trouble::of(&words);
        let refused = [Trouble::Missing, Trouble::Denied, Trouble::Unauthorized];
        if let Some(trouble) = trouble.filter(|trouble| refused.contains(trouble)) {
            return Standing::Hopeless(words, trouble);
        }
    }
    Standing::Waiting(words)
}

fn deletion(status: &PodStatus) -> String {
    let disruption = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    match disruption {
        Some(condition) => said(
            condition.reason.as_deref().unwrap_or("DisruptionTarget"),
            condition.message.as_deref(),
        ),
        None => "somebody deleted it, or its node was drained".to_owned(),
    }
}

fn exit(ended: &ContainerStateTerminated) -> ContainerExit {
    ContainerExit {
        code: i64::from(ended.exit_code),
        out_of_memory: ended.reason.as_deref() == Some("OOMKilled"),
    }
}

fn of<'a>(statuses: Option<&'a [ContainerStatus]>, name: &str) -> Option<&'a ContainerStatus> {
    statuses?.iter().find(|status| status.name == name)
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message.map(str::trim) {
        None | Some("") => reason.to_owned(),
        Some(message) => format!("{reason}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_status(status: &serde_json::Value) -> Standing {
        standing(&pod(status, false), false)
    }

    fn pod(status: &serde_json::Value, deleted: bool) -> Pod {
        let mut pod = json!({"metadata": {"name": "p"}, "status": status});
        if deleted {
            pod["metadata"]["deletionTimestamp"] = json!("2030-01-01T00:00:00Z");
        }
        serde_json::from_value(pod).unwrap()
    }

    fn tests(state: &serde_json::Value) -> serde_json::Value {
        json!({"phase": "Running", "containerStatuses": [{
            "name": TESTS, "state": state, "image": "i", "imageID": "", "ready": true, "restartCount": 0,
        }]})
    }

    fn agent(state: &serde_json::Value) -> serde_json::Value {
        json!({"phase": "Pending", "initContainerStatuses": [{
            "name": AGENT, "state": state, "image": "i", "imageID": "", "ready": true, "restartCount": 0,
        }], "containerStatuses": [{
            "name": TESTS, "state": {"waiting": {"reason": "PodInitializing"}}, "image": "i", "imageID": "",
            "ready": false, "restartCount": 0,
        }]})
    }

    #[test]
    fn a_pod_without_a_node_waits_in_the_schedulers_words() {
        let status = json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }]});
        let words = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
        assert_eq!(of_status(&status), Standing::Waiting(words.to_owned()));
    }

    #[test]
    fn an_image_that_the_registry_refuses_never_comes_and_one_behind_a_broken_network_may() {
        let pull = |message: &str| tests(&json!({"waiting": {"reason": "ErrImagePull", "message": message}}));
        let missing = of_status(&pull("manifest for r/m@sha256:00 not found: manifest unknown"));
        assert!(
            matches!(missing, Standing::Hopeless(_, Trouble::Missing)),
            "{missing:?}"
        );
        let away = of_status(&pull("dial tcp 10.0.0.1:443: i/o timeout"));
        assert!(matches!(away, Standing::Waiting(_)), "{away:?}");
        // Later it only says that it waits before it tries again.
        let back = tests(&json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}));
        assert!(matches!(of_status(&back), Standing::Waiting(_)));
    }

    #[test]
    fn what_the_init_container_cannot_do_is_told() {
        let missing = agent(&json!({"waiting": {"reason": "ErrImagePull", "message": "unauthorized"}}));
        assert!(matches!(
            of_status(&missing),
            Standing::Hopeless(_, Trouble::Unauthorized)
        ));
        let failed = agent(&json!({"terminated": {"reason": "Error", "message": "no space", "exitCode": 1}}));
        let Standing::Hopeless(words, _) = of_status(&failed) else {
            panic!("{:?}", of_status(&failed));
        };
        assert!(words.contains("Error: no space"), "{words}");
        let done = agent(&json!({"terminated": {"reason": "Completed", "exitCode": 0}}));
        assert!(matches!(of_status(&done), Standing::Waiting(_)));
    }

    #[test]
    fn a_pod_that_ran_out_of_memory_ended_and_one_that_was_evicted_is_lost() {
        let ended = |reason: &str, code: i32| tests(&json!({"terminated": {"reason": reason, "exitCode": code}}));
        let exit = |code, out_of_memory| Standing::Ended(ContainerExit { code, out_of_memory });
        assert_eq!(of_status(&ended("Completed", 0)), exit(0, false));
        assert_eq!(of_status(&ended("Error", 100)), exit(100, false));
        assert_eq!(of_status(&ended("OOMKilled", 137)), exit(137, true));
        let mut evicted = ended("Error", 137);
        evicted["phase"] = json!("Failed");
        evicted["reason"] = json!("Evicted");
        evicted["message"] = json!("The node was low on resource: memory. ");
        let words = "Evicted: The node was low on resource: memory.";
        assert_eq!(of_status(&evicted), Standing::Lost(words.to_owned()));
    }

    #[test]
    fn a_pod_that_somebody_deletes_is_lost_whatever_its_agent_still_says() {
        for state in [
            json!({"running": {}}),
            json!({"terminated": {"reason": "Error", "exitCode": 130}}),
        ] {
            let deleted = pod(&tests(&state), true);
            assert!(matches!(standing(&deleted, false), Standing::Lost(_)));
            assert!(
                !matches!(standing(&deleted, true), Standing::Lost(_)),
                "floe asked it to end"
            );
        }
    }
}
