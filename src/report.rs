//! What people and machines see of the work: terminal, logs, a page, `JUnit`, and the rule that says whether a run
//! passed.
//!
//! Everything here is fed by events or derived from a log of them; nothing here starts, stops or decides anything
//! else. Whatever came out of a container is hostile and goes through [`untrusted`] before anything shows it; what is
//! known to be secret goes no further than [`redact`].

pub mod account;
pub mod executed;
pub mod figures;
pub mod folder;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod outcome;
pub mod place;
pub mod redact;
pub mod result;
pub mod runs;
pub mod terminal;
pub mod timeline;
pub mod untrusted;
