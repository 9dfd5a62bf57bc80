//! Interrupts: the first asks the work to end and clean up, the next ends floe at once. Where the second one means
//! something to the work itself, the third ends floe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::failure::ExitCode;

/// Hears of interrupts, in as many places as need to.
#[derive(Clone)]
pub struct Signals {
    heard: watch::Receiver<Heard>,
    /// Whether the second interrupt is left to the work.
    patient: Arc<AtomicBool>,
}

/// The interrupts so far.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    count: usize,
    /// What the call ends with, by the first.
    code: Option<ExitCode>,
}

impl Signals {
    /// Begins to listen for Ctrl-C and requests to terminate.
    pub fn listen() -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, heard) = watch::channel(Heard::default());
        let patient = Arc::new(AtomicBool::new(false));
        let second_is_heard = Arc::clone(&patient);
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => ExitCode::Interrupted,
                    _ = terminate.recv() => ExitCode::Terminated,
                };
                let known = *sender.borrow();
                let most = 1 + usize::from(second_is_heard.load(Ordering::Relaxed));
                if known.count >= most {
                    std::process::exit(i32::from(code as u8));
                }
                sender.send_replace(Heard {
                    count: known.count + 1,
                    code: known.code.or(Some(code)),
                });
            }
        });
        Ok(Self { heard, patient })
    }

    /// Completes at the first interrupt, with the code that the call ends with.
    pub async fn heard(&self) -> ExitCode {
        self.nth(1).await
    }

    /// The code that the call ends with, if an interrupt has come.
    #[must_use]
    pub fn so_far(&self) -> Option<ExitCode> {
        self.heard.borrow().code
    }

    /// Completes at the second interrupt. From this call on, not from the first poll, only the third ends floe at once;
    /// [`Self::second_ends`] takes that back.
    pub fn heard_twice(&self) -> impl Future<Output = ()> {
        self.patient.store(true, Ordering::Relaxed);
        let signals = self.clone();
        async move {
            signals.nth(2).await;
        }
    }

    /// Lets the second interrupt end floe at once again.
    pub fn second_ends(&self) {
        self.patient.store(false, Ordering::Relaxed);
    }

    async fn nth(&self, count: usize) -> ExitCode {
        let mut receiver = self.heard.clone();
        let heard = receiver
            .wait_for(|heard| heard.count >= count)
            .await
            .map(|heard| heard.code);
        match heard {
            Ok(Some(code)) => code,
            // The listener lives as long as the runtime; without it nothing is ever heard.
            _ => std::future::pending().await,
        }
    }
}
