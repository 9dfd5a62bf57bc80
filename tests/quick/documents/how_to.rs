//! `docs/how-to/`: what the pages tell people to type, typed in an empty directory.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use world::document::{HOW_TO, Start, blocks, how_to, how_to_text, script};
use world::{Ended, Repository};

#[test]
fn each_page_of_how_to_is_run_from_what_its_commands_start_from() {
    let pages = fs::read_dir(how_to("")).unwrap();
    let pages = pages.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let run = HOW_TO.iter().map(|(page, _)| (*page).to_owned());
    assert_eq!(pages.collect::<BTreeSet<_>>(), run.collect::<BTreeSet<_>>());
    for (page, _) in HOW_TO {
        let text = how_to_text(page);
        for block in blocks(&text) {
            let known = ["sh", "shell", "console", "dockerfile", "yaml"].contains(&block.kind.as_str());
            assert!(known, "{page}:{}: a block of the kind {:?}", block.line, block.kind);
            let typed = block.text.lines().all(|line| line.is_empty() || line.starts_with("$ "));
            assert!(
                block.kind != "console" || typed,
                "{page}:{}: begin with `$ `",
                block.line
            );
        }
        let mut inside = false;
        let mut after_nothing = false;
        for (number, line) in text.lines().enumerate() {
            inside ^= line.trim_start().starts_with("```");
            assert!(
                inside || !(after_nothing && line.starts_with("    ")),
                "{page}:{}: a block without fences, which nothing runs",
                number + 1
            );
            after_nothing = line.is_empty();
        }
    }
}

#[test]
fn what_pages_of_how_to_tell_people_to_type_works_in_an_empty_directory() {
    for (page, _) in HOW_TO.iter().filter(|(_, start)| *start == Start::Nothing) {
        let script = script(&how_to_text(page));
        assert!(script.contains("floe init"), "{page}");
        let place = tempfile::tempdir().unwrap();
        let programs = place.path().join("bin");
        fs::create_dir_all(place.path().join("here")).unwrap();
        fs::create_dir(&programs).unwrap();
        symlink(world::program(), programs.join("floe")).unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-euo", "pipefail", "-c", &script])
            .current_dir(place.path().join("here"))
            .env_clear()
            .env("PATH", path)
            .env("HOME", place.path())
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        let ended = Ended::of(command.output().unwrap());
        assert_eq!(ended.code, 0, "{page}: {}", ended.stderr);
    }
}

#[test]
fn what_pages_of_how_to_put_into_setup_env_is_known_there() {
    for (page, _) in HOW_TO {
        let text = how_to_text(page);
        let lines = blocks(&text).into_iter().filter(|block| block.kind == "shell");
        let lines = lines.map(|block| block.text).collect::<String>();
        if lines.is_empty() {
            continue;
        }
        let repository = Repository::new();
        let certificates = repository.write("site.pem", "");
        let lines = lines.replace("/etc/ssl/certs/site.pem", certificates.to_str().unwrap());
        repository.write("setup-env", &lines);
        let ended = repository.floe(&["settings"]).expect(0);
        assert_eq!(ended.stderr, "", "{page}");
        for name in lines.lines().filter_map(|line| line.strip_prefix("export ")) {
            let name = name.split('=').next().unwrap();
            let shown = ended.stdout.lines().find(|line| line.contains(name));
            assert!(
                shown.is_some_and(|line| line.contains("setup-env")),
                "{page}: {name}\n{}",
                ended.stdout
            );
        }
    }
}
