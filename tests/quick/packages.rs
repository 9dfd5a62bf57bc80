//! `floe packages`, `floe why` and `floe graph`, as a person calls them.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use floe::spec::frozen::{CondaPackage, Frozen, PipPackage};
use rattler_conda_types::{PackageName, PackageRecord, RepoDataRecord};
use world::committed;

fn conda(name: &str, version: &str, depends: &[String]) -> CondaPackage {
    let mut record = PackageRecord::new(
        PackageName::new_unchecked(name),
        version.parse::<rattler_conda_types::VersionWithSource>().unwrap(),
        "0".parse().unwrap(),
    );
    "linux-64".clone_into(&mut record.subdir);
    record.sha256 = Some([7; 32].into());
    record.depends = depends.to_vec();
    record.license = Some("BSD-3-Clause".to_owned());
    let file = format!("{name}-{version}-0.conda");
    CondaPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        build: "0".to_owned(),
        sha256: Some("07".repeat(32)),
        record: Some(RepoDataRecord {
            package_record: record,
            identifier: file.parse().unwrap(),
            url: format!("https://conda.anaconda.org/conda-forge/linux-64/{file}")
                .parse()
                .unwrap(),
            channel: Some("https://conda.anaconda.org/conda-forge/".to_owned()),
        }),
    }
}

fn pip(name: &str, version: &str, requires: &[&str]) -> PipPackage {
    PipPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        requirement: format!("{name}=={version}"),
        url: None,
        sha256: Some("08".repeat(32)),
        requires: requires.iter().map(|text| (*text).to_owned()).collect(),
    }
}

/// Writes an environment of a mission: its spec file, its frozen spec and its lock.
fn environment(root: &Path, mission: &str, name: &str, spec: &str, frozen: &Frozen) {
    let directory = root.join("missions").join(mission).join("environments").join(name);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{name}.yml")), spec).unwrap();
    let frozen = Frozen {
        name: name.to_owned(),
        channels: vec!["conda-forge".to_owned()],
        ..frozen.clone()
    };
    frozen.save(&Frozen::yml_path(&directory, name)).unwrap();
}

fn floe(root: &Path, arguments: &[&str]) -> Output {
    world::floe().args(arguments).current_dir(root).output().unwrap()
}

fn prints(root: &Path, arguments: &[&str]) -> String {
    let output = floe(root, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn fails(root: &Path, arguments: &[&str]) -> (i32, String) {
    let output = floe(root, arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

const SPEC: &str = "channels:\n- conda-forge\ndependencies:\n- python=3.12\n- pandas>=2\n- pip:\n  - asdf\n";

fn one(numpy: &str) -> Frozen {
    Frozen {
        conda: vec![
            conda("numpy", numpy, &["python".to_owned()]),
            conda("pandas", "2.2.0", &["numpy >=1.26,<3".to_owned(), "python".to_owned()]),
            conda("python", "3.12.4", &[]),
        ],
        pip: vec![pip("asdf", "4.0", &["numpy>=1.22"])],
        ..Frozen::default()
    }
}

/// Two missions, of which one has an environment that is not frozen; a commit, and another numpy since.
fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let shared = root.path().join("common/common-env");
    fs::create_dir_all(&shared).unwrap();
    // A common image of its own, so that nothing of floe's is looked at.
    fs::write(root.path().join("common/Dockerfile"), "FROM scratch\n").unwrap();
    fs::write(shared.join("all.pip"), "-c limits.txt\nlz4\n").unwrap();
    fs::write(shared.join("limits.txt"), "numpy<2.3\n").unwrap();
    environment(root.path(), "roman", "cal", SPEC, &one("2.1.0"));
    environment(root.path(), "tess", "tess", SPEC, &one("1.26.4"));
    let floating = root.path().join("missions/tess/environments/new");
    fs::create_dir_all(&floating).unwrap();
    fs::write(floating.join("new.pip"), "numpy\n").unwrap();
    committed(root.path(), &["."]);
    environment(root.path(), "roman", "cal", SPEC, &one("2.2.0"));
    root
}

#[test]
fn a_package_is_found_in_every_environment_with_the_line_that_asks_for_it() {
    let root = repository();
    insta::assert_snapshot!(prints(root.path(), &["packages", "numpy", "pandas"]), @"
    numpy   2.2.0   conda  roman/cal  needed by pandas and asdf
    numpy   1.26.4  conda  tess/tess  needed by pandas and asdf
    pandas  2.2.0   conda  roman/cal  missions/roman/environments/cal/cal.yml:5
    pandas  2.2.0   conda  tess/tess  missions/tess/environments/tess/tess.yml:5
    ");
    assert_eq!(prints(root.path(), &["packages", "--env", "cal"]).lines().count(), 4);
}

#[test]
fn an_environment_that_is_not_frozen_is_named_and_not_passed_over() {
    let root = repository();
    let output = floe(root.path(), &["packages", "numpy"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "warning: it is not known what common/base, tess/new holds: it is not frozen\n"
    );
}

#[test]
fn a_commit_is_asked_for_what_it_held() {
    let root = repository();
    for commit in ["HEAD", "HEAD:"] {
        let then = prints(
            root.path(),
            &["packages", "numpy", "--mission", "roman", "--at", commit],
        );
        assert!(then.starts_with("numpy  2.1.0  conda  roman/cal"), "{then}");
    }
    let (code, said) = fails(root.path(), &["packages", "--at", "nosuch"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("there is no commit \"nosuch\""), "{said}");
}

#[test]
fn why_names_lines_ways_and_limits() {
    let root = repository();
    insta::assert_snapshot!(prints(root.path(), &["why", "numpy", "--mission", "roman"]), @"
    numpy 2.2.0 in roman/cal (conda, 0)
      needed by what is asked for
        asdf → numpy  (missions/roman/environments/cal/cal.yml:7)
        pandas → numpy  (missions/roman/environments/cal/cal.yml:5)
      limited by
        common/common-env/limits.txt:1  <2.3
        pandas 2.2.0                    >=1.26,<3
        asdf 4.0                        >=1.22
    ");
    let json = prints(root.path(), &["why", "numpy", "--mission", "roman", "--format", "json"]);
    let json = serde_json::from_str::<serde_json::Value>(&json).unwrap();
    assert_eq!(json[0]["ways"][0]["steps"][0]["name"], "asdf");
    assert_eq!(json[0]["ways"][0]["asked"][0]["line"], 7);
}

#[test]
fn a_package_that_is_nowhere_ends_in_4_with_names_like_it() {
    let root = repository();
    for command in ["packages", "why", "graph"] {
        let (code, said) = fails(root.path(), &[command, "nunpy"]);
        assert_eq!(code, 4, "{said}");
        assert!(said.contains("nunpy is in no environment of this repository"), "{said}");
        assert!(said.contains("hint: there is numpy"), "{said}");
    }
    let (code, said) = fails(root.path(), &["packages", "--env", "nosuch"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("roman/cal"), "{said}");
}

#[test]
fn a_graph_is_drawn_of_one_environment_and_several_are_asked_about() {
    let root = repository();
    let (code, said) = fails(root.path(), &["graph", "numpy"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("roman/cal, tess/tess"), "{said}");
    let picture = prints(root.path(), &["graph", "numpy", "--mission", "tess"]);
    assert!(
        picture.starts_with("<svg") && picture.contains(">pandas <tspan"),
        "{picture}"
    );
    prints(
        root.path(),
        &["graph", "--mission", "tess", "--format", "dot", "-o", "g.dot"],
    );
    let dot = fs::read_to_string(root.path().join("g.dot")).unwrap();
    assert!(dot.contains("[label=\">=1.26,<3\"]"), "{dot}");
}

#[test]
fn ten_environments_of_eight_hundred_packages_are_looked_through_in_a_second() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("common")).unwrap();
    fs::write(root.path().join("common/Dockerfile"), "FROM scratch\n").unwrap();
    let mut big = Frozen::default();
    for index in 0..600_usize {
        let depends = (1..6).map(|step| format!("lib-number-{:03} >=1.2.3,<2.0a0", index.saturating_sub(step * 7)));
        let depends = depends.chain(["python >=3.12,<3.13.0a0".to_owned(), "libgcc >=13".to_owned()]);
        big.conda.push(conda(
            &format!("lib-number-{index:03}"),
            "1.4.2",
            &depends.collect::<Vec<_>>(),
        ));
    }
    big.conda.push(conda("python", "3.12.4", &[]));
    for index in 0..200_usize {
        let below = format!("wheel-number-{:03}>=1.0", index.saturating_sub(3));
        let needs = [
            below.as_str(),
            "lib-number-100>=1,<3",
            "lib-number-200 ; python_version >= '3.8'",
            "lib-number-300 ; extra == 'all'",
        ];
        big.pip.push(pip(&format!("wheel-number-{index:03}"), "2.0.1", &needs));
    }
    let spec = "dependencies:\n- lib-number-599\n- pip:\n  - wheel-number-199\n";
    for index in 0..10 {
        environment(root.path(), "m", &format!("e{index}"), spec, &big);
    }
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        let text = prints(root.path(), &["why", "lib-number-100"]);
        quickest = quickest.min(started.elapsed());
        assert_eq!(text.matches(" in m/e").count(), 10);
    }
    // Without the optimization of the compiler, and beside other tests, it takes several times as long.
    let most = if cfg!(debug_assertions) { 20 } else { 1 };
    assert!(quickest < Duration::from_secs(most), "{quickest:?}");
}

#[test]
fn a_page_holds_every_package_and_what_changed_and_runs_nothing() {
    let root = repository();
    prints(
        root.path(),
        &["packages", "--html", "--mission", "roman", "-o", "page.html"],
    );
    let page = fs::read_to_string(root.path().join("page.html")).unwrap();
    for held in [
        "<h1>roman</h1>",
        "4 packages in 2 environments",
        "BSD-3-Clause",
        "<b>numpy</b> <span class=\"code\">2.1.0 → 2.2.0</span>",
        "missions/roman/environments/cal/cal.yml:5",
    ] {
        assert!(
            page.contains(&held.replace('/', "&#x2F;")) || page.contains(held),
            "{held}: {page}"
        );
    }
    assert!(
        !page.contains("<script") && page.contains("default-src &#x27;none&#x27;"),
        "{page}"
    );
    let (code, said) = fails(root.path(), &["packages", "--html"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no mission is named"), "{said}");
}
