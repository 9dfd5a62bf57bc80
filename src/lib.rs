//! floe turns the definition of a JupyterHub user image into a tested, frozen, pushed container image.
//!
//! ARCHITECTURE.md holds the map: which module does what, and which may import which.

pub mod builder;
pub mod cli;
pub mod compose;
pub mod config;
pub mod context;
pub mod engine;
pub mod envs;
pub mod event;
pub mod freeze;
pub mod git;
pub mod host;
pub mod image;
pub mod kernel;
pub mod plan;
pub mod process;
pub mod publish;
pub mod quantity;
pub mod reference;
pub mod registry;
pub mod report;
pub mod repository;
pub mod run;
pub mod server;
pub mod spec;
pub mod state;
pub mod suite;
pub mod trial;
pub mod workflow;
