//! What `floe test --added` says where there is nothing to do, or it cannot be told.

use std::process::Command;

use world::{Repository, committed, git};

/// A repository of one mission.
fn repository() -> Repository {
    let repository = Repository::new();
    repository.write("missions/m/environments/e/e.pip", "six\n");
    repository
}

#[test]
fn what_was_added_is_told_from_head_where_specs_are_edited_and_else_from_before_the_last_commit() {
    let repository = repository();
    committed(repository.path(), &["."]);
    let nothing = repository.floe(&["test", "m", "--added", "--since", "HEAD"]).expect(4);
    nothing.says(&["nothing was added since HEAD", "--since COMMIT"]);
    repository.write("missions/m/environments/e/e.pip", "six>1\n");
    repository
        .floe(&["test", "m", "--added"])
        .expect(4)
        .says(&["nothing was added since HEAD"]);
    git(repository.path(), &["commit", "-qam", "more"]);
    repository.write("missions/m/environments/e/tests/imports", "six\n");
    git(repository.path(), &["add", "."]);
    git(repository.path(), &["commit", "-qm", "tests"]);
    // Tests are no specs: the commit before the last that touched one is the first.
    let first = world::run(
        Command::new("git")
            .arg("-C")
            .arg(repository.path())
            .args(["rev-parse", "HEAD~2"]),
    );
    let nothing = repository.floe(&["test", "m", "--added"]).expect(4);
    nothing.says(&[&format!("nothing was added since {}", first.trim())]);
    repository.write("missions/m/environments/e/e.pip", "six\ntabulate\n");
    // Something was: no engine is here to test it.
    repository.floe(&["test", "m", "--added"]).expect(75);
}

#[test]
fn without_git_or_with_a_commit_that_is_not_there_nothing_is_guessed() {
    let repository = repository();
    repository
        .floe(&["test", "m", "--added"])
        .expect(3)
        .says(&["is in no git repository"]);
    git(repository.path(), &["init", "-q"]);
    let refused = repository.floe(&["test", "m", "--added", "--since", "gone"]).expect(3);
    refused.says(&["there is no commit \"gone\""]);
    repository.floe(&["test", "m", "--since", "HEAD"]).expect(2);
}
