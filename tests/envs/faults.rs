//! What goes wrong while conda packages are installed, by real processes: each fault ends in the right exit code, is told
//! in words that help, leaves nothing that looks complete, and is repaired by a second run.

mod contents;
mod disk;
mod killed;
mod mirror;
mod network;
mod site;
