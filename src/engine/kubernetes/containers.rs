//! Jobs, as containers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::error::{failed, is_missing, is_refusal};
use super::job::{self, MANAGED};
use super::log::lost;
use super::told::{Standing, standing};
use super::{Cluster, error};
use crate::engine::{
    Change, Container, ContainerExit, ContainerRequest, Containers, EngineError, Found, LeftRuns as _, Wanted,
};
use crate::fault::Trouble;
use crate::image::label;

/// How often a pod is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How long a pod may take until its tests begin, unless the settings say otherwise: a large image comes to a node that
/// never had it, after the cluster has got that node.
const PENDING_TIMEOUT: Duration = Duration::from_mins(20);

/// How long the cluster may fail to answer while something is waited for.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(2);

/// The exit code of what was asked to end and left nothing that says more.
const TERMINATED: i64 = 143;

#[async_trait]
impl Containers for Cluster {
    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        let action = || format!("start a Job of {}", request.image);
        let name = job::name(request);
        let (secret, job) = job::of(&name, request, &self.settings)?;
        let container = Container { id: name.clone() };
        let params = PostParams::default();
        let made = async {
            self.secrets().create(&params, &secret).await?;
            let job = self.jobs().create(&params, &job).await?;
            let owner = json!({"metadata": {"ownerReferences": job::owned_by(&job).into_iter().collect::<Vec<_>>()}});
            let patch = Patch::Merge(&owner);
            self.secrets().patch(&name, &PatchParams::default(), &patch).await
        };
        if let Err(error) = made.await {
            // The reason why it does not start counts, not what comes of the tidying.
            let _ = self.remove(&container).await;
            return Err(failed(action(), &error));
        }
        Ok(container)
    }

    async fn follow(&self, container: &Container, output: mpsc::Sender<Vec<u8>>) -> Result<(), EngineError> {
        if self.begun(container).await? {
            self.follow_log(container, &output).await?;
        }
        Ok(())
    }

    async fn wait(&self, container: &Container) -> Result<ContainerExit, EngineError> {
        loop {
            match self.standing(container).await? {
                Some(Standing::Ended(exit)) => return Ok(exit),
                None if self.was_ended(container) => {
                    return Ok(ContainerExit {
                        code: TERMINATED,
                        out_of_memory: false,
                    });
                }
                None => return Err(lost(container, "its pod is gone".to_owned())),
                Some(Standing::Lost(reason)) => return Err(lost(container, reason)),
                Some(Standing::Hopeless(reason, trouble)) => return Err(hopeless(container, reason, trouble)),
                Some(Standing::Waiting(_) | Standing::Running) => sleep(LOOK_INTERVAL).await,
            }
        }
    }

    async fn terminate(&self, container: &Container) -> Result<(), EngineError> {
        self.followed().ended.insert(container.id.clone());
        // A Job that is to have no pod asks the one it has to end.
        let patch = json!({"spec": {"parallelism": 0}});
        let jobs = self.jobs();
        match jobs
            .patch(&container.id, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Err(error) if !is_missing(&error) => Err(failed(format!("end the Job {}", container.id), &error)),
            _ => Ok(()),
        }
    }

    async fn kill(&self, container: &Container) -> Result<(), EngineError> {
        self.terminate(container).await?;
        let Some((pod, _)) = self.pod_of(container) else {
            return Ok(());
        };
        let at_once = DeleteParams::default().grace_period(0);
        match self.pods().delete(&pod, &at_once).await {
            Err(error) if !is_missing(&error) => Err(failed(format!("kill the pod {pod}"), &error)),
            _ => Ok(()),
        }
    }

    async fn copy_out(&self, _: &Container, _: &str, _: PathBuf, _: &Wanted) -> Result<bool, EngineError> {
        Err(EngineError::Unsupported {
            action: "copy files out of a pod".to_owned(),
            reason: "a pod that has ended holds none any more".to_owned(),
        })
    }

    async fn changes(&self, _: &Container) -> Result<Option<Vec<Change>>, EngineError> {
        Ok(None)
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.followed().ended.insert(container.id.clone());
        let background = DeleteParams::background();
        let removed = async {
            gone(self.jobs().delete(&container.id, &background).await)?;
            gone(self.secrets().delete(&container.id, &background).await)
        };
        removed
            .await
            .map_err(|error| failed(format!("remove the Job {}", container.id), &error))
    }

    async fn containers(&self, wanted: &str) -> Result<Vec<Found>, EngineError> {
        let (name, value) = MANAGED;
        let ours = ListParams::default().labels(&format!("{name}={value}"));
        let jobs = self.jobs().list(&ours).await;
        let jobs = jobs.map_err(|error| failed("list the Jobs of floe".to_owned(), &error))?;
        // What was left to the cluster has no owner whose end would mean anything.
        let left = self.kept().await?;
        let found = jobs.items.into_iter().filter_map(|job| {
            let mut labels = job.metadata.annotations.unwrap_or_default();
            if left.iter().any(|left| labels.get(label::RUN) == Some(&left.run)) {
                labels.remove(label::OWNER);
            }
            carries(&labels, wanted).then(|| Found {
                id: job.metadata.name.unwrap_or_default(),
                running: job.status.as_ref().is_some_and(|status| status.active.unwrap_or(0) > 0),
                labels,
            })
        });
        Ok(found.collect())
    }
}

impl Cluster {
    /// Waits until the tests of a Job run or have ended. Returns whether they do, or did: what was asked to end before never
    /// will.
    async fn begun(&self, container: &Container) -> Result<bool, EngineError> {
        let limit = self
            .settings
            .pending_timeout_seconds
            .map_or(PENDING_TIMEOUT, Duration::from_secs);
        let began = Instant::now();
        let mut last = "the cluster has made no pod".to_owned();
        loop {
            match self.standing(container).await? {
                Some(Standing::Running | Standing::Ended(_)) => return Ok(true),
                Some(Standing::Lost(reason)) => return Err(lost(container, reason)),
                Some(Standing::Hopeless(reason, trouble)) => return Err(hopeless(container, reason, trouble)),
                // That it is tried again later tells less than why it has to be.
                Some(Standing::Waiting(reason)) if reason.starts_with("ImagePullBackOff") => {}
                Some(Standing::Waiting(reason)) => last = reason,
                None if self.was_ended(container) => return Ok(false),
                None if self.pod_of(container).is_some() => {
                    return Err(lost(container, "its pod is gone".to_owned()));
                }
                // Nobody followed it when it ended.
                None if self.is_over(container).await => return Err(lost(container, "its pod is gone".to_owned())),
                None => last = self.refusal(container).await.unwrap_or(last),
            }
            if began.elapsed() > limit {
                let reason = format!("its tests have not begun after {} s: {last}", limit.as_secs());
                return Err(hopeless(container, reason, Trouble::Pending));
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// How the pod of a Job stands; `None` where there is none, or none any more.
    pub(super) async fn standing(&self, container: &Container) -> Result<Option<Standing>, EngineError> {
        let began = Instant::now();
        loop {
            match self.look(container).await {
                Ok(pod) => return Ok(pod.map(|pod| standing(&pod, self.was_ended(container)))),
                Err(error) if is_refusal(&error) || began.elapsed() > SILENCE_TIMEOUT => {
                    return Err(failed(format!("look at the Job {}", container.id), &error));
                }
                Err(_) => sleep(LOOK_INTERVAL).await,
            }
        }
    }

    /// The pod of a Job: always the same one, once one was found.
    async fn look(&self, container: &Container) -> Result<Option<Pod>, kube::Error> {
        if let Some((name, uid)) = self.pod_of(container) {
            let pod = self.pods().get_opt(&name).await?;
            return Ok(pod.filter(|pod| pod.metadata.uid.as_deref() == Some(&uid)));
        }
        let of_job = ListParams::default().labels(&format!("job-name={}", container.id));
        let pods = self.pods().list(&of_job).await?.items;
        let first = pods
            .into_iter()
            .min_by_key(|pod| pod.metadata.creation_timestamp.clone());
        if let Some(pod) = &first {
            let known = (pod.metadata.name.clone(), pod.metadata.uid.clone());
            if let (Some(name), Some(uid)) = known {
                self.followed().pods.insert(container.id.clone(), (name, uid));
            }
        }
        Ok(first)
    }

    /// Whether a Job has ended, or is gone, as far as the cluster says so: it makes no pod any more.
    async fn is_over(&self, container: &Container) -> bool {
        match self.jobs().get_opt(&container.id).await {
            Ok(Some(job)) => {
                let conditions = job.status.and_then(|status| status.conditions).unwrap_or_default();
                let over = |kind: &str| kind == "Complete" || kind == "Failed";
                conditions.iter().any(|it| over(&it.type_) && it.status == "True")
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Why the cluster makes no pod for a Job, in its own words, where it says so.
    async fn refusal(&self, container: &Container) -> Option<String> {
        let fields = format!("involvedObject.kind=Job,involvedObject.name={}", container.id);
        let events = self.events().list(&ListParams::default().fields(&fields)).await.ok()?;
        let refused = events.items.into_iter().rev();
        let mut refused = refused.filter(|event| event.reason.as_deref() == Some("FailedCreate"));
        refused.next()?.message
    }

    /// The pod of a Job that was found, by name and UID.
    pub(super) fn pod_of(&self, container: &Container) -> Option<(String, String)> {
        self.followed().pods.get(&container.id).cloned()
    }

    /// Whether a Job was asked to end.
    pub(super) fn was_ended(&self, container: &Container) -> bool {
        self.followed().ended.contains(&container.id)
    }
}

fn hopeless(container: &Container, reason: String, trouble: Trouble) -> EngineError {
    EngineError::Cluster {
        action: format!("start the pod of {}", container.id),
        reason,
        trouble,
    }
}

/// What is not there need not be removed.
fn gone<T>(removed: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match removed {
        Err(error) if !error::is_missing(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether labels hold `wanted`, which is a name, or a name and its value.
fn carries(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|held| held == value),
        None => labels.contains_key(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_found_by_what_they_carry() {
        let labels = BTreeMap::from([(label::RUN.to_owned(), "r".to_owned())]);
        assert!(carries(&labels, label::RUN));
        assert!(carries(&labels, "org.floe.run=r"));
        assert!(!carries(&labels, "org.floe.run=s"));
        assert!(!carries(&labels, label::OWNER));
    }
}
