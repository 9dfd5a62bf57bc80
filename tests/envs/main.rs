//! Environments, kernels and servers on disk, made of what PyPI and Debian's archive hold.

mod assembled;
mod bytecode;
mod channel;
mod conda;
mod corpus;
mod faults;
mod locking;
mod place;
mod prefix;
mod release;
mod server;
mod suite;
mod venv;
