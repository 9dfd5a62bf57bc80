//! Environments of conda packages, made for real out of a local channel.

mod adding;
mod applet;
mod exact;
mod freezing;
mod interrupted;
mod making;
mod network;
mod refused;
mod solved;
