//! Questions to a person at a terminal, for what no option says.

use std::io::{self, IsTerminal as _, Write as _};

use super::failure::{ExitCode, Failure};
use super::output;
use crate::report::untrusted::Untrusted;
use crate::workflow::Interrupts;

/// What comes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is nobody at a terminal to ask.
    Nobody,
    /// The input has ended, as by Ctrl-D.
    Ended,
    /// The line that was typed, without blanks around it.
    Given(String),
}

impl Answer {
    /// What was typed, if anything was.
    #[must_use]
    pub fn text(self) -> Option<String> {
        match self {
            Self::Given(text) => Some(text).filter(|text| !text.is_empty()),
            Self::Nobody | Self::Ended => None,
        }
    }
}

/// Whether there is anybody to ask.
#[must_use]
pub fn may_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a person at the terminal. An interrupt is the end of the call.
pub async fn ask(question: &str, interrupts: &Interrupts) -> Result<Answer, Failure> {
    if !may_ask() {
        return Ok(Answer::Nobody);
    }
    let _ = write!(io::stderr(), "{} ", Untrusted::default().inline(question));
    let (sender, answer) = tokio::sync::oneshot::channel();
    // A thread of its own: the end of this process does not wait for it.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        let _ = sender.send(read.is_ok_and(|length| length > 0).then(|| line.trim().to_owned()));
    });
    let typed = tokio::select! {
        typed = answer => typed.ok().flatten(),
        how = interrupts.first() => return Err(Failure::shown(how.into())),
    };
    Ok(typed.map_or_else(
        || {
            output::insist("");
            Answer::Ended
        },
        Answer::Given,
    ))
}

/// Asks for one thing after the other, each with what is taken where nothing is typed.
pub struct Interview<'a> {
    interrupts: &'a Interrupts,
    begun: bool,
}

impl<'a> Interview<'a> {
    /// One that an interrupt ends.
    #[must_use]
    pub fn new(interrupts: &'a Interrupts) -> Self {
        Self {
            interrupts,
            begun: false,
        }
    }

    /// What was typed, or `otherwise`, as `parse` reads it. What it does not accept is asked again; the end of the input is the
    /// end of the call.
    pub async fn value<T>(
        &mut self,
        question: &str,
        otherwise: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        if !std::mem::replace(&mut self.begun, true) {
            output::insist("Enter takes what is in brackets; nothing is written before the last answer.");
        }
        loop {
            let shown = if otherwise.is_empty() {
                ""
            } else {
                &format!(" [{otherwise}]")
            };
            let typed = match ask(&format!("{question}{shown}"), self.interrupts).await? {
                Answer::Given(typed) => typed,
                Answer::Nobody | Answer::Ended => {
                    let failure = Failure::new(ExitCode::Usage, "not every question was answered; nothing is written");
                    return Err(failure.hint("options answer them, too: --mission, --env and others"));
                }
            };
            let typed = if typed.is_empty() { otherwise } else { &typed };
            match parse(typed) {
                Ok(value) => return Ok(value),
                Err(reason) => output::insist(&Untrusted::default().inline(&reason)),
            }
        }
    }
}
