//! A mission from a spec of nb-wrangler: its environment. The notebooks that it selects are in repositories of others.

use std::fmt::Write as _;
use std::path::Path;

use serde_yaml::Value;

use super::custom::{self, Needs};
use super::mission::TEST;
use super::repo2docker::{IMPORTS, channels};
use super::source::{fitting, read};
use super::{Scaffold, ScaffoldError, name_of};
use crate::config::BaseImage;
use crate::reference::{EnvironmentName, MissionName};
use crate::repository;
use crate::spec::env::EnvironmentSpec;

/// Sections that say nothing of what an image holds.
const SILENT: [&str; 7] = [
    "image_spec_header",
    "repositories",
    "system",
    "out",
    "extra_mamba_packages",
    "extra_pip_packages",
    "apt_packages",
];

/// The mission of the spec at `file`, called after its deployment unless a name is given.
pub fn wrangler(file: &Path, name: Option<&MissionName>, base_image: &BaseImage) -> Result<Scaffold, ScaffoldError> {
    let text = read(file)?;
    let spec = serde_yaml::from_str::<Value>(&text).map_err(|error| ScaffoldError::Malformed {
        path: file.to_owned(),
        message: error.to_string(),
    })?;
    let header = |key: &str| spec["image_spec_header"][key].as_str().map(str::to_owned);
    let told = |key: &str| header(key).and_then(|told| fitting(&told.to_lowercase()).parse::<MissionName>().ok());
    let deployment = told("deployment_name").filter(|name| name.as_str() != "wrangler");
    let name = match name.cloned().or(deployment).or_else(|| told("image_name")) {
        Some(name) => name,
        None => name_of(file)?,
    };
    let kernel = header("kernel_name").and_then(|kernel| fitting(&kernel).parse::<EnvironmentName>().ok());
    let environment = kernel
        .or_else(|| name.as_str().parse().ok())
        .ok_or_else(|| ScaffoldError::Nameless { path: file.to_owned() })?;
    let mut scaffold = Scaffold {
        missions: vec![name.clone()],
        ..Scaffold::default()
    };
    let environments = repository::environments(&name);
    let place = environments.join(environment.as_str());
    let list = |keys: [&str; 2]| keys.iter().flat_map(|key| texts(&spec[*key])).collect::<Vec<_>>();
    // A version in the header may be read as a number: `3.12`.
    let python = match &spec["image_spec_header"]["python_version"] {
        Value::Number(number) => Some(number.to_string()),
        other => other.as_str().map(str::to_owned),
    };
    let mut conda = python
        .iter()
        .map(|python| format!("python={python}"))
        .collect::<Vec<_>>();
    conda.extend(list(["extra_mamba_packages", "common_mamba_packages"]));
    let pip = list(["extra_pip_packages", "common_pip_packages"]);
    let mut yml = "channels:\n- conda-forge\ndependencies:\n".to_owned();
    if !conda.iter().any(|package| package == "pip") {
        conda.push("pip".to_owned());
    }
    for package in &conda {
        let _ = writeln!(yml, "- {}", serde_json::Value::from(package.as_str()));
    }
    scaffold.text(place.join(format!("{environment}.yml")), yml);
    if !pip.is_empty() {
        scaffold.text(place.join(format!("{environment}.pip")), pip.join("\n") + "\n");
    }
    if let Some(title) = header("display_name") {
        scaffold.text(place.join("kernel.name"), title + "\n");
    }
    scaffold.text(place.join("tests/imports"), IMPORTS);
    scaffold.program(environments.join("test"), TEST);
    channels(&mut scaffold, &EnvironmentSpec::default(), base_image);
    let needs = Needs {
        apt: texts(&spec["apt_packages"]),
        ..Needs::default()
    };
    if let Some(text) = needs.dockerfile() {
        scaffold.text(repository::mission(&name).join(custom::FILE), text);
    }
    leave_others(&mut scaffold, &spec, &place);
    Ok(scaffold)
}

/// Tells of what stays behind: notebooks and their requirements, data, settings of nb-wrangler's own.
fn leave_others(scaffold: &mut Scaffold, spec: &Value, place: &Path) {
    let selected = &spec["selected_notebooks"];
    let blocks = match selected {
        Value::Mapping(blocks) => blocks
            .iter()
            .map(|(name, block)| (name.as_str().unwrap_or_default(), block))
            .collect(),
        Value::Sequence(blocks) => blocks.iter().map(|block| ("", block)).collect(),
        _ => Vec::new(),
    };
    for (name, block) in blocks {
        let repo = block["repo"].as_str().or(block["nb_repo"].as_str()).unwrap_or_default();
        let address = spec["repositories"][repo]["url"].as_str().unwrap_or(repo);
        let below = ["root_directory", "nb_root_directory", "root_nb_directory"];
        let below = below.iter().find_map(|key| block[*key].as_str()).unwrap_or_default();
        scaffold.leave(
            format!("selected_notebooks {name}").trim_end().to_owned(),
            format!(
                "they are in {address} {below}: copy them into {}, and what their requirements.txt list into the .pip beside it",
                place.join("tests").display()
            ),
        );
    }
    let sections = spec
        .as_mapping()
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.as_str());
    for section in sections {
        let why = match section {
            "selected_notebooks" | "common_mamba_packages" | "common_pip_packages" => continue,
            known if SILENT.contains(&known) => continue,
            "refdata_dependencies" => {
                "data is no part of an image: mount it, and set variables in the .yml (`variables:`)"
            }
            "dev_overrides" => "a branch of this repository stands for it",
            _ => "floe knows no such section",
        };
        scaffold.leave(section, why);
    }
    if !spec["image_spec_header"]["environment_spec"].is_null() || !spec["environment_spec"].is_null() {
        scaffold.leave(
            "environment_spec",
            "the packages that it lists elsewhere: copy that yml over the one here",
        );
    }
}

/// The texts of a list; none of anything else.
fn texts(list: &Value) -> Vec<String> {
    let items = list.as_sequence().into_iter().flatten();
    items
        .filter_map(|item| item.as_str())
        .map(|text| text.trim().to_owned())
        .collect()
}
