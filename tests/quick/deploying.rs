//! `floe wait`, `check`, `deploy`, `destroy` and `status --live` with real programs: make, terraform, helm, git, a registry, and a hub's
//! address.

mod checking;
mod gates;
mod guarding;
mod helm;
mod interrupted;
mod lines;
mod live;
mod place;
mod waiting;
