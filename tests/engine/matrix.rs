//! A matrix of parts, as `docs/ci/github/long-tests.yml` runs it: one image, saved and loaded, its tests in parts, and their
//! reports as one.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_yaml::Value;
use world::Ended;

use crate::site::Site;

/// A step of the workflow.
fn step(job: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci/github/long-tests.yml");
    let workflow: Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let steps = workflow["jobs"][job]["steps"].as_sequence().unwrap().clone();
    let step = steps.iter().find(|step| step["name"] == name);
    step.unwrap()["run"].as_str().unwrap().replace("scripts/again ", "")
}

#[test]
fn an_image_that_came_as_a_file_is_tested_in_parts_that_count_together() {
    let site = Site::new("true");
    let programs = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(world::program(), programs.path().join("floe")).unwrap();
    let shell = |script: &str, variables: &[(&str, &str)]| {
        // What floe is called with is what it sees elsewhere.
        let like = site.prepared(&[]);
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-euo", "pipefail", "-c", script])
            .current_dir(site.repository.path())
            .env_clear();
        for (name, value) in like.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", programs.path().display()));
        command.env("MISSION", "tiny").envs(variables.iter().copied());
        Ended::of(command.output().unwrap())
    };
    shell(&step("images", "build"), &[]).expect(0);
    let reference = site.command(&["image", "tiny"]).expect(0).stdout;
    let (reference, _) = reference.split_once(' ').unwrap();
    shell(&step("images", "save"), &[]).expect(0);
    // Another machine has nothing of it.
    let references = site.command(&["image", "tiny", "--with-parents"]).expect(0).stdout;
    assert_eq!(references.lines().count(), 4, "{references}");
    for reference in references.lines().rev() {
        world::run(site.docker().args(["rmi", "--force", reference]));
    }
    site.command(&["test", "tiny", "--no-build"]).expect(3);
    shell(&step("parts", "load"), &[]).expect(0);
    assert!(references.ends_with(&format!("{reference}\n")));
    fs::remove_dir_all(site.repository.path().join(".floe/runs")).ok();
    for partition in ["1/2", "2/2"] {
        shell(&step("parts", "test"), &[("PARTITION", partition)]).expect(0);
        shell(&step("parts", "keep the last attempt"), &[]).expect(0);
    }
    let missions = r#"{"include":[{"mission":"tiny"}]}"#;
    shell(&step("report", "report"), &[("MISSIONS", missions)]).expect(0);
    let merged = fs::read_to_string(site.repository.path().join("merged/tiny/events.jsonl")).unwrap();
    assert_eq!(merged.matches("\"event\":\"run-finished\"").count(), 2, "{merged}");
}
