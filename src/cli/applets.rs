//! The commands inside an image, under `/opt/common-scripts/`: environments are installed, tests are run.
//!
//! Their arguments are those of the original framework.

mod broker;
mod console;
mod entrypoint;
mod environment;
mod machine;
mod place;
mod relay;
mod script;
mod supervise;
mod testing;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufWriter};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use clap::Parser;

use self::environment::EnvironmentApplet;
use self::machine::Machine;
use self::place::Place;
use self::testing::TestApplet;
use super::failure::{ExitCode, Failure};
use super::output;
use crate::envs::{self, importable, licences};
use crate::image::{self, applet, store, variable};
use crate::layers;
use crate::passage;
use crate::reference::{Digest, EnvironmentName};

/// Bytes of layers that are written at once.
const PIECE: usize = 256 * 1024;

/// Runs the applet that `words` begin with.
pub async fn run(words: Vec<OsString>) -> Result<(), Failure> {
    let applet = match Applet::of(&words) {
        Ok(applet) => applet,
        Err(error) => return output::usage(&error),
    };
    if let Applet::Supervise = applet {
        return supervise::run().await;
    }
    let place = Place::here()?;
    match applet {
        Applet::Console => console::run(&place).await,
        Applet::Enter => console::enter(place),
        Applet::Surroundings { file } => entrypoint::tell(place, &file),
        Applet::Deliver { file } => deliver(&file),
        Applet::Imprint { directory } => imprint(&Machine::of(place)?, &directory),
        Applet::Modules { wanted } => modules(&wanted, &Machine::of(place)?),
        Applet::Lead => lead(),
        Applet::Layers { image, layers } => read_layers(&image, layers),
        Applet::Licences { environments } => tell_licences(&environments, &Machine::of(place)?),
        Applet::Test(test) => match place.setting(variable::AGENT) {
            // The agent runs them, and tells of them.
            Some(agent) => broker::ask(&agent, words, place).await,
            None => test.run_here(&Machine::of(place)?).await,
        },
        Applet::Environment(applet) => applet.run(&Machine::of(place)?),
        Applet::Supervise => Ok(()),
    }
}

/// Tells, as JSON, what can be imported of the packages of each environment, which `wanted` names as JSON.
fn modules(wanted: &str, machine: &Machine) -> Result<(), Failure> {
    let usage = |error: serde_json::Error| Failure::new(ExitCode::Usage, error.to_string());
    let wanted = serde_json::from_str::<BTreeMap<EnvironmentName, Vec<String>>>(wanted).map_err(usage)?;
    let told = wanted.iter().map(|(environment, packages)| {
        let prefix = image::prefix(&machine.layout.conda_dir, environment);
        (environment, importable(&prefix, packages))
    });
    let told = serde_json::to_string(&told.collect::<BTreeMap<_, _>>());
    output::result(&(told.map_err(usage)? + "\n"))
}

/// Tells, as JSON, what the python distributions of environments say of their licences.
fn tell_licences(environments: &[EnvironmentName], machine: &Machine) -> Result<(), Failure> {
    let told = environments.iter().map(|environment| {
        let prefix = image::prefix(&machine.layout.conda_dir, environment);
        licences(&prefix)
    });
    let told = told.collect::<Result<Vec<_>, _>>()?.concat();
    let told = serde_json::to_string(&told).map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
    output::result(&(told + "\n"))
}

/// Writes, as an archive, the configuration of an image and some of its layers, as the engine's directory has them.
fn read_layers(image: &Digest, layers: Vec<Digest>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(ExitCode::Internal, format!("the output: {error}"));
    let (root, layers) = (Path::new(store::ROOT), layers.into_iter().collect());
    let Ok(mut outlet) = UnixStream::connect(store::OUTLET) else {
        let out = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
        let out = BufWriter::with_capacity(PIECE, fs::File::from(out));
        return Ok(layers::stored(root, image, &layers, out)?);
    };
    layers::stored(root, image, &layers, BufWriter::with_capacity(PIECE, &outlet))?;
    // Whoever reads it lets go when they have all.
    outlet.shutdown(Shutdown::Write).map_err(failed)?;
    io::copy(&mut outlet, &mut io::sink()).map(drop).map_err(failed)
}

/// Leads from a step of a build to the host.
fn lead() -> Result<(), Failure> {
    passage::lead()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("no way to the host of the build: {error}")))
}

/// Copies this program to `file`, where everybody may run it and nobody write it.
fn deliver(file: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(ExitCode::Internal, format!("{}: {error}", file.display()));
    let program = std::env::current_exe().map_err(failed)?;
    fs::copy(program, file).map_err(failed)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o555)).map_err(failed)
}

/// Writes what the image is and holds below `directory`.
fn imprint(machine: &Machine, directory: &Path) -> Result<(), Failure> {
    let told = machine.setting(variable::IMPRINT);
    // What another program says when it builds a composed Dockerfile is nothing that floe knows.
    let build = told.and_then(|text| serde_json::from_str(&text).ok());
    Ok(envs::env_imprint(&machine.layout, build, directory)?)
}

impl Applet {
    /// The applet that `words` begin with.
    fn of(words: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from([OsString::from("floe")].iter().chain(words))
    }
}

#[cfg(test)]
pub(super) fn names() -> Vec<String> {
    use clap::CommandFactory as _;
    let command = Applet::command();
    command
        .get_subcommands()
        .flat_map(|applet| std::iter::once(applet.get_name()).chain(applet.get_visible_aliases()))
        .map(str::to_owned)
        .collect()
}

/// The command lines of the applets. Each is the name of a program.
#[derive(Debug, Parser)]
#[command(name = "floe applet", bin_name = "", version, disable_help_subcommand = true)]
enum Applet {
    /// Work on environments
    #[command(flatten)]
    Environment(EnvironmentApplet),
    /// Run tests
    #[command(flatten)]
    Test(TestApplet),
    /// Be the first process of a container, and run there what the host asks for
    #[command(name = applet::SUPERVISE, hide = true)]
    Supervise,
    /// Be the first process of a container that somebody is let into
    #[command(name = applet::CONSOLE, hide = true)]
    Console,
    /// Become the command that somebody is let in for
    #[command(name = applet::ENTER, hide = true)]
    Enter,
    /// Copy this program to where a container finds it
    #[command(name = applet::DELIVER, hide = true)]
    Deliver {
        /// The file
        file: PathBuf,
    },
    /// Tell what can be imported of packages
    #[command(name = applet::MODULES, hide = true)]
    Modules {
        /// The packages of each environment, as JSON
        wanted: String,
    },
    /// Write layers as the engine keeps them
    #[command(name = applet::LAYERS, hide = true)]
    Layers {
        /// The image
        image: Digest,
        /// The layers, by the digests of their content
        layers: Vec<Digest>,
    },
    /// Lead from a step of a build to the host, past the builder
    #[command(name = applet::LEAD, hide = true)]
    Lead,
    /// Tell what packages say of their licences
    #[command(name = applet::LICENCES, hide = true)]
    Licences {
        /// The environments
        environments: Vec<EnvironmentName>,
    },
    /// Write what the image is and holds below a directory
    #[command(name = applet::IMPRINT, hide = true)]
    Imprint {
        /// The directory
        directory: PathBuf,
    },
    /// Tell the agent what surrounds this process
    #[command(name = applet::SURROUNDINGS, hide = true)]
    Surroundings {
        /// The file to write it to
        file: PathBuf,
    },
}
