//! The single-user server of an image: started as a hub's spawner starts it, asked for what a person's browser asks for,
//! and ended.
//!
//! floe plays the hub: it hands out the variables that a spawner sets, answers what the server asks of its hub, and
//! comes with a token that this hub vouches for. Each question is a test, so each failure has a name; what the server
//! printed last explains it.
//!
//! A server that gets a token in a header asks its hub whose it is, so the hub listens on a port of the container's
//! own, and the server is started by the image's own command, after its entrypoint.

mod browser;
mod hub;
mod terminal;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use self::browser::{Browser, Trouble};
use self::hub::Hub;
use crate::event::{Cause, CauseKind, Event, FORMAT, Sink, Summary, TestFinished, Verdict};
use crate::image;
use crate::process::{Exit, Running};
use crate::reference::{EnvironmentName, TestId};

/// What starts the server in images that do not say it.
pub const COMMAND: &str = "start-notebook.py";

/// How long a server may take to start unless somebody says otherwise.
pub const START_TIMEOUT: Duration = Duration::from_mins(2);

/// How soon a server that does not answer yet is asked again.
const ASK_INTERVAL: Duration = Duration::from_millis(200);

/// What a person types first in a terminal.
const PROGRAMS: &[&str] = &["python", "pip", "jupyter"];

/// How much of what the server printed last explains a failure, in bytes.
const LOG: usize = 8 * 1024;

/// A server to test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What is asked of it, out of [`tests`].
    pub tests: Vec<TestId>,
    /// The program that starts the server, and its arguments: the image's own command.
    pub command: Vec<String>,
}

/// How a server is tested.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the server may take until it answers for the first time.
    pub start_timeout: Duration,
    /// How long it may take to answer a request, and to start a kernel.
    pub answer_timeout: Duration,
    /// How long it may take to stop when it is asked to, before it is killed.
    pub grace: Duration,
    /// The environment variables that it inherits.
    pub variables: BTreeMap<OsString, OsString>,
}

/// The tests of a server, in the order in which they run.
#[must_use]
pub fn tests(owner: &str, environments: &[EnvironmentName]) -> Vec<TestId> {
    let kernels = environments.iter().map(|name| TestId::server(name.as_str(), "kernel"));
    ["api", "lab", "terminal"]
        .map(|name| TestId::server(owner, name))
        .into_iter()
        .chain(kernels)
        .collect()
}

/// Starts the server, asks it for everything, and ends it; emits a set of tests.
///
/// If the server never answers, all tests fail, and those after the first refer to it.
pub async fn run(subject: &Subject, options: &Options, sink: &dyn Sink) -> Summary {
    sink.emit(Event::SuiteStarted {
        format: FORMAT,
        tests: subject.tests.clone(),
        jobs: 1,
    });
    let mut account = Account {
        sink,
        summary: Summary::default(),
    };
    if let Some((first, others)) = subject.tests.split_first() {
        let began = account.began(first);
        match Server::start(subject, options).await {
            Err(cause) => {
                account.ended(first, began, Err(cause));
                for test in others {
                    let message = format!("the server did not start: see {first}");
                    let began = account.began(test);
                    account.ended(test, began, Err(Cause::new(CauseKind::NotRun, message)));
                }
            }
            Ok(server) => {
                account.ended(first, began, server.does(first).await);
                for test in others {
                    let began = account.began(test);
                    account.ended(test, began, server.does(test).await);
                }
                server.end(options.grace).await;
            }
        }
    }
    sink.emit(Event::SuiteFinished {
        summary: account.summary,
    });
    account.summary
}

/// Completes when the server on a port of this machine, whose paths have no prefix, answers whoever has `token`.
pub async fn answered(port: u16, token: &str) {
    let browser = Browser::new(port, "/".to_owned(), token);
    while browser.get("api/status").await.is_err() {
        sleep(ASK_INTERVAL).await;
    }
}

/// Tells of tests, and counts them.
struct Account<'a> {
    sink: &'a dyn Sink,
    summary: Summary,
}

impl Account<'_> {
    fn began(&self, id: &TestId) -> Instant {
        self.sink.emit(Event::TestStarted {
            id: id.clone(),
            attempt: 1,
            worker: 1,
        });
        Instant::now()
    }

    fn ended(&mut self, id: &TestId, began: Instant, result: Result<(), Cause>) {
        let verdict = result.map_or_else(Verdict::Failed, |()| Verdict::Passed);
        self.summary.count(&verdict);
        self.sink.emit(Event::TestFinished(TestFinished {
            seconds: began.elapsed().as_secs_f64(),
            ..TestFinished::new(id.clone(), verdict)
        }));
    }
}

/// A server that has answered.
struct Server {
    process: Running,
    browser: Browser,
    limit: Duration,
    // It answers the server's questions as long as it lives.
    _hub: Hub,
}

impl Server {
    async fn start(subject: &Subject, options: &Options) -> Result<Self, Cause> {
        let infra = |error: io::Error| Cause::new(CauseKind::Infra, format!("no port for the server: {error}"));
        let port = free_port().map_err(infra)?;
        let hub = Hub::open(port).await.map_err(infra)?;
        let mut words = subject.command.iter();
        let program = words.next().ok_or_else(|| {
            Cause::new(
                CauseKind::Error,
                "the image has no command of its own, which would start a server",
            )
        })?;
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .envs(&options.variables)
            .envs(hub.variables());
        let process = Running::spawn(command).map_err(|error| Cause::new(CauseKind::Error, error.to_string()))?;
        let server = Self {
            process,
            browser: Browser::new(port, Hub::prefix(), hub.token()),
            limit: options.answer_timeout,
            _hub: hub,
        };
        match server.answers(options.start_timeout).await {
            Ok(()) => Ok(server),
            Err(cause) => Err(cause.with_detail(log(&server.end(options.grace).await))),
        }
    }

    /// Asks it to end before it is killed, since only then it says all that it has to say; returns what it printed.
    async fn end(self, grace: Duration) -> String {
        self.process.signal(rustix::process::Signal::TERM);
        let _ = timeout(grace, self.process.exited()).await;
        self.process.end().await.output
    }

    /// Whether it does what a test asks of it.
    async fn does(&self, test: &TestId) -> Result<(), Cause> {
        match test.name.as_str() {
            "api" => self.kernels().await.map(drop),
            "lab" => self.loads_lab().await,
            "terminal" => self.finds_programs().await,
            "kernel" => self.starts_kernel(&test.owner).await,
            other => Err(Cause::new(
                CauseKind::Infra,
                format!("this floe knows no test of {other:?}"),
            )),
        }
    }

    /// Waits until the server answers; one that answers with 5xx is still starting.
    async fn answers(&self, limit: Duration) -> Result<(), Cause> {
        let deadline = Instant::now() + limit;
        let mut last = Trouble::NoAnswer;
        let asking = async {
            loop {
                match timeout(self.limit, self.browser.get("api/status")).await {
                    Ok(Ok(_)) => return,
                    Ok(Err(trouble)) => last = trouble,
                    Err(_) => last = Trouble::NoAnswer,
                }
                // Other refusals than these are for good.
                if matches!(last, Trouble::Refused { status, .. } if status < 500) {
                    std::future::pending::<()>().await;
                }
                sleep(ASK_INTERVAL).await;
            }
        };
        tokio::select! {
            () = asking => Ok(()),
            exit = self.process.exited() => Err(ended(exit)),
            () = tokio::time::sleep_until(deadline) => {
                let message = format!("no good answer from the server within {} s: {last}", limit.as_secs_f64());
                Err(Cause::new(CauseKind::Timeout, message))
            }
        }
    }

    /// The names of the kernels that the API lists.
    async fn kernels(&self) -> Result<Vec<String>, Cause> {
        let specs = self.asked(self.browser.json("api/kernelspecs")).await?;
        let specs = specs["kernelspecs"].as_object();
        Ok(specs.map(|specs| specs.keys().cloned().collect()).unwrap_or_default())
    }

    /// Whether JupyterLab's page and all scripts of it load.
    async fn loads_lab(&self) -> Result<(), Cause> {
        self.asked(self.browser.page("lab")).await
    }

    /// Whether a terminal of JupyterLab, which is a login shell, finds what a person types there first.
    async fn finds_programs(&self) -> Result<(), Cause> {
        let lacking = self.asked(self.browser.lacking_in_terminal(PROGRAMS)).await?;
        if lacking.is_empty() {
            return Ok(());
        }
        let message = format!("a terminal of JupyterLab finds no {}", lacking.join(", no "));
        let detail = "It is a login shell: /etc/profile sets its PATH, and the files in /etc/profile.d add to it.";
        Err(Cause::new(CauseKind::Error, message).with_detail(detail.to_owned()))
    }

    /// Whether the environment's kernel starts and answers through the server.
    async fn starts_kernel(&self, environment: &str) -> Result<(), Cause> {
        let offered = self.kernels().await?;
        let Some(name) = kernel(environment, &offered) else {
            let message = format!("the server offers no such kernel; it offers {}", offered.join(", "));
            return Err(Cause::new(CauseKind::Error, message));
        };
        self.asked(self.browser.kernel(&name)).await
    }

    /// The answer to a question, or why there is none.
    async fn asked<T>(&self, question: impl Future<Output = Result<T, Trouble>>) -> Result<T, Cause> {
        let cause = tokio::select! {
            answer = timeout(self.limit, question) => match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(trouble)) => Cause::new(CauseKind::Error, trouble.to_string()),
                Err(_) => {
                    let message = format!("the server gave no answer within {} s", self.limit.as_secs_f64());
                    Cause::new(CauseKind::Timeout, message)
                }
            },
            exit = self.process.exited() => ended(exit),
        };
        Err(cause.with_detail(log(&self.process.output())))
    }
}

/// The kernel of an environment among those that are offered.
fn kernel(environment: &str, offered: &[String]) -> Option<String> {
    let environment = environment.parse::<EnvironmentName>().ok()?;
    let is_offered = |name: &&str| offered.iter().any(|offered| offered == name);
    image::kernels(&environment).find(is_offered).map(str::to_owned)
}

fn ended(exit: Exit) -> Cause {
    let kind = match exit {
        Exit::Signal(_) => CauseKind::KernelDied,
        Exit::Code(_) => CauseKind::EarlyExit,
    };
    Cause::new(kind, format!("the server ended: {exit}"))
}

/// The last lines that the server printed.
fn log(output: &str) -> String {
    let start = output.ceil_char_boundary(output.len().saturating_sub(LOG));
    let end = &output[start..];
    let whole = if start == 0 {
        end
    } else {
        end.split_once('\n').map_or(end, |(_, rest)| rest)
    };
    format!("the server's log:\n{}", whole.trim_end())
}

/// A port on which nobody listens at the moment.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
