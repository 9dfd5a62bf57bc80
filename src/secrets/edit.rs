//! An edit of encrypted secrets that ends in a commit.
//!
//! The plain text is in memory and in a private directory, where the editor has it. What goes to the disk and into git is
//! what sops made of it, looked at once more. The file is replaced whole or not at all; then git commits it alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_yaml::Value;
use zeroize::Zeroizing;

use super::{SecretsError, unfinished};
use crate::git::{self, record, standing};
use crate::private::PrivateDirectory;
use crate::sops::{self, Sops, SopsError};

/// The person who edits.
pub trait Editing {
    /// Lets them edit the file at `path`, until they are done.
    fn edit(&mut self, path: &Path) -> Result<(), SecretsError>;

    /// Tells them what is wrong with what they wrote. Returns whether they want to edit it again; else it is lost.
    fn again(&mut self, error: &SecretsError) -> bool;
}

/// What an edit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// Nothing has changed.
    Nothing,
    /// It was committed.
    Committed {
        /// The file, from the top of its repository.
        path: PathBuf,
        /// The hash of the commit.
        commit: String,
    },
}

/// Lets somebody edit the encrypted file at `path`, encrypts what they wrote, and commits it in the repository that the
/// file lies in. A file that is not there begins empty and is encrypted by the rules of `.sops.yaml`.
pub fn edit(
    path: &Path,
    sops: &Sops,
    private: &PrivateDirectory,
    editing: &mut dyn Editing,
) -> Result<Edited, SecretsError> {
    let (root, relative) = located(path)?;
    let path = root.join(&relative);
    unfinished(&root)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let exists = path.exists();
    let mut before = Zeroizing::new(Vec::new());
    if exists {
        before.extend_from_slice(sops.decrypt(&path)?.as_bytes());
    } else {
        // Whether there are rules for it is known before somebody writes it.
        sops.encrypt(&private.write(&format!("probe-{name}"), b"{\"a\": 1}\n")?, &path)?;
    }
    let shown = private.write(&name, &before)?;
    let encrypted = loop {
        editing.edit(&shown)?;
        let text = Zeroizing::new(fs::read(&shown).map_err(SecretsError::file(&shown))?);
        if *text == *before {
            break None;
        }
        match sealed(&path, &text, exists, sops, private) {
            Ok(encrypted) => break Some(encrypted),
            Err(error) if editing.again(&error) => {}
            Err(error) => return Err(error),
        }
    };
    let encrypted = match encrypted {
        Some(encrypted) => {
            replace(&root, &path, encrypted.as_bytes())?;
            encrypted.into_bytes()
        }
        None if !exists => return Ok(Edited::Nothing),
        // A call that was killed, or sops by itself, may have left what nobody has committed.
        None => fs::read(&path).map_err(SecretsError::file(&path))?,
    };
    let committed = git::commit(&root, "HEAD")
        .map(|head| git::file_in_commit(&root, &head, &relative))
        .transpose()?
        .flatten();
    if committed.is_some_and(|text| text.as_bytes() == encrypted) {
        return Ok(Edited::Nothing);
    }
    let shown = relative.to_string_lossy();
    let commit = record::commit_file(&root, &shown, &encrypted, &format!("secrets: edit {shown}"));
    let commit = commit.map_err(|error| SecretsError::of_commit(error, &path))?;
    Ok(Edited::Committed { path: relative, commit })
}

/// The top of the repository that a file lies in, and its path from there. The file need not be there.
fn located(path: &Path) -> Result<(PathBuf, PathBuf), SecretsError> {
    // A link in the place of the file is followed: what is committed is what is edited.
    let path = path.canonicalize().or_else(|_| {
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        Ok(parent.canonicalize()?.join(path.file_name().unwrap_or_default()))
    });
    let path = path.map_err(SecretsError::file(Path::new(".")))?;
    let root = path.parent().and_then(standing::top);
    let root = root.ok_or_else(|| SecretsError::NoRepository { path: path.clone() })?;
    let root = root.canonicalize().unwrap_or(root);
    match path.strip_prefix(&root) {
        Ok(relative) => Ok((root.clone(), relative.to_owned())),
        Err(_) => Err(SecretsError::NoRepository { path }),
    }
}

/// The encrypted form of what somebody wrote.
fn sealed(
    path: &Path,
    text: &[u8],
    exists: bool,
    sops: &Sops,
    private: &PrivateDirectory,
) -> Result<String, SecretsError> {
    let stop = check(path, text)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = private.write(&format!("edited-{name}"), text)?;
    let encrypted = if exists {
        sops.replace(path, &plain, private)
    } else {
        sops.encrypt(&plain, path)
    };
    let encrypted = encrypted.map_err(|error| match error {
        // The lines that sops counts may be those above.
        SopsError::BadText { path, line } => SopsError::BadText {
            path,
            line: stop.or(line),
        },
        other => other,
    })?;
    if !sops::is_encrypted(&encrypted) || !sops::plain_values(&encrypted).is_empty() {
        return Err(SopsError::Plain { path: path.to_owned() }.into());
    }
    Ok(encrypted)
}

/// Refuses what sops would encrypt into something that it cannot read again. Returns the line where this reader of YAML
/// stops, if it does; whether the text is well formed is for sops to say.
fn check(path: &Path, text: &[u8]) -> Result<Option<usize>, SecretsError> {
    let bad = || SopsError::BadText {
        path: path.to_owned(),
        line: None,
    };
    if text.trim_ascii().is_empty() {
        return Err(bad().into());
    }
    let documents = serde_yaml::Deserializer::from_slice(text).map(Value::deserialize);
    let documents = match documents.collect::<Result<Vec<_>, _>>() {
        Ok(documents) => documents,
        Err(error) => return Ok(error.location().map(|at| at.line())),
    };
    let is_yaml = path
        .extension()
        .is_none_or(|end| ["yaml", "yml", "json"].iter().any(|name| end == *name));
    let usable = |document: &Value| document.as_mapping().is_some_and(|names| !names.contains_key("sops"));
    if is_yaml && !documents.iter().all(usable) {
        return Err(bad().into());
    }
    Ok(None)
}

/// Writes the file whole or not at all.
fn replace(root: &Path, path: &Path, bytes: &[u8]) -> Result<(), SecretsError> {
    let failed = SecretsError::file(path);
    // What a killed call leaves there is encrypted, and in nobody's way.
    let git = root.join(".git");
    let place = if git.is_dir() { &git } else { root };
    let mut file = tempfile::Builder::new()
        .prefix(".floe-")
        .tempfile_in(place)
        .map_err(&failed)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(&failed)?;
    let mode = fs::metadata(path).map_or(0o600, |about| about.permissions().mode());
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).map_err(&failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// The call of an editor that `words` name, with what keeps it from writing copies of the text elsewhere; the file's name
/// is yet to be added.
#[must_use]
pub fn editor(words: &[String]) -> Option<Command> {
    /// No swap file, no history of registers, no backup, no file of undone changes, whatever a configuration says.
    const VIM: &[&str] = &["-n", "-i", "NONE", "-c", "set nobackup nowritebackup noundofile"];
    /// No backups in another directory.
    const NANO: &[&str] = &["--ignorercfiles"];
    const EMACS: &[&str] = &[
        "--eval",
        "(setq make-backup-files nil auto-save-default nil auto-save-list-file-prefix nil create-lockfiles nil)",
    ];
    let (program, arguments) = words.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    let own = match name {
        "vim" | "vi" | "nvim" | "gvim" | "view" | "vim.basic" | "vim.tiny" | "vim.nox" => VIM,
        "nano" => NANO,
        "emacs" => EMACS,
        _ => &[],
    };
    let mut command = Command::new(program);
    command.args(own).args(arguments);
    Some(command)
}
