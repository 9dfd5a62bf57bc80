//! Frozen specs that are solved without an environment.

use std::fs;
use std::path::Path;

use floe::envs::{Installer, env_export};
use floe::spec::frozen::Frozen;
use world::channel::Channel;

use crate::place::{Place, name};

const YML: &str =
    "dependencies: [python=3.11, pip, fixtool, fixlib<2, pip: [toolz==1.0.0, six]]\nvariables: {DEPTH: 3}\n";

/// A repository with this spec of the environment `x` of the mission `m`.
fn repository(yml: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("common/Dockerfile", "FROM x\n");
    write("common/Dockerfile.trailer", "");
    write("common/base/Dockerfile", "FROM x\n");
    write("missions/m/environments/x/x.yml", yml);
    root
}

fn solve(place: &Place, root: &Path) -> (i32, String) {
    let Installer::Uv { program, .. } = &place.tools.pip else {
        panic!("{:?}", place.tools.pip);
    };
    let path = std::env::var("PATH").unwrap();
    let output = world::floe()
        .args(["lock", "m"])
        .current_dir(root)
        .env("CONDA_CHANNELS", Channel::shared().file_url())
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn what_is_solved_is_what_an_installation_holds() {
    let place = Place::new();
    let repository = repository(YML);
    let (code, said) = solve(&place, repository.path());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("x-frozen.yml: new, "), "{said}");
    let solved = Frozen::load(&repository.path().join("missions/m/environments/x/x-frozen.yml")).unwrap();

    place.create("x", YML).unwrap();
    let mut installed = env_export(&place.layout, &name("x"), Some(&place.tools.pip), &place.sink).unwrap();
    installed.specs.clone_from(&solved.specs);
    assert!(solved.specs.is_some());
    assert_eq!(solved.to_yml(), installed.to_yml());
    assert_eq!(solved.to_lock().unwrap(), installed.to_lock().unwrap());
}

#[test]
fn specs_without_a_solution_leave_the_frozen_spec_as_it_was() {
    let place = Place::new();
    let repository = repository("dependencies:\n- app-old\n- app-new\n");
    let frozen = repository.path().join("missions/m/environments/x/x-frozen.yml");
    let before = "name: x\ndependencies:\n  - fixlib=2.0=h1_0\n";
    fs::write(&frozen, before).unwrap();
    let (code, said) = solve(&place, repository.path());
    assert_eq!(code, 101, "{said}");
    assert!(said.contains("x.yml:2: app-old"), "{said}");
    assert_eq!(fs::read_to_string(&frozen).unwrap(), before);
}
