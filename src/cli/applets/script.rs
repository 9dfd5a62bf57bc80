//! A mission's own test script as a child of the agent, which is the first process of the container.
//!
//! A shell that is the first process hears no signals, and one that waits for a child passes none on. So the agent
//! starts the script, and when the container is asked to end it tells the agents that the script has started: they end
//! their tests in order.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::cli::failure::{ExitCode, Failure};
use crate::cli::signals;
use crate::event::{Event, FORMAT, Sink};

/// How long agents may take to end their tests.
const AGENTS: Duration = Duration::from_secs(15);

/// How long the script may take to end after that.
const SCRIPT: Duration = Duration::from_secs(2);

/// How often agents are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the script and ends as it does.
pub async fn run(script: &Path, events: &dyn Sink) -> Result<(), Failure> {
    let interrupts = signals::listen()?;
    events.emit(Event::ScriptStarted { format: FORMAT });
    let mut child = Command::new(script)
        .process_group(0)
        .spawn()
        .map_err(|error| Failure::new(ExitCode::Invalid, format!("{}: {error}", script.display())))?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    tokio::select! {
        ended = child.wait() => {
            use std::os::unix::process::ExitStatusExt as _;
            let ended = ended.map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
            // The script's own code is its result, whatever it may be.
            let code = ended.code().or_else(|| Some(128 + ended.signal()?));
            std::process::exit(code.unwrap_or(1));
        }
        how = interrupts.first() => {
            let _ = timeout(AGENTS, end_agents()).await;
            for signal in [Signal::TERM, Signal::KILL] {
                if let Some(group) = group {
                    // A group that is gone needs no signal.
                    let _ = kill_process_group(group, signal);
                }
                if timeout(SCRIPT, child.wait()).await.is_ok() {
                    break;
                }
            }
            Err(Failure::new(how.into(), "interrupted"))
        }
    }
}

/// Asks all agents to end, once each, until there is none.
async fn end_agents() {
    let mut asked = Vec::new();
    loop {
        let agents = agents();
        if agents.is_empty() {
            return;
        }
        for agent in agents {
            if !asked.contains(&agent) {
                let _ = kill_process(agent, Signal::TERM);
                asked.push(agent);
            }
        }
        sleep(LOOK).await;
    }
}

/// The processes that this one started, by however many steps, and that run the same program.
fn agents() -> Vec<Pid> {
    let program = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let this = std::process::id().cast_signed();
    let own = program(this);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != this && own.is_some() && program(pid) == own && descends(pid, this))
        .filter_map(Pid::from_raw)
        .collect()
}

fn descends(pid: i32, from: i32) -> bool {
    let parent = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse::<i32>().ok()
    };
    let mut parents = std::iter::successors(Some(pid), |&pid| parent(pid).filter(|&pid| pid > 0));
    parents.any(|pid| pid == from)
}
