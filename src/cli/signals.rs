//! The signals that interrupt a call: Ctrl-C and requests to terminate.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::failure::{ExitCode, Failure};
use crate::process::table::end_descendants;
use crate::workflow::{Interrupt, Interrupts, WorkflowError};

/// How long work whose programs were ended may take to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after a program that Ctrl-C ended this process may hear of it.
const NEWS_TIMEOUT: Duration = Duration::from_millis(100);

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
                let _nothing_is_half_written = interrupter.settled();
                std::process::exit(ExitCode::from(how).number().into());
            }
        }
    });
    Ok(interrupts)
}

/// Does work that hears no interrupts. The first ends the programs that it runs, and floe itself soon after, unless the work
/// ends by that; nothing is left half written.
pub fn interruptible<T>(
    interrupts: &Interrupts,
    work: impl FnOnce() -> Result<T, WorkflowError>,
) -> Result<T, Failure> {
    let heard = interrupts.clone();
    let watch = tokio::spawn(async move {
        let how = heard.first().await;
        end_descendants();
        tokio::time::sleep(END_TIMEOUT).await;
        let _nothing_is_half_written = heard.settled();
        std::process::exit(ExitCode::from(how).number().into());
    });
    let done = work();
    if done.is_err() {
        std::thread::sleep(NEWS_TIMEOUT);
    }
    watch.abort();
    match (done, interrupts.so_far()) {
        (Err(_), Some(how)) => Err(Failure::shown(how.into())),
        (done, _) => Ok(done?),
    }
}
