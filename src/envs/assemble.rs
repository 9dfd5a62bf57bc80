//! An environment as layers of an image, put together from what its packages brought earlier.
//!
//! What a package brings to an environment, with its bytecode, is kept as a piece of a tar archive (`store.rs`). Of a frozen
//! spec, only the packages without one are installed, by the installers that install all of them elsewhere, beside what they
//! need to run; what each brought is told by its own record. Layers are then written from pieces, and sent to the host as they
//! are written: no environment is there as a whole at any moment.
//!
//! Packages that bring the same file are always installed together, so that the installers' own rule says whose it is. They are
//! not kept, for what either brings alone is not to be seen.

mod handover;
mod installation;
mod layer;
mod package;
mod piece;
mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::path::Path;

use self::handover::{decline, hand_over};
use self::installation::Installation;
use self::layer::Layer;
use self::package::{Package, rest_key, surroundings};
use self::piece::Piece;
use self::store::Store;
use super::error::io_error;
use super::stage::places;
use super::{EnvsError, Work};
use crate::image::assembly::Offer;
use crate::passage::Door;
use crate::spec::env::SpecError;
use crate::spec::frozen::Frozen;

/// Assembles the environment that the frozen spec `yml` says, as up to so many `layers`, and hands those over to the `host` that
/// it wants. With `anew`, nothing is used that was kept. Says why where an environment cannot be assembled.
pub fn env_assemble(
    work: Work<'_>,
    yml: &Path,
    layers: NonZeroUsize,
    anew: bool,
    host: UnixStream,
) -> Result<(), EnvsError> {
    let frozen = match whole(yml)? {
        Ok(frozen) => frozen,
        Err(reason) => {
            let environment = work.name.clone();
            return decline(&host, &Offer::Unable { environment, reason });
        }
    };
    let temporary = tempfile::tempdir().map_err(io_error(&std::env::temp_dir()))?;
    let store = Store::at(work.tools.cache.as_deref().unwrap_or(temporary.path()));
    let draft = store.draft()?;
    let pieces = pieces(work, (&frozen, yml), (&store, draft.path()), anew)?;
    // Without one there is the way that the builder gives.
    let door = Door::open(draft.path()).ok();
    let handed = hand_over((host, door), work.name, &divided(pieces, layers.get())?, &store);
    if let Err(EnvsError::Damaged { path }) = &handed {
        store::forget(path);
    }
    if let Err(error) = store.tidy() {
        work.warn(format!("{error}: what is kept of packages is not tidied"));
    }
    handed
}

/// The frozen spec `yml`, if it says all that there is to know of its packages, or what it leaves open.
fn whole(yml: &Path) -> Result<Result<Frozen, String>, EnvsError> {
    match Frozen::load(yml) {
        Ok(frozen) if frozen.conda.iter().any(|package| package.record.is_none()) => Ok(Err(
            "its frozen spec has no lock, which alone says what conda packages are".to_owned(),
        )),
        Ok(frozen) => Ok(Ok(frozen)),
        Err(open @ SpecError::Floating { .. }) => Ok(Err(open.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// What an environment consists of.
struct Pieces {
    /// What belongs to one package each.
    packages: Vec<(Package, Piece)>,
    /// What belongs to no package, or to several.
    rest: Piece,
}

/// Finds the pieces of an environment that are kept, and makes the others.
fn pieces(
    work: Work<'_>,
    (frozen, yml): (&Frozen, &Path),
    (store, draft): (&Store, &Path),
    anew: bool,
) -> Result<Pieces, EnvsError> {
    let surroundings = surroundings(work, frozen)?;
    let packages = Package::all(frozen, &surroundings);
    let rest_key = rest_key(frozen, &packages, &surroundings);
    let find = |key: Option<&_>| key.filter(|_| !anew).and_then(|key| store.find(key));
    // What is not to be told from others is always installed, with those.
    let mut together = BTreeSet::new();
    loop {
        let wanted = (0..packages.len()).filter(|index| !together.contains(index));
        let known = wanted.filter_map(|index| Some((index, find(packages[index].key.as_ref())?)));
        let known = known.collect::<BTreeMap<_, _>>();
        let kept_rest = find(Some(&rest_key)).filter(|_| together.is_empty());
        let mut all = BTreeMap::new();
        let rest = match kept_rest {
            Some(rest) if known.len() == packages.len() => rest,
            kept_rest => {
                let installation = Installation::of(work, (frozen, yml), &packages, &known, kept_rest.as_ref())?;
                let blurred = installation.blurred();
                // What they bring is in no piece of theirs alone, and so in no rest that was kept.
                let is_kept = blurred.iter().any(|index| known.contains_key(index));
                if is_kept || (kept_rest.is_some() && !blurred.is_empty()) {
                    together.extend(blurred);
                    continue;
                }
                let (new, rest) = installation.pieces((store, draft), kept_rest, &rest_key)?;
                all.extend(new);
                rest
            }
        };
        all.extend(known);
        let shared = shared(&all);
        if shared.is_empty() {
            let packages = all.into_iter().map(|(index, piece)| (packages[index].clone(), piece));
            return Ok(Pieces {
                packages: packages.collect(),
                rest,
            });
        }
        together.extend(shared);
    }
}

/// The packages that bring a file that another brings.
fn shared(pieces: &BTreeMap<usize, Piece>) -> BTreeSet<usize> {
    let mut owners = HashMap::new();
    let mut shared = BTreeSet::new();
    for (index, piece) in pieces {
        for file in &piece.index.files {
            if let Some(other) = owners.insert(file, *index) {
                shared.extend([other, *index]);
            }
        }
    }
    shared
}

/// The layers that the pieces are, the lowest first. A layer that holds nothing is none.
fn divided(pieces: Pieces, layers: usize) -> Result<Vec<Layer>, EnvsError> {
    let Pieces { mut packages, rest } = pieces;
    packages.sort_by(|(a, _), (b, _)| (&a.name, a.is_conda).cmp(&(&b.name, b.is_conda)));
    let sizes = packages
        .iter()
        .map(|(package, piece)| (package.name.as_str(), piece.index.size));
    let sizes = sizes.collect::<Vec<_>>();
    let places = match layers {
        1 => vec![0; packages.len()],
        several => places(&sizes, several),
    };
    let mut divided = vec![Vec::new(); layers];
    for (place, (_, piece)) in places.into_iter().zip(packages) {
        divided[place].push(piece);
    }
    divided[layers - 1].push(rest);
    divided
        .into_iter()
        .filter_map(|pieces| Layer::of(pieces).transpose())
        .collect()
}
