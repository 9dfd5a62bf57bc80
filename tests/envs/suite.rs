//! The test runner on real interpreters and kernels: what passes, what fails, and with what cause.

mod agent;
mod case;
mod imports;
mod jupyter;
mod kernels;
mod long;
mod notebooks;
mod places;
mod processes;
mod scheduling;
mod scripts;
mod verdicts;
mod warm;
