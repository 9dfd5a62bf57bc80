//! What builds refuse and warn of, and how they end early.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::case::{Case, ended_owner, m};
use crate::engine::{Containers as _, EngineError, Images as _};
use crate::fault::{Explained as _, Kind};
use crate::image::label;
use crate::process::Owner;
use crate::reference::Digest;
use crate::workflow::{BuildOptions, Interrupt, WorkflowError, images};

fn stale() -> Case {
    let case = Case::with(&[("USE_FROZEN", "1")]);
    let other = Digest::of(b"other specs");
    let text = format!("# specs: {other}\nname: e\ndependencies:\n  - python=3.11.2\n");
    case.write("missions/m/environments/e/e-frozen.yml", &text);
    case
}

#[tokio::test]
async fn a_stale_frozen_spec_is_a_warning_and_the_build_goes_on() {
    let case = stale();
    case.build().await;
    let warnings = case.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("missions/m/environments/e/e-frozen.yml is stale"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_strict_build_refuses_a_stale_frozen_spec_before_the_engine_is_asked() {
    let case = stale();
    let strict = BuildOptions {
        strict: true,
        ..BuildOptions::default()
    };
    let refused = images(&case.workplace, &[m()], strict, &case.interrupts).await;
    assert!(matches!(refused, Err(WorkflowError::Stale { .. })));
    assert!(case.engine.calls().is_empty());
}

#[tokio::test]
async fn what_cannot_be_frozen_is_said_before_the_engine_is_asked_and_where_it_stands() {
    for (line, frozen) in [
        ("-e ./tool", "0"),
        ("./tool.whl", "0"),
        ("-f wheels", "0"),
        ("-e ./tool", "1"),
    ] {
        let case = Case::with(&[("USE_FROZEN", frozen)]);
        case.write("missions/m/environments/e/e.pip", &format!("numpy\n{line}\n"));
        case.write(
            "missions/m/environments/e/e-frozen.yml",
            "name: e\ndependencies:\n  - python=3.11.2\n",
        );
        let built = images(&case.workplace, &[m()], BuildOptions::default(), &case.interrupts).await;
        if frozen == "1" {
            // A frozen build reads no list.
            built.unwrap();
            continue;
        }
        let error = built.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(
            error
                .to_string()
                .contains(&format!("e.pip:2: `{line}` cannot be frozen")),
            "{error}"
        );
        assert!(case.engine.calls().is_empty());
    }
}

#[tokio::test]
async fn only_frozen_builds_get_the_credentials_of_lists_and_only_as_a_mount() {
    for frozen in ["0", "1"] {
        let case = Case::with(&[("USE_FROZEN", frozen)]);
        let list = "--extra-index-url https://reader:secret-7@index.example/simple\nnumpy\n";
        case.write("missions/m/environments/e/e.pip", list);
        case.write(
            "missions/m/environments/e/e-frozen.yml",
            "name: e\ndependencies:\n  - python=3.11.2\n",
        );
        case.build().await;
        let builds = case.engine.builds();
        let mission = builds.last().unwrap();
        let netrc = mission
            .mounts
            .get("netrc")
            .map(|text| String::from_utf8_lossy(text).into_owned());
        let expected = "machine index.example\nlogin reader\npassword secret-7\n";
        assert_eq!(netrc.as_deref(), (frozen == "1").then_some(expected));
        assert_eq!(mission.dockerfile.contains("ARG NETRC=/dev/floe/netrc"), frozen == "1");
        assert!(!mission.dockerfile.contains("secret-7"));
    }
}

#[tokio::test]
async fn contents_for_home_directories_that_nothing_copies_are_named() {
    let case = Case::new();
    case.write("missions/m/default-home-contents/welcome.ipynb", "{}");
    case.build().await;
    let named = "missions/m/default-home-contents goes nowhere: neither the mission's Dockerfile nor \
                 common/Dockerfile.trailer copies it";
    assert_eq!(case.warnings(), [named]);
    case.write("common/Dockerfile.trailer", "COPY default-home-contents/ /etc/x/\n");
    case.build().await;
    assert_eq!(case.warnings().len(), 1);
}

#[tokio::test]
async fn a_template_whose_environments_cannot_be_put_together_says_why() {
    for (layers, reason) in [
        (
            "{{ env_layers }}\n{{ env_layers }}",
            "their layers are taken over more than once",
        ),
        (
            "COPY --from=env-e /floe/e/ /\n{{ env_layers }}",
            "one of their stages is used by itself",
        ),
    ] {
        let case = Case::with(&[("USE_FROZEN", "1")]);
        case.write(
            "missions/m/environments/e/e-frozen.yml",
            "name: e\ndependencies:\n  - python=3.11.2\n",
        );
        let template = format!("{{{{ env_stages }}}}\nFROM {{{{ common_image }}}}\n{layers}\n");
        case.write("missions/m/Dockerfile.custom.tera", &template);
        case.build().await;
        let said =
            "missions/m/Dockerfile.custom.tera: environments are installed in stages, not put together from packages: ";
        assert_eq!(case.warnings(), [format!("{said}{reason}")]);
    }
}

#[tokio::test]
async fn an_interrupt_ends_a_build() {
    let case = Case::new();
    case.engine.hang_builds();
    assert!(!case.interrupter.interrupt(Interrupt::Interrupted));
    let ended = images(&case.workplace, &[m()], BuildOptions::default(), &case.interrupts).await;
    assert!(matches!(ended, Err(WorkflowError::Interrupted(Interrupt::Interrupted))));
}

#[test]
fn a_mission_that_nobody_named_is_asked_for_with_those_there_are() {
    let case = Case::with(&[("MISSION", "")]);
    let error = case.workplace.missions(false, &[]).unwrap_err();
    assert!(error.hint().unwrap().starts_with("name one of m, "));
    assert_eq!(case.workplace.missions(true, &[]).unwrap(), [m()]);
    assert!(case.workplace.missions(false, &["Not one".to_owned()]).is_err());
}

#[tokio::test]
async fn a_script_that_replaces_one_of_floes_own_is_named() {
    let case = Case::new();
    case.write("common/common-scripts/env-update", "#! /bin/sh\n");
    case.write("common/common-scripts/our-own", "#! /bin/sh\n");
    case.build().await;
    let named = "common/common-scripts/env-update replaces floe's own in images";
    assert_eq!(case.warnings(), [named]);
}

#[tokio::test]
async fn what_nobody_reads_is_named_where_the_mission_is_built() {
    let case = Case::new();
    for file in ["requirements.txt", "old-frozen.yml", "tests/import"] {
        case.write(&format!("missions/m/environments/e/{file}"), "scipy\n");
    }
    // What is there is read, however another file is called.
    std::fs::remove_file(case.path("missions/m/environments/e/tests/imports")).unwrap();
    case.build().await;
    let mut warnings = case.warnings();
    warnings.sort();
    let named = |file: &str| format!("missions/m/environments/e/{file} is read by nobody");
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (text, file) in warnings
        .iter()
        .zip(["old-frozen.yml", "requirements.txt", "tests/import"])
    {
        assert!(text.starts_with(&named(file)), "{warnings:?}");
    }
}

#[tokio::test]
async fn that_no_commit_can_be_named_is_said_once_and_stops_no_build() {
    let case = Case::new();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        let output = command
            .arg("-C")
            .arg(case.path(""))
            .args(identity)
            .args(arguments)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "all"]);
    // As a clone of depth 1 has it.
    case.write(".git/shallow", &git(&["rev-parse", "HEAD"]));
    let built = case.build().await;
    assert_eq!(built.built.len(), 2);
    let warnings = case.warnings();
    assert!(
        matches!(warnings.as_slice(), [text] if text.starts_with("images get no tag of the commit") && text.contains("shallow")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn what_is_there_for_a_build_goes_however_it_ends_and_with_the_next_one_where_it_was_killed() {
    let case = Case::new();
    let image = |owner: &str| {
        let tag = format!("floe/assembled:{}_0123abcd", owner.replace('/', "_"));
        let labels = BTreeMap::from([(label::INPUT_DIGEST.to_owned(), "x".to_owned())]);
        case.engine.add_image(&tag, labels);
        tag
    };
    let left = async |tag: &str| case.engine.image(tag).await.unwrap().is_some();
    let containers = async || {
        let found = case.engine.containers(label::OWNER).await.unwrap().into_iter();
        found.map(|found| found.id).collect::<BTreeSet<_>>()
    };
    let build = async || images(&case.workplace, &[m()], BuildOptions::default(), &case.interrupts).await;
    let (own, killed) = (Owner::current().to_string(), ended_owner());
    let elsewhere = image("another/1/b/2/3");
    case.container(&[(label::OWNER, "another/1/b/2/3")]).await;
    // The next run removes what is left of runs, and says so.
    case.leave_container().await;
    let stay = containers().await;
    build().await.unwrap();
    for ends in ["well", "by a failure", "by an interrupt"] {
        let gone = [image(&own), image(&killed)];
        case.container(&[(label::OWNER, &own)]).await;
        case.container(&[(label::OWNER, &killed)]).await;
        case.write("missions/m/environments/e/tests/file", ends);
        match ends {
            "well" => {}
            "by a failure" => case.engine.script_failure("build", failure()),
            _ => {
                case.engine.hang_builds();
                assert!(!case.interrupter.interrupt(Interrupt::Interrupted));
            }
        }
        let outcome = build().await;
        assert_eq!(outcome.is_ok(), ends == "well", "it ended {ends}: {:?}", outcome.err());
        for tag in gone {
            assert!(!left(&tag).await, "it ended {ends}: {tag}");
        }
        assert!(left(&elsewhere).await);
        assert_eq!(containers().await, stay, "it ended {ends}");
    }
}

/// What no other attempt would mend.
fn failure() -> EngineError {
    EngineError::Build {
        image: "mission m".to_owned(),
        reason: "exit code: 1".to_owned(),
        line: None,
        step: None,
        output: String::new(),
        trouble: None,
    }
}
