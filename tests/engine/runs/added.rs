//! Imports of what was added to specs, by what a real image holds.

use std::process::Command;

use super::{last, mission};

#[test]
fn what_was_added_is_imported_by_the_names_under_which_the_image_holds_it() {
    let repository = mission("adding");
    let git = |words: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        world::run(command.arg("-C").arg(repository.path()).args(identity).args(words));
    };
    git(&["init", "-q"]);
    git(&["add", "common", "missions"]);
    git(&["commit", "-qm", "all"]);
    let lists = "missions/adding/environments/small/small.pip";
    repository.write(lists, "iniconfig\npython-dateutil\ngone-away; python_version < '3'\n");
    repository.floe(&["build", "adding"]).expect(0);
    let tested = repository.floe(&["test", "adding", "--added"]).expect(0);
    tested.says(&["gone-away is not installed, for its line has a condition"]);
    let outcome = last(&repository);
    let ids = outcome.tests.iter().map(|test| test.id.to_string());
    assert_eq!(ids.collect::<Vec<_>>(), ["small::imports::dateutil"]);
    // A part of the tests is no evidence for the image.
    assert!(!repository.path().join(".floe/evidence").exists());
    git(&["commit", "-qam", "more"]);
    let since = ["test", "adding", "--added", "--since", "HEAD", "small"];
    repository
        .floe(&since)
        .expect(4)
        .says(&["nothing was added since HEAD"]);
    repository.floe(&["test", "adding", "--added"]).expect(0);
}
