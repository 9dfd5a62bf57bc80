//! The signals that interrupt a call: Ctrl-C and requests to terminate.

use tokio::signal::unix::{SignalKind, signal};

use super::failure::{ExitCode, Failure};
use crate::workflow::{Interrupt, Interrupts};

/// Begins to listen.
pub fn listen() -> Result<Interrupts, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::new(ExitCode::Internal, format!("interrupts cannot be heard: {error}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let (interrupter, interrupts) = Interrupts::new();
    tokio::spawn(async move {
        loop {
            let how = tokio::select! {
                _ = interrupt.recv() => Interrupt::Interrupted,
                _ = terminate.recv() => Interrupt::Terminated,
            };
            if interrupter.interrupt(how) {
                std::process::exit(ExitCode::from(how).number().into());
            }
        }
    });
    Ok(interrupts)
}
