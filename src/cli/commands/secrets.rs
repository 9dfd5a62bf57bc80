//! `floe secrets`: the deployment's secrets, encrypted by sops: cloned, edited, pushed, and given to a shell.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};
use tokio::runtime::Handle;

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::{Flag, Session};
use crate::deployment::Layout;
use crate::fault::{Explained as _, Kind};
use crate::private::PrivateDirectory;
use crate::process::{self, Exit};
use crate::reference::{DeploymentName, StageName};
use crate::report::untrusted::Untrusted;
use crate::secrets::{self, Cloned, Edited, Editing, SecretsError};
use crate::sops::{Sops, SopsError};
use crate::workflow::{Interrupt, Interrupts};

/// Clone, edit and push the deployment's secrets, which sops encrypts
///
/// Which secrets, the settings say (`SECRETS_REPO` and others): no command needs an argument. In plain text a secret is in
/// memory only; on the disk and in git it is encrypted.
#[derive(Debug, Args)]
pub struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Clone the repository of secrets, or bring the clone that is there up to date
    ///
    /// `SECRETS_LOGIN`, if it is set, authorizes first. Commits and edits that are here alone are never overwritten.
    Clone(CloneArgs),
    /// Decrypt secrets for an editor; encrypt and commit what has changed
    ///
    /// The editor is that of `SOPS_EDITOR`, VISUAL or EDITOR. A file that is not there yet begins empty, and is encrypted by
    /// the rules of `.sops.yaml`.
    Edit(EditArgs),
    /// Push committed secrets, if all of them are encrypted
    Push(CloneArgs),
    /// Print secrets as variables for a shell: `eval "$(floe secrets exports)"`
    ///
    /// The names and values at the top level of the file, after what `SECRETS_LOGIN` exports.
    Exports(ExportsArgs),
}

/// Which repository.
#[derive(Debug, Args)]
struct CloneArgs {
    /// The repository of secrets, in the place of `SECRETS_REPO`
    #[arg(long, value_name = "ADDRESS")]
    repo: Option<String>,
    /// Its clone, in the place of `SECRETS_DIR`
    #[arg(long, value_name = "DIR")]
    dir: Option<String>,
}

/// Which file.
#[derive(Debug, Args)]
struct FileArgs {
    /// A deployment whose secrets are in this repository, as `deployments/DEPLOYMENT/secrets/STAGE.yaml`
    #[arg(requires = "stage")]
    deployment: Option<DeploymentName>,
    /// Its stage
    stage: Option<StageName>,
    /// The clone, in the place of `SECRETS_DIR`
    #[arg(long, value_name = "DIR", conflicts_with = "deployment")]
    dir: Option<String>,
    /// The encrypted file in the clone, in the place of `SECRETS_FILE`
    #[arg(long, value_name = "PATH", conflicts_with = "deployment")]
    file: Option<String>,
}

#[derive(Debug, Args)]
struct EditArgs {
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, Args)]
struct ExportsArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Take the names and values of this mapping at the top level
    #[arg(long, value_name = "NAME")]
    under: Option<String>,
    /// Print to a terminal, too, where the text stays to be read
    #[arg(long)]
    show: bool,
}

/// Does with the secrets what was asked for.
pub fn execute(global: &Global, args: &SecretsArgs) -> Result<(), Failure> {
    // No core dump, and no other process, gets at what is decrypted.
    process::hide().map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
    tokio::task::block_in_place(|| match &args.command {
        SecretsCommand::Clone(args) => clone(global, args),
        SecretsCommand::Edit(args) => edit(global, &args.file),
        SecretsCommand::Push(args) => push(global, args),
        SecretsCommand::Exports(args) => exports(global, args),
    })
}

fn clone(global: &Global, args: &CloneArgs) -> Result<(), Failure> {
    let place = Place::open(global, &args.flags())?;
    let variables = place.login()?;
    let directory = place.directory();
    let shown = shown(&directory);
    match secrets::clone(&place.address()?, &directory, &variables)? {
        Cloned::Made => output::say(&format!("{shown} is a clone now; next: floe secrets edit")),
        Cloned::Updated { commits } => output::say(&format!(
            "{shown} is brought up to date: {} new",
            counted(commits, "commit")
        )),
        Cloned::Current { ahead, edited } => {
            output::say(&format!("{shown} is up to date"));
            if ahead > 0 {
                let commits = counted(ahead, "commit");
                output::say(&format!("{commits} not pushed yet; next: floe secrets push"));
            }
            say_edited(edited);
        }
    }
    Ok(())
}

fn edit(global: &Global, args: &FileArgs) -> Result<(), Failure> {
    let place = Place::open(global, &args.flags())?;
    let path = place.file(args)?;
    let sops = place.sops(place.login()?);
    let private = PrivateDirectory::create(runtime().as_deref())?;
    let mut person = Person {
        interrupts: &place.session.interrupts,
    };
    match secrets::edit(&path, &sops, &private, &mut person)? {
        Edited::Nothing => output::say("Nothing has changed."),
        Edited::Committed { path, commit } => {
            let next = if args.deployment.is_none() {
                "; next: floe secrets push"
            } else {
                ""
            };
            let commit = commit.get(..12).unwrap_or(&commit);
            output::say(&format!(
                "{} is encrypted and committed as {commit}{next}",
                shown(&path)
            ));
        }
    }
    Ok(())
}

fn push(global: &Global, args: &CloneArgs) -> Result<(), Failure> {
    let place = Place::open(global, &args.flags())?;
    let directory = place.directory();
    let address = place.address()?;
    let variables = place.login()?;
    let pushed = secrets::push(&address, &directory, &variables)?;
    match pushed.commits {
        0 => output::say("Nothing is left to push."),
        commits => output::say(&format!("{} pushed", counted(commits, "commit"))),
    }
    say_edited(pushed.edited);
    Ok(())
}

fn exports(global: &Global, args: &ExportsArgs) -> Result<(), Failure> {
    if io::stdout().is_terminal() && !args.show {
        let message = "secrets printed to a terminal stay there to be read";
        return Err(Failure::new(ExitCode::Refused, message)
            .hint("type eval \"$(floe secrets exports)\" to set them in this shell, or add --show"));
    }
    let place = Place::open(global, &args.file.flags())?;
    let path = place.file(&args.file)?;
    let variables = place.login()?;
    let sops = place.sops(variables.clone());
    let mut found = secrets::Exports::default();
    match sops.decrypt(&path) {
        Ok(plain) => found = secrets::exports(&plain, args.under.as_deref(), &path)?,
        // The credentials of a session are wanted before there is a clone.
        Err(SopsError::NoFile { .. }) if !variables.is_empty() => {
            output::say(&format!(
                "there is no {}: only what SECRETS_LOGIN exports",
                shown(&path)
            ));
        }
        Err(error) => return Err(error.into()),
    }
    let mut all = secrets::Exports::default();
    for (name, value) in &variables {
        all.add(name, value);
    }
    all.lines.push_str(&found.lines);
    for name in &found.left_out {
        output::warn(&format!(
            "left out, since no variable has such a name: {}",
            shown(name.as_ref())
        ));
    }
    output::result(&all.lines)
}

/// Where the secrets of a call are.
struct Place {
    session: Session,
}

impl Place {
    fn open(global: &Global, flags: &[Flag]) -> Result<Self, Failure> {
        let session = Session::open_anywhere(global, flags)?;
        Ok(Self { session })
    }

    /// The address of the repository of secrets: an absolute path, where it is one.
    fn address(&self) -> Result<String, SecretsError> {
        let workplace = &self.session.workplace;
        let address = workplace.settings.secrets.repository.as_ref();
        let address = address.ok_or(SecretsError::Unset)?;
        let path = workplace.repository.path(address);
        if path.is_dir() && !address.contains("://") {
            return Ok(path.to_string_lossy().into_owned());
        }
        Ok(address.clone())
    }

    fn directory(&self) -> PathBuf {
        let workplace = &self.session.workplace;
        workplace.repository.path(&workplace.settings.secrets.directory)
    }

    /// The encrypted file: that of a stage in this repository, else the one in the clone.
    fn file(&self, args: &FileArgs) -> Result<PathBuf, SecretsError> {
        let workplace = &self.session.workplace;
        if let (Some(deployment), Some(stage)) = (&args.deployment, &args.stage) {
            let path = Layout(deployment).secrets(stage);
            return Ok(workplace.repository.path(path));
        }
        let directory = self.directory();
        if directory.is_dir() {
            return Ok(directory.join(&workplace.settings.secrets.file));
        }
        if workplace.settings.secrets.login.is_none() {
            self.address()?;
        }
        Err(SecretsError::NoClone { directory })
    }

    /// What authorizes; the variables are for git and sops.
    fn login(&self) -> Result<Vec<(String, String)>, SecretsError> {
        let workplace = &self.session.workplace;
        let Some(line) = &workplace.settings.secrets.login else {
            return Ok(Vec::new());
        };
        secrets::login(line, workplace.repository.root(), &mut |line| output::insist(line))
    }

    fn sops(&self, variables: Vec<(String, String)>) -> Sops {
        Sops {
            variables,
            ..self.session.workplace.sops()
        }
    }
}

impl CloneArgs {
    fn flags(&self) -> Vec<Flag> {
        flags([("SECRETS_REPO", &self.repo), ("SECRETS_DIR", &self.dir)])
    }
}

impl FileArgs {
    fn flags(&self) -> Vec<Flag> {
        flags([("SECRETS_DIR", &self.dir), ("SECRETS_FILE", &self.file)])
    }
}

fn flags(given: [(&'static str, &Option<String>); 2]) -> Vec<Flag> {
    let set = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)));
    set.collect()
}

/// The signal that Ctrl-C sends.
const SIGINT: i32 = 2;

/// Whoever sits at the terminal.
struct Person<'a> {
    interrupts: &'a Interrupts,
}

impl Editing for Person<'_> {
    fn edit(&mut self, path: &Path) -> Result<(), SecretsError> {
        let words = words();
        let program = words.first().cloned().unwrap_or_default();
        let missing = |source| SecretsError::NoEditor {
            program: program.clone(),
            source,
        };
        let mut command = secrets::editor(&words).unwrap_or_else(|| Command::new("vi"));
        command.arg(path);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        Handle::current().block_on(async {
            let mut child = command.spawn().map_err(missing)?;
            let mut first = Box::pin(self.interrupts.first());
            let status = tokio::select! {
                status = child.wait() => status,
                // The terminal sends Ctrl-C to the editor, too, which knows what it means there.
                how = &mut first => match how {
                    Interrupt::Interrupted => child.wait().await,
                    Interrupt::Terminated => return Err(SecretsError::Interrupted(Kind::Terminated)),
                },
            };
            let status = status.map_err(missing)?;
            let exit = status
                .code()
                .map(Exit::Code)
                .or_else(|| status.signal().map(Exit::Signal));
            match exit {
                Some(exit) if exit.success() => Ok(()),
                _ if self.interrupts.so_far().is_some() => Err(SecretsError::Interrupted(Kind::Interrupted)),
                // Ctrl-C may have ended the editor before floe has heard of it.
                Some(Exit::Signal(SIGINT)) => Err(SecretsError::Interrupted(Kind::Interrupted)),
                Some(exit) => Err(SecretsError::Editor { how: exit.to_string() }),
                None => Err(SecretsError::Editor {
                    how: status.to_string(),
                }),
            }
        })
    }

    fn again(&mut self, error: &SecretsError) -> bool {
        if !io::stdin().is_terminal() {
            return false;
        }
        output::insist(&error.to_string());
        if let Some(hint) = error.hint() {
            output::insist(&hint);
        }
        output::insist("Edit it again? Otherwise what you wrote is lost. [Y/n]");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.is_ok_and(|length| length > 0) && !answer.trim().to_lowercase().starts_with('n')
    }
}

/// The editor and its arguments, as sops looks for them.
fn words() -> Vec<String> {
    let named = ["SOPS_EDITOR", "VISUAL", "EDITOR"].iter().find_map(|name| {
        let line = std::env::var(name).ok().filter(|line| !line.trim().is_empty())?;
        shlex::split(&line)
    });
    named.unwrap_or_else(|| {
        let there = ["vim", "nano", "vi"]
            .into_iter()
            .find(|name| output::program(name).is_some());
        vec![there.unwrap_or("vi").to_owned()]
    })
}

fn runtime() -> Option<PathBuf> {
    let path = std::env::var_os("XDG_RUNTIME_DIR")?;
    (!path.is_empty()).then(|| path.into())
}

fn say_edited(files: usize) {
    if files > 0 {
        output::say(&format!("{} edited and not committed", counted(files, "file")));
    }
}

fn counted(number: usize, noun: &str) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural} {verb}")
}

/// The path with what a terminal would obey made visible.
fn shown(path: &Path) -> String {
    Untrusted::default().inline(&path.display().to_string())
}
