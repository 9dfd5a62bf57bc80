//! Packages fetched, and an environment made to hold exactly them.
//!
//! Packages are fetched before anything in an environment is touched: rattler itself unlinks while it fetches. Those of
//! a kept cache are copied, not linked: staging changes the times and owners of what it takes, and a cache that is
//! mounted into a `RUN` is another file system.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use futures_util::{TryStreamExt as _, stream};
use rattler::install::link_script::{LinkScriptError, PrePostLinkResult};
use rattler::install::{Installer, LinkOptions};
use rattler_conda_types::{MatchSpec, PackageName, PrefixRecord, RepoDataRecord, Subdir};
use rattler_networking::retry_policies::ExponentialBackoff;
use serde_json::Value;

use super::error::{hashes, is_damage, status};
use super::session::Session;
use super::{CondaError, channels};
use crate::event::{Event, Sink};

/// How many packages are fetched at a time.
const AT_A_TIME: usize = 8;

/// The packages that are installed at `prefix`, in the order of their names.
pub(in crate::envs) fn installed(prefix: &Path) -> Result<Vec<PrefixRecord>, CondaError> {
    let directory = prefix.join("conda-meta");
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut records = PrefixRecord::collect_from_prefix(prefix).map_err(|source| CondaError::Io {
        path: directory,
        source,
    })?;
    records.sort_by(|a: &PrefixRecord, b| name(a).cmp(name(b)));
    Ok(records)
}

/// The packages at `prefix` that can be read, where a change was interrupted. A record that broke off is removed: its
/// package is reinstalled, over what is there of it.
pub(super) fn left_by_interruption(prefix: &Path) -> Result<Vec<PrefixRecord>, CondaError> {
    let directory = prefix.join("conda-meta");
    for entry in fs::read_dir(&directory).map_err(io_error(&directory))? {
        let path = entry.map_err(io_error(&directory))?.path();
        if path.extension() == Some(OsStr::new("json")) && PrefixRecord::from_path(&path).is_err() {
            fs::remove_file(&path).map_err(io_error(&path))?;
        }
    }
    installed(prefix)
}

fn name(record: &PrefixRecord) -> &PackageName {
    &record.repodata_record.package_record.name
}

/// Fetches what is not kept already, so that nothing needs the network later.
pub(super) async fn fetch(session: &Session<'_>, records: &[RepoDataRecord]) -> Result<(), CondaError> {
    let hide = |text: &str| session.access.hide(text);
    let kept = session.packages.index().await;
    let new = records
        .iter()
        .filter(|record| !kept.as_ref().is_ok_and(|kept| kept.contains_record(record)))
        .collect::<Vec<_>>();
    if !new.is_empty() {
        let bytes = new.iter().filter_map(|record| record.package_record.size).sum();
        session.sink.emit(Event::Note {
            text: format!("fetching {}, {}", counted(new.len()), size(bytes)),
        });
    }
    let _lock = session
        .packages
        .acquire_global_lock()
        .await
        .map_err(|error| CondaError::of("locking the package cache", &error, hide))?;
    stream::iter(records.iter().map(Ok))
        .try_for_each_concurrent(AT_A_TIME, |record| fetch_one(session, record))
        .await
}

async fn fetch_one(session: &Session<'_>, record: &RepoDataRecord) -> Result<(), CondaError> {
    let result = if record.url.scheme() == "file" {
        let path = record.url.to_file_path().unwrap_or_default();
        let package = Some(&record.package_record);
        session.packages.get_or_fetch_from_path(&path, package, None).await
    } else {
        let (url, client) = (record.url.clone(), session.client.clone());
        // For what breaks off in the middle; the client itself sees to the rest.
        let retry = ExponentialBackoff::builder().build_with_max_retries(session.retries);
        session
            .packages
            .get_or_fetch_from_url_with_retry(&record.package_record, url, client, retry, None, None)
            .await
    };
    let Err(error) = result else { return Ok(()) };
    if let Some((expected, found)) = hashes(&error) {
        return Err(CondaError::WrongHash {
            package: record.url.to_string(),
            expected,
            found,
        });
    }
    let missing_file = record.url.scheme() == "file" && !record.url.to_file_path().is_ok_and(|path| path.exists());
    if status(&error) == Some(404) || missing_file {
        let channel = record.channel.as_deref().unwrap_or_default();
        return Err(CondaError::NotThere {
            package: record.identifier.to_string(),
            channel: channel
                .parse()
                .map_or_else(|_| channel.to_owned(), |url| channels::name(&url)),
        });
    }
    if is_damage(&error) {
        return Err(CondaError::Damaged {
            package: record.url.to_string(),
            message: session.access.hide(&printable(&error.to_string())),
        });
    }
    Err(CondaError::of(format!("fetching {}", record.url), &error, |text| {
        session.access.hide(text)
    }))
}

/// The words of an error, which may quote what it could not read.
fn printable(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    let words = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    words.chars().take(200).collect()
}

/// An environment that is to hold exactly `records`.
pub(super) struct Target<'a> {
    pub(super) prefix: &'a Path,
    pub(super) platform: Subdir,
    pub(super) records: &'a [RepoDataRecord],
    /// What was asked for, which the records of the packages name.
    pub(super) requested: Vec<MatchSpec>,
    /// Whether everything is to be reinstalled, whatever is there.
    pub(super) reinstall: bool,
}

/// Removes what `records` lack, and installs what they have; all of it has been fetched.
pub(super) async fn link(
    session: &Session<'_>,
    target: Target<'_>,
    before: Vec<PrefixRecord>,
) -> Result<(), CondaError> {
    let prefix = target.prefix;
    let hide = |text: &str| session.access.hide(text);
    let stays = |old: &PrefixRecord| {
        !target.reinstall
            && target.records.iter().any(|new| {
                let (old, new) = (&old.repodata_record.package_record, &new.package_record);
                (&old.name, &old.version, &old.build, old.sha256) == (&new.name, &new.version, &new.build, new.sha256)
            })
    };
    let leaving = before.iter().filter(|record| !stays(record)).collect::<Vec<_>>();
    for record in &leaving {
        remove_bytecode(prefix, record)?;
    }
    session.sink.emit(Event::Note {
        text: format!("linking {}", counted(target.records.len())),
    });
    // A kept package that shared its storage with an environment would change with it.
    let shared = if session.keeps { Some(false) } else { None };
    let reinstall = target.reinstall.then(|| {
        let names = before.iter().map(name).cloned();
        names.collect::<HashSet<_>>()
    });
    let mut installer = Installer::new()
        .with_download_client(session.client.clone())
        .with_package_cache(session.packages.clone())
        .with_target_platform(target.platform)
        .with_requested_specs(target.requested)
        .with_installed_packages(before)
        .with_execute_link_scripts(true)
        .with_link_options(LinkOptions {
            allow_symbolic_links: None,
            allow_hard_links: shared,
            allow_ref_links: None,
        });
    if let Some(names) = reinstall {
        installer = installer.with_reinstall_packages(names);
    }
    let result = installer
        .install(prefix, target.records.iter().cloned())
        .await
        .map_err(|error| CondaError::of("installing conda packages", &error, hide))?;
    report(result.post_link_script_result, session.sink)?;
    normalize(prefix, &session.cache)
}

/// Says what packages say of themselves; a script of theirs that failed is an error, as with conda.
fn report(scripts: Option<Result<PrePostLinkResult, LinkScriptError>>, sink: &dyn Sink) -> Result<(), CondaError> {
    let failed = |message: String| CondaError::Failed {
        doing: "running the link scripts of packages".to_owned(),
        message,
        temporary: false,
    };
    let Some(scripts) = scripts else { return Ok(()) };
    let scripts = scripts.map_err(|error| failed(error.to_string()))?;
    let messages = scripts.messages.iter().map(|(name, text)| (name.as_normalized(), text));
    for (name, text) in messages.collect::<BTreeMap<_, _>>() {
        sink.emit(Event::Note {
            text: format!("{name}: {}", text.trim()),
        });
    }
    let names = scripts.failed_packages.iter().map(PackageName::as_normalized);
    let names = names.collect::<Vec<_>>();
    if names.is_empty() {
        Ok(())
    } else {
        Err(failed(format!("those of {} failed", names.join(", "))))
    }
}

/// Removes the bytecode of modules that a package takes with it: it is not among the package's files, and would keep
/// their directories.
fn remove_bytecode(prefix: &Path, record: &PrefixRecord) -> Result<(), CondaError> {
    let mut directories = BTreeMap::<_, HashSet<_>>::new();
    for entry in &record.paths_data.paths {
        let path = prefix.join(&entry.relative_path);
        if path.extension() == Some(OsStr::new("py"))
            && let (Some(directory), Some(stem)) = (path.parent(), path.file_stem())
        {
            let cache = directory.join("__pycache__");
            directories.entry(cache).or_default().insert(stem.to_owned());
        }
    }
    for (cache, stems) in directories {
        let Ok(entries) = fs::read_dir(&cache) else { continue };
        for entry in entries {
            let path = entry.map_err(io_error(&cache))?.path();
            let file = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let stem = file.split_once('.').map(|(stem, _)| OsStr::new(stem));
            if stem.is_some_and(|stem| stems.contains(stem)) {
                fs::remove_file(&path).map_err(io_error(&path))?;
            }
        }
        // It goes where nothing is left in it.
        let _ = fs::remove_dir(&cache);
    }
    Ok(())
}

/// Takes out of the records where packages were fetched to, and lets everyone read them.
fn normalize(prefix: &Path, cache: &Path) -> Result<(), CondaError> {
    let directory = prefix.join("conda-meta");
    for entry in fs::read_dir(&directory).map_err(io_error(&directory))? {
        let path = entry.map_err(io_error(&directory))?.path();
        if path.extension() != Some(OsStr::new("json")) {
            continue;
        }
        let text = fs::read(&path).map_err(io_error(&path))?;
        let mut record = serde_json::from_slice::<Value>(&text).map_err(|error| io_error(&path)(error.into()))?;
        let Some(fields) = record.as_object_mut() else { continue };
        let fetched = fields.get("extracted_package_dir").and_then(Value::as_str);
        if !fetched.is_some_and(|fetched| Path::new(fetched).starts_with(cache)) {
            continue;
        }
        for field in ["extracted_package_dir", "package_tarball_full_path", "link"] {
            fields.shift_remove(field);
        }
        let text = serde_json::to_string_pretty(&record).map_err(|error| io_error(&path)(error.into()))?;
        fs::write(&path, text).map_err(io_error(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(io_error(&path))?;
    }
    Ok(())
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> CondaError + '_ {
    move |source| CondaError::Io {
        path: path.to_owned(),
        source,
    }
}

/// `1 package`, `2 packages`.
pub(super) fn counted(packages: usize) -> String {
    match packages {
        1 => "1 package".to_owned(),
        packages => format!("{packages} packages"),
    }
}

/// The number of bytes as people read it.
fn size(bytes: u64) -> String {
    const MEGABYTE: u64 = 1_000_000;
    if bytes < MEGABYTE {
        format!("{} kB", bytes.div_ceil(1000))
    } else {
        format!("{} MB", bytes.div_ceil(MEGABYTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_round_numbers() {
        assert_eq!([size(1), size(187_400_000)], ["1 kB", "188 MB"]);
    }
}
