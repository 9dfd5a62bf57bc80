//! The deployments of a repository of hubploy's layout: what their files imply, and the `deployment.yml` that says it.
//!
//! `hubploy deploy DEPLOYMENT CHART STAGE` installs the chart as the release `DEPLOYMENT-STAGE` with
//! `config/common.yaml`, `config/STAGE.yaml` and `secrets/STAGE.yaml`; `hubploy.yaml` names the image and the field of it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{DeploymentError, FILE, Layout};
use crate::fault::Place;
use crate::reference::{DeploymentName, StageName};
use crate::repository::{DEPLOYMENTS, MISSIONS};

/// A `deployment.yml` that the files of a deployment imply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Implied {
    /// Its path below the root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What a person should look at.
    pub notes: Vec<String>,
}

/// What `hubploy.yaml` says that matters here, in the forms of its versions.
#[derive(Debug, Default, Deserialize)]
struct Hubploy {
    images: Option<Images>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Images {
    Listed { images: Vec<Image> },
    One(Image),
}

#[derive(Debug, Deserialize)]
struct Image {
    #[serde(alias = "image_config_path")]
    helm_substitution_path: Option<String>,
}

/// Where hubploy has the image, if its file does not say.
const DEFAULT_FIELD: &str = "jupyterhub.singleuser.image";

/// Stages by their usual names, the first one first. Others come before production.
const ORDER: &[&str] = &[
    "sandbox",
    "testing",
    "test",
    "dev",
    "development",
    "staging",
    "stage",
    "prod",
    "production",
];

/// What the deployments below `root` that have no `deployment.yml` imply, in the order of their names.
/// `has_branch` tells whether the repository has a branch of a name.
pub fn implied(root: &Path, has_branch: &dyn Fn(&str) -> bool) -> Result<Vec<Implied>, DeploymentError> {
    let directory = root.join(DEPLOYMENTS);
    let read = |source: io::Error| DeploymentError::Read {
        path: PathBuf::from(DEPLOYMENTS),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let is_deployment = entry.path().join("config").is_dir() && !entry.path().join(FILE).exists();
        if let Some(name) = entry.file_name().to_str().filter(|_| is_deployment) {
            names.push(name.parse::<DeploymentName>()?);
        }
    }
    names.sort();
    names
        .iter()
        .filter_map(|name| one(root, name, has_branch).transpose())
        .collect()
}

fn one(
    root: &Path,
    name: &DeploymentName,
    has_branch: &dyn Fn(&str) -> bool,
) -> Result<Option<Implied>, DeploymentError> {
    let directory = Layout(name).directory();
    let mut stages = stages(&root.join(&directory).join("config"));
    if stages.is_empty() {
        return Ok(None);
    }
    let rank = |stage: &StageName| {
        let known = ORDER.iter().position(|known| stage.as_str().ends_with(known));
        (known.unwrap_or(ORDER.len() - 3), stage.clone())
    };
    stages.sort_by_key(rank);
    let mut notes = Vec::new();
    let mut text = String::new();
    if root.join(MISSIONS).join(name.as_str()).is_dir() {
        let _ = writeln!(text, "mission: {name}");
    } else {
        text.push_str("# The mission whose image the stages run:\n# mission: \n");
        notes.push("name the mission whose image it runs".to_owned());
    }
    text.push_str("images:\n");
    for field in fields(root, &directory)? {
        let _ = writeln!(text, "  - {field}");
    }
    if !root.join("hub").is_dir() {
        notes.push("`chart` names the directory of the chart, where that is not hub/".to_owned());
    }
    text.push_str("stages:\n");
    let branches = stages.iter().all(|stage| has_branch(stage.as_str()));
    for (index, stage) in stages.iter().enumerate() {
        let _ = writeln!(text, "  - name: {stage}");
        if branches {
            let _ = writeln!(text, "    branch: {stage}");
        }
        if index + 1 == stages.len() && stages.len() > 1 {
            text.push_str("    protected: true\n");
        }
        let _ = writeln!(text, "    driver:\n      helm:\n        release: {name}-{stage}");
    }
    let order = stages.iter().map(StageName::as_str).collect::<Vec<_>>().join(", ");
    notes.push(format!("the stages come in the order {order}"));
    Ok(Some(Implied {
        path: directory.join(FILE),
        text,
        notes,
    }))
}

/// The stages that have values of their own.
fn stages(config: &Path) -> Vec<StageName> {
    let entries = fs::read_dir(config).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name();
        let stage = name.to_str()?.strip_suffix(".yaml")?;
        (stage != "common").then(|| stage.parse().ok()).flatten()
    });
    names.collect()
}

/// The fields that hold the image.
fn fields(root: &Path, directory: &Path) -> Result<Vec<String>, DeploymentError> {
    let path = directory.join("hubploy.yaml");
    let hubploy = match fs::read_to_string(root.join(&path)) {
        Ok(text) => {
            let parsed = serde_yaml::from_str::<Option<Hubploy>>(&text);
            let parsed = parsed.map_err(|error| DeploymentError::Malformed {
                place: Place::of(&path, error.location().map(|location| location.line())),
                reason: error.to_string(),
            })?;
            parsed.unwrap_or_default()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Hubploy::default(),
        Err(source) => return Err(DeploymentError::Read { path, source }),
    };
    let images = match hubploy.images {
        Some(Images::Listed { images }) => images,
        Some(Images::One(image)) => vec![image],
        None => Vec::new(),
    };
    let mut fields = images
        .into_iter()
        .map(|image| image.helm_substitution_path.unwrap_or_else(|| DEFAULT_FIELD.to_owned()))
        .collect::<Vec<_>>();
    fields.sort();
    fields.dedup();
    if fields.is_empty() {
        fields.push(DEFAULT_FIELD.to_owned());
    }
    Ok(fields)
}

/// Writes a `deployment.yml`, never over one.
pub fn write(root: &Path, implied: &Implied) -> Result<(), DeploymentError> {
    let written =
        fs::File::create_new(root.join(&implied.path)).and_then(|mut file| file.write_all(implied.text.as_bytes()));
    written.map_err(|source| DeploymentError::Read {
        path: implied.path.clone(),
        source,
    })
}
