//! The scripts of the workflows that need neither an engine nor their service, run. In place of GitHub's client stands a program
//! that records its arguments, and of GitLab's interface a socket that keeps what it is sent.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::json;
use serde_yaml::Value;

use super::place::Place;
use super::workflows;

/// The script of a step of GitHub's, or of a job of GitLab's.
pub fn script(service: &str, file: &str, job: &str, step: &str) -> String {
    let path = format!("docs/ci/{service}/{file}.yml");
    let (_, workflow) = workflows::of(service)
        .into_iter()
        .find(|(found, _)| *found == path)
        .unwrap();
    let lines = |value: &Value| {
        let lines = value.as_sequence().unwrap().iter();
        lines.map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    if service == "gitlab" {
        // What logs in needs docker's client.
        let mut lines = lines(&workflow[job]["script"]);
        lines.retain(|line| !line.contains("docker login"));
        return lines.join("\n");
    }
    let steps = workflow["jobs"][job]["steps"].as_sequence().unwrap();
    let step = steps.iter().find(|found| found["name"] == step).unwrap();
    step["run"].as_str().unwrap().to_owned()
}

/// The file of outputs of a step, below the repository.
const OUTPUT: &str = ".floe/output";

#[test]
fn a_pull_request_gets_a_job_for_each_mission_that_it_touches() {
    let place = Place::new();
    place.write("missions/two/environments/two/two.pip", "six\n");
    place.commit();
    std::fs::create_dir_all(place.path().join(".floe")).unwrap();
    let variables = [
        ("BASE", "HEAD~1"),
        ("GITHUB_OUTPUT", OUTPUT),
        ("GITHUB_STEP_SUMMARY", ".floe/summary"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD~1"),
        ("BEFORE", "0000000000000000000000000000000000000000"),
    ];
    let matrix = format!("matrix={}\n", json!({"include": [{"mission": "two"}]}));
    place
        .shell(&script("github", "pull-request", "plan", "plan"), &variables)
        .expect(0);
    assert_eq!(place.read(OUTPUT), matrix);
    assert!(place.read(".floe/summary").contains("missions/two/environments"));
    place
        .shell(&script("github", "staging", "plan", "plan"), &variables)
        .expect(0);
    assert_eq!(place.read(OUTPUT), matrix.repeat(2));
    place
        .shell(&script("gitlab", "merge-request", "plan", ""), &variables)
        .expect(0);
    let jobs: Value = serde_yaml::from_str(&place.read("missions.yml")).unwrap();
    assert_eq!(jobs["floe two"]["script"][0], "scripts/image-all two");
    assert_eq!(jobs.as_mapping().unwrap().len(), 1);
}

#[test]
fn what_was_pushed_is_proposed_for_the_first_stage_and_the_next() {
    let place = Place::new();
    place.deployment();
    place.records("gh");
    let digest = place.image("hub/one", "1");
    let image = format!("{}@{digest}", place.registry.address("hub/one"));
    place.write("pushed/one", &format!("{image}\n"));
    place
        .shell(
            &script("github", "staging", "promote", "promote"),
            &[("STAGE", "staging")],
        )
        .expect(0);
    let calls = place.read(".floe/calls");
    let short = &digest["sha256:".len()..][..12];
    assert!(
        calls.starts_with(&format!("pr\ncreate\n--head\nfloe/promote/hub-staging-{short}\n")),
        "{calls}"
    );
    let text = calls.lines().last().unwrap();
    assert!(place.read(text).contains(&image[image.rfind('@').unwrap()..]), "{text}");
    let branch = format!("floe/promote/hub-staging-{short}");
    place
        .shell(
            &format!("git fetch -q origin {branch} && git merge -q FETCH_HEAD && git push -q origin main"),
            &[],
        )
        .expect(0);
    // The stage has it now: nobody is asked again.
    place
        .shell(
            &script("github", "staging", "promote", "promote"),
            &[("STAGE", "staging")],
        )
        .expect(0)
        .says(&["already"]);
    assert_eq!(place.read(".floe/calls"), calls);
    let stages = [("DEPLOYMENT", "hub"), ("FROM", "staging"), ("TO", "production")];
    for step in ["wait", "check", "promote"] {
        let script = script("github", "production", "promote", step);
        place.shell(&script, &stages).expect(0);
    }
    assert!(
        place
            .read(".floe/calls")
            .contains(&format!("floe/promote/hub-production-{short}\n"))
    );
}

#[test]
fn gitlab_is_sent_the_branch_and_the_text_of_the_merge_request() {
    let place = Place::new();
    place.deployment();
    let digest = place.image("hub/one", "1");
    place.write(
        "pushed/one",
        &format!("{}@{digest}\n", place.registry.address("hub/one")),
    );
    let remote = place.remote();
    let project = remote.to_str().unwrap().trim_end_matches(".git");
    let (address, asked) = interface();
    let variables = [
        ("STAGE", "staging"),
        ("CI_PROJECT_URL", project),
        ("CI_PROJECT_ID", "7"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("CI_API_V4_URL", &address),
        ("FLOE_TOKEN", "a-word"),
    ];
    place
        .shell(&script("gitlab", "staging", "promote", ""), &variables)
        .expect(0);
    let asked = asked.join().unwrap();
    let branch = format!("floe/promote/hub-staging-{}", &digest["sha256:".len()..][..12]);
    for part in [
        "POST /api/v4/projects/7/merge_requests HTTP",
        "PRIVATE-TOKEN: a-word\r\n",
        "target_branch=main",
        &format!("source_branch={}", branch.replace('/', "%2F")),
        "title=hub%3A+promote+",
        "description=%23+hub%3A+promote+",
    ] {
        assert!(asked.replace("%20", "+").contains(part), "{part} is not in {asked}");
    }
    place
        .shell(&format!("git ls-remote --exit-code origin {branch}"), &[])
        .expect(0);
}

/// An address that takes one request, and what it was.
fn interface() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://127.0.0.1:{}/api/v4", listener.local_addr().unwrap().port());
    let taken = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let whole = |asked: &[u8]| {
            let text = String::from_utf8_lossy(asked).into_owned();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
            (body.len() >= length.parse::<usize>().unwrap()).then_some(text.clone())
        };
        loop {
            if let Some(text) = whole(&asked) {
                let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
                return text;
            }
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&asked));
            asked.extend(&piece[..read]);
        }
    });
    (address, taken)
}

const OLD: &str = "dependencies:\n  - pip:\n      - six==1.16.0\n";

#[test]
fn what_a_week_changed_is_shown_as_a_table_and_nothing_but_frozen_specs_is_proposed() {
    let place = Place::new();
    place.records("gh");
    let frozen = "missions/one/environments/one/one-frozen.yml";
    place.write(frozen, OLD);
    place.commit();
    let text = script("github", "weekly", "lock", "text");
    place.shell(&text, &[("GITHUB_OUTPUT", OUTPUT)]).expect(0);
    assert!(
        !place.path().join(OUTPUT).exists(),
        "nothing changed, and it is said to have"
    );
    place.shell("rm -r locked", &[]).expect(0);
    place.write(frozen, &OLD.replace("1.16.0", "1.17.0"));
    place.write("missions/one/environments/one/one.pip", "six>1\n");
    place.shell(&text, &[("GITHUB_OUTPUT", OUTPUT)]).expect(0);
    assert_eq!(place.read(OUTPUT), "changed=yes\n");
    let shown = place.read("locked/text.md");
    assert!(shown.contains(&format!("## {frozen}\n")), "{shown}");
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with('|') && line.contains("1.17.0")),
        "{shown}"
    );
    place.shell("rm -r locked", &[]).expect(0);
    place
        .shell(
            &script("gitlab", "weekly", "lock", "")
                .replace("floe build", "true")
                .replace("floe test", "true"),
            &[],
        )
        .expect(0);
    assert_eq!(place.read("locked/text.md"), shown, "both services show the same");
    place.write("outside/x", "");
    let kept = "mv locked outside/ && git reset -q --hard && git clean -qfd missions";
    place.shell(kept, &[]).expect(0);
    place
        .shell(
            &script("github", "weekly", "propose", "propose"),
            &[("RUNNER_TEMP", "outside")],
        )
        .expect(0);
    let changed = place
        .shell("git diff --name-only origin/main HEAD", &[])
        .expect(0)
        .stdout;
    assert_eq!(changed, format!("{frozen}\n"));
    let calls = place.read(".floe/calls");
    assert!(
        calls.ends_with("--title\nLock again\n--body-file\noutside/locked/text.md\n"),
        "{calls}"
    );
}
