//! Takes stock of a built image: its bill of materials, from the frozen specs that it was built from, or that were taken
//! out of it, and from dpkg's own list in it. An image does not change, so what was found once is kept.

mod told;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::builder::Built;
use crate::engine::{ContainerRequest, Containers, Engine, EngineError, Wanted};
use crate::fault::{Explained, Kind, Place};
use crate::image::applet;
use crate::plan::{BuildPlan, ImagePlan};
use crate::process::Owner;
use crate::reference::EnvironmentName;
use crate::repository::Repository;
use crate::sbom::debian::{self, DebianPackage, Distribution};
use crate::sbom::{self, Contents, Licences, Recorded};
use crate::scratch::Scratch;
use crate::spec::SpecError;
use crate::spec::frozen::Frozen;
use crate::state::{FileError, State};
use crate::trial::{Mark, Question};

pub use told::told;

/// More than this is read of no directory, in bytes.
const LIMIT: u64 = 512 << 20;

/// More than this is no answer about licences, in bytes.
const LONGEST: usize = 16 << 20;

/// Stock that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A frozen spec cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Explained for InventoryError {
    fn kind(&self) -> Kind {
        self.cause().kind()
    }

    fn hint(&self) -> Option<String> {
        self.cause().hint()
    }

    fn place(&self) -> Option<Place> {
        self.cause().place()
    }
}

impl InventoryError {
    fn cause(&self) -> &dyn Explained {
        match self {
            Self::Engine(error) => error,
            Self::Spec(error) => error,
            Self::File(error) => error,
        }
    }
}

/// The file that holds the bill of materials of the image at `index` in `plan`, made now if it was not before.
pub async fn bill(
    plan: &BuildPlan,
    index: usize,
    image: &Built,
    repository: &Repository,
    engine: &dyn Engine,
    state: &State,
    agent: &Path,
) -> Result<PathBuf, InventoryError> {
    let path = state.bill(&image.id, sbom::FORMAT);
    if path.is_file() {
        return Ok(path);
    }
    let mut unknown = Vec::new();
    let mut environments = Vec::new();
    for image in lineage(plan, index) {
        for file in &image.frozen {
            let yml = repository.path(&file.path);
            if yml.is_file() {
                if file.stale {
                    let name = &file.environment;
                    unknown.push(format!(
                        "The specs of the environment {name} have changed since it was frozen."
                    ));
                }
                environments.push((file.environment.clone(), Frozen::load(&yml)?));
            } else {
                unknown.push(format!(
                    "What the environment {} holds is not frozen.",
                    file.environment
                ));
            }
        }
    }
    let system = system(image, engine).await?;
    if system.is_none() {
        unknown.push("No list of Debian packages was found in the image.".to_owned());
    }
    let licences = licences(image, &environments, engine, agent).await?;
    if licences.is_none() {
        unknown.push("What the pip packages say of their licences could not be read.".to_owned());
    }
    let about = engine.image(image.id.as_str()).await?;
    let text = sbom::document(&Contents {
        name: &image.reference.repository,
        id: &image.id,
        created: about.and_then(|about| about.created),
        environments: &environments,
        licences: &licences.unwrap_or_default(),
        system,
        unknown: &unknown,
    });
    keep(&path, &text)?;
    Ok(path)
}

/// What the pip packages in an image say of their licences. `None` where no agent can tell.
async fn licences(
    image: &Built,
    environments: &[(EnvironmentName, Frozen)],
    engine: &dyn Engine,
    agent: &Path,
) -> Result<Option<Licences>, InventoryError> {
    let with_pip = environments.iter().filter(|(_, frozen)| !frozen.pip.is_empty());
    let mut words = with_pip.map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    if words.is_empty() {
        return Ok(Some(Licences::new()));
    }
    words.insert(0, applet::LICENCES.to_owned());
    let question = Question {
        image: &image.id,
        agent,
        mark: Mark {
            run: "inventory",
            mission: &image.role.to_string(),
            owner: &Owner::current(),
        },
        memory: None,
        words,
        longest: LONGEST,
    };
    let said = question.ask(engine).await?;
    let told = said.and_then(|said| serde_json::from_slice::<Vec<(String, String, Recorded)>>(&said).ok());
    let by_name = |(name, version, recorded)| ((name, version), recorded);
    Ok(told.map(|told| told.into_iter().map(by_name).collect()))
}

/// An image and those that it extends, the lowest first.
fn lineage(plan: &BuildPlan, index: usize) -> Vec<&ImagePlan> {
    let extended = std::iter::successors(Some(index), |&index| plan.images[index].extends);
    let mut images = extended.map(|index| &plan.images[index]).collect::<Vec<_>>();
    images.reverse();
    images
}

/// The Debian packages in an image; `None` where it holds no list of them.
async fn system(
    image: &Built,
    engine: &dyn Engine,
) -> Result<Option<(Distribution, Vec<DebianPackage>)>, InventoryError> {
    let scratch = Scratch::create().map_err(FileError::of(&std::env::temp_dir()))?;
    let request = ContainerRequest {
        image: image.id.to_string(),
        entrypoint: Some(Vec::new()),
        command: vec!["true".to_owned()],
        labels: Mark {
            run: "inventory",
            mission: &image.role.to_string(),
            owner: &Owner::current(),
        }
        .labels(),
        ..ContainerRequest::default()
    };
    // It never begins: of one that ends at that moment Podman may say that it holds nothing.
    let container = engine.create(&request).await?;
    let copied = copied(&container, engine, scratch.path()).await;
    engine.remove(&container).await?;
    copied?;
    let read = |name: &str| fs::read(scratch.path().join(name)).ok();
    let read = |name: &str| read(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let installed = read("status").map(|status| debian::installed(&status));
    let installed = installed.filter(|installed| !installed.is_empty());
    let release = |name: &str| read(name).unwrap_or_default();
    Ok(installed.map(|installed| {
        let distribution = Distribution::of(&release("lsb-release"), &release("debian_version"));
        (distribution, installed)
    }))
}

/// Copies the files that tell of the system out of a container.
async fn copied(
    container: &crate::engine::Container,
    containers: &dyn Engine,
    destination: &Path,
) -> Result<(), EngineError> {
    for (directory, files) in [
        ("/var/lib/dpkg", &["status"][..]),
        ("/etc", &["debian_version", "lsb-release"]),
    ] {
        let wanted = Wanted {
            files: Some(files.iter().map(PathBuf::from).collect::<BTreeSet<_>>()),
            limit: LIMIT,
        };
        Containers::copy_out(containers, container, directory, destination.to_owned(), &wanted).await?;
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn keep(path: &Path, text: &[u8]) -> Result<(), FileError> {
    let failed = FileError::of(path);
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(&failed)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(&failed)?;
    std::io::Write::write_all(&mut file, text).map_err(&failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
