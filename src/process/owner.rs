//! The process that owns something which may outlive it: told from any other, so that a later floe knows whether anybody still
//! needs it.

use std::fmt;
use std::fs;
use std::str::FromStr;

use rustix::process::Pid;

use super::table::Process;

/// The namespace of process numbers that a system starts with, by its number: `PROC_PID_INIT_INO` of Linux.
const FIRST_NAMESPACE: &str = "4026531836";

/// A process, told from any other process of any host.
///
/// One engine may serve several hosts, and several containers of one host, whose processes cannot see each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The machine, by its `machine-id`; empty where it has none.
    machine: String,
    /// The namespace of process numbers, by its number.
    namespace: String,
    /// The boot of the machine.
    boot: String,
    /// The number of the process.
    pid: u32,
    /// When it started, as the kernel counts.
    started: String,
}

impl Owner {
    /// The process that calls this.
    #[must_use]
    pub fn current() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let pid = std::process::id();
        Self {
            machine: read("/etc/machine-id"),
            namespace: namespace
                .to_string_lossy()
                .chars()
                .filter(char::is_ascii_digit)
                .collect(),
            boot: read("/proc/sys/kernel/random/boot_id"),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// Whether `self`, the process that asks, can know that `other` has ended. It cannot know it of a process of another
    /// machine or namespace, however dead that looks from here.
    #[must_use]
    pub fn knows_end_of(&self, other: &Self) -> bool {
        if (&self.machine, &self.namespace) != (&other.machine, &other.namespace) {
            return false;
        }
        if self.boot != other.boot {
            // The same image may have given one machine-id to the containers of several machines.
            return !self.machine.is_empty() && self.namespace == FIRST_NAMESPACE;
        }
        started(other.pid).is_none_or(|started| started != other.started)
    }
}

/// As a label holds it.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            machine,
            namespace,
            boot,
            pid,
            started,
        } = self;
        write!(f, "{machine}/{namespace}/{boot}/{pid}/{started}")
    }
}

/// A label that names no owner in a form that this floe knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no owner")]
pub struct OwnerError(String);

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || OwnerError(text.to_owned());
        let [machine, namespace, boot, pid, started] =
            text.split('/').collect::<Vec<_>>().try_into().map_err(|_| unknown())?;
        Ok(Self {
            machine: machine.to_owned(),
            namespace: namespace.to_owned(),
            boot: boot.to_owned(),
            pid: pid.parse().map_err(|_| unknown())?,
            started: started.to_owned(),
        })
    }
}

fn started(pid: u32) -> Option<String> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    Some(Process::of(pid)?.started.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(change: impl FnOnce(&mut Owner)) -> bool {
        let asking = Owner {
            machine: "m".to_owned(),
            namespace: FIRST_NAMESPACE.to_owned(),
            ..Owner::current()
        };
        let mut other = asking.clone();
        change(&mut other);
        asking.knows_end_of(&other)
    }

    #[test]
    fn a_process_that_ended_is_not_mistaken_for_a_later_one() {
        assert!(!ended(|_| ()));
        assert!(ended(|other| other.started = "1".to_owned()));
        assert!(ended(|other| other.pid = u32::MAX));
        assert!(ended(|other| other.boot = "an earlier one".to_owned()));
    }

    #[test]
    fn nothing_is_known_of_processes_of_other_machines_and_namespaces() {
        assert!(!ended(|other| {
            other.machine = "another".to_owned();
            other.pid = u32::MAX;
        }));
        assert!(!ended(|other| {
            other.namespace = "1".to_owned();
            other.pid = u32::MAX;
        }));
        let inside = Owner {
            namespace: "2".to_owned(),
            machine: "m".to_owned(),
            ..Owner::current()
        };
        let before = Owner {
            boot: "an earlier one, or that of another machine with the same image".to_owned(),
            ..inside.clone()
        };
        assert!(!inside.knows_end_of(&before));
    }

    #[test]
    fn an_owner_is_read_back_and_nothing_else_is_one() {
        let owner = Owner::current();
        assert_eq!(owner.to_string().parse::<Owner>().unwrap(), owner);
        assert!("1/2".parse::<Owner>().is_err());
    }
}
