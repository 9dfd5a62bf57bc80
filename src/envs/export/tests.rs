//! What is exported from environments whose files are written by hand.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::event::Memory;
use crate::fault::Explained as _;
use crate::reference::Digest;

const SITE: &str = "lib/python3.11/site-packages";

/// An environment that no program made.
struct Written {
    layout: Layout,
    prefix: PathBuf,
    sink: Memory,
    _root: tempfile::TempDir,
}

impl Written {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::of_image(root.path());
        let prefix = layout.prefix(&"x".parse().unwrap());
        fs::create_dir_all(prefix.join("conda-meta")).unwrap();
        let new = Self {
            layout,
            prefix,
            sink: Memory::default(),
            _root: root,
        };
        new.write("bin/python", "");
        new.conda("python", "3.11.2", &[]);
        new
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.prefix.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A conda package with these files.
    fn conda(&self, name: &str, version: &str, files: &[&str]) {
        let record = serde_json::json!({
            "name": name, "version": version, "build": "h1_0", "build_number": 0, "subdir": "linux-64", "depends": [],
            "sha256": Digest::of(name.as_bytes()).hex(),
            "fn": format!("{name}-{version}-h1_0.conda"), "channel": "conda-forge",
            "url": format!("https://u:p@conda.anaconda.org/t/token/conda-forge/linux-64/{name}-{version}-h1_0.conda"),
            "files": files,
            "paths_data": {"paths_version": 1, "paths": files.iter().map(|file| serde_json::json!({
                "_path": file, "path_type": "hardlink",
                "sha256": Digest::of(b"of conda").hex(),
            })).collect::<Vec<_>>()},
        });
        self.write(&format!("conda-meta/{name}-{version}-h1_0.json"), &record.to_string());
    }

    /// A distribution, and the path of its metadata.
    fn distribution(&self, name: &str, version: &str, installer: &str) -> String {
        let dir = format!("{SITE}/{name}-{version}.dist-info");
        self.write(
            &format!("{dir}/METADATA"),
            &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 9\n"),
        );
        self.write(&format!("{dir}/INSTALLER"), &format!("{installer}\n"));
        self.write(&format!("{dir}/RECORD"), "of conda");
        format!("{dir}/METADATA")
    }

    fn direct_url(&self, name: &str, json: &str) {
        let metadata = self.distribution(name, "1", "uv");
        self.write(&metadata.replace("METADATA", "direct_url.json"), json);
    }

    fn export(&self) -> Result<Frozen, EnvsError> {
        env_export(&self.layout, &"x".parse().unwrap(), None, &self.sink)
    }

    fn pip(&self) -> Vec<String> {
        self.export()
            .unwrap()
            .pip
            .into_iter()
            .map(|package| package.requirement)
            .collect()
    }

    fn warnings(&self) -> Vec<String> {
        let events = self.sink.events().into_iter();
        let texts = events.filter_map(|event| match event {
            Event::Warning { text } => Some(text),
            _ => None,
        });
        texts.collect()
    }
}

#[test]
fn what_conda_installed_is_no_pip_package() {
    let prefix = Written::new();
    let metadata = prefix.distribution("numpy", "2.0", "conda");
    // What conda built carries the address of where it was built.
    prefix.write(
        &metadata.replace("METADATA", "direct_url.json"),
        r#"{"url": "file:///croot/numpy", "dir_info": {}}"#,
    );
    prefix.conda("numpy", "2.0", &[&metadata]);
    prefix.distribution("Six_Pack", "1.16", "uv");
    assert_eq!(prefix.pip(), ["six-pack==1.16"]);
    let frozen = prefix.export().unwrap();
    assert_eq!(frozen.channels, ["conda-forge"]);
    assert_eq!((frozen.conda.len(), frozen.python), (2, None));
    let record = frozen.conda[0].record.as_ref().unwrap();
    assert_eq!(
        record.url.as_str(),
        "https://conda.anaconda.org/conda-forge/linux-64/numpy-2.0-h1_0.conda"
    );
    assert_eq!(prefix.warnings(), [""; 0]);
}

#[test]
fn an_export_reads_back_as_it_was_saved() {
    let prefix = Written::new();
    prefix.conda("zlib", "1.2", &[]);
    prefix.conda("bzip2", "1.0", &[]);
    prefix.distribution("six", "1.16", "pip");
    prefix.write(
        "conda-meta/state",
        r#"{"version": 1, "env_vars": {"A": "1", "B": "***unset***"}}"#,
    );
    let yml = prefix.prefix.join("x-frozen.yml");
    let frozen = prefix.export().unwrap();
    frozen.save(&yml).unwrap();
    let read = Frozen::load(&yml).unwrap();
    assert_eq!(
        (read.to_yml(), read.to_lock().unwrap()),
        (frozen.to_yml(), frozen.to_lock().unwrap())
    );
    assert_eq!(
        read.variables.into_iter().collect::<Vec<_>>(),
        [("A".to_owned(), "1".to_owned())]
    );
}

#[test]
fn a_conda_package_that_pip_replaced_is_named_with_its_successor() {
    let prefix = Written::new();
    prefix.conda("numpy", "1.26", &[&format!("{SITE}/numpy-1.26.dist-info/METADATA")]);
    prefix.distribution("numpy", "2.0", "uv");
    assert_eq!(prefix.pip(), ["numpy==2.0"]);
    assert_eq!(prefix.export().unwrap().conda[0].version, "1.26");
    let warnings = prefix.warnings();
    assert!(
        warnings[0].contains("numpy==2.0 of pip has replaced the conda package numpy=1.26=h1_0"),
        "{warnings:?}"
    );
}

#[test]
fn the_same_version_installed_over_a_conda_package_is_noticed() {
    for (installer, changed, expected) in [
        ("uv", false, vec!["numpy==2.0"]),
        ("pip", true, vec!["numpy==2.0"]),
        ("pip", false, vec![]),
        ("conda", true, vec![]),
    ] {
        let prefix = Written::new();
        let metadata = prefix.distribution("numpy", "2.0", installer);
        let record = metadata.replace("METADATA", "RECORD");
        prefix.conda("numpy", "2.0", &[&metadata, &record]);
        if changed {
            prefix.write(&record, "of pip");
        }
        assert_eq!(prefix.pip(), expected, "{installer}");
        assert_eq!(prefix.warnings().len(), expected.len());
    }
}

#[test]
fn a_conda_package_whose_files_are_gone_is_named() {
    let prefix = Written::new();
    prefix.conda("numpy", "1.26", &[&format!("{SITE}/numpy-1.26.dist-info/METADATA")]);
    prefix.export().unwrap();
    assert!(
        prefix.warnings()[0].contains("numpy=1.26=h1_0 is damaged"),
        "{:?}",
        prefix.warnings()
    );
}

#[test]
fn what_cannot_be_had_elsewhere_is_refused_all_at_once() {
    let prefix = Written::new();
    prefix.direct_url(
        "edited",
        r#"{"url": "file:///src/edited", "dir_info": {"editable": true}}"#,
    );
    prefix.direct_url("local", r#"{"url": "file:///src/local.whl", "archive_info": {}}"#);
    prefix.write(&format!("{SITE}/old.egg-link"), "/src/old\n.\n");
    prefix.distribution("six", "1.16", "uv");
    let error = prefix.export().unwrap_err();
    for words in [
        "edited: it is an editable",
        "/src/local.whl",
        "old: it is an editable installation of /src/old,",
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(error.hint().unwrap().contains("commit of a git repository"));
}

#[test]
fn a_git_source_is_frozen_with_its_commit() {
    let prefix = Written::new();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let json = serde_json::json!({
        "url": "https://example.org/x.git",
        "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": commit},
    });
    prefix.direct_url("x", &json.to_string());
    assert_eq!(prefix.pip(), [format!("x @ git+https://example.org/x.git@{commit}")]);
    let frozen = prefix.export().unwrap();
    let lock = frozen.to_lock().unwrap();
    let read = Frozen::parse(std::path::Path::new("x-frozen.yml"), &frozen.to_yml(), Some(&lock)).unwrap();
    assert_eq!(read.pip, frozen.pip);
}

#[test]
fn leftovers_of_a_killed_installation_are_no_packages() {
    let prefix = Written::new();
    prefix.distribution("~ix", "1.16", "pip");
    fs::create_dir_all(prefix.prefix.join(SITE).join("empty-1.dist-info")).unwrap();
    prefix.distribution("six", "1.15", "pip");
    let old = prefix.prefix.join(SITE).join("six-1.15.dist-info/METADATA");
    fs::File::open(&old)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    prefix.distribution("six", "1.16", "pip");
    assert_eq!(prefix.pip(), ["six==1.16"]);
}

#[test]
fn distributions_of_the_old_kind_are_packages_too() {
    let prefix = Written::new();
    prefix.write(&format!("{SITE}/old-1.egg-info/PKG-INFO"), "Name: old\nVersion: 1\n");
    prefix.write(&format!("{SITE}/older-1.egg-info"), "Name: older\nVersion: 1\n");
    assert_eq!(prefix.pip(), ["old==1", "older==1"]);
}

#[test]
fn a_record_that_is_not_one_is_named() {
    let prefix = Written::new();
    prefix.write("conda-meta/a-1-0.json", "{");
    let error = prefix.export().unwrap_err();
    assert!(error.to_string().contains("conda-meta/a-1-0.json: "), "{error}");
}
