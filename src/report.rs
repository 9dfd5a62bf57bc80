//! What people and machines see of the work: the terminal, a page, `JUnit`, Markdown, annotations, JSON.
//!
//! Everything here is fed by events or derived from the account of a run; nothing here starts, stops or decides anything.
//! Whatever came out of a container is hostile and goes through [`untrusted`] before anything shows it.

pub mod amounts;
pub mod error;
pub mod executed;
pub mod files;
pub mod form;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod location;
pub mod markdown;
pub mod terminal;
pub mod untrusted;
