//! A run of tests as it is kept: its log, what the log amounts to, and the store of earlier runs.
//!
//! The log is written as things happen and is the only source: the outcome, the account that reports are made from, what
//! earlier runs tell and the evidence for an image are derived from it. How any of it is shown is `report`'s.

pub mod account;
pub mod evidence;
pub mod history;
pub mod log;
pub mod outcome;
pub mod store;
pub mod timeline;
pub mod whereabouts;
