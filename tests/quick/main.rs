//! What needs neither a container engine nor the network, which brings sops once.

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
mod secrets;
mod selecting;
mod supervise;
mod tidy;
mod values;
