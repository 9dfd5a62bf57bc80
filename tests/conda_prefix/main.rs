//! Environments of conda packages, installed by rattler: cloned, and frozen.

#[expect(dead_code, reason = "these tests need no server, and not all of the packages")]
#[path = "../channel/mod.rs"]
mod channel;
mod cloned;
mod exported;
mod installed;
