//! Environments of conda packages, installed by rattler: cloned, and frozen.

mod cloned;
mod exported;
mod installed;
