//! Packages installed beside what they need to run, so that what each brings can be told and taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::package::Package;
use super::piece::Piece;
use super::store::Store;
use crate::envs::error::{EnvsError, io_error};
use crate::envs::make::create_part;
use crate::envs::stage::{self, Owners};
use crate::envs::venv::BROUGHT;
use crate::envs::{Work, tree};
use crate::reference::Digest;
use crate::spec::frozen::{CondaPackage, Frozen};

/// An environment of some packages of a frozen spec.
pub(super) struct Installation<'a> {
    work: Work<'a>,
    packages: &'a [Package],
    owners: Owners,
    /// The packages whose pieces are known; what is there of them is there for others.
    known: BTreeSet<usize>,
    /// For each package of the records its place among those of the spec, if it is there.
    places: Vec<Option<usize>>,
}

impl<'a> Installation<'a> {
    /// Installs the packages whose pieces are not known. If the piece of the `rest` is, nothing of that need be there.
    pub(super) fn of(
        work: Work<'a>,
        (frozen, yml): (&Frozen, &Path),
        packages: &'a [Package],
        known: &BTreeMap<usize, Piece>,
        rest: Option<&Piece>,
    ) -> Result<Self, EnvsError> {
        let prefix = work.prefix();
        // An attempt before this one had other packages.
        if prefix.exists() {
            fs::remove_dir_all(&prefix).map_err(io_error(&prefix))?;
        }
        // What python brings may be what is asked for, which then stays as python has installed it.
        let mut brought = packages.iter().enumerate();
        let all_known =
            brought.all(|(index, package)| !BROUGHT.contains(&&*package.name) || known.contains_key(&index));
        create_part(work, (&part(frozen, known), frozen), yml, rest.is_some() && all_known)?;
        stage::normalize(work)?;
        let conda_dir = &work.layout.conda_dir;
        let owner = fs::metadata(conda_dir).map_err(io_error(conda_dir))?;
        for directory in stage::directories(work) {
            stage::give(&directory, &owner)?;
        }
        let owners = Owners::read(&prefix)?;
        let place = |(index, name): (usize, &String)| {
            let is_conda = index < owners.conda;
            packages
                .iter()
                .position(|package| package.is_conda == is_conda && package.name == *name)
        };
        let places = owners.names.iter().enumerate().map(place).collect();
        Ok(Self {
            work,
            packages,
            owners,
            known: known.keys().copied().collect(),
            places,
        })
    }

    /// The packages of which it cannot be told what they bring: some of it others bring as well, or no record says.
    pub(super) fn blurred(&self) -> BTreeSet<usize> {
        let contested = self.owners.contested.iter();
        let contested = contested.filter_map(|&owner| self.places[owner]);
        let recorded = self.places.iter().flatten().collect::<BTreeSet<_>>();
        let told = |index: &usize| recorded.contains(index) || self.known.contains(index);
        let untold = (0..self.packages.len()).filter(|index| !told(index));
        contested.chain(untold).collect()
    }

    /// The pieces of the packages that were installed, and of what belongs to none, if that is not `kept`. What can be used again
    /// goes into the store, and the rest lies in the directory `draft`.
    pub(super) fn pieces(
        self,
        (store, draft): (&Store, &Path),
        kept: Option<Piece>,
        rest_key: &Digest,
    ) -> Result<(Vec<(usize, Piece)>, Piece), EnvsError> {
        let Paths { new, rest } = self.paths()?;
        let blurred = self.blurred();
        let rest = if let Some(kept) = kept {
            kept
        } else {
            let mut piece = Piece::of(&rest, draft.join("rest"))?;
            if blurred.is_empty() {
                store.keep(rest_key, &mut piece)?;
            }
            piece
        };
        let make = |(index, paths): (usize, Vec<PathBuf>)| {
            let mut piece = Piece::of(&paths, draft.join(index.to_string()))?;
            if let Some(key) = self.packages[index].key.as_ref().filter(|_| !blurred.contains(&index)) {
                store.keep(key, &mut piece)?;
            }
            Ok((index, piece))
        };
        let new = new.into_par_iter().map(make).collect::<Result<Vec<_>, EnvsError>>()?;
        Ok((new, rest))
    }

    fn paths(&self) -> Result<Paths, EnvsError> {
        let (mut new, mut rest) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        let prefix = self.work.prefix();
        for directory in stage::directories(self.work) {
            let entries = tree::walk(&directory)?;
            for (place, entry) in entries.iter().enumerate() {
                let path = entry.path();
                if entry.file_type().is_dir() {
                    // One that holds something is there with that.
                    let next = entries.get(place + 1);
                    if next.is_none_or(|next| !next.path().starts_with(path)) {
                        rest.push(path.to_owned());
                    }
                    continue;
                }
                let owner = path.strip_prefix(&prefix).ok().and_then(|path| self.owners.of(path));
                match owner.and_then(|owner| self.places[owner]) {
                    Some(package) if self.known.contains(&package) => {}
                    Some(package) => new.entry(package).or_default().push(path.to_owned()),
                    None => rest.push(path.to_owned()),
                }
            }
        }
        Ok(Paths { new, rest })
    }
}

/// What is there.
struct Paths {
    /// Of each package that was installed.
    new: BTreeMap<usize, Vec<PathBuf>>,
    /// Of no package, or of several.
    rest: Vec<PathBuf>,
}

/// The packages of a frozen spec whose pieces are not known, and those that python runs with.
fn part(frozen: &Frozen, known: &BTreeMap<usize, Piece>) -> Frozen {
    let mut part = frozen.clone();
    let runs = runtime(&frozen.conda);
    let conda = frozen.conda.iter().enumerate();
    let conda = conda.filter(|(index, package)| !known.contains_key(index) || runs.contains(package.name.as_str()));
    part.conda = conda.map(|(_, package)| package.clone()).collect();
    let pip = frozen.pip.iter().enumerate();
    let pip = pip.filter(|(index, _)| !known.contains_key(&(frozen.conda.len() + index)));
    part.pip = pip.map(|(_, package)| package.clone()).collect();
    part
}

/// Python, where it is a conda package, and all that it needs.
fn runtime(packages: &[CondaPackage]) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut wanted = vec!["python"];
    while let Some(name) = wanted.pop() {
        let Some(package) = packages.iter().find(|package| package.name == name) else {
            continue;
        };
        if found.insert(package.name.as_str()) {
            let record = package.record.iter();
            let needs = record.flat_map(|record| &record.package_record.depends);
            wanted.extend(needs.filter_map(|need| need.split([' ', '<', '>', '=', '!', '~', '[']).next()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envs::{Installer, Layout, Tools, conda};
    use crate::event::Memory;

    #[test]
    fn what_a_package_brings_is_not_told_where_it_has_no_record_or_another_brings_it_too() {
        let layout = Layout::of_image("/nowhere");
        let tools = Tools {
            pip: Installer::Pip,
            conda: conda::Config::default(),
            cache: None,
        };
        let (name, sink) = ("x".parse().unwrap(), Memory::default());
        let work = Work {
            layout: &layout,
            tools: &tools,
            name: &name,
            sink: &sink,
        };
        let packages = ["told", "contested", "unrecorded", "known"].map(|name| Package {
            name: name.to_owned(),
            is_conda: false,
            key: None,
        });
        let mut owners = Owners::default();
        owners.contested.insert(1);
        let installation = Installation {
            work,
            packages: &packages,
            owners,
            known: BTreeSet::from([3]),
            places: vec![Some(0), Some(1), None],
        };
        assert_eq!(installation.blurred(), BTreeSet::from([1, 2]));
    }
}
