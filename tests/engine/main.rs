//! What needs a container engine: images built, tested, frozen and pushed. These tests fail without one.

mod base;
mod consoles;
mod cosign;
mod counter;
mod docker;
mod engines;
mod how_to;
mod ignore;
mod images;
mod kubernetes;
mod matrix;
mod missions;
mod mutants;
mod pushes;
mod registry;
mod report;
mod rootfs;
mod runs;
mod site;
mod story;
mod trying;
mod tutorial;
mod workshop;
