//! Environments made for real: venvs with packages from PyPI.

mod export;
mod indexes;
mod layers;

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use floe::envs::conda::Config;
use floe::envs::{
    EnvsError, Installer, Layout, STAGED_TIME, Tools, Work, env_create, env_export, env_stage, env_update,
    install_common, kernel_setup,
};
use floe::event::{Event, Memory};
use floe::fault::Explained as _;
use floe::reference::{Digest, EnvironmentName};

use crate::place::{Place, name, output, python};

const MODULE: &str = "import ipykernel; print(ipykernel.__file__)";

fn imports(prefix: &Path, module: &str) -> bool {
    let mut command = Command::new(prefix.join("bin/python"));
    command
        .args(["-c", &format!("import {module}")])
        .output()
        .unwrap()
        .status
        .success()
}

#[test]
fn a_clone_runs_from_its_own_prefix() {
    let place = Place::venv("clone");
    let clone = place.clone_base("copy");
    let found = python(
        &clone,
        "import sys, ipykernel; print(sys.prefix); print(ipykernel.__file__)",
    );
    for line in found.lines() {
        assert!(line.starts_with(clone.to_str().unwrap()), "{line}");
    }
    assert!(!clone.join("envs").exists());
    let script = fs::read_to_string(clone.join("bin/ipython")).unwrap();
    assert!(
        script.starts_with(&format!("#!{}/bin/python", clone.display())),
        "{script}"
    );
    let activate = fs::read_to_string(clone.join("bin/activate")).unwrap();
    assert!(
        activate.contains(&format!("VIRTUAL_ENV={}", clone.display())) || activate.contains(&format!("{clone:?}")),
        "{activate}"
    );
    let source = |prefix: &Path| fs::metadata(python(prefix, MODULE)).unwrap().mtime();
    assert_eq!(
        source(&clone),
        source(&place.layout.conda_dir),
        "bytecode would be out of date"
    );
}

#[test]
fn a_script_runs_from_a_prefix_too_long_for_an_interpreter_line() {
    let mut place = Place::venv("long");
    // Linux reads at most 255 bytes of that line, and one name has at most 100.
    place.layout.conda_dir = place.clone_base(&"y".repeat(100));
    let clone = place.clone_base(&"x".repeat(100));
    let shown = output(Command::new(clone.join("bin/ipython")).arg("--version"));
    assert!(shown.starts_with(|c: char| c.is_ascii_digit()), "{shown}");
}

#[test]
fn a_list_of_any_name_is_installed_into_the_clone_alone() {
    let place = Place::venv("update");
    let clone = place.clone_base("my.env");
    place.file("environments/my.env/other.txt", "iniconfig==2.0.0\n");
    let list = place.file(
        "environments/my.env/list.v2.pip",
        "# tools\n-r other.txt\nsix  # a comment\n",
    );
    place.update_from("my.env", &[list]).unwrap();
    assert!(imports(&clone, "iniconfig, six"));
    assert!(!imports(&place.layout.conda_dir, "iniconfig"));
    let pycache = clone.join("lib").join(python(
        &clone,
        "import sys; print('python%d.%d' % sys.version_info[:2])",
    ));
    assert!(
        pycache.join("site-packages/iniconfig/__pycache__").is_dir(),
        "no bytecode was compiled"
    );
}

#[test]
fn the_lists_of_one_update_are_resolved_together() {
    let place = Place::venv("together");
    place.clone_base("x");
    let one = place.file("environments/x/one.pip", "iniconfig>=2\n");
    let two = place.file("environments/x/two.pip", "six\niniconfig<2\n");
    let error = place.update_from("x", &[one.clone(), two.clone()]).unwrap_err();
    let EnvsError::Install { culprits, stderr, .. } = &error else {
        panic!("{error}");
    };
    let places = culprits
        .iter()
        .map(|culprit| (culprit.file.clone(), culprit.line))
        .collect::<Vec<_>>();
    assert_eq!(places, [(one, Some(1)), (two, Some(2))], "{stderr}");
    let shown = place.sink.events().into_iter().filter_map(|event| match event {
        Event::Output { text } => Some(text),
        _ => None,
    });
    assert!(shown.collect::<String>().contains("iniconfig"));
}

#[test]
fn pip_installs_where_uv_is_missing() {
    let mut place = Place::venv("pip");
    place.tools.pip = Installer::Pip;
    let clone = place.clone_base("x");
    let yml = place.file("environments/x/more.yml", "dependencies:\n- pip:\n  - -r other.txt\n");
    place.file("environments/x/other.txt", "iniconfig\n");
    place.update_from("x", &[yml]).unwrap();
    assert!(imports(&clone, "iniconfig"));
}

#[test]
fn an_environment_is_created_from_its_yml() {
    let place = Place::venv("create");
    let found = python(
        &place.layout.conda_dir,
        "import sys; print('%d.%d' % sys.version_info[:2])",
    );
    let text = format!("channels: conda-forge\ndependencies:\n- python={found}\n- pip\n- pip:\n  - iniconfig\n");
    let yml = place.file("environments/x/x.yml", &text);
    place.create_from("x", Some(&yml)).unwrap();
    let prefix = place.prefix("x");
    assert!(imports(&prefix, "iniconfig, pip"));
    assert!(!imports(&prefix, "ipykernel"), "it is no clone");
    assert!(matches!(place.create_from("x", None), Err(EnvsError::Exists { .. })));
}

#[test]
fn what_only_conda_can_install_is_refused_with_its_line() {
    let place = Place::venv("conda");
    let yml = place.file("environments/x/x.yml", "dependencies:\n- python>=3\n- fftw=3.3\n");
    let error = place.create_from("x", Some(&yml)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}:3: `fftw=3.3` needs conda packages, which a venv base cannot install",
            yml.display()
        )
    );
    let yml = place.file("environments/x/x.yml", "dependencies:\n- python=2.7\n");
    let error = place.create_from("x", Some(&yml)).unwrap_err();
    assert!(matches!(error, EnvsError::Python { .. }), "{error}");
    assert!(!place.prefix("x").exists());
    place.clone_base("y");
    let list = place.file("environments/y/tools.conda", "# none\n\nfftw\n");
    let error = place.update_from("y", &[list]).unwrap_err();
    assert!(error.to_string().contains("tools.conda:3: `fftw`"), "{error}");
}

#[test]
fn what_all_environments_share_is_installed_into_base_too() {
    let place = Place::venv("common");
    fs::create_dir_all(&place.layout.common_env).unwrap();
    fs::write(place.layout.common_env.join("b.pip"), "iniconfig\n").unwrap();
    fs::write(place.layout.common_env.join("a.yml"), "dependencies: [{pip: [six]}]\n").unwrap();
    install_common(place.work(&name("base"))).unwrap();
    assert!(imports(&place.layout.conda_dir, "iniconfig, six"));
}

#[test]
fn every_environment_becomes_a_kernel_that_uses_its_own_programs() {
    let place = Place::venv("kernel");
    let prefix = place.clone_base("x");
    place.file("environments/x/kernel.name", "Project X\n");
    let yml = place.file("environments/x/depth.yml", "variables: {DEPTH: 3}\n");
    place.update_from("x", &[yml]).unwrap();
    let written = kernel_setup(&place.layout, &[], &place.sink).unwrap();
    assert_eq!(
        written,
        [place.layout.conda_dir.join("share/jupyter/kernels/x/kernel.json")]
    );
    let text = fs::read_to_string(&written[0])
        .unwrap()
        .replace(prefix.to_str().unwrap(), "PREFIX");
    insta::assert_snapshot!(text, @r#"
    {
      "argv": [
        "PREFIX/bin/python",
        "-Xfrozen_modules=off",
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}"
      ],
      "display_name": "Project X",
      "language": "python",
      "env": {
        "PATH": "PREFIX/bin:${PATH}",
        "CONDA_PREFIX": "PREFIX",
        "CONDA_DEFAULT_ENV": "x",
        "VIRTUAL_ENV": "PREFIX",
        "DEPTH": "3"
      },
      "metadata": {
        "debugger": true
      }
    }
    "#);
}

#[test]
fn an_environment_without_ipykernel_is_named() {
    let place = Place::venv("no-kernel");
    place.create_from("bare", None).unwrap();
    let error = kernel_setup(&place.layout, &[], &place.sink).unwrap_err();
    assert!(
        matches!(&error, EnvsError::NoKernel { name } if name.as_str() == "bare"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("ipykernel"));
}

#[test]
fn a_killed_install_never_looks_complete() {
    let place = Place::venv("killed");
    let killed = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "venv::an_install_that_is_killed", "--ignored"])
        .env("FLOE_TEST_CONDA_DIR", &place.layout.conda_dir)
        .output()
        .unwrap();
    assert!(killed.status.code().is_none(), "{killed:?}");
    let prefix = place.prefix("x");
    assert!(
        prefix.join("bin/python").exists(),
        "the kill came too early to prove anything"
    );
    assert_eq!(place.layout.installed().unwrap(), []);
    let error = kernel_setup(&place.layout, &[name("x")], &place.sink).unwrap_err();
    assert!(matches!(error, EnvsError::Incomplete { .. }), "{error}");
    place.create_from("x", None).unwrap();
    assert_eq!(place.layout.installed().unwrap(), [name("x")]);
}

#[test]
#[ignore = "the child of a_killed_install_never_looks_complete"]
fn an_install_that_is_killed() {
    let conda_dir = PathBuf::from(std::env::var_os("FLOE_TEST_CONDA_DIR").unwrap());
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("uv");
    fs::write(&program, "#!/bin/sh\nkill -KILL $PPID\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let yml = dir.path().join("x.yml");
    fs::write(&yml, "dependencies: [{pip: [six]}]\n").unwrap();
    let tools = Tools {
        pip: Installer::Uv { program, cache: None },
        conda: Config::default(),
        cache: None,
    };
    let layout = Layout::of_image(conda_dir);
    let work = Work {
        layout: &layout,
        tools: &tools,
        name: &name("x"),
        sink: &Memory::default(),
    };
    env_create(work, Some(&yml)).unwrap();
}

#[test]
fn a_failed_install_leaves_nothing() {
    let place = Place::venv("failed");
    let yml = place.file("environments/x/x.yml", "dependencies: [{pip: [\"six>=1000\"]}]\n");
    let error = place.create_from("x", Some(&yml)).unwrap_err();
    assert!(
        matches!(&error, EnvsError::Install { culprits, .. } if culprits.len() == 1),
        "{error}"
    );
    assert!(!place.prefix("x").exists());
}

#[test]
fn the_same_packages_are_staged_as_the_same_bytes() {
    let place = Place::venv("stage");
    let list = place.file("environments/x/x.pip", "ipykernel\niniconfig==2.0.0\n");
    let out = place.layout.environments.join("out");
    let stage = || {
        place.create_from("x", None).unwrap();
        place.update_from("x", std::slice::from_ref(&list)).unwrap();
        kernel_setup(&place.layout, &[], &place.sink).unwrap();
        env_stage(place.work(&name("x")), &out, NonZeroUsize::MIN).unwrap();
        assert!(
            place.layout.installed().unwrap().is_empty(),
            "the environment was not moved"
        );
        let files = tree(&out);
        let kernel = place.layout.conda_dir.join("share/jupyter/kernels/x/kernel.json");
        assert!(files.iter().any(|file| file.contains(kernel.to_str().unwrap())));
        fs::remove_dir_all(&out).unwrap();
        files
    };
    let (one, other) = (stage(), stage());
    let differing = one.iter().zip(&other).filter(|(one, other)| one != other);
    assert_eq!(differing.collect::<Vec<_>>(), []);
    assert_eq!(one.len(), other.len());
}

#[test]
fn what_begins_as_the_base_environment_is_a_copy_of_it_while_that_is_what_was_frozen() {
    let place = Place::venv("begun");
    let (x, base) = (name("x"), name("base"));
    let freeze = |name: &EnvironmentName, path: &Path| {
        let frozen = env_export(&place.layout, name, Some(&place.tools.pip), &place.sink).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        frozen.save(path).unwrap();
    };
    let list = place.file("environments/x/x.pip", "iniconfig==2.0.0\n");
    place.clone_base("x");
    place.update_from("x", std::slice::from_ref(&list)).unwrap();
    let frozen = place.layout.environments.join("x/x-frozen.yml");
    freeze(&x, &frozen);
    fs::remove_dir_all(place.prefix("x")).unwrap();
    let out = place.layout.environments.join("out");
    let stage = |copied: bool| {
        let earlier = place.sink.events().len();
        place.create_from("x", Some(&frozen)).unwrap();
        let notes = format!("{:?}", &place.sink.events()[earlier..]);
        assert_eq!(notes.contains("cloning the environment base"), copied, "{notes}");
        kernel_setup(&place.layout, &[], &place.sink).unwrap();
        env_stage(place.work(&x), &out, NonZeroUsize::MIN).unwrap();
        let files = tree(&out);
        fs::remove_dir_all(&out).unwrap();
        files
    };
    freeze(&base, &place.layout.common_env.join("base-frozen.yml"));
    let copied = stage(true);
    assert!(copied.iter().any(|file| file.contains("/iniconfig/")));
    // What somebody has put into the base environment is in no frozen spec.
    let work = Work {
        name: &base,
        ..place.work(&base)
    };
    let more = place.file("more.pip", "tabulate\n");
    env_update(work, &[more]).unwrap();
    stage(false);
    // Nor is what nobody could freeze, which keeps no environment from being made.
    let site = place.layout.conda_dir.join("lib/python3.11/site-packages");
    let entries = fs::read_dir(site).unwrap().map(|entry| entry.unwrap().path());
    let found = |path: &PathBuf| path.to_string_lossy().contains("/tabulate-");
    let added = entries.into_iter().find(found).unwrap();
    let editable = r#"{"url": "file:///x", "dir_info": {"editable": true}}"#;
    fs::write(added.join("direct_url.json"), editable).unwrap();
    assert!(env_export(&place.layout, &base, None, &place.sink).is_err());
    stage(false);
}

/// Each entry below `root` with what a layer holds of it; the time must be the fixed one.
fn tree(root: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let lines = entries.map(|entry| {
        let metadata = entry.path().symlink_metadata().unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (STAGED_TIME, 0), "{entry:?}");
        let content = if metadata.is_file() {
            Digest::of(&fs::read(entry.path()).unwrap()).to_string()
        } else {
            format!("{:?}", fs::read_link(entry.path()).ok())
        };
        let path = entry.path().strip_prefix(root).unwrap().display();
        format!(
            "/{path} {:o} {}:{} {content}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid()
        )
    });
    lines.collect()
}
