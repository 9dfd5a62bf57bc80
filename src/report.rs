//! What people and machines see of the work: terminal, logs, `JUnit`, and the rule that says whether a run passed.
//!
//! Everything here is fed by events or derived from a log of them; nothing here starts, stops or decides anything
//! else. Whatever came out of a container is hostile and goes
//! through [`untrusted`] before anything shows it.

pub mod json;
pub mod junit;
pub mod outcome;
pub mod terminal;
pub mod untrusted;
