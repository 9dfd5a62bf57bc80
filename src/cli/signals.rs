//! Interrupts: the first asks the work to end and clean up, the second ends floe at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::failure::ExitCode;

/// Hears of interrupts, in as many places as need to.
#[derive(Clone)]
pub struct Signals(watch::Receiver<Option<ExitCode>>);

impl Signals {
    /// Begins to listen for Ctrl-C and requests to terminate.
    pub fn listen() -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => ExitCode::Interrupted,
                    _ = terminate.recv() => ExitCode::Terminated,
                };
                if sender.borrow().is_some() {
                    std::process::exit(i32::from(code as u8));
                }
                let _ = sender.send(Some(code));
            }
        });
        Ok(Self(receiver))
    }

    /// Completes at the first interrupt, with the code that the call ends with.
    pub async fn heard(&self) -> ExitCode {
        let mut receiver = self.0.clone();
        let heard = receiver.wait_for(Option::is_some).await.map(|code| *code);
        match heard {
            Ok(Some(code)) => code,
            // The listener lives as long as the runtime; without it nothing is ever heard.
            _ => std::future::pending().await,
        }
    }
}
