//! What a person asks of the machine: settings with their origin, what is wrong here, completion, the manual, and help in
//! groups.

use std::process::Command;

use world::{Ended, Repository, floe};

fn tiny() -> Repository {
    let repository = Repository::new();
    repository.write("missions/tiny/environments/small/small.pip", "six\n");
    repository.write("missions/tiny/environments/small/tests/imports", "six\n");
    repository
}

#[test]
fn each_setting_is_shown_with_its_origin_and_no_secret_of_it() {
    let repository = tiny();
    repository.write(
        "setup-env",
        "# mine\nexport MISSION=tiny\nexport USE_FROZN=0\nexport SP_HOME=/home/x\n",
    );
    let mut call = repository.command(&["settings", "--registry", "r.example/x"]);
    call.env("COSIGN_PASSWORD", "correct horse");
    call.env("PIP_INDEX_URL", "https://me:battery@pip.example/simple");
    let ended = Ended::of(call.output().unwrap()).expect(0);
    let line = |name: &str| {
        let lines = ended.stdout.lines();
        let found = lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|words| words[0] == name);
        found.unwrap()[1..].join(" ")
    };
    assert_eq!(line("MISSION"), "tiny setup-env:2");
    assert_eq!(line("USE_FROZEN"), "0 environment");
    assert_eq!(line("REGISTRY"), "r.example/x flag");
    assert_eq!(line("TEST_SERVER"), "1 default");
    assert_eq!(line("COSIGN_PASSWORD"), "*** environment");
    assert!(line("PIP_INDEX_URL").contains("pip.example"), "{}", ended.stdout);
    for secret in ["correct horse", "battery"] {
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
    }
    ended.says(&[
        "USE_FROZN is no setting; is USE_FROZEN meant?",
        "setup-env:4: SP_HOME is a setting of the original framework; here it is HOME_MOUNT",
    ]);
}

#[test]
fn a_setting_that_makes_no_sense_is_shown_and_refused() {
    let repository = tiny();
    repository.write("setup-env", "export TEST_SERVER=maybe\n");
    let ended = repository
        .floe(&["settings", "TEST_SERVER", "--format", "json"])
        .expect(3);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["settings"][0]["value"], "maybe");
    assert_eq!(told["settings"][0]["origin"]["line"], 1);
    ended.says(&["setup-env:1: TEST_SERVER=maybe: expected 0 or 1"]);
    repository.floe(&["settings", "NOSUCH"]).expect(2);
}

#[test]
fn the_doctor_ends_as_a_call_would_and_says_what_mends_it() {
    let repository = tiny();
    let doctor = |repository: &Repository| {
        let ended = repository.floe(&["doctor", "--format", "json"]);
        let findings: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).unwrap();
        (ended.code, findings)
    };
    let found = |findings: &[serde_json::Value], subject: &str| {
        findings
            .iter()
            .find(|finding| finding["subject"] == subject)
            .cloned()
            .unwrap()
    };
    // No engine is there, which may pass.
    let (code, findings) = doctor(&repository);
    assert_eq!(code, 75, "{findings:?}");
    let engine = found(&findings, "engine");
    assert_eq!(engine["state"], "bad");
    assert!(
        engine["hint"].as_str().unwrap().contains("install Docker Engine"),
        "{engine}"
    );
    assert_eq!(found(&findings, "mission tiny")["state"], "good");
    // A definition that is broken does not.
    repository.write("missions/tiny/environments/small/small.pip", "six ==== 1\n");
    repository.write("missions/tiny/environments/small/small.yml", "dependencies: {\n");
    let (code, findings) = doctor(&repository);
    assert_eq!(code, 3, "{findings:?}");
    assert_eq!(found(&findings, "mission tiny")["state"], "bad");
    repository.write("setup-env", "export TEST_SERVER=maybe\n");
    let (code, findings) = doctor(&repository);
    assert_eq!((code, findings.len()), (3, 1));
}

#[test]
fn a_shell_completes_commands_missions_environments_and_tests() {
    let repository = tiny();
    let script = repository.floe(&["completion", "bash"]).expect(0).stdout;
    assert!(script.contains("FLOE_COMPLETE"), "{script}");
    let complete = |words: &[&str]| {
        let mut call: Command = floe();
        call.current_dir(repository.path())
            .env("FLOE_COMPLETE", "bash")
            .env("_CLAP_IFS", "\n")
            .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "false")
            .arg("--")
            .args(words);
        Ended::of(call.output().unwrap()).expect(0).stdout
    };
    assert!(complete(&["floe", "sh"]).contains("shell"));
    assert!(complete(&["floe", "build", "t"]).contains("tiny"));
    assert!(complete(&["floe", "shell", "--env", "s"]).contains("small"));
    assert!(complete(&["floe", "shell", "--at", ""]).contains("small::imports::six"));
    repository.floe(&["completion", "nosuch"]).expect(2);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let repository = tiny();
    let page = repository.floe(&["man", "build"]).expect(0).stdout;
    assert!(page.starts_with(".ie") && page.contains("no\\-cache"), "{page}");
    repository.floe(&["man", "--to", "pages"]).expect(0);
    for name in ["floe.1", "floe-build.1", "floe-secrets-edit.1"] {
        assert!(repository.path().join("pages").join(name).exists(), "{name}");
    }
    repository
        .floe(&["man", "nosuch"])
        .expect(2)
        .says(&["floe has no command nosuch"]);
}

#[test]
fn commands_are_grouped_and_the_short_help_names_them_all() {
    let short = tiny().floe(&["-h"]).expect(0).stdout;
    let long = tiny().floe(&["--help"]).expect(0).stdout;
    for group in ["Every day", "Packages", "Results", "Release", "Machine", "Plumbing"] {
        assert!(short.contains(&format!("\n  {group}")), "{short}");
        assert!(long.contains(&format!("\n{group}:\n")), "{long}");
    }
    assert!(long.contains("\n  shell "), "{long}");
}
