//! Whether what tests run with is as it was before them, by the times at which files were last changed.
//!
//! The kernel keeps that time (ctime), and no program in a container can set it. A change in place, a change of a
//! file's metadata and a copy from the image's layer set it on the file; an entry that comes or goes sets it on the
//! directory. On an overlay file system a directory that the container's own layer does not hold, which is older than that
//! layer, needs no look inside: what changes below it brings it into the layer (engines mount with `index=off`, so nothing
//! is changed through a hard link elsewhere). That look takes a millisecond; one at each of 100,000 files takes 0.4 s, and
//! the engine's own list of what differs 4 s (`src/trial/changes.rs`), so it is asked only where this proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use walkdir::WalkDir;

use crate::image;

/// What `statfs` says of an overlay file system.
const OVERLAY: i64 = 0x794c_7630;

/// A clock that was set by more than this tells nothing of the order of changes: nothing of the image runs before.
const TOLERANCE: Duration = Duration::from_millis(20);

/// What tests run with, as it was at one moment.
pub struct Watched {
    since: Option<Moment>,
    layer: Option<Layer>,
    roots: Vec<Root>,
    homes: Vec<Home>,
    behind: Vec<PathBuf>,
}

/// When a file was last changed: seconds and nanoseconds.
type Changed = (i64, i64);

struct Moment {
    changed: Changed,
    clock: SystemTime,
    steady: Instant,
}

/// The layer of an overlay file system that holds what was changed in the container.
struct Layer {
    device: u64,
    made: Changed,
}

struct Root {
    path: PathBuf,
    /// Which file it is, or why it cannot be looked at: it is not there, or lies in the home directory of another user,
    /// whose programs no test runs.
    found: Result<Identity, io::ErrorKind>,
}

struct Home {
    path: PathBuf,
    startup: BTreeMap<PathBuf, Result<Identity, io::ErrorKind>>,
}

/// A file system and the number of a file there: a link above can lead to another file, as old as this one.
type Identity = (u64, u64);

impl Watched {
    /// What lies below `fixed` and what programs of the users with these `homes` run, as it is now.
    #[must_use]
    pub fn now(fixed: &[PathBuf], homes: impl IntoIterator<Item = PathBuf>) -> Self {
        let homes = homes.into_iter().collect::<BTreeSet<_>>();
        let users = |home: &PathBuf| image::OF_USERS.map(|place| home.join(place));
        let behind = fixed.iter().filter_map(|path| {
            let real = fs::canonicalize(path).ok()?;
            (real != *path).then_some(real)
        });
        let behind = behind.collect::<Vec<_>>();
        let fixed = fixed.iter().chain(&behind).cloned();
        let paths = fixed.chain(homes.iter().flat_map(users));
        let paths = paths.collect::<BTreeSet<_>>();
        let is_below_another = |path: &Path| path.ancestors().skip(1).any(|above| paths.contains(above));
        let roots = paths.iter().filter(|path| !is_below_another(path)).map(|path| Root {
            path: path.clone(),
            found: identity(path.symlink_metadata().as_ref()),
        });
        let homes = homes.iter().map(|home| Home {
            path: home.clone(),
            startup: read_by_ipython(home),
        });
        Self {
            roots: roots.collect(),
            homes: homes.collect(),
            since: Moment::now().ok(),
            layer: Layer::of_container(),
            behind,
        }
    }

    /// Where what was given as fixed lies, where that is behind links.
    #[must_use]
    pub fn behind(&self) -> &[PathBuf] {
        &self.behind
    }

    /// Whether all of it is certainly as it was, and nothing else counts for a user whose home directory is `home`.
    #[must_use]
    pub fn is_untouched(&self, home: Option<&Path>) -> bool {
        let knows = |home: &Path| self.homes.iter().any(|known| known.path == home);
        let Some(since) = self.since.as_ref().filter(|since| since.is_told_by_the_clock()) else {
            return false;
        };
        home.is_none_or(knows)
            && self.roots.iter().all(|root| {
                let now = root.path.symlink_metadata();
                let is_older = |metadata: &Metadata| self.is_older_tree(&root.path, metadata, since);
                identity(now.as_ref()) == root.found && now.as_ref().map_or(true, is_older)
            })
            && self.homes.iter().all(|home| {
                let startup = read_by_ipython(&home.path);
                let is_older = |path: &PathBuf| path.symlink_metadata().is_ok_and(|file| since.is_after(&file));
                startup == home.startup && startup.keys().all(is_older)
            })
    }

    /// Whether everything in a tree was last changed before `since`. What cannot be looked at may have been changed.
    fn is_older_tree(&self, path: &Path, metadata: &Metadata, since: &Moment) -> bool {
        if !since.is_after(metadata) {
            return false;
        }
        if !metadata.is_dir() || self.layer.as_ref().is_some_and(|layer| layer.lacks(metadata)) {
            return true;
        }
        let Ok(entries) = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<DirEntry>>>) else {
            return false;
        };
        entries.par_iter().all(|entry| {
            let metadata = entry.metadata();
            metadata.is_ok_and(|metadata| self.is_older_tree(&entry.path(), &metadata, since))
        })
    }
}

impl Layer {
    fn of_container() -> Option<Self> {
        let system = rustix::fs::statfs("/").ok()?;
        let root = fs::symlink_metadata("/").ok().filter(|_| system.f_type == OVERLAY)?;
        let made = root.created().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self {
            device: root.dev(),
            made: (i64::try_from(made.as_secs()).ok()?, i64::from(made.subsec_nanos())),
        })
    }

    fn lacks(&self, directory: &Metadata) -> bool {
        directory.dev() == self.device && changed(directory) < self.made
    }
}

impl Moment {
    fn now() -> io::Result<Self> {
        // A file's time comes from another reading of the clock than a program's, and may lie a little behind it.
        let file = tempfile::tempfile()?.metadata()?;
        Ok(Self {
            changed: changed(&file),
            clock: SystemTime::now(),
            steady: Instant::now(),
        })
    }

    fn is_after(&self, file: &Metadata) -> bool {
        changed(file) < self.changed
    }

    /// Whether nobody set the clock since.
    fn is_told_by_the_clock(&self) -> bool {
        let steady = self.steady.elapsed();
        let clock = self.clock.elapsed();
        clock.is_ok_and(|clock| clock.abs_diff(steady) <= TOLERANCE)
    }
}

fn changed(file: &Metadata) -> Changed {
    (file.ctime(), file.ctime_nsec())
}

fn identity(found: Result<&Metadata, &io::Error>) -> Result<Identity, io::ErrorKind> {
    found
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .map_err(io::Error::kind)
}

/// The files of a home directory that IPython reads when it starts. What else it keeps there is nobody's code.
fn read_by_ipython(home: &Path) -> BTreeMap<PathBuf, Result<Identity, io::ErrorKind>> {
    let found = WalkDir::new(home.join(image::IPYTHON)).into_iter().flatten();
    let files = found.map(walkdir::DirEntry::into_path);
    let files = files.filter(|path| image::is_read_by_ipython(path));
    files
        .map(|path| {
            let found = identity(path.symlink_metadata().as_ref());
            (path, found)
        })
        .collect()
}

/// The home directories of the users that a `passwd` file lists.
#[must_use]
pub fn homes(passwd: &str) -> Vec<PathBuf> {
    let homes = passwd.lines().filter_map(|line| line.split(':').nth(5));
    homes.filter(|home| home.starts_with('/')).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A tree of an environment and of a home directory, which are older than what is asked of them.
    fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let (environment, home) = (directory.path().join("conda"), directory.path().join("home"));
        fs::create_dir_all(environment.join("lib/deep/down")).unwrap();
        fs::write(environment.join("lib/deep/down/module.py"), "x = 1\n").unwrap();
        fs::create_dir_all(home.join(".ipython/profile_default/startup")).unwrap();
        fs::write(home.join(".ipython/profile_default/startup/first.py"), "").unwrap();
        // The clock of a file system ticks in steps of up to 10 ms.
        std::thread::sleep(Duration::from_millis(30));
        (directory, environment, home)
    }

    #[test]
    fn each_way_of_changing_what_others_run_with_is_seen() {
        type Change = fn(&Path, &Path) -> io::Result<()>;
        let changes: [(&str, Change); 12] = [
            ("written", |e, _| {
                fs::write(e.join("lib/deep/down/module.py"), "x = 2\n")
            }),
            ("added", |e, _| fs::write(e.join("lib/deep/new.py"), "")),
            ("removed", |e, _| fs::remove_file(e.join("lib/deep/down/module.py"))),
            ("renamed", |e, _| fs::rename(e.join("lib/deep"), e.join("lib/other"))),
            ("linked", |e, _| symlink("/", e.join("lib/link"))),
            ("permissions", |e, _| {
                fs::set_permissions(e.join("lib/deep/down/module.py"), fs::Permissions::from_mode(0o755))
            }),
            ("set back", |e, _| {
                let file = fs::File::options()
                    .append(true)
                    .open(e.join("lib/deep/down/module.py"))?;
                file.set_modified(SystemTime::UNIX_EPOCH)
            }),
            ("all removed", |e, _| fs::remove_dir_all(e)),
            ("installed for the user", |_, home| {
                fs::create_dir_all(home.join(".local/lib/python3.11/site-packages"))
            }),
            ("a new startup file", |_, home| {
                fs::write(home.join(".ipython/profile_default/startup/late.ipy"), "")
            }),
            ("another startup file", |_, home| {
                fs::write(home.join(".ipython/profile_default/startup/first.py"), "1")
            }),
            ("no startup file", |_, home| {
                fs::remove_file(home.join(".ipython/profile_default/startup/first.py"))
            }),
        ];
        for (name, change) in changes {
            let (_directory, environment, home) = places();
            let watched = Watched::now(std::slice::from_ref(&environment), [home.clone()]);
            assert!(watched.is_untouched(Some(&home)), "before: {name}");
            change(&environment, &home).unwrap();
            assert!(!watched.is_untouched(Some(&home)), "{name}");
        }
    }

    #[test]
    fn what_lies_behind_a_link_is_looked_at_there() {
        let (directory, environment, home) = places();
        let link = directory.path().join("link");
        symlink(&environment, &link).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let watched = Watched::now(std::slice::from_ref(&link), [home.clone()]);
        assert_eq!(watched.behind(), [fs::canonicalize(&environment).unwrap()]);
        assert!(watched.is_untouched(Some(&home)));
        fs::write(environment.join("lib/deep/new.py"), "").unwrap();
        assert!(!watched.is_untouched(Some(&home)));
    }

    #[test]
    fn what_is_as_old_and_another_file_is_seen() {
        for part in [".local", ".ipython"] {
            let (directory, environment, home) = places();
            let stash = directory.path().join("stash");
            for root in [&home, &stash] {
                fs::create_dir_all(root.join(".local/lib/python3.11")).unwrap();
                fs::create_dir_all(root.join(".ipython/profile_default/startup")).unwrap();
                fs::write(root.join(".ipython/profile_default/startup/first.py"), "").unwrap();
            }
            std::thread::sleep(Duration::from_millis(30));
            let watched = Watched::now(&[environment], [home.clone()]);
            assert!(watched.is_untouched(Some(&home)));
            fs::rename(home.join(part), home.join("aside")).unwrap();
            symlink(stash.join(part), home.join(part)).unwrap();
            assert!(!watched.is_untouched(Some(&home)), "{part}");
        }
    }

    #[test]
    fn what_programs_keep_of_a_user_is_no_change() {
        let (_directory, environment, home) = places();
        let watched = Watched::now(&[environment], [home.clone()]);
        fs::write(home.join(".ipython/profile_default/history.sqlite"), "").unwrap();
        fs::create_dir_all(home.join(".ipython/extensions")).unwrap();
        fs::create_dir_all(home.join(".local/share/jupyter/runtime")).unwrap();
        fs::write(home.join("data.py"), "").unwrap();
        assert!(watched.is_untouched(Some(&home)));
    }

    #[test]
    fn what_cannot_be_told_is_not_untouched() {
        let (directory, environment, home) = places();
        let watched = Watched::now(&[environment], [home]);
        assert!(!watched.is_untouched(Some(directory.path())), "another home directory");
        let mut watched = Watched { since: None, ..watched };
        assert!(!watched.is_untouched(None), "no moment");
        let later = SystemTime::now() + Duration::from_hours(1);
        watched.since = Moment::now().ok().map(|since| Moment { clock: later, ..since });
        assert!(!watched.is_untouched(None), "a clock that was set back");
    }

    #[test]
    fn homes_are_read_as_passwd_has_them() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nodd\nnobody:x:65534:65534::nonexistent:/sbin/nologin\n";
        assert_eq!(homes(passwd), [PathBuf::from("/root")]);
    }
}
