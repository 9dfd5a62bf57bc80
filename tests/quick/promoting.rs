//! From stage to stage: what promotes, what refuses and why, and what stays as it was. git and the registry are real.

use crate::hub::Hub;

#[test]
fn exactly_the_image_that_the_stage_before_runs_goes_on_as_one_commit_beside_what_is_checked_out() {
    let hub = Hub::new();
    let image = hub.image("1.0");
    hub.runs("staging", &image);
    hub.checked("staging", &image, None);
    hub.write("notes.txt", "not committed\n");
    let before = hub.state();
    let ended = hub.floe(&["promote", "pub", "prod"]).expect(0);
    let branch = ended.stdout.trim().to_owned();
    assert!(branch.starts_with("floe/promote/pub-prod-"), "{branch}");
    assert_eq!(hub.state(), before, "index, working tree and what is checked out stay");
    let [file, parent, changed] = [
        vec!["show".to_owned(), format!("{branch}:deployments/pub/config/prod.yaml")],
        vec!["rev-parse".to_owned(), format!("{branch}^")],
        vec![
            "diff".to_owned(),
            "--stat".to_owned(),
            "HEAD".to_owned(),
            branch.clone(),
        ],
    ]
    .map(|words| hub.git(&words));
    let (repository, digest) = image.split_once('@').unwrap();
    assert_eq!(
        file,
        format!(
            "# Production.\nsingleuser:\n  image:\n    name: {repository}\n    tag: \"1.0@{digest}\"  # by floe\n  memory: {{limit: 4G}}\n"
        )
    );
    assert_eq!(parent.trim(), hub.git(&["rev-parse", "HEAD"]).trim());
    assert!(changed.contains("1 file changed"), "{changed}");
    let message = hub.git(&["log", "-1", "--format=%B", &branch]);
    assert!(
        message.starts_with("pub: promote 1.0 to prod\n\nIt is what staging runs.\n"),
        "{message}"
    );
    ended.says(&[
        "next: git push -u origin floe/promote/pub-prod-",
        ".floe/promotions/promote-pub-prod-",
    ]);
    hub.floe(&["promote", "pub", "prod"])
        .expect(102)
        .says(&["there is a branch"]);
    hub.git(&["merge", "-q", &branch]);
    hub.floe(&["promote", "pub", "prod"])
        .expect(0)
        .says(&["prod has", "already"]);
}

#[test]
fn each_gate_refuses_with_its_reason_and_the_way_out() {
    let hub = Hub::new();
    let promote = ["promote", "pub", "prod"];
    hub.floe(&promote)
        .expect(102)
        .says(&["staging names", "by a tag", "promote into staging first"]);
    let image = hub.image("1.0");
    hub.runs("staging", &image);
    hub.floe(&promote)
        .expect(102)
        .says(&["staging was not checked with sha256:", "floe check pub staging"]);
    hub.checked("staging", &image, Some("the hub does not answer"));
    hub.floe(&promote)
        .expect(102)
        .says(&["the check of stage staging failed", "the hub does not answer"]);
    hub.checked("staging", &image, None);
    let digest = image.split_once('@').unwrap().1;
    hub.write(
        "deployments/recalled.yml",
        &format!("- digest: {digest}\n  reason: numpy is broken\n  instead: the one before\n"),
    );
    hub.floe(&promote)
        .expect(102)
        .says(&["is recalled: numpy is broken", "use the one before instead"]);
    hub.write("deployments/recalled.yml", "[]\n");
    hub.write("deployments/pub/config/common.yaml", "debug: true\n");
    hub.floe(&promote).expect(102).says(&[
        "deployments/pub/config/common.yaml is not committed",
        "commit or stash it first",
    ]);
    hub.git(&["checkout", "-q", "deployments/pub/config/common.yaml"]);
    hub.floe(&["promote", "pub", "prod", "--image", &image])
        .expect(102)
        .says(&[
            "prod takes the image that staging runs",
            "promote it into staging first",
        ]);
    hub.floe(&["promote", "pub", "production"])
        .expect(2)
        .says(&["no stage production", "there are: staging, prod"]);
    hub.floe(&["promote", "private", "prod"])
        .expect(2)
        .says(&["no deployment private", "there are: pub"]);
    let gone = format!("{}@sha256:{}", image.split_once('@').unwrap().0, "0".repeat(64));
    hub.runs("staging", &gone);
    hub.checked("staging", &gone, None);
    hub.floe(&promote)
        .expect(102)
        .says(&["is not in its registry", "floe wait"]);
    let untested = hub.untested("2");
    hub.runs("staging", &untested);
    hub.checked("staging", &untested, None);
    hub.floe(&promote)
        .expect(102)
        .says(&["has no evidence in its registry that it passed its tests", "floe push"]);
    hub.attach(&untested, &image);
    hub.floe(&promote)
        .expect(102)
        .says(&["the evidence attached to", &format!("is of {digest}")]);
    assert_eq!(hub.git(&["branch", "--list", "floe/*"]), "");
}

#[test]
fn a_site_that_requires_a_signature_believes_no_evidence_without() {
    let hub = Hub::new();
    let image = hub.image("1.0");
    hub.runs("staging", &image);
    hub.checked("staging", &image, None);
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
               6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
    hub.write("cosign.pub", key);
    hub.write("setup-env", "export VERIFY_KEY=cosign.pub\n");
    hub.floe(&["promote", "pub", "prod"])
        .expect(102)
        .says(&["is not signed, and VERIFY_KEY requires it", "SIGNING_KEY"]);
}

#[test]
fn the_pull_request_tells_what_changes_what_was_tested_and_what_is_left_to_look_at() {
    let hub = Hub::new();
    let [old, new] = ["1", "2"].map(|tag| hub.image(tag));
    hub.runs("prod", &old);
    hub.runs("staging", &new);
    hub.checked("staging", &new, None);
    let text = hub.floe(&["promote", "pub", "prod", "--dry-run"]).expect(0).stdout;
    let text = [&old, &new]
        .iter()
        .zip(["OLD", "NEW"])
        .fold(text, |text, (image, name)| {
            let digest = image.split_once('@').unwrap().1;
            let text = text.replace(digest, name).replace(&digest[7..19], name);
            text.replace(image.split_once('@').unwrap().0, "REGISTRY/hub")
        });
    insta::assert_snapshot!(text);
}

#[test]
fn a_first_stage_takes_the_image_that_is_named_by_its_digest() {
    let hub = Hub::new();
    let image = hub.image("1.0");
    let tag = format!("{}:1.0", image.split_once('@').unwrap().0);
    let branch = hub
        .floe(&["promote", "pub", "staging", "--image", &tag])
        .expect(0)
        .stdout;
    let file = hub.git(&[
        "show",
        &format!("{}:deployments/pub/config/staging.yaml", branch.trim()),
    ]);
    let digest = image.split_once('@').unwrap().1;
    assert!(
        file.contains(&format!("image: \"{tag}@{digest}\"")) || file.contains(&format!("image: {tag}@{digest}")),
        "{file}"
    );
    hub.floe(&["promote", "pub", "staging"])
        .expect(102)
        .says(&["has no mission", "--image"]);
    let missing = tag.replace(":1.0", ":2.0");
    hub.floe(&["promote", "pub", "staging", "--image", &missing])
        .expect(102)
        .says(&["is not in its registry"]);
}

#[test]
fn a_stage_goes_back_to_what_it_ran_before_but_to_nothing_recalled() {
    let hub = Hub::new();
    let images = ["1", "2", "3"].map(|tag| hub.image(tag));
    for image in &images {
        hub.runs("staging", image);
    }
    let rolled = |words: &[&str]| hub.floe(&[&["rollback", "pub", "staging", "--dry-run"], words].concat());
    let digest = |index: usize| images[index].split_once('@').unwrap().1;
    assert!(rolled(&[]).expect(0).stdout.contains(&format!("2@{}", digest(1))));
    let to = &digest(0)["sha256:".len()..][..12];
    assert!(
        rolled(&["--to", to])
            .expect(0)
            .stdout
            .contains(&format!("1@{}", digest(0)))
    );
    hub.write(
        "deployments/recalled.yml",
        &format!("- {{digest: '{}', reason: slow}}\n", digest(1)),
    );
    assert!(rolled(&[]).expect(0).stdout.contains(&format!("1@{}", digest(0))));
    rolled(&["--to", digest(1)]).expect(102).says(&["is recalled: slow"]);
    rolled(&["--to", "ffff"]).expect(102).says(&["ran no other image than"]);
    let branch = hub.floe(&["rollback", "pub", "staging"]).expect(0).stdout;
    let message = hub.git(&["log", "-1", "--format=%s", branch.trim()]);
    assert_eq!(message, "pub: roll staging back to 1\n");
}

/// A bare repository that is the hub's `origin`.
fn origin(hub: &Hub) -> tempfile::TempDir {
    let origin = tempfile::tempdir().unwrap();
    let path = origin.path().to_str().unwrap();
    hub.git(&["init", "-q", "--bare", path]);
    hub.git(&["remote", "add", "origin", path]);
    origin
}

/// A hub whose staging runs a checked image that prod does not.
fn ready() -> Hub {
    let hub = Hub::new();
    let image = hub.image("1.0");
    hub.runs("staging", &image);
    hub.checked("staging", &image, None);
    hub
}

/// All references of the hub, and the texts of pull requests.
fn kept(hub: &Hub) -> String {
    let texts = std::fs::read_dir(hub.path().join(".floe/promotions"))
        .into_iter()
        .flatten();
    let texts = texts.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    hub.state() + &hub.git(&["for-each-ref"]) + &texts.collect::<String>()
}

const PUSH: [&str; 4] = ["promote", "pub", "prod", "--push"];

#[test]
fn a_promotion_is_pushed_where_it_is_asked_for_and_what_another_machine_pushed_is_taken() {
    let hub = ready();
    hub.floe(&PUSH).expect(102).says(&["there is no remote origin"]);
    let origin = origin(&hub);
    let before = hub.state();
    let ended = hub.floe(&PUSH).expect(0);
    let branch = ended.stdout.trim().to_owned();
    ended.says(&["origin has branch floe/promote/pub-prod-"]);
    assert_eq!(hub.state(), before);
    let path = origin.path().to_str().unwrap();
    let there = hub.git(&["--git-dir", path, "rev-parse", &branch]);
    let tracked = hub.git(&["rev-parse", &format!("refs/remotes/origin/{branch}")]);
    assert_eq!([&there, &tracked], [&hub.git(&["rev-parse", &branch]); 2]);
    // Another machine, or a call that was killed right after the push.
    hub.git(&["branch", "-q", "-D", &branch]);
    let later = [("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")];
    hub.floe_with(&PUSH, &later).expect(0);
    assert_eq!(hub.git(&["rev-parse", &branch]), there);
    // What goes on from another commit is another change.
    hub.git(&["branch", "-q", "-D", &branch]);
    hub.write("notes.txt", "");
    hub.commit("main goes on");
    let before = kept(&hub);
    hub.floe(&PUSH)
        .expect(102)
        .says(&["origin has a branch", "with another change", "git push origin --delete"]);
    assert_eq!(kept(&hub), before);
}

#[test]
fn a_push_that_is_refused_or_killed_leaves_everything_as_it_was() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let hub = ready();
    let origin = origin(&hub);
    let hook = origin.path().join("hooks/pre-receive");
    let started = origin.path().join("started");
    let hooked = |script: &str| {
        std::fs::write(&hook, format!("#! /bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let before = kept(&hub);
    hooked("echo only on Mondays; exit 1");
    hub.floe(&PUSH).expect(102).says(&[
        "is not pushed, and nothing was changed",
        "only on Mondays",
        "without --push",
    ]);
    assert_eq!(kept(&hub), before);
    hub.git(&["remote", "set-url", "origin", "http://127.0.0.1:9/x.git"]);
    hub.floe(&PUSH).expect(75).says(&["cannot be reached"]);
    assert_eq!(kept(&hub), before);
    hub.git(&["remote", "set-url", "origin", origin.path().to_str().unwrap()]);

    hooked(&format!("touch '{}'; sleep 1000", started.display()));
    let mut command = hub.command(&PUSH);
    let mut floe = command.process_group(0).spawn().unwrap();
    while !started.exists() {
        assert!(floe.try_wait().unwrap().is_none(), "it ended before the push");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    world::run(std::process::Command::new("kill").args(["-KILL", "--", &format!("-{}", floe.id())]));
    floe.wait().unwrap();
    let refs = |text: &str| {
        text.lines()
            .filter(|line| line.contains("refs/"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(refs(&kept(&hub)), refs(&before));
    std::fs::remove_file(&hook).unwrap();
    hub.floe(&PUSH).expect(0);
}
