//! A remote that is elsewhere, ahead, or not to be had.

use std::fs;

use super::Case;

/// Another person's edit, pushed.
fn pushed_by_another(case: &Case, plain: &str) {
    let seed = case.home.path().join("seed");
    fs::write(seed.join("secrets.yaml"), case.encrypted(plain)).unwrap();
    case.git(&seed, &["commit", "-qam", "theirs"]);
    case.git(&seed, &["push", "-q", "origin", "main"]);
}

#[test]
fn a_clean_clone_is_brought_up_to_date() {
    let case = Case::cloned("A: b\n");
    pushed_by_another(&case, "A: theirs\n");
    case.floe(&["secrets", "clone"]).expect(0).says(&["1 commit is new"]);
    assert_eq!(case.decrypted("secrets.yaml"), "A: theirs\n");
    assert_eq!(case.git(&case.clone(), &["status", "--porcelain"]), "");
    case.floe(&["secrets", "clone"]).expect(0).says(&["up to date"]);
}

#[test]
fn where_both_have_changed_nothing_is_lost_and_the_hint_leads_on() {
    let case = Case::cloned("A: b\n");
    case.edit("sed -i s/b/mine/ \"$1\"").expect(0);
    pushed_by_another(&case, "A: b\nB: theirs\n");
    let mine = case.git(&case.clone(), &["rev-parse", "HEAD"]);
    for words in [["secrets", "push"], ["secrets", "clone"]] {
        let ended = case.floe(&words).expect(102);
        ended.says(&[
            "main of the remote has 1 commit",
            "lacks 1 ",
            "branch mine",
            "switch -C main origin/main",
        ]);
        assert_eq!(case.git(&case.clone(), &["rev-parse", "HEAD"]), mine);
        assert_eq!(case.decrypted("secrets.yaml"), "A: mine\n");
    }
    case.git(&case.clone(), &["branch", "mine"]);
    case.git(&case.clone(), &["switch", "-qC", "main", "origin/main"]);
    case.edit("sed -i s/b$/mine/ \"$1\"").expect(0);
    case.floe(&["secrets", "push"]).expect(0);
    assert_eq!(case.decrypted("secrets.yaml"), "A: mine\nB: theirs\n");
}

#[test]
fn an_edit_that_nobody_committed_is_not_overwritten() {
    let case = Case::cloned("A: b\n");
    pushed_by_another(&case, "A: theirs\n");
    let mine = case.encrypted("A: mine\n");
    fs::write(case.clone().join("secrets.yaml"), &mine).unwrap();
    case.floe(&["secrets", "clone"])
        .expect(102)
        .says(&["nobody has committed: secrets.yaml", "stash"]);
    assert_eq!(fs::read_to_string(case.clone().join("secrets.yaml")).unwrap(), mine);
    // An edit that changes nothing commits what was left.
    case.edit("true").expect(0).says(&["committed as"]);
}

#[test]
fn what_is_there_and_is_no_clone_of_these_secrets_is_left_alone() {
    let case = Case::cloned("A: b\n");
    let other = case
        .floe(&["secrets", "clone", "--repo", "https://me:s3cret@example.org/x"])
        .expect(102);
    assert!(!other.stderr.contains("s3cret"), "{}", other.stderr);
    other.says(&["is no clone of https://", "but of", "SECRETS_DIR"]);
    case.floe(&["secrets", "push", "--repo", "https://example.org/x"])
        .expect(102)
        .says(&["is no clone of https://example.org/x"]);
    case.repository.write("full/file", "");
    let full = case.floe(&["secrets", "clone", "--dir", "full"]).expect(102);
    full.says(&["full is no clone of"]);
}

#[test]
fn a_server_that_does_not_answer_ends_the_call_in_75_without_its_password() {
    let case = Case::new("A: b\n");
    let ended = case
        .floe(&["secrets", "clone", "--repo", "https://me:s3cret@localhost:9/x.git"])
        .expect(75);
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    ended.says(&["cannot be reached", "try again"]);
    assert!(!case.clone().exists());
    case.floe(&["secrets", "clone", "--repo", "ssh://localhost:9/x.git"])
        .expect(75);
    case.floe(&["secrets", "clone", "--repo", "/nonexistent/x.git"])
        .expect(3)
        .says(&["no git repository"]);
    case.floe(&["secrets", "clone", "--repo", "ext::sh -c touch% ran"])
        .expect(3);
    assert!(!case.path("ran").exists());
}

#[test]
fn a_remote_that_refuses_is_named_and_the_commit_stays() {
    let case = Case::cloned("A: b\n");
    let hook = case.path("remote.git/hooks/pre-receive");
    fs::copy(
        case.write("refuse", "#! /bin/sh\necho only on weekdays\nexit 1\n"),
        hook,
    )
    .unwrap();
    case.edit("sed -i s/b/c/ \"$1\"").expect(0);
    case.floe(&["secrets", "push"])
        .expect(102)
        .says(&["refused the push", "only on weekdays"]);
    case.floe(&["secrets", "clone"])
        .expect(0)
        .says(&["1 commit is not pushed yet"]);
}

#[test]
fn a_secret_in_plain_text_is_not_pushed_in_whichever_commit() {
    let case = Case::cloned("A: b\n");
    let file = case.clone().join("secrets.yaml");
    let encrypted = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("added: hunter2\n{encrypted}")).unwrap();
    case.git(&case.clone(), &["commit", "-qam", "added by hand"]);
    fs::write(&file, encrypted).unwrap();
    case.git(&case.clone(), &["commit", "-qam", "taken back"]);
    let ended = case.floe(&["secrets", "push"]).expect(102);
    assert!(!ended.stderr.contains("hunter2"));
    ended.says(&["holds secrets.yaml in plain text: added", "nothing was pushed", "reset"]);
    assert_eq!(case.git(&case.path("remote.git"), &["log", "--format=%s"]), "first");
}
