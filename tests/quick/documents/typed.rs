//! The commands of the pages about several machines, which need engines, clusters and registries to do what they say: typed in
//! a repository without any, each is understood, and those that need none work.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use world::document::{HOW_TO, Start, blocks};
use world::{Ended, Repository, git};

/// Pages beside those of `docs/how-to/` that start from several machines.
const PAGES: [&str; 2] = ["how-to/ci.md", "scale.md"];

/// What is typed on a page: blocks that are typed, and commands within sentences.
fn typed(page: &str) -> Vec<String> {
    let apart = blocks(page).into_iter().filter(|block| block.kind == "sh");
    let apart = apart.flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>());
    let apart = apart.filter(|line| line.starts_with("floe "));
    // Every other part lies outside of blocks.
    let sentences = page.split("```").step_by(2);
    let within = sentences.flat_map(|text| text.split('`').skip(1).step_by(2));
    let within = within.filter(|words| words.starts_with("floe ") && words.contains(" --"));
    apart.chain(within.map(|words| words.replace('\n', " "))).collect()
}

#[test]
fn what_pages_about_several_machines_tell_people_to_type_is_understood() {
    let repository = Repository::new();
    repository.write("missions/roman/environments/cal/cal.pip", "numpy\n");
    repository.write("missions/roman/environments/cal/tests/imports", "numpy\n");
    git(repository.path(), &["init", "--quiet"]);
    git(repository.path(), &["add", "."]);
    git(repository.path(), &["commit", "--quiet", "--message", "all"]);
    let programs = tempfile::tempdir().unwrap();
    symlink(world::program(), programs.path().join("floe")).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let several = HOW_TO
        .iter()
        .filter(|(_, start)| matches!(start, Start::Engines | Start::Cluster));
    let several = several.map(|(page, _)| format!("how-to/{page}"));
    for page in several.chain(PAGES.map(str::to_owned)) {
        let commands = typed(&fs::read_to_string(docs.join(&page)).unwrap());
        assert!(!commands.is_empty(), "{page} has no commands");
        for words in commands {
            let mut command = Command::new("bash");
            command
                .args(["--noprofile", "--norc", "-c", &words])
                .current_dir(repository.path())
                .env_clear()
                .env("PATH", &path)
                .env("HOME", programs.path())
                .env("BASE", "HEAD")
                .env("USE_FROZEN", "0")
                .env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
            let ended = Ended::of(command.output().unwrap());
            let known = if words.starts_with("floe plan") {
                &[0][..]
            } else {
                &[0, 3, 4, 75, 102]
            };
            assert!(known.contains(&ended.code), "{page}: {words}: {}", ended.stderr);
        }
    }
}
