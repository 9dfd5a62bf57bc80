//! Where a notebook runs: in a private copy of its directory, with the surroundings that this has.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use floe::event::{Event, Verdict};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use world::notebook;

use super::case::Case;

/// Passes where its own directory, its neighbours and what lies beside its directory are there.
const LOOKS_AROUND: &str = "import os\nassert os.path.basename(os.getcwd()) == 'notebooks', os.getcwd()\n\
    assert open('near').read() == open('../data/far').read() == 'x'\n\
    assert sorted(os.listdir('..')) == ['data', 'module', 'notebooks'], os.listdir('..')\n\
    import sys\nsys.path.append('../module')\nimport beside\n\
    open('left', 'x').close()";

/// A project with a notebook that looks around, below `directory`.
fn project(directory: &Path) {
    for (path, text) in [
        ("notebooks/x.ipynb", notebook(&[LOOKS_AROUND])),
        ("notebooks/near", "x".to_owned()),
        ("data/far", "x".to_owned()),
        ("module/beside.py", String::new()),
    ] {
        let path = directory.join("project").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[tokio::test]
async fn a_notebook_finds_what_lies_beside_its_directory() {
    let case = Case::new();
    case.file("../data/far", "x");
    let cell = "import os\nassert open('../data/far').read() == 'x'\nassert os.path.isdir('../../../modules')";
    case.notebook("x.ipynb", &[cell]);
    assert!(case.run().await.passed("cal::notebooks::x.ipynb"));
}

#[test]
fn the_verdict_depends_on_neither_the_current_directory_nor_the_way_a_notebook_is_named() {
    let (case, directory) = (Case::new(), tempfile::tempdir().unwrap());
    let place = fs::canonicalize(directory.path()).unwrap();
    project(&place);
    symlink("project", place.join("link")).unwrap();
    symlink("project/notebooks", place.join("notebooks")).unwrap();
    fs::create_dir(place.join("elsewhere")).unwrap();
    let absolute = place.join("project/notebooks/x.ipynb");
    let absolute = absolute.to_str().unwrap();
    for (current, name) in [
        ("project/notebooks", "x.ipynb"),
        ("project/notebooks", "./x.ipynb"),
        ("project", "notebooks/x.ipynb"),
        ("project", "notebooks/*.ipynb"),
        ("project/data", "../notebooks/x.ipynb"),
        (".", "project/notebooks/x.ipynb"),
        (".", "link/notebooks/x.ipynb"),
        (".", "notebooks/x.ipynb"),
        ("elsewhere", absolute),
        ("elsewhere", "../link/../project/notebooks/x.ipynb"),
    ] {
        let mut agent = case.agent();
        agent
            .args(["test-notebooks", "cal", name])
            .current_dir(place.join(current));
        let output = agent.output().unwrap();
        assert!(output.status.success(), "{name} in {current}: {output:?}");
        assert!(!place.join("project/notebooks/left").exists(), "{name} in {current}");
    }
}

#[test]
fn a_directory_that_holds_the_temporary_one_is_copied_without_it() {
    let (case, directory) = (Case::new(), tempfile::tempdir().unwrap());
    for name in ["a.ipynb", "b.ipynb"] {
        let cells = ["import os\nassert sorted(os.listdir()) == ['a.ipynb', 'b.ipynb'], os.listdir()"];
        fs::write(directory.path().join(name), notebook(&cells)).unwrap();
    }
    let mut agent = case.agent();
    agent
        .args(["test-notebooks", "cal", "a.ipynb", "b.ipynb"])
        .env("TMPDIR", directory.path())
        .env("FLOE_ARTIFACTS", case.options.artifacts.join("executed"))
        .current_dir(directory.path());
    let output = agent.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_decides_no_verdict_of_a_notebook_that_does_not_need_it() {
    // Root reads everything, but for this.
    let mut own = capabilities(None).unwrap();
    own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    set_capabilities(None, own).unwrap();
    let case = Case::new();
    let key = case.file("key", "secret");
    fs::set_permissions(key, fs::Permissions::from_mode(0o000)).unwrap();
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::x.ipynb");
    assert_eq!(finished.verdict, Verdict::Passed);
    let told = "is not copied for its notebooks: key";
    assert!(finished.output.contains(told), "{}", finished.output);
    // Who looks at the terminal sees it as well.
    let is_told = |event: &Event| matches!(event, Event::Note { text } if text.contains(told));
    assert_eq!(
        run.events.iter().filter(|event| is_told(event)).count(),
        1,
        "{:?}",
        run.events
    );
}
