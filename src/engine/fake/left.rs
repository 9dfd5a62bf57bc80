//! Runs that nobody follows, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Fake;
use crate::engine::{Container, EngineError, LeftRun, LeftRuns};
use crate::image::label;

#[async_trait]
impl LeftRuns for Fake {
    async fn keep(&self, run: &LeftRun, _: &[Container]) -> Result<(), EngineError> {
        let mut state = self.call("keep", &run.run)?;
        let mut run = run.clone();
        "1".clone_into(&mut run.version);
        state.left.insert(run.run.clone(), run);
        Ok(())
    }

    async fn kept(&self) -> Result<Vec<LeftRun>, EngineError> {
        Ok(self.call("kept", "")?.left.values().cloned().collect())
    }

    async fn claim(&self, run: &LeftRun, owner: Option<&str>) -> Result<bool, EngineError> {
        let mut state = self.call("claim", &run.run)?;
        let Some(kept) = state.left.get_mut(&run.run).filter(|kept| kept.version == run.version) else {
            return Ok(false);
        };
        kept.version.push('+');
        match owner {
            Some(owner) => kept.labels.insert(label::OWNER.to_owned(), owner.to_owned()),
            None => kept.labels.remove(label::OWNER),
        };
        Ok(true)
    }

    async fn forget(&self, run: &str) -> Result<(), EngineError> {
        self.call("forget", run)?.left.remove(run);
        Ok(())
    }

    async fn given(&self, container: &Container) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        let state = self.call("given", &container.id)?;
        let kept = state.containers.get(&container.id);
        Ok(kept.map(|kept| kept.environment.clone()))
    }
}
