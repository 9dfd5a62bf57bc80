//! `floe wait`, `check`, `deploy` and `destroy` with real programs: make, terraform, helm, git, a registry, and a hub's
//! address.

mod checking;
mod gates;
mod guarding;
mod helm;
mod interrupted;
mod lines;
mod place;
mod waiting;
