//! What needs neither a container engine nor the network.

mod agent;
mod cli;
mod diff;
mod documents;
mod events;
mod foreign;
mod installation;
mod planning;
mod promoting;
mod pushing;
mod reports;
mod selecting;
mod supervise;
mod tidy;
mod values;
