//! What needs a container engine: images built, tested, frozen and pushed. These tests fail without one.

mod docker;
mod images;
mod missions;
mod report;
mod rootfs;
mod runs;
mod site;
mod workshop;
