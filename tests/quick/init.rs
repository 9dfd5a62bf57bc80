//! `floe init`, as a person calls it who has nothing, or something of another tool.

use std::fs;
use std::path::Path;
use std::process::Output;

fn floe(directory: &Path, words: &[&str]) -> Output {
    world::floe().args(words).current_dir(directory).output().unwrap()
}

fn succeeds(directory: &Path, words: &[&str]) -> (String, String) {
    let output = floe(directory, words);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Plans and composes the mission of a new repository, which must work as it is.
fn works(root: &Path, mission: &str) -> String {
    let (plan, _) = succeeds(root, &["plan"]);
    assert!(plan.contains(mission), "{plan}");
    succeeds(root, &["compose", mission]).0
}

#[test]
fn a_repository_from_nothing_is_planned_and_composed_at_once_without_a_common_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (written, said) = succeeds(dir.path(), &["init", "site", "--mission", "demo", "--ci", "github"]);
    let root = dir.path().join("site");
    for path in written.lines() {
        assert!(root.join(path).is_file(), "{path}");
    }
    assert!(said.contains("cd site") && said.contains("floe build demo"), "{said}");
    assert!(!root.join("common").exists());
    let composed = works(&root, "demo");
    assert!(composed.contains("env-clone base demo"), "{composed}");
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    assert_eq!(ignored, "/.floe/\n/setup-env\n");
}

#[test]
fn a_second_mission_is_added_to_a_repository_and_nothing_else_of_it_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(dir.path(), &["init", "--mission", "demo"]);
    let (written, _) = succeeds(dir.path(), &["init", "--mission", "other", "--env", "cal"]);
    assert_eq!(
        written,
        "missions/other/environments/cal/cal.pip\nmissions/other/environments/cal/tests/imports\nmissions/other/environments/test\n"
    );
    works(dir.path(), "demo");
    let again = floe(dir.path(), &["init", "--mission", "other", "--env", "cal"]);
    assert_eq!(again.status.code(), Some(4));
    assert!(
        String::from_utf8(again.stderr)
            .unwrap()
            .contains("cal.pip is there already, and stays as it is")
    );
    let unnamed = floe(dir.path(), &["init"]);
    assert_eq!(unnamed.status.code(), Some(2));
    assert!(String::from_utf8(unnamed.stderr).unwrap().contains("--mission"));
}

#[test]
fn a_directory_of_repo2docker_is_planned_and_composed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let binder = dir.path().join("My_Binder");
    write(&binder, "requirements.txt", "six\n-e .\n");
    write(&binder, "apt.txt", "jq\n");
    write(&binder, "postBuild", "#! /bin/sh\ntrue\n");
    write(&binder, "install.R", "x\n");
    let (_, said) = succeeds(dir.path(), &["init", "site", "--from", "My_Binder"]);
    insta::assert_snapshot!(said, @"
    not carried over:
      requirements.txt:2: -e .: an editable installation, whose text may change at any time: nobody else could install it
      what postBuild reads beside itself: the image has the script alone; add a COPY to Dockerfile.custom.tera for what else it needs
      install.R: R packages are installed by conda (r-*) or by apt (r-cran-*): list them in a spec file
      notebooks and all other files: put what must run in the image into missions/my-binder/environments/my-binder/tests, and what every user begins with into missions/my-binder/default-home-contents

    next:
      cd site
      floe plan my-binder   what would be built
      floe build my-binder  builds the image, and writes its frozen specs
      floe test my-binder   runs its tests
    ");
    let composed = works(&dir.path().join("site"), "my-binder");
    for line in [
        "RUN /opt/common-scripts/apt-install",
        "FROM system AS env-my-binder",
        "COPY --from=env-my-binder /floe/my-binder/ /",
    ] {
        let found = composed.lines().any(|found| {
            let bare = found.split(" --mount=").next().unwrap();
            found.starts_with(line) || (line.starts_with(bare) && found.contains(line.trim_start_matches("RUN ")))
        });
        assert!(found, "{line}: {composed}");
    }
}

#[test]
fn a_mission_of_the_original_framework_is_planned_and_composed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let custom = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY --chown=1000:100 environments/ /opt/environments/\n\
                  RUN /opt/common-scripts/env-clone base cvt\n";
    write(dir.path(), "old/missions/cvt/Dockerfile.custom", custom);
    write(dir.path(), "old/missions/cvt/environments/cvt/cvt.pip", "six\n");
    write(dir.path(), "old/missions/cvt/environments/cvt/tests/imports", "six\n");
    write(dir.path(), "old/common/image/common-env/site.pip", "idna\n");
    succeeds(dir.path(), &["init", "new", "--from", "old"]);
    let composed = works(&dir.path().join("new"), "cvt");
    assert!(composed.contains("env-clone base cvt"), "{composed}");
    let alone = dir.path().join("old/missions/cvt");
    succeeds(dir.path(), &["init", "alone", "--from", alone.to_str().unwrap()]);
    works(&dir.path().join("alone"), "cvt");
}

#[test]
fn the_common_image_is_written_out_where_it_is_to_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(dir.path(), &["init", "--mission", "demo", "--common"]);
    write(
        dir.path(),
        "common/Dockerfile.trailer",
        "USER root\nRUN true of the site\n",
    );
    assert!(works(dir.path(), "demo").contains("true of the site"));
    assert!(!dir.path().join(".floe/carried").exists());
}

#[test]
fn what_no_mission_can_be_made_of_is_refused_with_what_can_be() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "papers/a.tex", "");
    let refused = floe(dir.path(), &["init", "site", "--from", "papers"]);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("papers is nothing that a mission can be made from"),
        "{said}"
    );
    assert!(said.contains("repo2docker"), "{said}");
    assert!(!dir.path().join("site").exists());
}
