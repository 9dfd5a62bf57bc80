//! What needs neither a container engine nor the network, which brings sops once.

mod adding;
mod agent;
mod artifacts;
mod bills;
mod cli;
mod deploying;
mod deployments;
mod diff;
mod documents;
mod events;
mod evidence;
mod foreign;
mod hub;
mod installation;
mod machine;
mod planning;
mod promoting;
mod pushing;
mod releasing;
mod reports;
mod secrets;
mod selecting;
mod supervise;
mod tidy;
mod unreliable;
mod values;
