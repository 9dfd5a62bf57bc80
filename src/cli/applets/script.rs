//! A mission's own test script as a child of the agent, which is the first process of the container.
//!
//! The script is a test itself, and asks the agent for others. When the container is asked to end, those end in order
//! before the script does: a shell that waits for a child passes no signal on.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;

use super::Applet;
use super::broker::{Broker, Question};
use super::machine::{Machine, verdict};
use super::place::Place;
use super::relay::Relay;
use super::testing::Call;
use crate::cli::failure::{ExitCode, Failure};
use crate::event::{Cause, CauseKind, Event, FORMAT, Sink, Summary, TestFinished, Verdict};
use crate::image::variable::AGENT;
use crate::process::{Exit, Running};
use crate::reference::TestId;
use crate::suite::TestPlan;
use crate::suite::request::Request;
use crate::suite::runner::{OomWatch, script};
use crate::workflow::Interrupts;

/// How long tests may take to end.
const TESTS_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the script may take to end after that.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The mission's script.
pub struct Script<'a> {
    /// The test that it is.
    pub id: &'a TestId,
    /// Its file.
    pub program: &'a Path,
    /// What surrounds the agent.
    pub agent: &'a Place,
    /// What surrounds the script.
    pub place: &'a Place,
    /// What the host asks for.
    pub request: &'a Request,
    /// The tests that the mission's files define.
    pub defined: &'a TestPlan,
    /// Who asks for an end.
    pub interrupts: &'a Interrupts,
    /// Where events go.
    pub events: &'a dyn Sink,
}

/// What has become of the tests that the script asked for.
#[derive(Default)]
struct Account {
    asked: bool,
    summary: Summary,
}

impl Script<'_> {
    /// Runs the script; returns what became of it and of all tests that it asked for.
    pub async fn run(&self, relay: &Relay) -> Result<Summary, Failure> {
        self.events.emit(Event::ScriptStarted { format: FORMAT });
        self.events.emit(Event::TestStarted {
            id: self.id.clone(),
            attempt: 1,
            worker: 1,
        });
        let began = tokio::time::Instant::now();
        let account = Mutex::default();
        let verdict = self.verdict(&account, relay).await?;
        let mut summary = account.into_inner().unwrap_or_default().summary;
        summary.count(&verdict);
        self.events.emit(Event::TestFinished(TestFinished {
            seconds: began.elapsed().as_secs_f64(),
            ..TestFinished::new(self.id.clone(), verdict)
        }));
        Ok(summary)
    }

    async fn verdict(&self, account: &Mutex<Account>, relay: &Relay) -> Result<Verdict, Failure> {
        let broker = Broker::open()
            .map_err(|error| Failure::new(ExitCode::Internal, format!("the script cannot ask for tests: {error}")))?;
        let mut command = Command::new(self.program);
        command
            .env_clear()
            .envs(self.place.of_tests())
            .env(AGENT, broker.address())
            .current_dir(&self.place.directory);
        let memory = OomWatch::start();
        let passed_on = relay.clone();
        let running = match Running::spawn_heard(command, move |bytes| passed_on.pass(bytes)) {
            Ok(running) => running,
            Err(error) => return Ok(Verdict::Failed(Cause::new(CauseKind::Error, error.to_string()))),
        };
        tokio::select! {
            _ = running.exited() => {}
            () = self.interrupted(&broker, &running) => {}
            () = broker.serve(running.pid(), |question| self.answer(question, account)) => {}
        }
        let ended = running.end().await;
        let account = account
            .lock()
            .map_err(|_| Failure::new(ExitCode::Internal, "a test ended the agent"))?;
        Ok(match ended.exit {
            _ if self.interrupts.so_far().is_some() => Verdict::Failed(Cause::new(CauseKind::NotRun, "interrupted")),
            Some(Exit::Code(0)) if account.asked && self.defined.tests().is_empty() && account.summary.ran() == 0 => {
                let message = "it ran no test: it asks for the tests that the mission's files define, which are none";
                Verdict::Failed(Cause::new(CauseKind::NotRun, message))
            }
            Some(Exit::Code(100)) if account.summary.failed > 0 => Verdict::Skipped {
                reason: "it stopped when other tests failed".to_owned(),
            },
            exit => script::verdict(exit, &memory),
        })
    }

    /// Completes after an interrupt, once the tests have ended and the script was told to.
    async fn interrupted(&self, broker: &Broker, running: &Running) {
        self.interrupts.first().await;
        let _ = timeout(TESTS_TIMEOUT, broker.idle()).await;
        running.signal(Signal::TERM);
        let _ = timeout(SCRIPT_TIMEOUT, running.exited()).await;
    }

    /// Runs the tests that the script asks for.
    async fn answer(&self, question: Question, account: &Mutex<Account>) -> Result<(), Failure> {
        let usage = |error: clap::Error| Failure::new(ExitCode::Usage, error.to_string());
        let Applet::Test(test) = Applet::of(&question.words).map_err(usage)? else {
            return Err(Failure::new(ExitCode::Usage, "the agent runs tests and nothing else"));
        };
        let machine = Machine::of(question.place.as_told(self.agent))?;
        let call = Call {
            of_host: Some(self.request.clone()),
            defined: Some(self.defined),
            interrupts: self.interrupts,
            events: self.events,
        };
        if let Ok(mut account) = account.lock() {
            account.asked = true;
        }
        let summary = test.run(&machine, call).await?;
        if let Ok(mut account) = account.lock() {
            account.summary.add(summary);
        }
        verdict(summary, true)
    }
}
