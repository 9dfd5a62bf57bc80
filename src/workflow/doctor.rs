//! What keeps floe from working here, before it does: each finding with the hint of the error that it would have been.

use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rustix::fs::statvfs;
use serde::Serialize;

use super::choose::{Asked, choose};
use super::push::registry;
use super::{WorkflowError, Workplace};
use crate::builder::rootfs::{self, RootfsError};
use crate::builder::site;
use crate::config::BaseImage;
use crate::engine::Builder;
use crate::fault::{Explained, Kind};
use crate::git::{self, Touched};
use crate::quantity;
use crate::reference::MissionName;
use crate::report::amounts;

/// Less than so much of a disk is too little for a build, in bytes.
const LITTLE: u64 = 10_000_000_000;

/// Less than so much is too little for anything.
const TOO_LITTLE: u64 = 1_000_000_000;

/// What was looked at, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How it is.
    pub state: Health,
    /// What was seen.
    pub text: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What it means for a call.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Good,
    /// Such that some things do not work, or not as somebody may think.
    Careful,
    /// Such that calls end with an error.
    Bad,
}

/// What the host has of programs, which the command line finds.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// uv.
    pub uv: Option<PathBuf>,
    /// What makes the Debian base.
    pub mmdebstrap: Option<PathBuf>,
    /// git.
    pub git: Option<PathBuf>,
    /// Whether this user may have user namespaces with numbers of their own in them.
    pub may_map_users: bool,
}

impl Finding {
    /// Something that is as it should be.
    #[must_use]
    pub fn good(subject: &str, text: impl Into<String>) -> Self {
        Self {
            subject: subject.to_owned(),
            state: Health::Good,
            text: text.into(),
            hint: None,
            kind: None,
        }
    }

    /// Something to know.
    #[must_use]
    pub fn careful(subject: &str, text: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            state: Health::Careful,
            hint: hint.map(str::to_owned),
            ..Self::good(subject, text)
        }
    }

    /// What would be this error of a call.
    #[must_use]
    pub fn bad(subject: &str, error: &dyn Explained) -> Self {
        Self {
            state: Health::Bad,
            hint: error.hint(),
            kind: Some(error.kind()),
            ..Self::good(subject, error.to_string())
        }
    }

    /// The same, where only some calls would end with it.
    fn only_careful(self) -> Self {
        Self {
            state: Health::Careful,
            kind: None,
            ..self
        }
    }
}

/// The kind that decides what becomes of a call with these findings. What will not pass by itself counts first.
#[must_use]
pub fn worst(findings: &[Finding]) -> Option<Kind> {
    let kinds = || findings.iter().filter_map(|finding| finding.kind);
    kinds().find(|kind| *kind != Kind::Temporary).or_else(|| kinds().next())
}

/// Looks at everything.
pub async fn doctor(workplace: &Workplace, programs: &Programs) -> Vec<Finding> {
    let mut findings = vec![git_state(workplace, programs)];
    findings.extend(tools(workplace, programs));
    findings.extend(engine(workplace).await);
    findings.extend(disk("disk", workplace.repository.root()));
    findings.push(certificates(workplace));
    findings.extend(registries(workplace).await);
    findings.extend(definitions(workplace));
    findings
}

fn git_state(workplace: &Workplace, programs: &Programs) -> Finding {
    const SUBJECT: &str = "git";
    let root = workplace.repository.root();
    if programs.git.is_none() {
        let text = "git is not installed: images get no tag of a commit, and nothing tells what changed since one";
        return Finding::careful(SUBJECT, text, Some("`apt-get install git`"));
    }
    match git::last_commit(root, &[PathBuf::from(".")]) {
        Touched::By(commit) => Finding::good(SUBJECT, format!("at {commit}, nothing is edited")),
        Touched::Nobody => Finding::good(SUBJECT, "no commit is what the files are: images get no tag of one"),
        Touched::Unknown { reason } => {
            let hint = if reason.contains("dubious") {
                format!("`git config --global --add safe.directory {}`", root.display())
            } else {
                "`git fetch --unshallow` gets the whole history".to_owned()
            };
            Finding::careful(SUBJECT, reason, Some(&hint))
        }
    }
}

fn tools(workplace: &Workplace, programs: &Programs) -> Vec<Finding> {
    let found = |path: &Path| path.display().to_string();
    let uv = match &programs.uv {
        Some(uv) => Finding::good("uv", found(uv)),
        None => Finding::bad("uv", &WorkflowError::NoUv).only_careful(),
    };
    let mut findings = vec![uv];
    if workplace.settings.base_image == BaseImage::Debian {
        findings.push(match &programs.mmdebstrap {
            Some(program) if programs.may_map_users => Finding::good(rootfs::PROGRAM, found(program)),
            Some(_) => Finding::bad(rootfs::PROGRAM, &RootfsError::NotAllowed).only_careful(),
            // A base that is there already needs none.
            None => Finding::bad(rootfs::PROGRAM, &RootfsError::Missing).only_careful(),
        });
    }
    findings
}

async fn engine(workplace: &Workplace) -> Vec<Finding> {
    const SUBJECT: &str = "engine";
    let engine = match workplace.engine().await {
        Ok(engine) => engine,
        Err(error) => return vec![Finding::bad(SUBJECT, &error)],
    };
    let mut findings = Vec::new();
    let mut directory = None;
    findings.push(match engine.about().await {
        Ok(about) => {
            directory = about.directory;
            Finding::good(
                SUBJECT,
                format!("{} {}, images kept as {}", about.name, about.version, about.store),
            )
        }
        Err(error) => Finding::bad(SUBJECT, &error),
    });
    findings.push(match engine.builds().await {
        Ok(Builder::BuildKit) => Finding::good("builder", "BuildKit answers"),
        Ok(Builder::Buildah) => Finding::good("builder", "Podman's own answers; it builds one stage after the other"),
        Err(error) => Finding::bad("builder", &error),
    });
    // An engine of another machine has a directory that is not here.
    findings.extend(directory.and_then(|directory| disk("engine's disk", &directory)));
    findings
}

/// How much of the disk of a directory is left; nothing where there is no such directory.
fn disk(subject: &str, directory: &Path) -> Option<Finding> {
    let known = statvfs(directory).ok()?;
    let left = known.f_bavail.saturating_mul(known.f_frsize);
    let text = format!("{} left at {}", quantity::bytes(left), directory.display());
    let hint = Some("`floe prune` shows what floe keeps, and frees it");
    Some(if left < TOO_LITTLE {
        Finding {
            state: Health::Bad,
            kind: Some(Kind::Internal),
            ..Finding::careful(subject, text, hint)
        }
    } else if left < LITTLE {
        Finding::careful(subject, format!("{text}, and a build may take more"), hint)
    } else {
        Finding::good(subject, text)
    })
}

fn certificates(workplace: &Workplace) -> Finding {
    const SUBJECT: &str = "certificates";
    let settings = &workplace.settings.site;
    match (site::mounts(settings), &settings.ca) {
        (Err(error), _) => Finding::bad(SUBJECT, &error),
        (Ok(_), Some(path)) => Finding::good(SUBJECT, format!("builds trust those of {}", path.display())),
        (Ok(_), None) => Finding::good(SUBJECT, "builds trust those of their image (SITE_CA is not set)"),
    }
}

async fn registries(workplace: &Workplace) -> Option<Finding> {
    const SUBJECT: &str = "registry";
    let Some(base) = &workplace.settings.registry else {
        return Some(Finding::good(
            SUBJECT,
            "REGISTRY is not set: images stay on this machine",
        ));
    };
    let mission = workplace.repository.missions().into_iter().next()?;
    let target = base.tag(&mission, "x").repository;
    let (remote, credentials) = match registry(workplace, &base.host()) {
        Ok(found) => found,
        Err(error) => return Some(Finding::bad(SUBJECT, &error)),
    };
    let login = if credentials.is_some() { "with" } else { "without" };
    Some(match remote.admits(&target).await {
        Ok(()) => Finding::good(SUBJECT, format!("{target} takes a push {login} a login")),
        Err(error) => Finding::bad(SUBJECT, &error),
    })
}

fn definitions(workplace: &Workplace) -> Vec<Finding> {
    let missions = workplace.repository.missions();
    if missions.is_empty() {
        return vec![Finding::bad("missions", &WorkflowError::NoMissions)];
    }
    let found = missions.par_iter().map(|mission| of_mission(workplace, mission));
    found.collect::<Vec<_>>().concat()
}

fn of_mission(workplace: &Workplace, mission: &MissionName) -> Vec<Finding> {
    let subject = format!("mission {mission}");
    let plan = match workplace.plan(std::slice::from_ref(mission)) {
        Ok(plan) => plan,
        Err(error) => return vec![Finding::bad(&subject, &error)],
    };
    let notices = plan.notices.iter().map(|text| Finding::careful(&subject, text, None));
    let mut findings = notices.collect::<Vec<_>>();
    let frozen = plan.images.iter().flat_map(|image| &image.frozen);
    for file in frozen.filter(|file| file.stale && workplace.settings.use_frozen) {
        let path = file.path.clone();
        findings.push(Finding::bad(&subject, &WorkflowError::Stale { path }).only_careful());
    }
    match choose(workplace, mission, &Asked::default()) {
        Ok(choice) => {
            let environments = workplace.repository.environment_names(mission);
            for name in choice.untested(&environments) {
                let text = format!("no test is defined for the environment {name}");
                let hint = format!("list modules in {name}/tests/imports, or put notebooks into {name}/tests");
                findings.push(Finding::careful(&subject, text, Some(&hint)));
            }
            if findings.is_empty() {
                let text = format!(
                    "{} and {}",
                    amounts::count(environments.len(), "environment"),
                    amounts::count(choice.all.len(), "test")
                );
                findings.push(Finding::good(&subject, text));
            }
        }
        Err(error @ WorkflowError::Nothing(_)) => findings.push(Finding::bad(&subject, &error).only_careful()),
        Err(error) => findings.push(Finding::bad(&subject, &error)),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_not_pass_by_itself_decides_and_what_is_only_to_know_decides_nothing() {
        let bad = |kind| Finding {
            state: Health::Bad,
            kind: Some(kind),
            ..Finding::good("x", "y")
        };
        assert_eq!(worst(&[Finding::careful("x", "y", None)]), None);
        assert_eq!(worst(&[bad(Kind::Temporary), bad(Kind::Invalid)]), Some(Kind::Invalid));
        assert_eq!(worst(&[bad(Kind::Temporary)]), Some(Kind::Temporary));
    }
}
