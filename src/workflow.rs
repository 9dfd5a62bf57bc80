//! What a command means: functions over a [`Workplace`], typed in and typed out.
//!
//! Which tests a call is for, when evidence is written and withdrawn, what is not tested again, when frozen specs are
//! written: such rules stand here, where an engine in memory can try them. The command line reads arguments, calls one
//! of these functions, and turns what it returns into text and an exit code.

pub mod added;
mod all;
mod attach;
mod attempt;
mod build;
mod carry;
mod checked;
mod choose;
mod cluster;
mod config;
mod console;
mod detach;
mod divide;
mod doctor;
mod engines;
mod error;
mod foreign;
mod freeze;
mod imports;
mod interrupts;
mod left;
mod lock;
mod nothing;
mod observe;
mod outlook;
mod packages;
mod promote;
mod prune;
mod push;
mod rollback;
mod shared;
mod solve;
mod specify;
mod stage;
mod stages;
mod status;
mod temporary;
mod test;
mod watch;
mod weigh;
mod workplace;

pub use crate::builder::Several;
pub use all::{Milestone, all};
pub use attach::{AttachError, AttachOptions, Attached, Somewhere, attach};
pub use attempt::attempt;
pub use build::{BuildOptions, BuiltPlan, build, images};
pub use choose::{Asked, Choice, choose, choose_all, list};
pub use cluster::OnCluster;
pub use config::{config, deployment, deployments};
pub use console::{Console, ConsoleError, LabOptions, Seat, Sent, Setup, Subject, console, copy, lab};
pub use detach::{Detached, detach};
pub use divide::parts;
pub use doctor::{Finding, Health, Programs, doctor, worst};
pub use engines::OnEngines;
pub use error::WorkflowError;
pub use foreign::{Foreign, ForeignTests};
pub use freeze::{freeze, held_by_image};
pub use imports::test_added;
pub use interrupts::{Interrupt, Interrupts};
pub use left::{HeldRun, KeepThere, LeftOutlook, held_there, left, prune_there};
pub use lock::{LockOptions, Locked, lock};
pub use nothing::Nothing;
pub use observe::{End, Observed};
pub use outlook::{Freshness, MissionOutlook, Outlook, Part, outlook};
pub use packages::{PackagesError, Scope, packages, packages_of_commit, packages_of_image, told, with_before};
pub use promote::{Extent, Moved, Promote, promote};
pub use prune::{Held, HeldKind, Keep, held, prune};
pub use push::{Pushed, push};
pub use rollback::{RollBack, rollback};
pub use specify::{Change, Specified, Specify, SpecifyError, specify};
pub use stage::{
    CheckOptions, Deployed, StageError, Told, Unchanged, WaitOptions, Waited, check, doomed, live, ready, unchanged,
    wait,
};
pub use stages::{StageOutlook, stages};
pub use status::{Behind, StageStatus, Status, status};
pub use test::{decisive, test};
pub use watch::watch;
pub use weigh::{Budget, OverBudget, layers};
pub use workplace::{Connect, Workplace};

#[cfg(test)]
mod tests;
