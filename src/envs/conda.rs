//! Conda packages, chosen and installed by the rattler crates; no conda is needed.
//!
//! The result is an environment that conda, mamba and pixi read. What was asked for stays with it, so that a later
//! change is solved together with all earlier ones.

mod access;
mod channels;
mod config;
pub(super) mod error;
mod history;
mod packages;
mod pinned;
mod request;
mod session;
mod solution;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use rattler_conda_types::{GenericVirtualPackage, MatchSpec, PrefixRecord, RepoDataRecord, Subdir};
use rattler_virtual_packages::{Override, VirtualPackageOverrides, VirtualPackages};

use self::channels::Channels;
use self::history::{Entry, History};
use self::packages::Target;
use self::request::Request;
use self::session::Session;
use self::solution::Problem;
use super::EnvsError;
use super::change::Change;
use crate::spec::env::CondaSpec;
use crate::spec::frozen::Frozen;

pub use config::Config;
pub use error::CondaError;
pub(in crate::envs) use packages::installed;
pub use solution::{Question, solve};

/// Whether conda packages are what the environment at `prefix` is made of.
pub(super) fn is_environment(prefix: &Path) -> bool {
    let Ok(entries) = fs::read_dir(prefix.join("conda-meta")) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| Path::new(&entry.file_name()).extension() == Some(OsStr::new("json")))
}

/// What a change adds to an environment.
#[derive(Debug, Default)]
pub(super) struct Addition {
    /// The channels that its files name, in their order.
    pub(super) channels: Vec<String>,
    /// The dependencies.
    pub(super) specs: Vec<CondaSpec>,
}

/// What is installed before a change.
fn before(change: &Change<'_>) -> Result<Vec<PrefixRecord>, CondaError> {
    if change.repairs {
        packages::left_by_interruption(&change.prefix)
    } else {
        packages::installed(&change.prefix)
    }
}

/// Adds packages, chosen together with everything that was asked for earlier. `command` is what the history calls it.
pub(super) fn add(change: &Change<'_>, command: &str, addition: &Addition) -> Result<(), EnvsError> {
    let config = &change.work.tools.conda;
    let before = before(change)?;
    let history = history::read(&change.prefix)?;
    let mut channels = Channels::new(config, &named_channels(config, &history, addition, &before))?;
    let requests = requests(&mut channels, &history, addition, &before)?;
    let pins = pins(&change.prefix, &mut channels)?;
    let session = Session::open(config, channels.access.clone(), change.work.sink)?;
    let platform = platform()?;
    let problem = Problem {
        requests: &requests,
        constraints: pins,
        installed: before.iter().map(|record| &record.repodata_record).collect(),
        platform,
        machine: machine(config, platform)?,
    };
    let asked_for = packages::counted(requests.len());
    change.work.note(format!("solving for {asked_for} and what they need"));
    let records = runtime(async {
        let records = solution::solution(&session, &channels, &problem).await?;
        packages::fetch(&session, &records).await?;
        Ok::<_, CondaError>(records)
    })??;
    let new = requests.iter().map(|request| request.spec.clone());
    let asked = new.filter(|spec| {
        addition
            .specs
            .iter()
            .any(|added| (&added.file, added.line) == (&spec.file, spec.line))
    });
    let chosen = Chosen {
        records,
        requested: requests.iter().map(|request| request.matching.clone()).collect(),
        asked: asked.collect(),
        channels: channels.names(),
    };
    apply(&session, change, command, chosen, before)
}

/// Installs exactly the packages of a frozen spec; nothing is solved.
pub(super) fn restore(change: &Change<'_>, command: &str, frozen: &Frozen) -> Result<(), EnvsError> {
    let config = &change.work.tools.conda;
    let before = before(change)?;
    let channels = Channels::new(config, &frozen.channels)?;
    let session = Session::open(config, channels.access.clone(), change.work.sink)?;
    let platform = platform()?;
    let records = runtime(async {
        let records = pinned::records(&session, &channels, platform, &frozen.conda).await?;
        packages::fetch(&session, &records).await?;
        Ok::<_, CondaError>(records)
    })??;
    let chosen = Chosen {
        records,
        requested: Vec::new(),
        asked: Vec::new(),
        channels: frozen.channels.clone(),
    };
    apply(&session, change, command, chosen, before)
}

/// Notes in the history, in place of all that it says, that `command` has installed the packages of a frozen spec.
pub(super) fn note(change: &Change<'_>, command: &str, frozen: &Frozen) -> Result<(), CondaError> {
    let records = frozen.conda.iter().filter_map(|package| package.record.clone());
    let entry = Entry {
        command,
        channels: &frozen.channels,
        asked: &[],
        before: &[],
        after: &records.collect::<Vec<_>>(),
    };
    history::begin(&change.prefix, &entry)
}

/// A set of packages that has been chosen and fetched.
struct Chosen {
    records: Vec<RepoDataRecord>,
    requested: Vec<MatchSpec>,
    asked: Vec<CondaSpec>,
    channels: Vec<String>,
}

fn apply(
    session: &Session<'_>,
    change: &Change<'_>,
    command: &str,
    chosen: Chosen,
    before: Vec<PrefixRecord>,
) -> Result<(), EnvsError> {
    change.begin()?;
    let earlier = before
        .iter()
        .map(|record| record.repodata_record.clone())
        .collect::<Vec<_>>();
    let target = Target {
        prefix: &change.prefix,
        platform: platform()?,
        records: &chosen.records,
        requested: chosen.requested,
        reinstall: change.repairs,
    };
    runtime(packages::link(session, target, before))??;
    let entry = Entry {
        command,
        channels: &chosen.channels,
        asked: &chosen.asked,
        before: &earlier,
        after: &chosen.records,
    };
    Ok(history::add(&change.prefix, &entry)?)
}

/// The channels of the environment so far, then those of the addition. Where nobody names any, those that the
/// installed packages came from.
fn named_channels(config: &Config, history: &History, addition: &Addition, before: &[PrefixRecord]) -> Vec<String> {
    let mut named = history.channels.clone();
    named.extend(addition.channels.iter().cloned());
    if named.is_empty() && !config.has_channels() {
        let sources = before
            .iter()
            .filter_map(|record| record.repodata_record.channel.clone());
        let sources = sources.collect::<BTreeSet<_>>();
        named.extend(
            sources
                .into_iter()
                .filter(|channel| !channel.is_empty() && channel != "pypi"),
        );
    }
    named
}

/// What was asked for in all changes, this one included. A package that is there although nobody asked for it and no
/// other needs it was asked for by means that nobody noted.
fn requests(
    channels: &mut Channels,
    history: &History,
    addition: &Addition,
    before: &[PrefixRecord],
) -> Result<Vec<Request>, CondaError> {
    let mut requests = Vec::<Request>::new();
    for spec in history.specs.iter().chain(&addition.specs) {
        let request = Request::parse(spec, channels)?;
        let known = requests
            .iter()
            .any(|known| known.matching == request.matching && known.spec.file == request.spec.file);
        if !known {
            requests.push(request);
        }
    }
    let needed = before
        .iter()
        .flat_map(|record| &record.repodata_record.package_record.depends)
        .filter_map(|depends| depends.split_whitespace().next())
        .collect::<BTreeSet<_>>();
    for record in before {
        let name = &record.repodata_record.package_record.name;
        let asked = requests.iter().any(|request| request.name == *name);
        if !asked && !needed.contains(name.as_normalized()) {
            requests.push(Request::any(name, &request::installed_before()));
        }
    }
    Ok(requests)
}

/// `conda-meta/pinned`: what the makers of an environment do not want to change.
fn pins(prefix: &Path, channels: &mut Channels) -> Result<Vec<MatchSpec>, CondaError> {
    let path = prefix.join("conda-meta/pinned");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(Vec::new());
    };
    let specs = crate::spec::env::conda::list(&text, &path);
    specs
        .iter()
        .map(|spec| Ok(Request::parse(spec, channels)?.matching))
        .collect()
}

fn platform() -> Result<Subdir, CondaError> {
    Subdir::current().ok_or_else(|| CondaError::Failed {
        doing: "looking at this machine".to_owned(),
        message: "conda knows no such platform".to_owned(),
        temporary: false,
    })
}

/// What this machine offers to packages. An image runs elsewhere, so of the processor only the least is counted on, and
/// a GPU only where one is configured.
pub fn machine(config: &Config, platform: Subdir) -> Result<Vec<GenericVirtualPackage>, CondaError> {
    let none = || Some(Override::String(String::new()));
    let processor = match platform {
        Subdir::LinuxAarch64 => "aarch64",
        Subdir::LinuxPpc64le => "ppc64le",
        _ => "x86_64",
    };
    let mut overrides = VirtualPackageOverrides::default();
    overrides.cuda = Some(Override::String(config.cuda.clone().unwrap_or_default()));
    overrides.cuda_arch = none();
    overrides.amdgpu = none();
    overrides.amdgpu_arch = none();
    overrides.archspec = Some(Override::String(processor.to_owned()));
    VirtualPackages::detect_for_platform(platform, &overrides, None)
        .map(|packages| packages.into_generic_virtual_packages().collect())
        .map_err(|error| CondaError::of("looking at this machine", &error, str::to_owned))
}

/// Runs a future to its end, on threads of its own: the caller may itself be run by a runtime.
fn runtime<T: Send>(future: impl Future<Output = T> + Send) -> Result<T, CondaError> {
    let failed = |message: String| CondaError::Failed {
        doing: "starting threads".to_owned(),
        message,
        temporary: false,
    };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(future))
        });
        match run.join() {
            Ok(result) => result.map_err(|error| failed(error.to_string())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
