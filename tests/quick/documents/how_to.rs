//! `docs/how-to/`: what the pages tell people to type, typed in an empty directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use world::Ended;
use world::document::script;

#[test]
fn what_each_page_of_how_to_tells_people_to_type_works_in_an_empty_directory() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to");
    let mut typed = 0;
    for page in fs::read_dir(pages).unwrap().map(|entry| entry.unwrap().path()) {
        let script = script(&fs::read_to_string(&page).unwrap());
        if script.is_empty() {
            continue;
        }
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
        assert_eq!(ended.code, 0, "{}: {}", page.display(), ended.stderr);
        typed += 1;
    }
    assert!(typed > 1, "only {typed} pages were typed");
}
