//! `docs/how-to/`: what the pages tell people to type who have a mission, typed one after the other in one repository.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use world::document::{Block, HOW_TO, Start, blocks, how_to_text};
use world::{Ended, LocalRegistry, committed, git, notebook};

use crate::workshop::Workshop;

/// Blocks that end otherwise than in 0, by their first line, and how: what they are about is a failing test.
const FAILS: &[(&str, i32)] = &[("floe test roman roman-cal::notebooks::ramp.ipynb", 100)];

/// The place in which the pages are typed.
struct Place {
    repository: Workshop,
    registry: LocalRegistry,
    programs: tempfile::TempDir,
    base: String,
}

impl Place {
    /// The mission `roman` with the environment `roman-cal`, built, with a notebook that fails.
    fn new() -> Self {
        let repository = Workshop::new();
        let environment = "missions/roman/environments/roman-cal";
        repository.write(&format!("{environment}/roman-cal.pip"), "numpy\n");
        repository.write(&format!("{environment}/tests/imports"), "numpy\njson\n");
        repository.write(&format!("{environment}/tests/ramp.ipynb"), &notebook(&["assert 1 > 2"]));
        repository.write("setup-env", "export TEST_SERVER=0\n");
        repository.write(".gitignore", "setup-env\n.floe\n");
        git(repository.path(), &["init", "-q", "-b", "main"]);
        let files = ["missions", "common", ".gitignore"];
        committed(repository.path(), &files);
        let programs = tempfile::tempdir().unwrap();
        symlink(world::program(), programs.path().join("floe")).unwrap();
        repository.floe(&["build", "roman"]).expect(0);
        committed(repository.path(), &files);
        let base = repository.floe(&["image", "roman", "--with-parents"]).expect(0).stdout;
        let base = base
            .lines()
            .find(|line| line.contains("floe/common:"))
            .unwrap()
            .to_owned();
        Self {
            repository,
            registry: LocalRegistry::start(),
            programs,
            base,
        }
    }

    /// Types a block of a page, with what is here for what is elsewhere.
    fn typed(&self, text: &str) -> Ended {
        let here = [
            ("registry.example.org", self.registry.address("")),
            ("localhost:5000", self.registry.address("")),
            ("quay.io/jupyter/scipy-notebook:2026-11-02", self.base.clone()),
            ("numpy,scipy", "json,jupyterlab".to_owned()),
        ];
        let script = here.iter().fold(text.to_owned(), |script, (there, here)| {
            script.replace(there, here.trim_end_matches('/'))
        });
        // What floe is called with is what the shell has.
        let like = self.repository.command(&[]);
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-euo", "pipefail", "-c", &script])
            .current_dir(self.repository.path())
            .stdin(std::process::Stdio::null())
            .env_clear();
        for (name, value) in like.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            .env("DOCKER_CONFIG", self.programs.path())
            .env("USE_FROZEN", "1")
            .env("REGISTRY", self.registry.address("hub"))
            .env("BASE", "HEAD")
            .envs([("REGISTRY_USER", "somebody"), ("REGISTRY_PASSWORD", "something")]);
        Ended::of(command.output().unwrap())
    }

    /// Does what a page says in words before one of its blocks.
    fn before(&self, page: &str, first: &str, blocks: &[Block]) {
        let path = self.repository.path();
        match (page, first) {
            ("a-failing-test.md", "floe test roman --rerun-failed") => {
                let ramp = "missions/roman/environments/roman-cal/tests/ramp.ipynb";
                self.repository.write(ramp, &notebook(&["assert 1 < 2"]));
                committed(path, &["missions"]);
            }
            ("ci.md", "floe report parts/* --output merged") => self.in_parts(),
            ("ci.md", login) if login.contains("docker login") => {
                self.typed("floe test roman").expect(0);
            }
            ("from-docker-stacks.md", _) => {
                let dockerfiles = blocks.iter().filter(|block| block.kind == "dockerfile");
                let texts = dockerfiles.map(|block| block.text.as_str()).collect::<Vec<_>>();
                let [from, copy, template] = texts[..] else {
                    panic!("{page} has other blocks");
                };
                self.repository
                    .write("missions/stacked/Dockerfile", &format!("{from}{copy}"));
                self.repository
                    .write("missions/stacked/environments/base/tests/imports", "json\n");
                self.typed("floe test stacked").expect(0).says(&["1 passed"]);
                self.repository.write("missions/roman/Dockerfile.custom.tera", template);
                let composed = self.typed("floe compose roman").expect(0);
                composed.prints(&["apt-install graphviz", "--from=env-roman-cal"]);
                fs::remove_file(path.join("missions/roman/Dockerfile.custom.tera")).unwrap();
            }
            _ => {}
        }
    }

    /// The other jobs of the matrix; each keeps the directory of its run.
    fn in_parts(&self) {
        let path = self.repository.path();
        fs::create_dir(path.join("parts")).unwrap();
        for part in 1..=4 {
            let runs = path.join(".floe/runs");
            fs::remove_dir_all(&runs).unwrap();
            let ended = self.typed(&format!("floe test roman --no-build --partition {part}/4"));
            assert!([0, 4].contains(&ended.code), "{}", ended.stderr);
            let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
            fs::rename(run, path.join(format!("parts/{part}"))).unwrap();
        }
    }
}

#[test]
fn what_pages_of_how_to_tell_people_to_type_works_in_a_repository_with_a_mission() {
    let place = Place::new();
    for (page, _) in HOW_TO.iter().filter(|(_, start)| *start == Start::Mission) {
        let text = how_to_text(page);
        let blocks = blocks(&text);
        for block in blocks.iter().filter(|block| block.kind == "sh") {
            let first = block.text.lines().next().unwrap();
            place.before(page, first, &blocks);
            let fails = FAILS.iter().find(|(line, _)| *line == first);
            let ended = place.typed(&block.text);
            let code = fails.map_or(0, |(_, code)| *code);
            assert_eq!(
                ended.code, code,
                "{page}:{}: {}{}",
                block.line, ended.stdout, ended.stderr
            );
        }
    }
    assert!(Path::new(&place.repository.path().join("merged/report.html")).is_file());
}
