//! Environments of conda packages, made for real out of a local channel.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../channel/mod.rs"]
mod channel;

mod adding;
mod applet;
mod exact;
mod freezing;
mod interrupted;
mod making;
mod network;
mod place;
mod refused;
mod solved;
