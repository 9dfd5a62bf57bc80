//! The workflows of `docs/ci/` as files: who may do what, what is tried again, and what reaches a shell.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_yaml::Value;

use super::place::read;

/// The workflows of a service, each with its path.
pub fn of(service: &str) -> Vec<(String, Value)> {
    let directory = format!("docs/ci/{service}");
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut paths = names
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yml"))
        .map(|name| format!("{directory}/{name}"))
        .collect::<Vec<_>>();
    paths.sort();
    let parsed = |path: String| {
        let workflow = serde_yaml::from_str(&read(&path));
        let workflow = workflow.unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, workflow)
    };
    paths.into_iter().map(parsed).collect()
}

/// The scripts of a workflow, each with the job that it belongs to.
fn scripts(service: &str, workflow: &Value) -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    let jobs = if service == "github" {
        &workflow["jobs"]
    } else {
        workflow
    };
    for (name, job) in jobs.as_mapping().unwrap() {
        let name = name.as_str().unwrap().to_owned();
        let lines = |key: &str| job[key].as_sequence().cloned().unwrap_or_default();
        let steps = lines("steps");
        scripts.extend(
            steps
                .iter()
                .filter_map(|step| Some((name.clone(), step["run"].as_str()?.to_owned()))),
        );
        for key in ["before_script", "script"] {
            let text = lines(key)
                .iter()
                .map(|line| line.as_str().unwrap().to_owned())
                .collect::<Vec<_>>();
            scripts.push((name.clone(), text.join("\n")));
        }
    }
    scripts.retain(|(_, script)| !script.is_empty());
    scripts
}

#[test]
fn there_is_a_workflow_of_each_kind_for_each_service_and_bash_reads_its_scripts() {
    let names = |service: &str| {
        let names = of(service).into_iter().map(|(path, _)| path);
        names
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names("github"),
        [
            "long-tests.yml",
            "production.yml",
            "pull-request.yml",
            "staging.yml",
            "weekly.yml"
        ]
    );
    assert_eq!(
        names("gitlab"),
        [
            "common.yml",
            "merge-request.yml",
            "production.yml",
            "staging.yml",
            "weekly.yml"
        ]
    );
    for service in ["github", "gitlab"] {
        for (path, workflow) in of(service) {
            for (job, script) in scripts(service, &workflow) {
                let mut command = Command::new("bash");
                let read = command.args(["-n", "-c", &script]).stdin(Stdio::null());
                assert!(read.status().unwrap().success(), "{path}: {job}:\n{script}");
            }
        }
    }
}

#[test]
fn nothing_that_others_write_becomes_a_part_of_a_shells_line() {
    for (service, forms) in [("github", ["${{", "eval "]), ("gitlab", ["$[[", "eval "])] {
        for (path, workflow) in of(service) {
            for (job, script) in scripts(service, &workflow) {
                for form in forms {
                    assert!(
                        !script.contains(form),
                        "{path}: {job}: {form} stands in:\n{script}\nput it into a variable"
                    );
                }
            }
        }
    }
}

/// Whether a line runs one of floe's commands that engines, registries or networks take part in.
fn reaches_out(line: &str) -> bool {
    let commands = [
        "build",
        "test",
        "push",
        "all",
        "promote",
        "wait",
        "check",
        "status --verify",
    ];
    commands
        .iter()
        .any(|command| line.contains(&format!("floe {command} ")) || line.ends_with(&format!("floe {command}")))
}

#[test]
fn what_may_end_in_75_is_tried_again_and_nothing_else() {
    let mut tried = 0;
    for (path, workflow) in of("github") {
        for (job, script) in scripts("github", &workflow) {
            for line in script.lines().filter(|line| !line.trim_start().starts_with('#')) {
                let again = line.contains("scripts/again floe ");
                assert_eq!(again, reaches_out(line), "{path}: {job}: {line}");
                tried += usize::from(again);
            }
        }
    }
    assert!(tried >= 10, "{tried}");
    for (path, workflow) in of("gitlab") {
        let retry: Value = serde_yaml::from_str("{max: 2, exit_codes: [75]}").unwrap();
        match &workflow["default"]["retry"] {
            Value::Null => assert!(!path.ends_with("common.yml")),
            said => assert_eq!(*said, retry),
        }
        for (job, said) in workflow.as_mapping().unwrap() {
            assert!(said["retry"].is_null() || job == "default", "{path}: {job:?}");
        }
    }
}

#[test]
fn a_job_may_write_only_if_it_opens_a_pull_request_and_runs_nothing_of_an_image() {
    for (path, workflow) in of("github") {
        let whole = &workflow["permissions"];
        let may_read: Value = serde_yaml::from_str("{contents: read}").unwrap();
        let nothing: Value = serde_yaml::from_str("{}").unwrap();
        assert!(*whole == may_read || *whole == nothing, "{path}: {whole:?}");
        for (job, said) in workflow["jobs"].as_mapping().unwrap() {
            let text = serde_yaml::to_string(said).unwrap();
            let name = job.as_str().unwrap();
            let writes = serde_yaml::to_string(&said["permissions"]).unwrap().contains("write");
            assert_eq!(writes, text.contains("gh pr create"), "{path}: {name}");
            assert!(!(writes && text.contains("floe build")), "{path}: {name}");
            assert!(
                writes || text.contains("persist-credentials: false"),
                "{path}: {name} keeps a token beside what it runs"
            );
            assert!(said["timeout-minutes"].is_u64(), "{path}: {name} has no limit");
            assert!(!said["permissions"].is_null() || *whole == may_read, "{path}: {name}");
        }
    }
}

#[test]
fn what_a_pull_request_says_meets_no_secret() {
    for (path, workflow) in of("github") {
        let text = read(&path);
        assert!(!text.contains("pull_request_target"), "{path}");
        let starts = serde_yaml::to_string(&workflow["on"]).unwrap();
        if starts.contains("pull_request") {
            assert!(!text.contains("secrets."), "{path}");
        }
    }
    for (path, workflow) in of("gitlab") {
        for (job, said) in workflow.as_mapping().unwrap() {
            let text = serde_yaml::to_string(said).unwrap();
            if text.contains("merge_request_event") {
                assert!(!text.contains("PASSWORD") && !text.contains("TOKEN"), "{path}: {job:?}");
            }
        }
    }
}
