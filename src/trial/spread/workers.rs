//! Numbers of workers, by which reports tell apart what ran at a time.

use std::collections::BTreeMap;

/// The workers of lanes: those that run at a time have none in common, and what runs after another in a lane has the same.
#[derive(Default)]
pub(super) struct Workers {
    all: u32,
    /// Those of each lane: how many are before them, and how many there are.
    lanes: BTreeMap<usize, (u32, u32)>,
}

impl Workers {
    /// How many workers are before those of a lane that has `own`, and how many there are in all lanes.
    pub fn of(&mut self, lane: usize, own: u32) -> (u32, u32) {
        if let Some((base, width)) = self.lanes.get(&lane)
            && *width >= own
        {
            return (*base, self.all);
        }
        let base = self.all;
        self.all = base.saturating_add(own);
        self.lanes.insert(lane, (base, own));
        (base, self.all)
    }
}
