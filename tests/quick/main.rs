//! What needs neither a container engine nor the network.

mod agent;
mod cli;
mod diff;
mod documents;
mod events;
mod reports;
mod selecting;
mod tidy;
