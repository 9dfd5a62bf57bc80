//! The yml of a frozen spec: written in one form only, read as people and conda write it, too.

use std::fmt::Write as _;
use std::path::Path;

use url::Url;

use super::{CondaPackage, Frozen, PipPackage, normalized};
use crate::reference::Digest;
use crate::spec::env::yml::line_of;
use crate::spec::env::{CondaSpec, EnvironmentSpec};
use crate::spec::error::SpecError;

const HEADER: &str = "\
# Written by floe: exactly what the environment holds. The lock beside it belongs to it.
# Not to be edited: change the other spec files, then `floe lock`.
";

/// Begins the line that holds the digest of the floating spec files.
const SPECS: &str = "# specs: ";

/// What keeps conda from adding its default channels.
const NO_DEFAULTS: &str = "nodefaults";

/// The text that floe writes.
pub(super) fn text(frozen: &Frozen) -> String {
    let mut text = String::from(HEADER);
    // Writing to a string cannot fail.
    if let Some(specs) = &frozen.specs {
        let _ = writeln!(text, "{SPECS}{specs}");
    }
    let _ = writeln!(text, "name: {}", scalar(&frozen.name));
    if !frozen.channels.is_empty() {
        text.push_str("channels:\n");
        for channel in frozen.channels.iter().map(String::as_str).chain([NO_DEFAULTS]) {
            let _ = writeln!(text, "  - {}", scalar(channel));
        }
    }
    if frozen.python.is_none() && frozen.conda.is_empty() && frozen.pip.is_empty() {
        text.push_str("dependencies: []\n");
    } else {
        text.push_str("dependencies:\n");
    }
    if let Some(python) = &frozen.python {
        let _ = writeln!(text, "  - {}", scalar(&format!("python={python}")));
    }
    for CondaPackage {
        name,
        version,
        build,
        sha256,
        ..
    } in &frozen.conda
    {
        let digest = sha256.as_ref().map(|sha256| format!("[sha256={sha256}]"));
        let line = format!("{name}={version}={build}{}", digest.unwrap_or_default());
        let _ = writeln!(text, "  - {}", scalar(&line));
    }
    if !frozen.pip.is_empty() {
        text.push_str("  - pip:\n");
        for package in &frozen.pip {
            let _ = writeln!(text, "      - {}", scalar(&package.requirement));
        }
    }
    if !frozen.variables.is_empty() {
        text.push_str("variables:\n");
        for (name, value) in &frozen.variables {
            let _ = writeln!(text, "  {}: {}", scalar(name), quoted(value));
        }
    }
    text
}

/// Reads `text`; errors name the file `path`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Frozen, SpecError> {
    let spec = EnvironmentSpec::parse(text, path)?;
    let mut frozen = Frozen {
        name: spec.name.unwrap_or_else(|| name_of(path)),
        channels: spec
            .channels
            .into_iter()
            .filter(|channel| channel != NO_DEFAULTS)
            .collect(),
        variables: spec.variables,
        specs: specs(path, text)?,
        ..Frozen::default()
    };
    match spec.conda.as_slice() {
        [only] if venv_python(only).is_some() => frozen.python = venv_python(only),
        packages => {
            for package in packages {
                let (channel, package) = conda_package(package)?;
                frozen.conda.push(package);
                frozen
                    .channels
                    .extend(channel.filter(|channel| !frozen.channels.contains(channel)));
            }
        }
    }
    for line in &spec.pip {
        let package = pip_package(line).map_err(|wanted| SpecError::Floating {
            path: path.to_owned(),
            line: line_of(text, line),
            text: line.clone(),
            wanted,
        })?;
        frozen.pip.push(package);
    }
    match frozen.sort() {
        Ok(()) => Ok(frozen),
        Err(name) => Err(SpecError::Malformed {
            path: path.to_owned(),
            line: None,
            message: format!("{name} is listed twice"),
        }),
    }
}

/// The environment that the file is named after.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.strip_suffix("-frozen").unwrap_or(&stem).to_owned()
}

fn specs(path: &Path, text: &str) -> Result<Option<Digest>, SpecError> {
    let comments = text.lines().enumerate().take_while(|(_, line)| line.starts_with('#'));
    let mut found = comments.filter_map(|(index, line)| Some((index + 1, line.strip_prefix(SPECS)?)));
    let Some((line, digest)) = found.next() else {
        return Ok(None);
    };
    let digest = digest.trim().parse().map_err(|error| SpecError::Malformed {
        path: path.to_owned(),
        line: Some(line),
        message: format!("{error}"),
    });
    digest.map(Some)
}

/// The exact python of a venv: `python=X.Y.Z`, without a build.
fn venv_python(spec: &CondaSpec) -> Option<String> {
    let version = spec.text.strip_prefix("python=")?.trim_start_matches('=').trim();
    let plain = version
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '+');
    (plain && version.split('.').count() >= 3).then(|| version.to_owned())
}

/// The channel, where the dependency names one, and the package.
fn conda_package(spec: &CondaSpec) -> Result<(Option<String>, CondaPackage), SpecError> {
    let floating = |wanted| SpecError::Floating {
        path: spec.file.clone(),
        line: spec.line,
        text: spec.text.clone(),
        wanted,
    };
    let (channel, rest) = match spec.text.rsplit_once("::") {
        Some((channel, rest)) => (Some(channel.to_owned()), rest),
        None => (None, spec.text.as_str()),
    };
    let (exact, bracket) = match rest.split_once('[') {
        Some((exact, bracket)) => (exact, bracket.trim_end().strip_suffix(']').unwrap_or(bracket)),
        None => (rest, ""),
    };
    let mut fields = exact.split(['=', ' ', '\t']).filter(|field| !field.is_empty());
    let (Some(name), version, build) = (fields.next(), fields.next(), fields.next()) else {
        return Err(floating("it names no package"));
    };
    let exact = |field: &str| !field.contains(['<', '>', '!', '~', '*', ',', '|', '^']);
    let Some(version) = version.filter(|version| exact(version) && exact(name)) else {
        return Err(floating("it has no exact version"));
    };
    let Some(build) = build.filter(|build| exact(build) && fields.next().is_none()) else {
        return Err(floating("it has no build string"));
    };
    let mut sha256 = None;
    for condition in bracket.split(',').filter(|condition| !condition.trim().is_empty()) {
        let (key, value) = condition.split_once('=').unwrap_or((condition, ""));
        let value = value.trim().trim_matches(['"', '\'']).to_lowercase();
        match key.trim() {
            "sha256" if is_sha256(&value) => sha256 = Some(value),
            "sha256" => return Err(floating("its sha256 is not 64 hexadecimal digits")),
            "md5" => {}
            _ => return Err(floating("only sha256 and md5 can stand in its brackets")),
        }
    }
    let package = CondaPackage {
        name: name.to_lowercase(),
        version: version.to_owned(),
        build: build.to_owned(),
        sha256,
        record: None,
    };
    Ok((channel, package))
}

/// The pip package that a line of the pip list names. The error is what the line lacks.
fn pip_package(line: &str) -> Result<PipPackage, &'static str> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    if name.starts_with('-') || normalized(name).is_empty() {
        return Err("only `name==version` and `name @ address` are");
    }
    let mut package = PipPackage {
        name: name.to_owned(),
        version: String::new(),
        requirement: line.to_owned(),
        url: None,
        sha256: None,
        requires: Vec::new(),
    };
    let rest = rest.trim();
    if let Some(address) = rest.strip_prefix('@').map(str::trim) {
        if address.starts_with("git+") {
            return if commit(address).is_some() {
                Ok(package)
            } else {
                Err("it names no commit")
            };
        }
        let mut url = Url::parse(address).map_err(|_| "its address is no URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("only https: and git+ addresses can be had elsewhere");
        }
        let fragment = url.fragment().map(str::to_owned);
        url.set_fragment(None);
        package.url = Some(url);
        package.sha256 = fragment.and_then(|fragment| {
            let digest = fragment.split('&').find_map(|part| part.strip_prefix("sha256="))?;
            is_sha256(digest).then(|| digest.to_owned())
        });
        return Ok(package);
    }
    let version = rest.strip_prefix("==").ok_or("it has no exact version")?.trim();
    let plain = version
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._+!-".contains(c));
    if version.is_empty() || !plain {
        return Err("it has more or less than one exact version");
    }
    version.clone_into(&mut package.version);
    Ok(package)
}

/// The commit in `git+https://host/x.git@<commit>#subdirectory=y`: all of its digits.
fn commit(address: &str) -> Option<&str> {
    let address = address.split('#').next()?;
    let (_, commit) = address.rsplit_once('@')?;
    let whole = matches!(commit.len(), 40 | 64);
    (whole && commit.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(commit)
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The text as a YAML scalar that every parser reads as this text: plain where it may be.
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "._-+=@:/[]!~%#?& ".contains(c);
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !text.ends_with([':', ' ']);
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = word
        && text.chars().all(safe)
        && !(text.contains(": ") || text.contains(" #"))
        && !reserved.contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// The text in double quotes, on one line.
fn quoted(text: &str) -> String {
    let mut result = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => result.extend(['\\', c]),
            '\n' => result.push_str("\\n"),
            '\t' => result.push_str("\\t"),
            ' '..='~' => result.push(c),
            _ if c.is_alphanumeric() => result.push(c),
            _ => {
                let _ = write!(result, "\\U{:08X}", u32::from(c));
            }
        }
    }
    result.push('"');
    result
}
