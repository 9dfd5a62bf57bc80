//! The commands that make and change environments. They obey `USE_FROZEN` as those of the original framework do: where specs
//! are frozen, an environment is made of its frozen spec alone, and nothing is added to it.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::machine::Machine;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::envs::{self, Work};
use crate::event::Event;
use crate::image::{applet, variable};
use crate::reference::EnvironmentName;
use crate::spec::frozen::Frozen;

/// The command lines of the applets that make environments.
#[derive(Debug, Subcommand)]
pub enum EnvironmentApplet {
    /// Create an environment, from an environment.yml if one is given
    #[command(name = applet::ENV_CREATE)]
    EnvCreate {
        /// The new environment
        environment: EnvironmentName,
        /// The spec file
        file: Option<PathBuf>,
    },
    /// Create an environment as a copy of another one; works offline
    #[command(name = applet::ENV_CLONE)]
    EnvClone {
        /// The environment to copy, e.g. `base`
        source: EnvironmentName,
        /// The new environment
        environment: EnvironmentName,
    },
    /// Install what spec files (.yml, .conda, .pip) list into an environment
    #[command(name = applet::ENV_UPDATE)]
    EnvUpdate {
        /// The environment
        environment: EnvironmentName,
        /// The spec files; without any there is nothing to do
        files: Vec<PathBuf>,
    },
    /// Run a command with an environment active, as after `conda activate`
    #[command(name = applet::ENV_RUN)]
    EnvRun {
        /// The environment
        environment: EnvironmentName,
        /// The command and its arguments
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "COMMAND"
        )]
        command: Vec<OsString>,
    },
    /// Print the frozen spec of an environment, from what is installed in it
    #[command(name = applet::ENV_EXPORT)]
    EnvExport {
        /// The environment
        environment: EnvironmentName,
        /// Write `<env>-frozen.yml`, and its lock with the digests of all packages, into this directory instead
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Ask no index: pip packages are locked without their digests
        #[arg(long, requires = "to")]
        offline: bool,
    },
    /// Solve the specs of an environment that is not there yet, and write what it would hold
    #[command(name = applet::ENV_SOLVE, hide = true)]
    EnvSolve {
        /// The environment
        environment: EnvironmentName,
        /// Write `<env>-frozen.yml` and its lock into this directory; nothing where only an installation can tell
        directory: PathBuf,
    },
    /// Assemble a frozen environment from what is kept of its packages, and hand its layers over to the host of the build
    #[command(name = applet::ENV_ASSEMBLE, hide = true)]
    EnvAssemble {
        /// The environment
        environment: EnvironmentName,
        /// How many layers
        #[arg(long, value_name = "N", default_value = "1")]
        layers: NonZeroUsize,
    },
    /// Install what all environments share into an environment
    #[command(name = applet::INSTALL_COMMON)]
    InstallCommon {
        /// The environment
        environment: EnvironmentName,
    },
    /// Move a finished environment below a directory, normalized, as the content of a layer, or of several
    #[command(name = applet::ENV_STAGE)]
    EnvStage {
        /// The environment
        environment: EnvironmentName,
        /// The directory
        directory: PathBuf,
        /// How many layers, which are 00, 01 … below it: the largest packages alone, the others in groups, the rest last
        #[arg(long, value_name = "N", default_value = "1")]
        layers: NonZeroUsize,
    },
    /// Register environments as Jupyter kernels; all of them, if none is named
    #[command(name = applet::KERNEL_SETUP)]
    KernelSetup {
        /// The environments
        environments: Vec<EnvironmentName>,
    },
}

impl EnvironmentApplet {
    /// Does what the applet is for.
    pub fn run(self, machine: &Machine) -> Result<(), Failure> {
        let display = machine.display();
        let events = display.as_ref();
        let (layout, tools) = (&machine.layout, &machine.tools);
        match self {
            Self::EnvCreate { environment, file } => {
                create(machine, machine.work(&environment, events), file.as_deref())
            }
            Self::EnvExport {
                environment,
                to,
                offline,
            } => {
                if offline {
                    events.emit(Event::Warning {
                        text: "pip packages are frozen without the digests that an index would tell".to_owned(),
                    });
                }
                let digests = to.as_ref().filter(|_| !offline).map(|_| &tools.pip);
                let frozen = envs::env_export(layout, &environment, digests, events)?;
                let Some(directory) = to else {
                    return output::result(&frozen.to_yml());
                };
                Ok(frozen.save(&Frozen::yml_path(&directory, environment.as_str()))?)
            }
            Self::EnvSolve { environment, directory } => {
                let Some(frozen) = envs::env_solve(machine.work(&environment, events))? else {
                    return Ok(());
                };
                Ok(frozen.save(&Frozen::yml_path(&directory, environment.as_str()))?)
            }
            Self::EnvAssemble { environment, layers } => assemble(machine, machine.work(&environment, events), layers),
            Self::EnvClone { source, environment } => clone(machine, machine.work(&environment, events), &source),
            Self::EnvUpdate { environment, files } => update(machine, machine.work(&environment, events), &files),
            Self::EnvRun { environment, command } => become_command(machine, &environment, &command),
            Self::InstallCommon { environment } => install_common(machine, machine.work(&environment, events)),
            Self::EnvStage {
                environment,
                directory,
                layers,
            } => Ok(envs::env_stage(machine.work(&environment, events), &directory, layers)?),
            Self::KernelSetup { environments } => {
                envs::kernel_setup(layout, &environments, events)?;
                Ok(())
            }
        }
    }
}

fn create(machine: &Machine, work: Work<'_>, file: Option<&Path>) -> Result<(), Failure> {
    if !machine.use_frozen || file.is_some_and(Frozen::is_frozen) {
        return Ok(envs::env_create(work, file)?);
    }
    match envs::frozen_spec(work)? {
        None if file.is_some() => Err(envs::not_frozen(work).into()),
        frozen => Ok(envs::env_create(work, frozen.as_deref())?),
    }
}

fn clone(machine: &Machine, work: Work<'_>, source: &EnvironmentName) -> Result<(), Failure> {
    if machine.use_frozen
        && let Some(frozen) = envs::frozen_spec(work)?
    {
        return Ok(envs::env_create(work, Some(&frozen))?);
    }
    Ok(envs::env_clone(work, source)?)
}

fn update(machine: &Machine, work: Work<'_>, files: &[PathBuf]) -> Result<(), Failure> {
    if machine.use_frozen && !files.iter().any(|file| Frozen::is_frozen(file)) {
        if !files.is_empty() && envs::frozen_spec(work)?.is_none() {
            return Err(envs::not_frozen(work).into());
        }
        envs::leave_frozen(work);
        return Ok(());
    }
    Ok(envs::env_update(work, files)?)
}

fn install_common(machine: &Machine, work: Work<'_>) -> Result<(), Failure> {
    if machine.use_frozen && !envs::has_common_frozen(work) {
        envs::leave_frozen(work);
        return Ok(());
    }
    Ok(envs::install_common(work)?)
}

fn assemble(machine: &Machine, work: Work<'_>, layers: NonZeroUsize) -> Result<(), Failure> {
    let frozen = envs::frozen_spec(work)?.ok_or_else(|| envs::not_frozen(work))?;
    let anew = machine.setting(variable::ANEW).is_some_and(|anew| anew == "1");
    let socket = machine.setting("SSH_AUTH_SOCK").unwrap_or_default();
    let host = UnixStream::connect(&socket).map_err(|error| {
        let message = format!("no connection to the host of the build at {socket}: {error}");
        Failure::new(ExitCode::Invalid, message)
    })?;
    Ok(envs::env_assemble(work, &frozen, layers, anew, host)?)
}

/// Becomes the command, with the environment active.
fn become_command(machine: &Machine, name: &EnvironmentName, command: &[OsString]) -> Result<(), Failure> {
    let prefix = machine.layout.complete(name)?;
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let inherited = std::env::vars_os().collect();
    let error = envs::activated(name, &prefix, Path::new(program), &inherited)
        .args(arguments)
        .exec();
    let message = format!("{}: {error}", program.to_string_lossy());
    Err(Failure::new(ExitCode::Invalid, message))
}
