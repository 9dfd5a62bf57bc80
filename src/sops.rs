//! The edge to sops: what is encrypted in a repository, read into memory and written again. Every call runs the `sops`
//! program, which finds keys and rules (`.sops.yaml`) as it always does.
//!
//! Nothing that sops says is passed on: where it fails, its words may quote what it has decrypted ("Input string … does not
//! match"). What went wrong is told by its exit codes, those of `cmd/sops/codes` in its source, and by the fixed part of
//! its words.
//!
//! An edit keeps the data key and the ciphertext of every value that stays, so that `git diff` shows what changed: `sops
//! edit` does that alone. It is given an encrypted copy in a [`PrivateDirectory`], with its own temporary files there too,
//! and `mv` as its editor.

mod error;
mod form;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::private::PrivateDirectory;

pub use self::error::SopsError;
use self::error::{Call, failure};
pub use self::form::{is_encrypted, plain_values};

/// What was encrypted. Its memory is overwritten when it is dropped, and nothing shows it by accident.
pub struct Plain(Zeroizing<Vec<u8>>);

impl Plain {
    /// The decrypted bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plain({} bytes)", self.0.len())
    }
}

/// How sops is called.
#[derive(Debug, Clone, Default)]
pub struct Sops {
    /// The file of age keys, where it is not sops's own (`~/.config/sops/age/keys.txt`).
    pub age_keys: Option<PathBuf>,
    /// Variables for sops beside those of this process, such as the credentials of a key service.
    pub variables: Vec<(String, String)>,
}

impl Sops {
    /// What the encrypted file at `path` holds. The end of the name tells the format: YAML, JSON, dotenv or INI.
    pub fn decrypt(&self, path: &Path) -> Result<Plain, SopsError> {
        let text = read(path)?;
        if !is_encrypted(&text) {
            return Err(form::unreadable(path, &text));
        }
        let mut command = self.command(path);
        command.arg("decrypt").arg(absolute(path));
        // What is decrypted is shorter: it never moves in memory while it is read.
        said(command, text.len(), |code, words| {
            failure(Call::Decrypt, path, code, words)
        })
    }

    /// The encrypted form of the file `plain` as the new file `path`, by the rules that `.sops.yaml` has for that.
    pub fn encrypt(&self, plain: &Path, path: &Path) -> Result<String, SopsError> {
        let mut command = self.command(path);
        command
            .args(["encrypt", "--filename-override"])
            .arg(absolute(path))
            .arg(plain);
        let encrypted = said(command, 0, |code, words| failure(Call::Encrypt, path, code, words))?;
        Ok(String::from_utf8_lossy(encrypted.as_bytes()).into_owned())
    }

    /// The encrypted form of the file `plain` as the new content of the encrypted file `path`, which is not written: for the
    /// same keys, with the ciphertext of what is the same. `plain` lies in `private` and is moved.
    pub fn replace(&self, path: &Path, plain: &Path, private: &PrivateDirectory) -> Result<String, SopsError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let copy = private.write(&format!("encrypted-{name}"), read(path)?.as_bytes())?;
        let mut command = self.command(path);
        let words = ["mv".into(), "--".into(), plain.to_string_lossy()];
        let editor = shlex::try_join(words.iter().map(AsRef::as_ref)).unwrap_or_default();
        command
            .arg("edit")
            .arg(&copy)
            .env("TMPDIR", private.path())
            .env("SOPS_EDITOR", editor);
        let edited = said(command, 0, |code, words| failure(Call::Edit, path, code, words));
        match edited {
            // What the editor left is what was there.
            Ok(_) | Err(SopsError::Unchanged) => read(&copy),
            Err(error) => Err(error),
        }
    }

    /// sops, in the directory of the file, from where upwards it looks for its rules.
    fn command(&self, path: &Path) -> Command {
        let mut command = Command::new("sops");
        let directory = absolute(path).parent().map(Path::to_owned).unwrap_or_default();
        command.current_dir(directory).envs(self.variables.iter().cloned());
        if let Some(keys) = &self.age_keys {
            command.env("SOPS_AGE_KEY_FILE", keys);
        }
        command
    }
}

/// What sops prints; `failed` makes an error of its exit code and its words.
fn said(
    mut command: Command,
    expected: usize,
    failed: impl Fn(Option<i32>, &str) -> SopsError,
) -> Result<Plain, SopsError> {
    let started = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SopsError::Missing,
        _ => SopsError::Start { source },
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(started)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Both are read at a time, so that neither fills up while the other is waited for.
    let words = std::thread::spawn(move || {
        let mut words = Zeroizing::new(String::new());
        let read = stderr.map(|mut stderr| stderr.read_to_string(&mut words));
        read.transpose().map(|_| words)
    });
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected));
    let read = stdout.map(|mut stdout| stdout.read_to_end(&mut bytes)).transpose();
    let status = child.wait().map_err(started)?;
    let words = words.join().ok().and_then(Result::ok).unwrap_or_default();
    if !status.success() {
        return Err(failed(status.code(), &words));
    }
    read.map_err(started)?;
    Ok(Plain(bytes))
}

fn read(path: &Path) -> Result<String, SopsError> {
    fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => SopsError::NoFile { path: path.to_owned() },
        _ => SopsError::File {
            path: path.to_owned(),
            source,
        },
    })
}

/// sops is called in another directory.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
