//! The reports of a run as people meet them: CI services, secrets, disks that are full.

mod disk;
mod service;
