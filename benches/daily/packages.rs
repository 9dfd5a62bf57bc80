//! `floe lock` and `floe add`, beside `uv lock` and `uv add` on the same lists.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use world::{Repository, run};

use crate::measure::{Bar, Row, medians, time};

/// Where the mission is that is measured: one of this repository's own.
const MISSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/missions/roman");

/// A repository with this repository's mission of 180 packages.
pub fn repository(engine: bool) -> Repository {
    let repository = if engine {
        Repository::with_engine()
    } else {
        Repository::new()
    };
    run(Command::new("cp")
        .args(["-a", MISSION])
        .arg(repository.path().join("missions")));
    repository
}

pub fn measure(uv: &Path, rounds: usize) -> Vec<Row> {
    let repository = repository(false);
    let environment = repository.path().join("missions/roman/environments/roman-cal");
    let [yml, lock] = ["yml", "lock"].map(|kind| environment.join(format!("roman-cal-frozen.{kind}")));
    let list = environment.join("roman-cal.pip");
    let frozen = [&yml, &lock, &list].map(|path| (path.clone(), fs::read(path).unwrap()));
    let restore = || {
        for (path, bytes) in &frozen {
            fs::write(path, bytes).unwrap();
        }
    };
    let project = project(&environment);
    let path = format!("{}:{}", uv.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let floe = |words: &[&str]| -> Duration { time(repository.command(words).env("PATH", &path)) };
    let uv = |words: &[&str]| -> Duration {
        let mut command = Command::new(uv);
        time(
            command
                .args(words)
                .arg("--quiet")
                .current_dir(project.path())
                .env("UV_PYTHON_DOWNLOADS", "never"),
        )
    };
    let [manifest, locked] = ["pyproject.toml", "uv.lock"].map(|name| project.path().join(name));
    let listed = fs::read(&manifest).unwrap();
    let [[lock_ours], [lock_theirs], [kept_ours], [add_ours], [add_theirs]] = medians(
        rounds,
        [
            &mut || {
                for (path, _) in &frozen[..2] {
                    fs::remove_file(path).unwrap();
                }
                let lock = floe(&["lock", "roman"]);
                restore();
                [lock]
            },
            &mut || {
                let _ = fs::remove_file(&locked);
                [uv(&["lock"])]
            },
            &mut || [floe(&["lock", "roman"])],
            &mut || {
                restore();
                let add = floe(&["add", "roman-cal", "healpy", "--mission", "roman"]);
                restore();
                [add]
            },
            &mut || {
                let add = uv(&["add", "--no-sync", "healpy"]);
                fs::write(&manifest, &listed).unwrap();
                [add]
            },
        ],
    );
    let within = |seconds| Some(Bar::Within(Duration::from_secs(seconds).into()));
    vec![
        Row::new(
            "lock of 180 packages, from nothing",
            lock_ours,
            ("uv lock", lock_theirs),
            Some(Bar::Times(1.3)),
        ),
        Row::alone("lock of 180 packages, nothing new", kept_ours, within(3)),
        Row::new(
            "one package added to 180",
            add_ours,
            ("uv add --no-sync", add_theirs),
            None,
        ),
        Row::alone("one package added to 180", add_ours, within(3)),
    ]
}

/// A project of uv's that asks for what the environment and its base ask for.
fn project(environment: &Path) -> tempfile::TempDir {
    let common = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/common"));
    let mut lists = [
        "base/requirements.txt",
        "common-env/jupyter.pip",
        "common-env/science.pip",
    ]
    .map(|list| common.join(list))
    .to_vec();
    lists.extend(["roman-cal.pip", "notebooks.pip"].map(|list| environment.join(list)));
    let lines = lists
        .iter()
        .map(|list| fs::read_to_string(list).unwrap())
        .collect::<Vec<_>>()
        .concat();
    let lines = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let dependencies = lines
        .map(|line| format!("    {line:?},\n"))
        .collect::<Vec<_>>()
        .concat();
    let project = tempfile::tempdir().unwrap();
    let text = format!(
        "[project]\nname = \"daily\"\nversion = \"1\"\nrequires-python = \"==3.11.*\"\ndependencies = [\n{dependencies}]\n\n\
         [tool.uv]\nenvironments = [\"sys_platform == 'linux' and platform_machine == 'x86_64'\"]\n"
    );
    fs::write(project.path().join("pyproject.toml"), text).unwrap();
    project
}
