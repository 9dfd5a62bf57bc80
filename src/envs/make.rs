//! Environments made and changed.

pub(super) mod change;
pub(super) mod create;
pub(super) mod exact;
pub(super) mod update;
