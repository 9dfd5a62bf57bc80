//! The test runner on real interpreters and kernels: what passes, what fails, and with what cause.

mod agent;
mod case;
mod imports;
mod long;
mod notebooks;
mod processes;
mod scheduling;
mod scripts;
mod warm;
