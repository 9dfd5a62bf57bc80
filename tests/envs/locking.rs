//! Environments that are locked, and changed by `floe add` and `floe remove`, without a build.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use floe::spec::frozen::Frozen;
use world::channel::Channel;
use world::{Ended, PackageIndex, venv};

/// A repository with one environment `x` of a mission `m`, and an index that is the site's.
struct Site {
    root: tempfile::TempDir,
    index: PackageIndex,
    channels: String,
}

impl Site {
    /// One whose base environment is a venv, with these packages in its index.
    fn with(packages: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let site = Self {
            root: tempfile::tempdir().unwrap(),
            index: PackageIndex::of(packages, false),
            channels: String::new(),
        };
        site.index.add("based", "1.0");
        site.write("common/Dockerfile", "FROM x\n");
        site.write("common/Dockerfile.trailer", "");
        site.write("common/base/Dockerfile", "FROM x\n");
        site.write(
            "common/common-env/base-frozen.yml",
            "name: base\ndependencies:\n  - python=3.11.2\n  - pip:\n    - based==1.0\n",
        );
        for (name, text) in files {
            site.write(&format!("missions/m/environments/x/{name}"), text);
        }
        site
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.path().join("missions/m/environments/x").join(name)).unwrap()
    }

    fn frozen(&self) -> Frozen {
        Frozen::load(&self.root.path().join("missions/m/environments/x/x-frozen.yml")).unwrap()
    }

    fn version(&self, package: &str) -> Option<String> {
        let frozen = self.frozen();
        let conda = frozen.conda.iter().map(|package| (&package.name, &package.version));
        let mut all = conda.chain(frozen.pip.iter().map(|package| (&package.name, &package.version)));
        all.find(|(name, _)| *name == package)
            .map(|(_, version)| version.clone())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = world::floe();
        let path = std::env::var("PATH").unwrap();
        let uv = venv("uv", &["uv"]).join("bin");
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env("CONDA_CHANNELS", &self.channels)
            .env("PIP_INDEX_URL", format!("{}/simple/", self.index.server.url()))
            .env("UV_NO_CACHE", "1")
            .env("PATH", format!("{}:{path}", uv.display()));
        command
    }

    fn floe(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Every file below the environment, by its name.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let directory = self.root.path().join("missions/m/environments/x");
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: PathBuf| (path.clone(), fs::read_to_string(&path).unwrap());
        entries.filter(|path| path.is_file()).map(read).collect()
    }
}

#[test]
fn what_is_frozen_stays_when_a_package_is_added_and_moves_when_it_is_told_to() {
    let site = Site::with(
        &[("alpha", "1.0"), ("beta", "1.0")],
        &[("x.pip", "# sky\nalpha  # first\n")],
    );
    site.floe(&["lock", "m"]).expect(0).prints(&["x-frozen.yml: new, "]);
    assert_eq!(site.version("alpha").as_deref(), Some("1.0"));
    assert_eq!(
        site.version("based").as_deref(),
        Some("1.0"),
        "a copy of base lost what base holds"
    );

    site.index.add("alpha", "2.0");
    site.floe(&["lock", "m"]).expect(0).prints(&["stays as it is"]);
    site.floe(&["add", "x", "beta"])
        .expect(0)
        .prints(&["x.pip:3: beta", "added  beta  pip  1.0  for x.pip"])
        .says(&["next: `floe test m --env x`"]);
    assert_eq!(site.read("x.pip"), "# sky\nalpha  # first\nbeta\n");
    assert_eq!(site.version("alpha").as_deref(), Some("1.0"));

    site.floe(&["lock", "m", "--upgrade", "alpha", "--dry-run"])
        .expect(0)
        .prints(&["up  alpha  pip  1.0 → 2.0  for x.pip"]);
    assert_eq!(site.version("alpha").as_deref(), Some("1.0"));
    site.floe(&["lock", "m", "--upgrade", "alpha"]).expect(0);
    assert_eq!(site.version("alpha").as_deref(), Some("2.0"));
    site.floe(&["lock", "m", "--upgrade", "gamma"])
        .expect(4)
        .says(&["gamma"]);

    site.write(
        "missions/m/environments/x/x.pip",
        "# sky\nalpha  # first\nbeta\nbased\n",
    );
    site.floe(&["lock", "m"]).expect(0);
    site.floe(&["remove", "x", "based"])
        .expect(0)
        .prints(&["x.pip:4: no more based; it stays, as part of the base environment\n"]);
    site.floe(&["remove", "x", "beta"])
        .expect(0)
        .prints(&["x.pip:3: no more beta", "removed  beta"]);
    assert_eq!(site.read("x.pip"), "# sky\nalpha  # first\n");
    assert_eq!(site.version("beta"), None);
    site.floe(&["remove", "x", "based"])
        .expect(4)
        .says(&["no spec of x lists based", "part of the base"]);
}

#[test]
fn what_is_added_moves_others_only_as_far_as_it_must_and_says_for_whom() {
    let site = Site::with(&[("alpha", "1.0"), ("alpha", "2.0")], &[("x.pip", "alpha\n")]);
    site.floe(&["lock", "m"]).expect(0);
    assert_eq!(site.version("alpha").as_deref(), Some("2.0"));
    site.floe(&["add", "x", "alpha<2"]).expect(0).prints(&[
        "x.pip:1: alpha<2, before alpha",
        "down  alpha  pip  2.0 → 1.0  for x.pip",
    ]);
    let again = site.floe(&["add", "x", "alpha", "--format", "json"]).expect(0);
    let value: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(value["edits"][0]["after"], "alpha<2");
    assert_eq!(value["frozen"]["changed"], false);
}

#[test]
fn the_base_environment_is_locked_by_itself_and_its_copies_say_when_it_is_stale() {
    let site = Site::with(&[("alpha", "1.0"), ("gamma", "1.0")], &[("x.pip", "alpha\n")]);
    let base = || Frozen::load(&site.root.path().join("common/common-env/base-frozen.yml")).unwrap();
    site.floe(&["lock", "m", "--env", "base"])
        .expect(0)
        .prints(&["base-frozen.yml: "]);
    let ended = site.floe(&["lock", "m"]).expect(0);
    assert!(!ended.stderr.contains("stale"), "{}", ended.stderr);

    site.write("common/common-env/all.pip", "gamma\n");
    site.floe(&["lock", "m"])
        .expect(0)
        .says(&["base-frozen.yml is stale", "`floe lock m --env base` solves it"]);
    assert_eq!(site.version("gamma"), None, "a copy went beyond its base");
    site.floe(&["lock", "m", "--env", "base"])
        .expect(0)
        .prints(&["added  gamma  pip  1.0  for all.pip"]);
    assert_eq!(base().pip.len(), 2, "what the base environment began with is gone");
    site.floe(&["lock", "m"]).expect(0);
    assert_eq!(site.version("gamma").as_deref(), Some("1.0"));
}

#[test]
fn what_the_packages_of_the_base_need_is_in_the_locks_of_its_copies() {
    let site = Site::with(&[("alpha", "1.0")], &[("x.pip", "alpha\n")]);
    site.floe(&["lock", "m"]).expect(0);
    let base = site.root.path().join("common/common-env/base-frozen.yml");
    let mut frozen = Frozen::load(&base).unwrap();
    frozen.pip[0].requires = vec!["alpha".to_owned()];
    frozen.save(&base).unwrap();
    site.floe(&["lock", "m"]).expect(0);
    let needs = site
        .frozen()
        .pip
        .into_iter()
        .map(|package| (package.name, package.requires));
    let needs = needs.collect::<BTreeMap<_, _>>();
    assert_eq!(needs["based"], ["alpha"]);
}

#[test]
fn what_cannot_be_added_is_told_by_its_line_and_changes_nothing() {
    let site = Site::with(&[("alpha", "1.0")], &[("x.pip", "alpha\n")]);
    site.floe(&["lock", "m"]).expect(0);
    let before = site.files();
    for (package, code, said) in [
        ("nosuchthing", 101, "environments/x/x.pip:2"),
        ("alpha>=7", 101, "environments/x/x.pip:1"),
        ("alpha>=>1", 3, "environments/x/x.pip:1"),
        ("./here", 2, "names no package"),
        ("beta @ ./beta.whl", 3, "environments/x/x.pip:2"),
    ] {
        let ended = site.floe(&["add", "x", package]).expect(code).says(&[said]);
        let elsewhere = std::env::temp_dir();
        assert!(!ended.stderr.contains(elsewhere.to_str().unwrap()), "{}", ended.stderr);
        assert_eq!(site.files(), before, "{package}");
    }
    for file in ["../x.pip", "/tmp/x.pip", ".x.pip", "sub/x.pip", "x.txt", "x-frozen.yml"] {
        let ended = site.floe(&["add", "x", "gamma", "--file", file]).expect(2);
        ended.says(&["is no spec of the environment"]);
    }
    site.floe(&["add", "x", "alpha\nbeta"])
        .expect(2)
        .says(&["names no package"]);
    assert_eq!(site.files(), before);
    assert!(!site.root.path().join("missions/m/environments/x.pip").exists());
    let link = site.root.path().join("missions/m/environments/x/more.pip");
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    site.floe(&["add", "x", "alpha"]).expect(3).says(&["more.pip"]);
    fs::remove_file(&link).unwrap();
    site.floe(&["add", "y", "alpha"])
        .expect(3)
        .says(&["no mission has an environment y"]);
    site.floe(&["remove", "x", "beta"])
        .expect(4)
        .says(&["no spec of x lists beta"]);
    site.write("common/common-env/all.pip", "gamma\n");
    site.floe(&["remove", "x", "gamma"])
        .expect(4)
        .says(&["common/common-env/all.pip:1 lists it, for all environments"]);
    assert_eq!(site.files(), before);
}

#[test]
fn killed_at_any_moment_it_has_written_all_or_nothing() {
    let site = Site::with(&[("alpha", "1.0"), ("beta", "1.0")], &[("x.pip", "alpha\n")]);
    site.floe(&["lock", "m"]).expect(0);
    let before = site.files();
    let begun = Instant::now();
    site.floe(&["add", "x", "beta"]).expect(0);
    let (after, takes) = (site.files(), begun.elapsed());
    assert_ne!(before, after);
    for step in 0..=10_u32 {
        for (path, text) in &before {
            fs::write(path, text).unwrap();
        }
        let mut child = site
            .command(&["add", "x", "beta"])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The last one comes to its end.
        if step < 10 {
            std::thread::sleep(takes * step / 7);
            let _ = child.kill();
        }
        child.wait().unwrap();
        let found = site.files();
        let specs = |files: &BTreeMap<PathBuf, String>| {
            let kept = files.iter().filter(|(path, _)| !is_draft(path));
            kept.map(|(path, text)| (path.clone(), text.clone()))
                .collect::<BTreeMap<_, _>>()
        };
        let found = specs(&found);
        assert!(found == before || found == after, "step {step}: {:?}", found.keys());
        assert!(step < 10 || found == after);
    }
    site.write("missions/m/environments/x/.x.pip.4242", "half");
    site.floe(&["lock", "m"]).expect(0);
    assert!(!site.files().keys().any(|path| is_draft(path)), "drafts are left");
}

fn is_draft(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with('.')
}

#[test]
fn conda_packages_stay_as_they_are_frozen_and_are_added_to_the_yml() {
    let mut site = Site::with(
        &[("toy", "1.0")],
        &[(
            "x.yml",
            "dependencies:\n- python=3.11\n- fixlib<2  # old\n- pip:\n  - toy\n",
        )],
    );
    site.channels = Channel::shared().file_url();
    site.floe(&["lock", "m"]).expect(0);
    let old = site.version("fixlib").unwrap();
    assert!(old.starts_with('1'), "{old}");
    site.write(
        "missions/m/environments/x/x.yml",
        "dependencies:\n- python=3.11\n- fixlib  # old\n- pip:\n  - toy\n",
    );
    site.floe(&["lock", "m"])
        .expect(0)
        .prints(&["the same packages, from other specs"]);
    assert_eq!(site.version("fixlib"), Some(old.clone()));

    site.floe(&["add", "x", "fixtool"])
        .expect(0)
        .prints(&["x.yml:4: fixtool", "for x.yml"]);
    assert_eq!(
        site.read("x.yml"),
        "dependencies:\n- python=3.11\n- fixlib  # old\n- fixtool\n- pip:\n  - toy\n"
    );
    assert_eq!(site.version("fixlib"), Some(old.clone()));
    site.floe(&["add", "x", "toy<2", "--pip"])
        .expect(0)
        .prints(&["x.yml:6: toy<2, before toy"]);
    site.floe(&["lock", "m", "--upgrade"])
        .expect(0)
        .prints(&["up ", "fixlib"]);
    assert_ne!(site.version("fixlib"), Some(old));
    site.floe(&["add", "x", "nosuchlib"])
        .expect(101)
        .says(&["environments/x/x.yml:5: no channel has a package `nosuchlib`"]);
}
