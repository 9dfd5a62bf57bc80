//! What a CI service gets to see, and what nobody does.

use std::fs;

use world::Ended;

use crate::site::Site;

const TOKEN: &str = "ghp_0123456789abcdef";

/// All that a run left in its directory.
fn left(site: &Site) -> String {
    let files = fs::read_dir(site.run()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn a_failure_is_marked_in_the_log_of_github_and_told_in_its_summary() {
    let site = Site::new("echo '::error::forged'\nexit 3");
    let summary = site.repository.path().join("step-summary.md");
    fs::write(&summary, "before\n").unwrap();
    let mut command = site.prepared(&["test", "tiny"]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary);
    let ended = Ended::of(command.output().unwrap()).expect(100);
    let commands = ended.stderr.lines().filter(|line| line.starts_with("::"));
    assert_eq!(
        commands.collect::<Vec<_>>(),
        [
            "::error file=missions/tiny/environments/test,title=FAIL mission%3Atiny%3A%3Atest::the script failed with exit code 3"
        ]
    );
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n## ❌ `tiny`: tests failed"), "{text}");
    assert!(
        text.contains("| FAIL | `mission:tiny::test` | `the script failed with exit code 3` |"),
        "{text}"
    );
    assert!(!text.lines().any(|line| line.starts_with("::")), "{text}");
}

#[test]
fn no_secret_of_the_host_is_in_the_container_or_in_what_is_kept() {
    let site = Site::new(&format!(
        "echo \"the variable holds: [$MY_TOKEN]\"\necho {TOKEN}\necho {TOKEN} >&2\nexit 3"
    ));
    let mut command = site.prepared(&["test", "tiny", "--verbose"]);
    let ended = Ended::of(command.env("MY_TOKEN", TOKEN).output().unwrap()).expect(100);
    ended.says(&["the variable holds: []", "***"]);
    let left = left(&site);
    assert!(left.contains("the variable holds: []") && left.contains("***"));
    assert!(!left.contains(TOKEN), "a report holds the token");
}

#[test]
fn without_the_variable_nothing_is_hidden() {
    let site = Site::new(&format!("echo {TOKEN}\nexit 3"));
    site.command(&["test", "tiny"]).expect(100).says(&[TOKEN]);
    assert!(left(&site).contains(TOKEN));
}
