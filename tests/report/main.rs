//! The reports of runs as people meet them: files, earlier runs, CI services, secrets, disks that are full.

mod disk;
mod logs;
#[path = "../repository/mod.rs"]
mod repository;
#[path = "../engine/rootfs.rs"]
mod rootfs;
mod service;
mod site;
