//! Bills of materials beside a reader of the format's owners.

use std::fs;
use std::path::Path;
use std::process::Command;

use floe::envs;
use floe::reference::{Digest, EnvironmentName};
use floe::sbom::debian::{self, Distribution};
use floe::sbom::{self, Contents, Licences};
use floe::spec::frozen::Frozen;
use world::Ended;

/// A bill of all that this repository's own frozen specs, a venv and a few Debian packages name.
fn bill(venv: &Path) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let specs = [
        "common/common-env",
        "missions/roman/environments/roman-cal",
        "missions/tess/environments/tess",
    ];
    let told = envs::licences(venv).unwrap();
    assert!(told.len() > 10, "{told:?}");
    let pinned = told
        .iter()
        .map(|(name, version, _)| format!("      - {name}=={version}\n"));
    let yml = format!(
        "name: tools\ndependencies:\n  - python=3.11.2\n  - pip:\n{}",
        pinned.collect::<String>()
    );
    let tools = Frozen::parse(Path::new("tools-frozen.yml"), &yml, None).unwrap();
    let licences = told
        .into_iter()
        .map(|(name, version, recorded)| ((name, version), recorded));
    let licences = licences.collect::<Licences>();
    let environments = specs.map(|directory| {
        let files = fs::read_dir(root.join(directory)).unwrap();
        let yml = files
            .map(|entry| entry.unwrap().path())
            .find(|path| Frozen::is_frozen(path));
        let yml = yml.unwrap();
        let name = yml.file_name().unwrap().to_str().unwrap().replace("-frozen.yml", "");
        (name.parse::<EnvironmentName>().unwrap(), Frozen::load(&yml).unwrap())
    });
    let mut environments = environments.to_vec();
    environments.push(("tools".parse().unwrap(), tools));
    let status = fs::read_to_string("/var/lib/dpkg/status").unwrap();
    let id = Digest::of(b"an image");
    sbom::document(&Contents {
        name: "floe/all",
        id: &id,
        created: None,
        environments: &environments,
        licences: &licences,
        system: Some((Distribution::of("", "12"), debian::installed(&status))),
        unknown: &["Something is not known.".to_owned()],
    })
}

mod long {
    use super::*;

    #[test]
    #[ignore = "long"]
    fn a_bill_is_what_the_owners_of_its_format_read() {
        let tools = world::venv("spdx-tools", &["spdx-tools==0.8.5"]);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("image.spdx.json");
        let bill = bill(&tools);
        let read: serde_json::Value = serde_json::from_slice(&bill).unwrap();
        let packages = read["packages"].as_array().unwrap().iter();
        let of_pip = packages.filter(|package| package["SPDXID"].as_str().unwrap().starts_with("SPDXRef-pypi-"));
        let declared = of_pip.filter(|package| package["licenseDeclared"] != "NOASSERTION");
        assert!(declared.count() > 5, "licences of pip packages are declared");
        fs::write(&file, bill).unwrap();
        let mut command = Command::new(tools.join("bin/pyspdxtools"));
        command.arg("--infile").arg(&file).args(["--version", "SPDX-2.3"]);
        let validated = Ended::of(command.output().unwrap());
        assert_eq!(validated.stdout.trim(), "", "it finds nothing to say");
        validated.expect(0);
    }
}
