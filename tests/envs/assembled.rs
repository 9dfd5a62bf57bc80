//! Environments put together from what is kept of their packages, beside those that are installed as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use floe::envs::{EnvsError, INSTALLER, env_assemble, env_create, env_export, env_stage, env_update};
use floe::event::Event;
use floe::fault::{Explained as _, Kind};
use floe::reference::Digest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use world::{PackageIndex, take_layers};

use crate::place::{Place, name, tree};

/// An environment, as the host sees it that takes it.
struct Assembled {
    /// What the agent offered.
    offered: Vec<Value>,
    /// The archive of each layer.
    layers: Vec<Vec<u8>>,
}

impl Assembled {
    fn digests(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| Digest::of(layer)).collect()
    }
}

/// A place with a store of packages of its own, where the environment `x` is frozen.
fn frozen(place: Place, list: &str) -> Place {
    let mut place = place;
    place.tools.cache = Some(place.root.path().join("cache"));
    freeze(&place, list);
    place
}

/// Freezes the environment `x` with what a list names, and leaves nothing of it but its frozen spec.
fn freeze(place: &Place, list: &str) {
    let _ = fs::remove_dir_all(place.prefix("x"));
    let list = place.file("environments/x/x.pip", list);
    env_create(place.work(&name("x")), None).unwrap();
    env_update(place.work(&name("x")), &[list]).unwrap();
    keep_frozen_spec(place);
}

fn keep_frozen_spec(place: &Place) {
    let frozen = env_export(&place.layout, &name("x"), Some(&place.tools.pip), &place.sink).unwrap();
    frozen.save(&spec_file(place)).unwrap();
    fs::remove_dir_all(place.prefix("x")).unwrap();
}

fn spec_file(place: &Place) -> PathBuf {
    place.layout.environments.join("x/x-frozen.yml")
}

/// Assembles the environment `x`, of which the host wants the layers that it does not know.
fn assemble_beside(place: &Place, layers: usize, known: &[Digest]) -> Result<Assembled, EnvsError> {
    let _ = fs::remove_dir_all(place.prefix("x"));
    let (agent, host) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let taking = scope.spawn(move || take(&host, known));
        let layers = NonZeroUsize::new(layers).unwrap();
        let made = env_assemble(place.work(&name("x")), &spec_file(place), layers, false, agent);
        let taken = taking.join().unwrap();
        made.map(|()| taken.expect("what was made was handed over"))
    })
}

fn assemble(place: &Place, layers: usize) -> Result<Assembled, EnvsError> {
    assemble_beside(place, layers, &[])
}

/// Does what a host does; `None` where the agent breaks off.
fn take(agent: &UnixStream, known: &[Digest]) -> Option<Assembled> {
    let is_known = |layer: &Value| known.iter().any(|known| layer["digest"] == json!(known));
    let mut layers = Vec::new();
    let mut receive = |layer: &mut dyn Read| {
        layers.push(Vec::new());
        layer.read_to_end(layers.last_mut().unwrap()).map(drop)
    };
    let taken = take_layers(agent, |layer| !is_known(layer), &mut receive).ok()?;
    assert_eq!(taken.offer["environment"], "x");
    let offered = taken.offer["layers"].as_array().unwrap().clone();
    for (layer, (place, sent)) in layers.iter().zip(&taken.sent) {
        assert_eq!(offered[*place]["bytes"], layer.len());
        assert_eq!(sent["digest"], json!(Digest::of(layer)));
        let promised = &offered[*place]["digest"];
        assert!(promised.is_null() || *promised == sent["digest"], "{offered:?}");
    }
    Some(Assembled { offered, layers })
}

/// What is in each layer: modes, and contents or targets, and that all of it is of one time.
fn unpacked(layers: &[Vec<u8>]) -> Vec<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
    let unpacked = layers.iter().map(|layer| {
        let directory = tempfile::tempdir().unwrap();
        let mut archive = tar::Archive::new(layer.as_slice());
        archive.set_preserve_permissions(true);
        archive.unpack(directory.path()).unwrap();
        let mut archive = tar::Archive::new(layer.as_slice());
        let times = archive.entries().unwrap();
        let times = times.map(|entry| entry.unwrap().header().mtime().unwrap());
        assert_eq!(times.collect::<BTreeSet<_>>(), BTreeSet::from([315_532_800]));
        tree(directory.path())
    });
    unpacked.collect()
}

/// What is in each layer of the environment that its frozen spec makes as a whole. An empty one is none.
fn staged(place: &Place, layers: usize) -> Vec<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
    let _ = fs::remove_dir_all(place.prefix("x"));
    place.create_from("x", Some(&spec_file(place))).unwrap();
    let out = place.root.path().join("out");
    env_stage(place.work(&name("x")), &out, NonZeroUsize::new(layers).unwrap()).unwrap();
    let staged = (0..layers).map(|index| tree(&out.join(format!("{index:02}"))));
    let staged = staged.filter(|layer| !layer.is_empty()).collect();
    fs::remove_dir_all(&out).unwrap();
    staged
}

/// What differs between two environments in as many layers.
fn differences(
    one: &[BTreeMap<PathBuf, (u32, Vec<u8>)>],
    other: &[BTreeMap<PathBuf, (u32, Vec<u8>)>],
) -> Vec<(usize, PathBuf)> {
    assert_eq!(one.len(), other.len());
    let layers = one.iter().zip(other).enumerate();
    let differences = layers.flat_map(|(index, (one, other))| {
        let paths = one.keys().chain(other.keys()).collect::<BTreeSet<_>>();
        let paths = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
        paths.map(|path| (index, path.clone())).collect::<Vec<_>>()
    });
    differences.collect()
}

/// What uv says that it installed since so many events.
fn installed(place: &Place, since: usize) -> Vec<String> {
    let said = place
        .sink
        .events()
        .into_iter()
        .skip(since)
        .filter_map(|event| match event {
            Event::Output { text } => Some(text),
            _ => None,
        });
    let lines = said.collect::<String>();
    let lines = lines.lines().filter_map(|line| line.trim().strip_prefix("+ "));
    lines.map(str::to_owned).collect()
}

#[test]
fn an_assembled_environment_is_the_installed_one_file_for_file() {
    let place = frozen(Place::venv("assembled"), "six\niniconfig==2.0.0\nruff==0.14.0\n");
    let cold = assemble(&place, 9).unwrap();
    assert_eq!(differences(&unpacked(&cold.layers), &staged(&place, 9)), []);
    let warm = assemble(&place, 9).unwrap();
    assert_eq!(cold.digests(), warm.digests(), "whatever is kept already");
}

#[test]
fn packages_come_out_as_they_did_or_the_number_of_the_installer_is_another() {
    let place = frozen(Place::venv("assembled-as-ever"), "six==1.17.0\niniconfig==2.0.0\n");
    let assembled = assemble(&place, 1).unwrap();
    let layers = unpacked(&assembled.layers);
    let mut files = Vec::new();
    for (path, (mode, content)) in layers.iter().flatten() {
        let text = path.to_string_lossy();
        // What uv writes of its own is as its version has it.
        let below = text.split_once("/site-packages/").filter(|_| !path.ends_with("RECORD"));
        let own = below.filter(|(_, file)| {
            ["six", "iniconfig", "__pycache__/six"]
                .iter()
                .any(|own| file.starts_with(own))
        });
        files.extend(own.map(|(_, file)| format!("{file} {mode:o} {}", Digest::of(content))));
    }
    assert!(files.iter().any(|file| file.contains(".pyc ")), "{files:?}");
    assert_eq!(
        (INSTALLER, Digest::of(files.join("\n").as_bytes()).to_string().as_str()),
        (
            "1",
            "sha256:8f669fea083af1189caf3864a0ef472fd6f980db1dc93f848177a19be1da4392"
        ),
        "raise image::INSTALLER and write here what now comes out:\n{}",
        files.join("\n")
    );
}

#[test]
fn a_changed_package_is_installed_alone_and_is_the_only_layer_to_send() {
    let place = frozen(Place::venv("assembled-change"), "six\niniconfig==2.0.0\nruff==0.14.0\n");
    let before = assemble(&place, 9).unwrap();
    freeze(&place, "six\niniconfig==2.1.0\nruff==0.14.0\n");
    let since = place.sink.events().len();
    let after = assemble_beside(&place, 9, &before.digests()).unwrap();
    assert_eq!(installed(&place, since), ["iniconfig==2.1.0"]);
    assert_eq!(after.layers.len(), 1, "{:?}", after.offered);
    let since = place.sink.events().len();
    let again = assemble(&place, 9).unwrap();
    assert_eq!(installed(&place, since), [""; 0], "nothing is installed that is kept");
    assert_eq!(differences(&unpacked(&again.layers), &staged(&place, 9)), []);
}

#[test]
fn what_is_kept_and_damaged_is_found_and_made_again() {
    let place = frozen(Place::venv("assembled-damage"), "six\n");
    let before = assemble(&place, 1).unwrap();
    let kept = tree(place.tools.cache.as_ref().unwrap());
    let archives = kept
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "tar"));
    let (path, (_, content)) = archives.max_by_key(|(_, (_, content))| content.len()).unwrap();
    let mut content = content.clone();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(place.tools.cache.as_ref().unwrap().join(path), content).unwrap();
    let error = assemble(&place, 1).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Temporary, "{error}");
    assert_eq!(assemble(&place, 1).unwrap().digests(), before.digests());
}

#[test]
fn packages_that_bring_the_same_file_are_always_installed_together() {
    let index = PackageIndex::of(&[("sharing-one", "1"), ("sharing-two", "1")], false);
    let list = |packages: &str| format!("--extra-index-url {}/simple/\nsix\n{packages}", index.server.url());
    let place = frozen(Place::venv("assembled-shared"), &list(""));
    // What belongs to no package is kept.
    assemble(&place, 5).unwrap();
    let both = list("sharing-one\nsharing-two\n");
    freeze(&place, &both);
    let first = assemble(&place, 5).unwrap();
    let layers = unpacked(&first.layers);
    assert_eq!(differences(&layers, &staged(&place, 5)), []);
    let shared = |layer: &&BTreeMap<PathBuf, _>| layer.keys().any(|path| path.ends_with("site-packages/shared.py"));
    assert_eq!(layers.iter().filter(shared).count(), 1);
    // Each alone is kept.
    for alone in ["sharing-one\n", "sharing-two\n"] {
        freeze(&place, &list(alone));
        assemble(&place, 5).unwrap();
    }
    freeze(&place, &both);
    let since = place.sink.events().len();
    assert_eq!(assemble(&place, 5).unwrap().digests(), first.digests());
    let installed = installed(&place, since).join(" ");
    assert!(
        installed.contains("sharing-one") && installed.contains("sharing-two"),
        "{installed}"
    );
    assert!(!installed.contains("six"), "{installed}");
    fs::remove_dir_all(place.tools.cache.as_ref().unwrap()).unwrap();
    assert_eq!(assemble(&place, 5).unwrap().digests(), first.digests());
}

#[test]
fn conda_and_pip_packages_are_assembled_together() {
    let mut place = Place::new();
    place.tools.cache = Some(place.root.path().join("cache"));
    let text = "dependencies: [python, fixtool, fixlib, pip: [iniconfig]]\n";
    place.create("x", text).unwrap();
    keep_frozen_spec(&place);
    let cold = assemble(&place, 5).unwrap();
    assert_eq!(differences(&unpacked(&cold.layers), &staged(&place, 5)), []);
    assert_eq!(assemble(&place, 5).unwrap().digests(), cold.digests());
}

#[test]
fn a_frozen_spec_that_leaves_something_open_is_left_to_the_builder_with_the_reason() {
    let place = Place::new();
    for (spec, reason) in [("fixlib=1.1", "fixlib"), ("fixlib=1.1=h1_0", "has no lock")] {
        place.file(
            "environments/x/x-frozen.yml",
            &format!("name: x\nchannels: [conda-forge]\ndependencies:\n- {spec}\n"),
        );
        let (agent, host) = UnixStream::pair().unwrap();
        let one = NonZeroUsize::MIN;
        thread::scope(|scope| {
            let said = scope.spawn(move || serde_json::from_reader::<_, Value>(host).unwrap());
            env_assemble(place.work(&name("x")), &spec_file(&place), one, false, agent).unwrap();
            let said = said.join().unwrap();
            let told = said["unable"]["reason"].as_str().unwrap();
            assert!(told.contains(reason), "{told}");
        });
    }
}

/// Runs the program that builds run and ends it after so long, as the end of its container does: with what it started.
fn kill_after(place: &Place, time: Duration) {
    let _ = fs::remove_dir_all(place.prefix("x"));
    let socket = place.root.path().join("host.sock");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let mut agent = world::floe();
    agent
        .args(["applet", "env-assemble", "x", "--layers", "5"])
        .env("CONDA_DIR", &place.layout.conda_dir)
        .env("FLOE_ENVIRONMENTS", &place.layout.environments)
        .env("FLOE_CACHE_DIR", place.tools.cache.as_ref().unwrap())
        .env("SSH_AUTH_SOCK", &socket);
    let namespace = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let mut container = world::through(&namespace, &agent);
    let mut container = container.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| listener.accept().map(|(host, _)| take(&host, &[])));
        thread::sleep(time);
        let outer = container.id();
        let first = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap_or_default();
        if let Some(first) = first.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(first, Signal::KILL);
        }
        // It ends after the last process of its namespace.
        container.wait().unwrap();
        // Where it never came to connect, nobody waits for it any more.
        drop(UnixStream::connect(&socket));
    });
}

#[test]
fn killed_at_any_moment_it_leaves_what_the_next_call_uses_or_makes_again() {
    let place = frozen(Place::venv("assembled-killed"), "six\niniconfig==2.0.0\nruff==0.14.0\n");
    let cache = place.tools.cache.clone().unwrap();
    let began = Instant::now();
    let whole = assemble(&place, 5).unwrap().digests();
    let took = began.elapsed();
    fs::remove_dir_all(&cache).unwrap();
    for moment in 1..=10 {
        kill_after(&place, took * moment / 10);
        // What is found is used, so that the later calls come further.
        if moment % 5 == 0 {
            assert_eq!(assemble(&place, 5).unwrap().digests(), whole, "moment {moment}");
            fs::remove_dir_all(&cache).unwrap();
        }
    }
}
