//! What a person meets at the command line before any engine is called: settings, names, forms, and bad input.

use world::{Ended, Repository};

/// A repository with one mission whose environment is `small`.
fn tiny() -> Repository {
    let repository = Repository::new();
    repository.write("missions/tiny/environments/small/small.pip", "six\n");
    repository
}

#[test]
fn an_unknown_mission_is_refused_and_those_there_are_are_listed() {
    let repository = tiny();
    repository.write("missions/other/Dockerfile", "FROM scratch\n");
    repository
        .floe(&["build", "tinny"])
        .expect(3)
        .says(&["no mission \"tinny\"", "other, tiny"]);
}

#[test]
fn a_mission_name_that_is_a_path_is_refused() {
    tiny()
        .floe(&["build", "../tiny"])
        .expect(3)
        .says(&["mission name \"../tiny\" is not valid"]);
}

#[test]
fn without_a_mission_the_settings_decide_and_else_the_call_is_refused() {
    let repository = tiny();
    repository
        .floe(&["compose"])
        .expect(2)
        .says(&["no mission is named", "MISSION in setup-env"]);
    repository.write("setup-env", "export MISSION=tiny\n");
    assert!(
        repository
            .floe(&["compose"])
            .expect(0)
            .stdout
            .contains("for mission tiny")
    );
}

#[test]
fn an_odd_line_of_setup_env_is_refused_with_its_number() {
    let repository = tiny();
    repository.write("setup-env", "# fine\nexport MISSION=tiny\nexport USE_FROZEN=$(cat x)\n");
    repository
        .floe(&["compose"])
        .expect(3)
        .says(&["setup-env:3: ", "hint: "]);
}

#[test]
fn in_github_actions_a_failure_marks_the_file_and_line_that_is_at_fault() {
    let repository = tiny();
    let floe = |words: &[&str]| {
        let mut command = repository.command(words);
        Ended::of(command.env("GITHUB_ACTIONS", "true").output().unwrap())
    };
    repository.write("missions/tiny/environments/small/small.pip", "six\n-e .\n");
    let mark = "\n::error file=missions/tiny/environments/small/small.pip,line=2,title=floe::";
    floe(&["build", "tiny"]).expect(3).says(&[mark]);
    repository.write("setup-env", "export USE_FROZEN=$(cat x)\n");
    floe(&["build", "tiny"])
        .expect(3)
        .says(&["\n::error file=setup-env,line=1,title=floe::"]);
    let usage = floe(&["build", "--no-such-option"]).expect(2);
    assert!(!usage.stderr.contains("::error"), "{}", usage.stderr);
    assert!(!repository.floe(&["build", "tiny"]).stderr.contains("::error"));
}

#[test]
fn an_environment_variable_wins_over_setup_env_and_a_flag_over_both() {
    let repository = tiny();
    repository.write("setup-env", "export MISSION=tiny\nexport USE_FROZEN=7\n");
    repository.floe(&["compose"]).expect(0);
    let refused = repository
        .command(&["compose"])
        .env_remove("USE_FROZEN")
        .output()
        .unwrap();
    Ended::of(refused)
        .expect(3)
        .says(&["setup-env:2: USE_FROZEN=7: expected 0 or 1"]);
    let flag = repository
        .command(&["compose", "--use-frozen", "0"])
        .env("USE_FROZEN", "7")
        .output()
        .unwrap();
    Ended::of(flag).expect(0);
}

#[test]
fn a_frozen_build_without_its_frozen_spec_names_the_file_and_what_to_do() {
    let repository = tiny();
    let refused = repository.floe(&["compose", "tiny", "--use-frozen", "1"]).expect(3);
    refused.says(&[
        "environments/small/small-frozen.yml is missing",
        "hint: `floe build tiny --use-frozen 0`",
    ]);
}

#[test]
fn a_mission_without_anything_to_build_says_what_it_could_hold() {
    let repository = tiny();
    repository.write("missions/empty/README", "");
    let refused = repository.floe(&["compose", "empty"]).expect(3);
    refused.says(&["missions/empty holds nothing to build", "Dockerfile.custom"]);
}

#[test]
fn the_files_that_a_list_names_are_copied_to_where_it_names_them() {
    let repository = tiny();
    let small = "missions/tiny/environments/small";
    repository.write(
        &format!("{small}/small.pip"),
        "-r sub/more.txt\n-c ../limits.txt\nsix\n",
    );
    repository.write(&format!("{small}/sub/more.txt"), "tabulate\n");
    repository.write("missions/tiny/environments/limits.txt", "six<2\n");
    let composed = repository.floe(&["compose", "tiny"]).expect(0);
    composed.prints(&[
        "COPY [\"environments/small/small.pip\",\"/opt/environments/small/\"]",
        "COPY [\"environments/small/sub/more.txt\",\"/opt/environments/small/sub/\"]",
        "COPY [\"environments/limits.txt\",\"/opt/environments/\"]",
    ]);
}

#[test]
fn an_environment_with_neither_spec_nor_frozen_file_is_named() {
    let repository = tiny();
    repository.write("missions/tiny/environments/bare/kernel.name", "Bare\n");
    repository
        .floe(&["compose", "tiny"])
        .expect(3)
        .says(&["environments/bare holds no spec file", "hint: "]);
}

#[test]
fn a_custom_dockerfile_and_the_trailer_pass_through_untouched() {
    let repository = tiny();
    let custom = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nENV X='{{ not.a.template }}' Y='{% raw'\n";
    repository.write("missions/own/Dockerfile.custom", custom);
    let trailer = std::fs::read_to_string(repository.path().join("common/Dockerfile.trailer")).unwrap();
    let braces = "ENV Z='{{ nor.is.this }}'";
    repository.write("common/Dockerfile.trailer", &format!("{trailer}{braces}\n"));
    let composed = repository.floe(&["compose", "own"]).expect(0).stdout;
    for line in custom.lines() {
        assert!(
            composed
                .lines()
                .any(|l| l.trim_end_matches(" AS floe-finished") == line),
            "{line:?} is missing in:\n{composed}"
        );
    }
    assert!(composed.contains(braces), "{braces:?} is missing in:\n{composed}");
}

#[test]
fn a_mission_with_only_a_dockerfile_has_opted_out_of_the_trailer() {
    let repository = tiny();
    repository.write("missions/own/Dockerfile", "FROM scratch\nLABEL a=b\n");
    let composed = repository.floe(&["compose", "own"]).expect(0).stdout;
    assert!(composed.contains("LABEL a=b"));
    assert!(!composed.contains("kernel-setup"), "{composed}");
}

#[test]
fn without_an_engine_the_call_ends_in_75_and_says_what_to_start() {
    let repository = tiny();
    let output = repository
        .command(&["build", "tiny"])
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .output();
    let refused = Ended::of(output.unwrap()).expect(75);
    refused.says(&[
        "no container engine answers at",
        "/nowhere/docker.sock",
        "docker.io",
        "dockerd",
    ]);
}

#[test]
fn an_address_or_a_context_that_makes_no_sense_is_an_invalid_setting() {
    let repository = tiny();
    let client = tempfile::tempdir().unwrap();
    let build = |name: &str, value: &str| {
        let mut command = repository.command(&["build", "tiny"]);
        command.env("DOCKER_CONFIG", client.path()).env_remove("DOCKER_HOST");
        Ended::of(command.env(name, value).output().unwrap()).expect(3)
    };
    build("DOCKER_HOST", "foo://x").says(&["DOCKER_HOST: ", "foo://", "unix://", "tcp://", "ssh://"]);
    build("DOCKER_CONTEXT", "far").says(&["DOCKER_CONTEXT: there is no context \"far\"", "docker context ls"]);
    build("DOCKER_TLS_VERIFY", "1").says(&["ca.pem: there is no such file"]);
}

#[test]
fn outside_of_a_repository_the_call_says_what_it_looks_for() {
    let repository = tiny();
    repository
        .floe(&["-C", "/", "build", "tiny"])
        .expect(3)
        .says(&["no repository with missions/"]);
}

#[test]
fn a_result_survives_a_reader_that_goes_away() {
    use std::io::Read as _;
    let repository = tiny();
    // More than a pipe holds, so that floe is still writing when the reader goes.
    let long = format!("FROM scratch\n{}", "# a comment\n".repeat(100_000));
    repository.write("missions/long/Dockerfile", &long);
    let mut child = repository
        .command(&["compose", "long"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_unknown_option_ends_in_2() {
    tiny()
        .floe(&["build", "--no-such-option"])
        .expect(2)
        .says(&["--no-such-option"]);
}

/// A call of an applet, in an installation whose base environment is this machine's Python.
fn applet(arguments: &[&str]) -> Ended {
    let conda_dir = tempfile::tempdir().unwrap();
    let python = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output();
    let python = String::from_utf8(python.unwrap().stdout).unwrap();
    std::fs::create_dir(conda_dir.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(python.trim(), conda_dir.path().join("bin/python")).unwrap();
    let mut command = world::floe();
    command.arg("applet").args(arguments).env("CONDA_DIR", conda_dir.path());
    Ended::of(command.output().unwrap())
}

#[test]
fn imports_that_fail_end_the_applet_in_100_however_many_there_are() {
    applet(&["test-imports", "json", "no_such_module"])
        .expect(100)
        .says(&["base::imports::no_such_module"]);
    let many = (0..256)
        .map(|number| format!("no_such_module_{number}"))
        .collect::<Vec<_>>();
    let words = ["test-imports", "base"]
        .into_iter()
        .chain(many.iter().map(String::as_str));
    applet(&words.collect::<Vec<_>>()).expect(100).says(&["256 failed"]);
}

#[test]
fn modules_to_import_may_or_may_not_follow_a_kernel() {
    for words in [&["test-imports", "json"][..], &["test-imports", "base", "json"]] {
        applet(words)
            .expect(0)
            .says(&["PASS", "base::imports::json", "1 passed"]);
    }
}

#[test]
fn an_applet_that_is_given_nothing_to_test_ends_in_2() {
    applet(&["test-imports"]).expect(2);
}

#[test]
fn a_template_is_rendered_and_a_plain_file_is_not() {
    let repository = tiny();
    let template = "{{ env_stages }}\n\nFROM {{ common_image }}\nRUN echo {{ mission }}\n{{ env_layers }}\n";
    repository.write("missions/tiny/Dockerfile.custom.tera", template);
    let composed = repository.floe(&["compose", "tiny"]).expect(0).stdout;
    for part in [
        " AS env-small\n",
        " echo tiny\n",
        "COPY --from=env-small /floe/small/ /\n",
        "USER ${NB_UID}\n",
    ] {
        assert!(composed.contains(part), "{part:?} is not in:\n{composed}");
    }
    repository.write("missions/tiny/Dockerfile.custom.tera", "FROM x\nRUN {{ nosuch }}\n");
    repository.floe(&["compose", "tiny"]).expect(3).says(&[
        "missions/tiny/Dockerfile.custom.tera:2: ",
        "nosuch",
        "hint: a template sees mission",
    ]);
    repository.write("missions/tiny/Dockerfile.custom", "FROM x\n");
    repository
        .floe(&["compose", "tiny"])
        .expect(3)
        .says(&["Dockerfile.custom.tera cannot both be there"]);
}

#[test]
fn a_custom_dockerfile_may_make_an_environment_that_has_tests_alone() {
    let repository = tiny();
    repository.write("missions/tiny/Dockerfile.custom", "FROM x\n");
    repository.write("missions/tiny/environments/other/tests/imports", "six\n");
    repository.floe(&["compose", "tiny"]).expect(0);
    repository
        .floe(&["compose", "tiny", "--use-frozen", "1"])
        .expect(3)
        .says(&["environments/small/small-frozen.yml is missing"]);
}

#[test]
fn a_setting_that_is_misspelt_is_named_with_the_one_that_is_meant() {
    let repository = tiny();
    repository.write("setup-env", "export USE_FROZN=0\nexport Mission=tiny\nexport OTHER=1\n");
    let composed = repository.floe(&["compose", "tiny"]).expect(0);
    let said = composed.says(&[
        "USE_FROZN is no setting; is USE_FROZEN meant?",
        "Mission is no setting; is MISSION meant?",
    ]);
    assert!(!said.stderr.contains("OTHER"), "{}", said.stderr);
}
