//! The log of a pod, followed to its end however often it breaks off.
//!
//! A log that is followed again is read from its beginning, and as many bytes of it are passed over as were passed on
//! before: that needs no clock and no cut at lines, which nodes make in long ones. What a node has thrown away of a long log
//! is missed by the numbers of the agent's records.

use std::pin::pin;
use std::time::Duration;

use futures_util::AsyncReadExt as _;
use kube::api::LogParams;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Cluster;
use super::error::{failed, is_missing};
use super::job::TESTS;
use super::told::Standing;
use crate::engine::{Container, EngineError};

/// How long it takes until a log that broke off is followed again.
const AGAIN_INTERVAL: Duration = Duration::from_secs(1);

/// How often the whole log of a pod that has ended is asked for, at most.
const ATTEMPTS: usize = 10;

impl Cluster {
    /// Passes the log of a pod on until its tests have ended.
    pub(super) async fn follow_log(
        &self,
        container: &Container,
        output: &mpsc::Sender<Vec<u8>>,
    ) -> Result<(), EngineError> {
        let mut passed = 0;
        loop {
            // Why a log breaks off is not asked: the pod says whether there is more to come.
            let _ = self.pass_on(container, true, &mut passed, output).await;
            if output.is_closed() {
                return Ok(());
            }
            match self.standing(container).await? {
                Some(Standing::Ended(_)) => break,
                Some(Standing::Lost(reason)) => {
                    // What it said before it was taken away counts, as far as it can still be had.
                    let _ = self.pass_on(container, false, &mut passed, output).await;
                    return Err(lost(container, reason));
                }
                None if self.was_ended(container) => return Ok(()),
                None => return Err(lost(container, "its pod is gone".to_owned())),
                Some(_) => sleep(AGAIN_INTERVAL).await,
            }
        }
        // What was followed may lack its last piece. When the tests have ended the log is whole.
        for attempt in 1.. {
            match self.pass_on(container, false, &mut passed, output).await {
                Ok(()) => break,
                Err(error) if is_missing(&error) && self.was_ended(container) => break,
                Err(error) if attempt == ATTEMPTS => {
                    return Err(failed(format!("read the log of {}", container.id), &error));
                }
                Err(_) => sleep(AGAIN_INTERVAL).await,
            }
        }
        Ok(())
    }

    /// Passes on what comes of a pod's log after its first bytes, which were passed on before; `passed` counts those, and
    /// what is added to them.
    async fn pass_on(
        &self,
        container: &Container,
        follow: bool,
        passed: &mut u64,
        output: &mpsc::Sender<Vec<u8>>,
    ) -> Result<(), kube::Error> {
        let Some((pod, _)) = self.pod_of(container) else {
            return Ok(());
        };
        let params = LogParams {
            container: Some(TESTS.to_owned()),
            follow,
            ..LogParams::default()
        };
        let pods = self.pods();
        let mut log = pin!(pods.log_stream(&pod, &params).await?);
        let mut rest = Rest::after(*passed);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = log.read(&mut buffer).await.map_err(kube::Error::ReadEvents)?;
            if read == 0 {
                return Ok(());
            }
            let piece = rest.of(&buffer[..read]);
            if !piece.is_empty() && output.send(piece.to_vec()).await.is_err() {
                return Ok(());
            }
            *passed += piece.len() as u64;
        }
    }
}

/// What comes after the first bytes of a stream.
struct Rest {
    skipped: u64,
}

impl Rest {
    fn after(skipped: u64) -> Self {
        Self { skipped }
    }

    /// The part of the next bytes that comes after them.
    fn of<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let skip = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(bytes.len());
        self.skipped -= skip as u64;
        &bytes[skip..]
    }
}

pub(super) fn lost(container: &Container, reason: String) -> EngineError {
    EngineError::Lost {
        container: container.id.clone(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_log_that_breaks_off_anywhere_and_is_read_again_in_any_pieces_is_passed_on_once(
            log in prop::collection::vec(any::<u8>(), 0..200),
            breaks in prop::collection::vec((0_usize..200, 1_usize..40), 0..8),
        ) {
            let mut arrived = Vec::new();
            let whole = (log.len(), 17);
            for (until, piece) in breaks.into_iter().chain([whole]) {
                let mut rest = Rest::after(arrived.len() as u64);
                for bytes in log[..until.min(log.len())].chunks(piece) {
                    arrived.extend_from_slice(rest.of(bytes));
                }
            }
            prop_assert_eq!(arrived, log);
        }
    }
}
