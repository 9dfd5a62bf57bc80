//! What floe has worked out of files, kept as long as it is sure that the files are the same.
//!
//! Files are told from others by what their inodes say: size, times, number, mode. That is as sure as git's index is, under
//! the same condition (`Documentation/technical/racy-git.adoc` of git): a file that was written a moment before it was read
//! can be written again without a trace, so nothing is kept of it. A change of a file's content always sets the time of its
//! inode's change (`st_ctime`), which no program can set back.
//!
//! A memo only saves time. One that cannot be read, is damaged, or is that of another program is as good as none.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::reference::{Digest, Hasher};

/// How long, in nanoseconds, a file must have been left alone before it is read, for its times to tell of any later change:
/// those of some file systems are counted in steps of two seconds.
const SETTLED: i128 = 2_000_000_000;

/// The longest memo that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// What was worked out before, a file for each name.
#[derive(Debug, Default)]
pub struct Memo {
    directory: Option<PathBuf>,
    /// What tells this program from others, which may work out something else.
    program: Option<Digest>,
    /// When the first file was read that nothing was known of, by the clock of the file system; `None` where nothing can be
    /// written.
    began: OnceLock<Option<i128>>,
}

/// What tells files, and whatever else something is worked out of, from others.
#[derive(Clone)]
pub struct Fingerprint {
    hasher: Hasher,
    /// The latest time that an inode names, in nanoseconds since the epoch.
    latest: i128,
    /// Whether a change of what it was taken of would always show.
    sure: bool,
}

impl Memo {
    /// The memo that is kept in `directory`, of what `program`, which is this one, works out. Nothing is created until
    /// something is kept.
    #[must_use]
    pub fn of(directory: PathBuf, program: &Path) -> Self {
        let mut of_program = Fingerprint::new(env!("CARGO_PKG_VERSION"));
        of_program.file(program);
        Self {
            directory: Some(directory),
            program: of_program.sure.then(|| of_program.hasher.finish()),
            began: OnceLock::new(),
        }
    }

    /// A memo that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What was kept as `name`, if it was worked out of the same.
    #[must_use]
    pub fn recall<T: DeserializeOwned>(&self, name: &str, of: &Fingerprint) -> Option<T> {
        let recalled = self.file(name, of).and_then(|(path, key)| {
            let bytes = read(&path).ok()?;
            let rest = bytes.strip_prefix(key.as_str().as_bytes())?.strip_prefix(b"\n")?;
            let (digest, value) = rest.split_at_checked(digest_line().len())?;
            let sound = digest.strip_suffix(b"\n")? == Digest::of(value).as_str().as_bytes();
            serde_json::from_slice(value).ok().filter(|_| sound)
        });
        if recalled.is_none() {
            // What follows reads the files.
            self.began.get_or_init(|| self.now());
        }
        recalled
    }

    /// Keeps what was worked out as `name`, unless a change of what it was worked out of might not show. It must have been
    /// asked for with [`Memo::recall`] before the first file was read.
    pub fn keep<T: Serialize>(&self, name: &str, of: &Fingerprint, value: &T) {
        let began = self.began.get().copied().flatten();
        if began.is_some_and(|began| of.latest < began - SETTLED)
            && let Some((path, key)) = self.file(name, of)
        {
            // It only saves time.
            let _ = write(&path, &key, value);
        }
    }

    /// Where it is kept, and under which key.
    fn file(&self, name: &str, of: &Fingerprint) -> Option<(PathBuf, Digest)> {
        let (directory, program) = (self.directory.as_ref()?, self.program.as_ref()?);
        let mut hasher = of.hasher.clone();
        hasher.part("program", program.as_str().as_bytes());
        of.sure.then(|| (directory.join(name), hasher.finish()))
    }

    /// The time by the clock that gives files theirs.
    fn now(&self) -> Option<i128> {
        let directory = self.directory.as_ref()?;
        fs::create_dir_all(directory).ok()?;
        let file = tempfile::tempfile_in(directory).ok()?;
        Some(latest(&file.metadata().ok()?))
    }
}

impl Fingerprint {
    /// The fingerprint of nothing but a word that says what is worked out.
    #[must_use]
    pub fn new(what: &str) -> Self {
        let mut hasher = Hasher::default();
        hasher.part("what", what.as_bytes());
        Self {
            hasher,
            latest: 0,
            sure: true,
        }
    }

    /// Adds something that is known.
    pub fn part(&mut self, name: &str, value: &[u8]) {
        self.hasher.part(name, value);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) => self.inode(path, &metadata),
            Err(_) => self.sure = false,
        }
    }

    /// Adds everything below a directory. What a link leads to may change by itself, so one makes all unsure.
    pub fn tree(&mut self, root: &Path) {
        for entry in walkdir::WalkDir::new(root).follow_root_links(false).sort_by_file_name() {
            let known = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
            match known {
                Ok((metadata, entry)) if !metadata.is_symlink() => {
                    self.inode(entry.path().strip_prefix(root).unwrap_or(root), &metadata);
                }
                _ => return self.sure = false,
            }
        }
    }

    fn inode(&mut self, path: &Path, metadata: &fs::Metadata) {
        let mut bytes = [0; 9 * 8];
        let fields = [
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            u64::from(metadata.mode()),
            u64::from(metadata.uid()),
            metadata.mtime().cast_unsigned(),
            metadata.mtime_nsec().cast_unsigned(),
            metadata.ctime().cast_unsigned(),
            metadata.ctime_nsec().cast_unsigned(),
        ];
        for (bytes, field) in bytes.chunks_exact_mut(8).zip(fields) {
            bytes.copy_from_slice(&field.to_le_bytes());
        }
        self.hasher.part("path", path.as_os_str().as_encoded_bytes());
        self.hasher.part("inode", &bytes);
        self.latest = self.latest.max(latest(metadata));
    }
}

/// The latest time that an inode names, in nanoseconds since the epoch.
fn latest(metadata: &fs::Metadata) -> i128 {
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let modified = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
    modified.max(nanoseconds(metadata.ctime(), metadata.ctime_nsec()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::symlink_metadata(path)?;
    if about.is_file() && about.len() <= LONGEST {
        fs::read(path)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Writes it whole or not at all. That it reaches the disk is not waited for: what a crash leaves of it has another digest.
fn write<T: Serialize>(path: &Path, key: &Digest, value: &T) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let value = serde_json::to_vec(value)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    let head = format!("{key}\n{}\n", Digest::of(&value));
    file.write_all(&[head.as_bytes(), &value].concat())?;
    file.persist(path)?;
    Ok(())
}

/// A line of the length that the one with the digest has.
fn digest_line() -> &'static str {
    "sha256:0000000000000000000000000000000000000000000000000000000000000000\n"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    struct Case {
        root: tempfile::TempDir,
        memo: PathBuf,
        program: PathBuf,
    }

    impl Case {
        /// A tree that has been left alone for long enough.
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let case = Self {
                memo: root.path().join("memo"),
                program: root.path().join("program"),
                root,
            };
            fs::write(&case.program, "1").unwrap();
            fs::create_dir(case.tree()).unwrap();
            fs::write(case.tree().join("a"), "old").unwrap();
            fs::write(case.tree().join("b"), "other").unwrap();
            case
        }

        fn settled() -> Self {
            let case = Self::new();
            std::thread::sleep(Duration::from_millis(2100));
            case
        }

        fn tree(&self) -> PathBuf {
            self.root.path().join("tree")
        }

        fn taken(&self) -> Fingerprint {
            let mut fingerprint = Fingerprint::new("text");
            fingerprint.tree(&self.tree());
            fingerprint
        }

        /// What is recalled of the tree; if nothing is, `value` is kept.
        fn ask(&self, value: &str) -> Option<String> {
            let memo = Memo::of(self.memo.clone(), &self.program);
            let fingerprint = self.taken();
            let recalled = memo.recall("x", &fingerprint);
            if recalled.is_none() {
                memo.keep("x", &fingerprint, &value);
            }
            recalled
        }
    }

    #[test]
    fn what_is_worked_out_is_recalled_until_anything_below_the_tree_is_another() {
        let case = Case::settled();
        assert_eq!(case.ask("first"), None);
        assert_eq!(case.ask("-").as_deref(), Some("first"));
        let (a, b) = (case.tree().join("a"), case.tree().join("b"));
        let modified = fs::metadata(&a).unwrap().modified().unwrap();
        let changes: [&dyn Fn(); 5] = [
            // As long, and as old, as what it was.
            &|| {
                fs::write(&a, "new").unwrap();
                let file = fs::File::options().write(true).open(&a).unwrap();
                file.set_modified(modified).unwrap();
            },
            &|| fs::rename(&b, case.tree().join("c")).unwrap(),
            &|| fs::write(case.tree().join("new"), "").unwrap(),
            &|| fs::remove_file(case.tree().join("new")).unwrap(),
            &|| fs::create_dir(case.tree().join("sub")).unwrap(),
        ];
        for change in changes {
            change();
            assert_eq!(case.ask("second"), None);
        }
    }

    #[test]
    fn nothing_is_kept_of_what_was_written_a_moment_before() {
        let case = Case::new();
        assert_eq!(case.ask("first"), None);
        assert_eq!(case.ask("second"), None);
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(case.ask("third"), None);
        assert_eq!(case.ask("-").as_deref(), Some("third"));
        // That a file is old by its own time says nothing of when it was written.
        let a = fs::File::options().write(true).open(case.tree().join("a")).unwrap();
        a.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(case.ask("fourth"), None);
        assert_eq!(case.ask("fifth"), None);
    }

    #[test]
    fn a_damaged_memo_and_that_of_another_program_are_as_good_as_none() {
        let case = Case::settled();
        case.ask("first");
        let file = case.memo.join("x");
        let whole = fs::read(&file).unwrap();
        let altered = String::from_utf8(whole.clone()).unwrap().replace("first", "forst");
        for damaged in [&whole[..whole.len() - 1], &whole[..20], b"", altered.as_bytes()] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(case.ask("first"), None, "{damaged:?}");
            assert_eq!(case.ask("-").as_deref(), Some("first"));
        }
        fs::write(&case.program, "2").unwrap();
        assert_eq!(case.ask("second"), None);
    }

    #[test]
    fn a_link_in_a_tree_and_a_directory_that_nobody_may_write_keep_nothing() {
        let case = Case::new();
        symlink("a", case.tree().join("link")).unwrap();
        fs::write(&case.memo, "").unwrap();
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(case.ask("first"), None);
        fs::remove_file(case.tree().join("link")).unwrap();
        assert_eq!(case.ask("first"), None);
        assert_eq!(case.ask("second"), None);
        fs::remove_file(&case.memo).unwrap();
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(case.ask("third"), None);
        assert_eq!(case.ask("-").as_deref(), Some("third"));
    }
}
