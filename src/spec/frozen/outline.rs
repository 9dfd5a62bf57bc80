//! What a plan asks of a frozen spec, told without reading all that its lock says of each package.
//!
//! A lock is some tens of kilobytes of YAML, which take milliseconds to read, and a repository may hold a thousand. floe
//! writes it in one form, of which a look at the lines tells whether it is of the packages of the yml. Whatever is written
//! otherwise is read in full, with the errors that come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Frozen, SpecError, lock, normalized};
use crate::reference::{Digest, Hasher};

/// What a plan asks of a frozen spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The digest of the floating spec files that it was made from, if it says so.
    pub specs: Option<Digest>,
    /// The digest of what it says, where it has a lock: neither what it was made from nor how the yml is written counts.
    pub key: Option<Digest>,
}

impl Outline {
    /// Reads the frozen spec `yml`, with the lock beside it where there is one. Both must name the same packages.
    pub fn read(yml: &Path) -> Result<Self, SpecError> {
        let bytes = fs::read(yml).map_err(|source| SpecError::Read {
            path: yml.to_owned(),
            source,
        })?;
        let path = Frozen::lock_path(yml);
        let lock = match fs::read(&path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(SpecError::Read { path, source }),
        };
        Self::parse(yml, &String::from_utf8_lossy(&bytes), lock.as_deref())
    }

    fn parse(yml: &Path, text: &str, lock: Option<&str>) -> Result<Self, SpecError> {
        let mut frozen = Frozen::parse(yml, text, None)?;
        let specs = frozen.specs.take();
        let Some(lock) = lock else {
            return Ok(Self { specs, key: None });
        };
        if !is_of(lock, &frozen) {
            frozen = lock::complete(frozen, yml, lock)?;
        }
        let mut hasher = Hasher::default();
        hasher.raw(frozen.to_yml().as_bytes());
        for line in without_requirements(lock) {
            hasher.raw(line.as_bytes());
        }
        let key = Some(hasher.finish());
        Ok(Self { specs, key })
    }
}

/// The lines of a lock, with their ends, less what pip packages need: that is known of an environment or not, which is the
/// same one either way.
fn without_requirements(lock: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    lock.split_inclusive('\n').filter(move |line| {
        within = line.trim_end() == "  requires_dist:" || (within && line.starts_with("  - "));
        !within
    })
}

/// A package of a lock, as its lines say it.
#[derive(Default)]
struct Locked<'a> {
    is_conda: bool,
    location: &'a str,
    name: &'a str,
    version: &'a str,
    sha256: Option<&'a str>,
}

/// Whether a look at the lines of `lock` tells that it names exactly the packages of `frozen`, and would add nothing to what
/// its yml says. `false` where that is not sure.
fn is_of(lock: &str, frozen: &Frozen) -> bool {
    let Some(locked) = glance(lock) else { return false };
    let (conda, pip): (Vec<_>, Vec<_>) = locked.into_iter().partition(|package| package.is_conda);
    let archives = conda.iter().filter_map(|package| {
        let archive = package.location.rsplit('/').next()?;
        let stem = archive.strip_suffix(".conda").or(archive.strip_suffix(".tar.bz2"))?;
        Some((stem, package.sha256))
    });
    let archives = archives.collect::<BTreeMap<_, _>>();
    let by_name = pip.iter().map(|package| (normalized(package.name), package));
    let by_name = by_name.collect::<BTreeMap<_, _>>();
    conda.len() == frozen.conda.len()
        && pip.len() == frozen.pip.len()
        && frozen.conda.iter().all(|own| {
            let stem = format!("{}-{}-{}", own.name, own.version, own.build);
            archives.get(stem.as_str()) == Some(&own.sha256.as_deref())
        })
        && frozen.pip.iter().all(|own| {
            by_name.get(&own.name).is_some_and(|locked| {
                let same = own.sha256.is_none() || own.sha256.as_deref() == locked.sha256;
                let named = match lock::address(own) {
                    Some(address) => address == locked.location,
                    None => own.version == locked.version,
                };
                same && named
            })
        })
}

/// The packages of a lock in the form that floe writes; `None` if it is in any other.
fn glance(lock: &str) -> Option<Vec<Locked<'_>>> {
    let mut lines = lock.lines().peekable();
    let mut expect = |wanted: &str| lines.next_if_eq(&wanted);
    expect(VERSION)?;
    expect("platforms:")?;
    let platform = lines.next()?.strip_prefix("- name: ").filter(|name| is_plain(name))?;
    let mut expect = |wanted: &str| lines.next_if_eq(&wanted);
    expect("environments:")?;
    expect("  default:")?;
    if expect("    channels: []").is_none() {
        expect("    channels:")?;
        while let Some(line) = lines.next_if(|line| line.starts_with("    - url: ")) {
            is_plain(&line["    - url: ".len()..]).then_some(())?;
        }
    }
    let mut expect = |wanted: &str| lines.next_if_eq(&wanted);
    expect("    packages:")?;
    expect(&format!("      {platform}:"))?;
    let mut named = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with("      - ")) {
        named.push(line["      - ".len()..].split_once(": ")?);
    }
    (lines.next()? == "packages:").then_some(())?;
    let mut packages = Vec::<Locked<'_>>::new();
    for line in lines {
        if let Some(line) = line.strip_prefix("- ") {
            let (kind, location) = line.split_once(": ")?;
            (is_plain(location) && named.get(packages.len()) == Some(&(kind, location))).then_some(())?;
            packages.push(Locked {
                is_conda: match kind {
                    "conda" => true,
                    "pypi" => false,
                    _ => return None,
                },
                location,
                ..Locked::default()
            });
            continue;
        }
        let package = packages.last_mut()?;
        let line = line.strip_prefix("  ")?;
        if let Some(item) = line.strip_prefix("- ") {
            scalar(item)?;
            continue;
        }
        let (key, value) = line.split_once(':')?;
        is_key(key).then_some(())?;
        let value = match value.strip_prefix(' ') {
            Some("[]" | "{}") | None if package.is_conda => continue,
            None if key == "requires_dist" => continue,
            value => scalar(value?)?,
        };
        match key {
            "sha256" => package.sha256 = Some(value).filter(|value| super::yml::is_sha256(value)),
            // The name of a conda archive says them, unless it is another than it should be.
            "name" | "version" | "build" if package.is_conda => return None,
            "name" => package.name = value,
            "version" => package.version = value,
            _ => {}
        }
    }
    (named.len() == packages.len()).then_some(packages)
}

/// The version of the format that floe writes.
const VERSION: &str = "version: 7";

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The text of a scalar on one line: plain, or in single quotes.
fn scalar(text: &str) -> Option<&str> {
    match text.strip_prefix('\'') {
        Some(quoted) => quoted.strip_suffix('\'').filter(|inner| !inner.contains('\'')),
        None => is_plain(text).then_some(text),
    }
}

/// Whether YAML reads the text as itself.
fn is_plain(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || "_/<=.(".contains(c);
    text.starts_with(first)
        && !text.ends_with([':', ' '])
        && !(text.contains(": ") || text.contains(" #"))
        && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::frozen::PipPackage;
    use crate::spec::frozen::tests::{any_environment, example};

    fn of(frozen: &Frozen, lock: &str) -> Result<Outline, SpecError> {
        Outline::parse(Path::new("x-frozen.yml"), &frozen.to_yml(), Some(lock))
    }

    #[test]
    fn the_outline_of_what_floe_wrote_is_told_at_a_glance() {
        let frozen = example();
        let lock = frozen.to_lock().unwrap();
        assert!(is_of(&lock, &frozen), "{lock}");
        let outline = of(&frozen, &lock).unwrap();
        assert_eq!(outline.specs, frozen.specs);
        let unspecified = Frozen { specs: None, ..frozen };
        let whole = unspecified.to_yml() + &without_requirements(&lock).collect::<String>();
        assert_eq!(outline.key, Some(Digest::of(whole.as_bytes())));
        assert_eq!(of(&unspecified, &lock).unwrap().key, outline.key);
    }

    #[test]
    fn what_pip_packages_need_makes_no_other_environment() {
        let frozen = example();
        let mut silent = frozen.clone();
        assert!(silent.pip.iter().any(|package| !package.requires.is_empty()));
        for package in &mut silent.pip {
            package.requires.clear();
        }
        let (told, untold) = (frozen.to_lock().unwrap(), silent.to_lock().unwrap());
        assert_ne!(told, untold);
        assert!(is_of(&told, &frozen), "{told}");
        assert_eq!(of(&frozen, &told).unwrap().key, of(&silent, &untold).unwrap().key);
    }

    #[test]
    fn a_lock_in_another_form_is_read_in_full_and_a_damaged_one_refused() {
        let frozen = example();
        let lock = frozen.to_lock().unwrap();
        let other = lock.replace("version: 7\n", "# by hand\nversion: 7\n");
        assert!(!is_of(&other, &frozen));
        assert!(of(&frozen, &other).is_ok());
        let damage: [&dyn Fn(&str) -> String; 5] = [
            &|lock| lock.replace("packages:\n- ", "packages:\n<<<<<<< HEAD\n- "),
            &|lock| lock.replace("  version: 2.1.0\n", "  version: 2.1.1\n"),
            &|lock| lock.replace("  name: numpy\n", "  name: scipy\n"),
            &|lock| lock[..lock.rfind("\n- ").unwrap()].to_owned(),
            &|lock| lock.replacen("  sha256: ", "  sha256: [", 1),
        ];
        for damage in damage {
            let damaged = damage(&lock);
            assert_ne!(damaged, lock);
            assert!(of(&frozen, &damaged).is_err(), "{damaged}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_lock_of_packages_that_floe_writes_is_told_at_a_glance(frozen in any_environment()) {
            // What YAML would take for a number is in quotes, and read in full: `0e-1` is version 1 of `0e`.
            let is_number = |package: &PipPackage| format!("{}-{}", package.name, package.version).parse::<f64>().is_ok();
            proptest::prop_assume!(!frozen.pip.iter().any(is_number));
            let read = Frozen::parse(Path::new("x-frozen.yml"), &frozen.to_yml(), None).unwrap();
            let is_empty = frozen.conda.is_empty() && frozen.pip.is_empty();
            proptest::prop_assert_eq!(is_of(&frozen.to_lock().unwrap(), &read), !is_empty);
        }
    }
}
