//! What stages run beside what their files name: asked of their drivers, all at once.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use super::{OpenStage, StageError};
use crate::deployment::{Deployment, Held};
use crate::driver::Live;
use crate::workflow::{Interrupts, Status, WorkflowError, Workplace};

/// So many drivers are asked at a time: each is a process or more.
const AT_ONCE: usize = 32;

/// What the driver of a stage says that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This.
    Live(Live),
    /// Nobody can say: the driver has no way to tell.
    Unable,
    /// It did not say, for this reason.
    Silent(String),
}

impl Told {
    /// Whether it runs what its files name; `None` where one of the two is not known.
    #[must_use]
    pub fn is(&self, wanted: Option<&Held>) -> Option<bool> {
        let (Self::Live(live), Some(wanted)) = (self, wanted) else {
            return None;
        };
        Some(match (&wanted.digest, live) {
            (Some(digest), live) => live.is(digest),
            // A tag alone may have moved: the names are all that can be compared.
            (None, Live::Runs { image, .. }) => image.split('@').next() == Some(wanted.reference().as_str()),
            (None, Live::Nothing) => false,
        })
    }
}

/// Asks the driver of each stage in `status` what it runs, each with the account that the stage belongs to and for `limit`
/// at most. What one does not say is said of its stage alone. A stage that runs something else than its files name has a
/// fault more.
pub async fn live(
    workplace: &Workplace,
    interrupts: &Interrupts,
    deployments: &[Deployment],
    status: &mut Status,
    limit: Duration,
) -> Result<(), WorkflowError> {
    let opened = deployments.iter().flat_map(|deployment| {
        let indices = 0..deployment.stages.len();
        indices.map(|index| OpenStage {
            workplace,
            interrupts,
            deployment: deployment.clone(),
            index,
        })
    });
    let opened = opened.collect::<Vec<_>>();
    let asked = opened.iter().zip(&status.stages);
    let asked = asked.map(|(open, found)| open.asked_for_live(found.image.as_ref(), limit));
    let told = stream::iter(asked).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
    for (found, told) in status.stages.iter_mut().zip(told) {
        if told.is(found.image.as_ref()) == Some(false) {
            found.faults.push(match &told {
                Told::Live(Live::Runs { image, .. }) => format!("it runs {image}, which its files do not name"),
                _ => "nothing runs".to_owned(),
            });
        }
        found.live = Some(told);
    }
    Ok(())
}

impl OpenStage<'_> {
    async fn asked_for_live(&self, image: Option<&Held>, limit: Duration) -> Result<Told, WorkflowError> {
        let scene = self.scene(image);
        if !scene.tells_what_runs() {
            return Ok(Told::Unable);
        }
        let asked = async {
            // Another account sees other things, or nothing.
            self.identify().await?;
            Ok(self.or_interrupted(scene.live()).await??)
        };
        let reason = match timeout(limit, asked).await {
            Ok(Ok(Some(live))) => return Ok(Told::Live(live)),
            Ok(Ok(None)) => return Ok(Told::Unable),
            Ok(Err(WorkflowError::Stage(error @ StageError::Interrupted(_)))) => return Err(error.into()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", limit.as_secs()),
        };
        Ok(Told::Silent(self.workplace.hidden.mask(&reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_decides_and_a_tag_alone_is_compared_by_its_name() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let held = |digest: Option<&str>| Held {
            repository: "r.example.org/hub".to_owned(),
            tag: Some("1".to_owned()),
            digest: digest.map(|digest| digest.parse().unwrap()),
        };
        let runs = |image: &str| {
            let digest = image.split_once('@').map(|(_, digest)| digest.parse().unwrap());
            let image = image.to_owned();
            Told::Live(Live::Runs { image, digest })
        };
        let (pinned, moving) = (held(Some(&digest)), held(None));
        let full = format!("other.example.org/hub:2@{digest}");
        assert_eq!(runs(&full).is(Some(&pinned)), Some(true));
        assert_eq!(runs("r.example.org/hub:1").is(Some(&pinned)), Some(false));
        assert_eq!(runs("r.example.org/hub:1").is(Some(&moving)), Some(true));
        let named = format!("r.example.org/hub:1@{digest}");
        assert_eq!(runs(&named).is(Some(&moving)), Some(true));
        assert_eq!(runs("r.example.org/hub:2").is(Some(&moving)), Some(false));
        assert_eq!(Told::Live(Live::Nothing).is(Some(&moving)), Some(false));
        assert_eq!(runs(&full).is(None), None);
        assert_eq!(Told::Unable.is(Some(&pinned)), None);
    }
}
