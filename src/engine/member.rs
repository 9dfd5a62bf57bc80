//! One engine of several: what it loses, another may run.
//!
//! A fault that may pass is asked about once more. Where the engine still answers, a container of it was lost; where it does
//! not, the engine is away, and whatever is asked of it from then on is refused at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Change, Container, ContainerExit, ContainerRequest, Containers, EngineError, Found, Wanted};
use crate::fault::{Explained as _, Kind};
use crate::image::label::RUN;

/// How long an engine that failed may take to show that it is still there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(45);

/// The exit codes of a first process that was asked to end, and of one that was killed.
const ENDED: [i64; 2] = [143, 137];

/// An engine among several that run containers beside each other.
pub struct Member {
    name: String,
    containers: Arc<dyn Containers>,
    image: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why nothing is asked of it any more.
    away: Option<String>,
    /// The containers that were to end.
    ended: BTreeSet<String>,
}

impl Member {
    /// The engine, as people named it, whose containers are all of `image`, as that engine knows it.
    #[must_use]
    pub fn new(name: String, containers: Arc<dyn Containers>, image: String) -> Self {
        Self {
            name,
            containers,
            image,
            state: Mutex::default(),
        }
    }

    /// What people named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails where the engine is away.
    fn there(&self) -> Result<&dyn Containers, EngineError> {
        match &self.state().away {
            Some(reason) => Err(self.away(reason.clone())),
            None => Ok(self.containers.as_ref()),
        }
    }

    fn away(&self, reason: String) -> EngineError {
        let engine = self.name.clone();
        EngineError::Away { engine, reason }
    }

    /// Takes note that nothing is asked of the engine any more.
    fn leave(&self, error: &EngineError) -> EngineError {
        let reason = self.state().away.get_or_insert_with(|| error.to_string()).clone();
        self.away(reason)
    }

    /// Whether the engine answers.
    async fn answers(&self) -> bool {
        let asked = timeout(PROBE_TIMEOUT, self.containers.containers(RUN)).await;
        matches!(asked, Ok(Ok(_)))
    }

    /// What an error says of the engine. One that no time mends says nothing of it.
    async fn seen(&self, error: EngineError) -> Result<EngineError, EngineError> {
        if error.kind() != Kind::Temporary {
            return Err(error);
        }
        if self.answers().await {
            Ok(error)
        } else {
            Err(self.leave(&error))
        }
    }

    /// The error of what was asked of a container that may be lost.
    async fn lost(&self, container: &Container, error: EngineError) -> EngineError {
        match self.seen(error).await {
            Ok(error) => self.lost_for(container, error.to_string()),
            Err(error) => error,
        }
    }

    fn lost_for(&self, container: &Container, reason: String) -> EngineError {
        let id = container.id.get(..12).unwrap_or(&container.id);
        EngineError::Lost {
            container: format!("the container {id} at {}", self.name),
            reason,
        }
    }

    /// The error of what was asked of a container that has ended.
    async fn failed(&self, error: EngineError) -> EngineError {
        match self.seen(error).await {
            Ok(error) | Err(error) => error,
        }
    }

    fn is_to_end(&self, container: &Container) {
        self.state().ended.insert(container.id.clone());
    }
}

#[async_trait]
impl Containers for Member {
    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        let request = ContainerRequest {
            image: self.image.clone(),
            ..request.clone()
        };
        match self.there()?.start(&request).await {
            // Where one container does not start for lack of disk, say, no other does.
            Err(error) if error.kind() == Kind::Temporary => Err(self.leave(&error)),
            started => started,
        }
    }

    async fn follow(&self, container: &Container, output: mpsc::Sender<Vec<u8>>) -> Result<(), EngineError> {
        match self.there()?.follow(container, output).await {
            Err(error) => Err(self.lost(container, error).await),
            followed => followed,
        }
    }

    async fn wait(&self, container: &Container) -> Result<ContainerExit, EngineError> {
        let exit = match self.there()?.wait(container).await {
            Ok(exit) => exit,
            Err(error) => return Err(self.lost(container, error).await),
        };
        // An engine that is stopped ends its containers first, and still says so.
        let by_somebody = ENDED.contains(&exit.code) && !exit.out_of_memory;
        if by_somebody && !self.state().ended.contains(&container.id) {
            let reason = format!("somebody ended it (exit code {}), and not floe", exit.code);
            return Err(self.lost_for(container, reason));
        }
        Ok(exit)
    }

    async fn terminate(&self, container: &Container) -> Result<(), EngineError> {
        self.is_to_end(container);
        match self.there()?.terminate(container).await {
            Err(error) => Err(self.lost(container, error).await),
            asked => asked,
        }
    }

    async fn kill(&self, container: &Container) -> Result<(), EngineError> {
        self.is_to_end(container);
        match self.there()?.kill(container).await {
            Err(error) => Err(self.lost(container, error).await),
            killed => killed,
        }
    }

    async fn copy_out(
        &self,
        container: &Container,
        path: &str,
        destination: PathBuf,
        wanted: &Wanted,
    ) -> Result<bool, EngineError> {
        match self.there()?.copy_out(container, path, destination, wanted).await {
            Err(error) => Err(self.failed(error).await),
            copied => copied,
        }
    }

    async fn changes(&self, container: &Container) -> Result<Option<Vec<Change>>, EngineError> {
        match self.there()?.changes(container).await {
            // What an engine that is there does not tell is no loss: nobody would look for it again.
            Err(error) => Err(self.failed(error).await),
            changes => changes,
        }
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.is_to_end(container);
        match self.there()?.remove(container).await {
            Err(error) => Err(self.lost(container, error).await),
            removed => removed,
        }
    }

    async fn containers(&self, label: &str) -> Result<Vec<Found>, EngineError> {
        match self.there()?.containers(label).await {
            Err(error) => Err(self.failed(error).await),
            found => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::{Fake, Run};
    use crate::fault::Trouble;

    fn broken(trouble: Trouble) -> EngineError {
        EngineError::Request {
            action: "follow the container 0123".to_owned(),
            reason: "its own words".to_owned(),
            trouble,
        }
    }

    async fn begun(run: Run) -> (Arc<Fake>, Member, Container) {
        let fake = Arc::new(Fake::new());
        fake.add_image("there", std::collections::BTreeMap::new());
        fake.script_run(run);
        let member = Member::new("ssh://far".to_owned(), fake.clone(), "there".to_owned());
        let container = member.start(&ContainerRequest::default()).await.unwrap();
        (fake, member, container)
    }

    #[tokio::test]
    async fn what_breaks_while_the_engine_answers_is_a_lost_container() {
        let (fake, member, container) = begun(Run::default()).await;
        fake.script_failure("wait", broken(Trouble::Lost));
        let error = member.wait(&container).await.unwrap_err();
        assert!(matches!(error, EngineError::Lost { .. }), "{error:?}");
        assert!(error.to_string().contains("at ssh://far was lost: "), "{error}");
        member.start(&ContainerRequest::default()).await.unwrap();
    }

    #[tokio::test]
    async fn an_engine_that_answers_no_more_is_away_and_is_asked_for_nothing() {
        let (fake, member, container) = begun(Run::default()).await;
        fake.script_failure("wait", broken(Trouble::Lost));
        fake.script_failure("containers", broken(Trouble::Unheard));
        let error = member.wait(&container).await.unwrap_err();
        assert!(matches!(error, EngineError::Away { .. }), "{error:?}");
        let asked = fake.calls().len();
        let error = member.remove(&container).await.unwrap_err();
        assert!(matches!(error, EngineError::Away { .. }), "{error:?}");
        assert_eq!(fake.calls().len(), asked);
    }

    #[tokio::test]
    async fn an_engine_that_starts_nothing_is_away_and_a_request_that_makes_no_sense_stays_one() {
        let (fake, member, _) = begun(Run::default()).await;
        fake.script_failure("start", broken(Trouble::Request));
        let error = member.start(&ContainerRequest::default()).await.unwrap_err();
        assert!(matches!(error, EngineError::Request { .. }), "{error:?}");
        fake.script_failure("start", broken(Trouble::NoSpace));
        let error = member.start(&ContainerRequest::default()).await.unwrap_err();
        assert!(
            error.to_string().starts_with("ssh://far starts no more containers"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_container_that_somebody_ended_is_lost_and_one_that_floe_ended_is_not() {
        let ended = |code| Run {
            exit: Some(ContainerExit {
                code,
                out_of_memory: false,
            }),
            ..Run::default()
        };
        let (_, member, container) = begun(ended(143)).await;
        let error = member.wait(&container).await.unwrap_err();
        assert!(matches!(error, EngineError::Lost { .. }), "{error:?}");
        let (_, member, container) = begun(ended(143)).await;
        member.terminate(&container).await.unwrap();
        assert_eq!(member.wait(&container).await.unwrap().code, 143);
        let (_, member, container) = begun(ended(101)).await;
        assert_eq!(member.wait(&container).await.unwrap().code, 101);
    }
}
