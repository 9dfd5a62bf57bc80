//! floe turns the definition of a JupyterHub user image into a tested, frozen, pushed container image.
//!
//! ARCHITECTURE.md holds the map: which module does what, and which may import which.

pub(crate) mod address;
pub mod attest;
pub(crate) mod builder;
pub(crate) mod chart;
pub mod cli;
pub(crate) mod compose;
pub mod config;
pub mod context;
pub(crate) mod deploy;
pub(crate) mod deployment;
pub(crate) mod driver;
pub mod dsse;
pub mod engine;
pub mod envs;
pub mod event;
pub mod fault;
pub(crate) mod freeze;
pub(crate) mod gate;
pub(crate) mod git;
pub(crate) mod hub;
pub(crate) mod image;
pub(crate) mod inventory;
pub mod kernel;
pub mod memo;
pub mod plan;
pub mod private;
pub mod process;
pub(crate) mod publish;
pub(crate) mod quantity;
pub mod reference;
pub mod registry;
pub(crate) mod report;
pub(crate) mod repository;
pub mod run;
pub mod sbom;
pub(crate) mod secrets;
pub mod server;
pub mod sops;
pub mod spec;
pub(crate) mod state;
pub mod suite;
pub(crate) mod trial;
pub mod values;
pub(crate) mod workflow;
