//! Changes that are killed on the way.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use floe::envs::{EnvsError, Layout, Work, env_create, env_update, kernel_setup};
use floe::event::{Event, Sink};
use floe::fault::Explained as _;

use crate::place::{Place, name, packages, python, yml};

/// Ends the process soon after packages begin to be linked.
struct Killer;

impl Sink for Killer {
    fn emit(&self, event: Event) {
        if matches!(&event, Event::Note { text } if text.starts_with("linking")) {
            std::thread::spawn(|| {
                std::thread::sleep(Duration::from_millis(60));
                std::process::abort();
            });
        }
    }
}

#[test]
#[ignore = "the child of the tests below"]
fn a_change_that_is_killed() {
    let variable = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let mut place = Place::new();
    place.layout = Layout::of_image(variable("FLOE_TEST_CONDA_DIR"));
    let file = variable("FLOE_TEST_FILE");
    let name = name("x");
    let work = Work {
        sink: &Killer,
        ..place.work(&name)
    };
    if file.extension().is_some_and(|extension| extension == "yml") {
        env_create(work, Some(&file)).unwrap();
    } else {
        env_update(work, &[file]).unwrap();
    }
    panic!("it was not killed");
}

fn killed(place: &Place, file: &PathBuf) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "conda::interrupted::a_change_that_is_killed", "--ignored"])
        .env("FLOE_TEST_CONDA_DIR", &place.layout.conda_dir)
        .env("FLOE_TEST_FILE", file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && !said.contains("it was not killed"),
        "{said}"
    );
}

const BIG: [&str; 3] = ["python", "numpy", "fixtool"];

#[test]
fn a_creation_that_was_killed_is_done_again() {
    let place = Place::new();
    let file = place.file("x.yml", &yml(&BIG));
    killed(&place, &file);
    assert_eq!(place.layout.installed().unwrap(), []);
    let error = place.update("x", "a.conda", "fixlib\n").unwrap_err();
    assert!(matches!(error, EnvsError::Incomplete { .. }), "{error}");
    let prefix = place.create_from("x", Some(&file)).unwrap();
    python(&prefix, "import numpy, fixtool");
}

#[test]
fn an_update_that_was_killed_does_not_look_complete_and_is_repaired_by_the_next() {
    let place = Place::new();
    let prefix = place.create("x", &yml(&["python", "fixtool=0.1"])).unwrap();
    let list = place.file("a.conda", "numpy\nfixlib=1.0\n");
    killed(&place, &list);
    assert_eq!(place.layout.installed().unwrap(), []);
    let refused = kernel_setup(&place.layout, &[name("x")], &place.sink).unwrap_err();
    assert!(matches!(refused, EnvsError::Changing { .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("env-update"));
    // What was complete before may have been cut off, too.
    fs::write(prefix.join("lib/python3.11/site-packages/fixtool/__init__.py"), "").unwrap();
    place.update_from("x", &[list]).unwrap();
    assert_eq!(place.layout.installed().unwrap(), [name("x")]);
    python(&prefix, "import numpy, fixtool; assert fixtool.__version__ == '0.1'");
    assert!(packages(&prefix).contains(&"fixlib 1.0 h1_1".to_owned()));
}
