//! A part of a trial, as a trial of its own.

use std::collections::BTreeMap;

use super::{Stage, Trial};
use crate::reference::TestId;
use crate::suite::request::{Expected, Request};

impl Trial {
    /// The part that runs these tests alone, in one container. What the whole holds of other tests is not copied: there may be
    /// a thousand parts at a time.
    pub(super) fn of(&self, expected: Vec<TestId>, stage: Stage, known: BTreeMap<TestId, Expected>) -> Self {
        let request = &self.request;
        Self {
            expected,
            carried: Vec::new(),
            grounds: BTreeMap::new(),
            size: None,
            stages: vec![stage],
            request: Request {
                known,
                selection: request.selection.clone(),
                options: request.options.clone(),
                duty: request.duty.clone(),
                entrypoint: request.entrypoint.clone(),
                fixed: request.fixed.clone(),
            },
            run: self.run.clone(),
            mission: self.mission.clone(),
            image: self.image.clone(),
            reference: self.reference.clone(),
            skips: self.skips.clone(),
            part: self.part,
            selected: self.selected.clone(),
            definitions: self.definitions.clone(),
            limit: self.limit,
            spread: self.spread.clone(),
            memory: self.memory,
            agent: self.agent.clone(),
            environments: self.environments.clone(),
            fixed: self.fixed.clone(),
            directory: self.directory.clone(),
        }
    }
}
