//! The definitions that people write, and their frozen form: what an environment should hold.

pub mod changes;
pub mod draft;
pub mod edit;
pub mod env;
mod error;
pub mod frozen;

pub use error::SpecError;
