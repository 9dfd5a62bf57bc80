//! Environments that get more packages.

use std::fs;
use std::thread;
use std::time::Duration;

use floe::envs::conda::CondaError;
use floe::envs::{EnvsError, Installer};
use floe::event::Event;
use world::channel::Channel;

use crate::place::{Place, channel_without, conda_error, name, packages, python, tree, version, yml};

#[test]
fn a_later_list_is_solved_with_all_earlier_ones() {
    let place = Place::new();
    let prefix = place.create("x", &yml(&["python", "fixlib <2"])).unwrap();
    place.update("x", "more.conda", "# more\n\nfixlib !=1.1\n").unwrap();
    assert_eq!(version(&prefix, "fixlib").as_deref(), Some("1.0"));
    let before = tree(&prefix);
    let error = place.update("x", "a.conda", "idna\napp-new\n").unwrap_err();
    let CondaError::Unsatisfiable { specs, explanation, .. } = &conda_error(error) else {
        panic!("it was solvable");
    };
    let places = specs.iter().map(|spec| (spec.place(), spec.text.as_str()));
    let at = |file: &str, line| format!("{}:{line}", place.root.path().join(file).display());
    assert_eq!(
        places.collect::<Vec<_>>(),
        [
            (at("x.yml", 3), "fixlib <2"),
            (at("more.conda", 3), "fixlib !=1.1"),
            (at("a.conda", 2), "app-new")
        ],
        "{explanation}"
    );
    assert_eq!(tree(&prefix), before);
    assert_eq!(place.layout.installed().unwrap(), [name("x")]);
}

#[test]
fn an_update_moves_no_more_than_it_must() {
    let place = Place::with(&[]);
    let mut place = place;
    let directory = place.root.path().join("channel");
    channel_without(&directory, |file| {
        file.starts_with("fixlib-1.1") || file.starts_with("fixlib-2")
    });
    place.tools.conda.channels = vec![format!("file://{}", directory.display())];
    let prefix = place.create("x", &yml(&["fixlib"])).unwrap();
    Channel::shared().copy_to(&directory);
    place.update("x", "a.conda", "fixact\n").unwrap();
    assert_eq!(packages(&prefix), ["fixact 0.1 0", "fixlib 1.0 h1_1"]);
    place.update("x", "b.conda", "fixlib >=1.1\n").unwrap();
    assert_eq!(version(&prefix, "fixlib").as_deref(), Some("1.1"));
    let text = fs::read_to_string(prefix.join("share/fixlib/version")).unwrap();
    assert_eq!(text, "1.1 h1_0\n");
}

#[test]
fn lists_of_all_kinds_are_installed_in_one_go() {
    let place = Place::new();
    let prefix = place.create_from("x", None).unwrap();
    let files = [
        place.file(
            "a.yml",
            "dependencies:\n- fixtool\n- pip: [iniconfig]\nvariables: {B: two}\n",
        ),
        place.file("b.conda", "fixlib<2\n"),
        place.file("c.pip", "six\n"),
    ];
    place.update_from("x", &files).unwrap();
    python(&prefix, "import fixtool, iniconfig, six");
    assert_eq!(version(&prefix, "fixlib").as_deref(), Some("1.1"));
    assert!(
        fs::read_to_string(prefix.join("conda-meta/state"))
            .unwrap()
            .contains("two")
    );
}

#[test]
fn a_pip_list_solves_nothing_and_counts_what_conda_installed() {
    let mut place = Place::new();
    let prefix = place.create("x", &yml(&["python", "idna"])).unwrap();
    place.tools.conda.channels = vec!["file:///nonexistent".to_owned()];
    place.update("x", "a.pip", "idna\nsix\n").unwrap();
    python(&prefix, "import idna, six");
    assert_eq!(place.warnings(), [""; 0]);
    let found = fs::read_dir(prefix.join("lib/python3.11/site-packages"))
        .unwrap()
        .flatten();
    let found = found.filter(|entry| entry.file_name().to_string_lossy().starts_with("idna-"));
    assert_eq!(found.count(), 1);
}

#[test]
fn a_conda_package_that_pip_replaces_is_named_with_the_list_that_asked() {
    let place = Place::new();
    place.create("x", &yml(&["python", "iniconfig"])).unwrap();
    place.update("x", "a.pip", "# older\niniconfig==2.0.0\n").unwrap();
    let [warning] = &place.warnings()[..] else {
        panic!("{:?}", place.warnings());
    };
    let list = place.root.path().join("a.pip");
    for words in ["2.3.1", "2.0.0", "iniconfig", &format!("{}:2", list.display())] {
        assert!(warning.contains(words), "{warning}");
    }
    place.update("x", "b.pip", "six\n").unwrap();
    assert_eq!(place.warnings().len(), 1, "it is said once");
}

#[test]
fn pip_comes_into_an_environment_whose_lists_it_installs() {
    let mut place = Place::new();
    place.tools.pip = Installer::Pip;
    let prefix = place
        .create("x", "dependencies:\n- python\n- pip: [iniconfig]\n")
        .unwrap();
    python(&prefix, "import iniconfig, pip");
}

#[test]
fn a_package_that_leaves_takes_its_bytecode_along() {
    let place = Place::new();
    let prefix = place.create("x", &yml(&["python", "psutil"])).unwrap();
    let frozen = place.root.path().join("x-frozen.yml");
    let kept = packages(&prefix)
        .into_iter()
        .filter(|package| !package.starts_with("psutil"));
    let kept = kept.map(|package| format!("- {}\n", package.replace(' ', "=")));
    let text = format!(
        "name: x\nchannels: [\"{}\"]\ndependencies:\n{}",
        Channel::shared().file_url(),
        kept.collect::<String>()
    );
    fs::write(&frozen, text).unwrap();
    place.update_from("x", &[frozen]).unwrap();
    assert!(!prefix.join("lib/python3.11/site-packages/psutil").exists());
}

#[test]
fn one_change_waits_for_another() {
    let place = Place::new();
    let prefix = place.create("x", &yml(&["fixlib"])).unwrap();
    let held = fs::File::open(&prefix).unwrap();
    held.lock().unwrap();
    let list = place.file("a.conda", "fixpost\n");
    thread::scope(|scope| {
        let change = scope.spawn(|| place.update_from("x", &[list]));
        let waits = |event: &Event| matches!(event, Event::Note { text } if text.contains("waiting"));
        while !place.sink.events().iter().any(waits) {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(700));
        assert_eq!(packages(&prefix).len(), 1);
        held.unlock().unwrap();
        change.join().unwrap().unwrap();
    });
    assert_eq!(packages(&prefix).len(), 2);
}

#[test]
fn what_was_there_before_stays() {
    let place = Place::new();
    let prefix = place.create("x", &yml(&["fixlib=1.0", "fixpost"])).unwrap();
    fs::write(prefix.join("conda-meta/history"), "").unwrap();
    place.update("x", "a.conda", "fixact\n").unwrap();
    assert_eq!(packages(&prefix), ["fixact 0.1 0", "fixlib 1.0 h1_1", "fixpost 1.0 0"]);
    fs::write(prefix.join("conda-meta/pinned"), "fixlib 1.0.*\n").unwrap();
    let error = place.update("x", "b.conda", "fixlib >=1.1\n").unwrap_err();
    assert!(
        matches!(error, EnvsError::Conda(CondaError::Unsatisfiable { .. })),
        "{error}"
    );
}
