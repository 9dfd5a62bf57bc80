//! What the documents of releases tell people and workflows to type, typed. git, the registry and the shell are real.

mod dividing;
mod place;
mod proposing;
mod workflows;

use std::fs;
use std::path::Path;

use place::{Place, read};
use world::document::{blocks, script};

/// The blocks that need an engine or a cluster, by their first lines. Everything else is run.
const NOT_RUN: &[&str] = &[
    "$ docker run --detach --publish 127.0.0.1:5000:5000 registry:2",
    "$ floe test --image \"$FLOE_IMAGE\" --imports numpy,astropy --server",
    "$ floe deploy hub production --plan",
];

#[test]
fn what_the_page_of_releases_tells_people_to_type_brings_an_image_to_production_and_back() {
    let place = Place::new();
    let [first, second] = ["1", "2"].map(|tag| place.image("platform/roman", tag));
    let page = read("docs/release.md");
    let mut left_out = Vec::new();
    for block in blocks(&page) {
        match block.kind.as_str() {
            "sh" | "yaml" => {}
            "console" => left_out.push(block.text.lines().next().unwrap().to_owned()),
            other => panic!("docs/release.md:{}: what is a block of {other:?}?", block.line),
        }
    }
    assert_eq!(left_out, NOT_RUN);
    let script = script(&page).replace("localhost:5000", &format!("localhost:{}", place.registry.port()));
    let ended = place.shell(&script, &[]).expect(0);
    let ended = ended.says(&[
        "hub staging: 1 of 1 passed",
        "next: git push -u origin floe/promote/hub-production-",
        "is recalled: notebooks lose their output",
        "use the one before instead",
    ]);
    assert!(
        ended
            .stdout
            .contains("named by a tag, which may mean another image tomorrow")
    );
    for stage in ["staging", "production"] {
        let file = fs::read_to_string(
            place
                .path()
                .join(format!("platform/deployments/hub/config/{stage}.yaml")),
        );
        let file = file.unwrap();
        assert!(
            file.contains(&first) && file.contains("# written by floe promote"),
            "{file}"
        );
    }
    assert!(ended.stderr.contains(&format!("{second} is recalled")));
}

#[test]
fn the_deployment_with_every_field_is_one_that_floe_reads() {
    let place = Place::new();
    let page = read("docs/release.md");
    let blocks = blocks(&page);
    let block = blocks.iter().find(|block| block.kind == "yaml").unwrap();
    let stages = block
        .text
        .lines()
        .flat_map(|line| ["  ", line, "\n"])
        .collect::<String>();
    place.write(
        "deployments/hub/deployment.yml",
        &format!("stages:\n  - name: staging\n{stages}"),
    );
    place.write("deployments/hub/config/staging.yaml", "debug: 1\n");
    place.commit();
    place
        .shell("git branch prod && floe config hub production", &[])
        .expect(0);
    let line = "docs/release.md: the table of fields";
    let written: serde_yaml::Value = serde_yaml::from_str(&block.text).unwrap();
    for field in written[0].as_mapping().unwrap().keys() {
        let row = format!("\n| `{}` |", field.as_str().unwrap());
        assert!(page.contains(&row), "{line} lacks {row:?}");
    }
}

#[test]
fn every_page_that_is_linked_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = walkdir::WalkDir::new(root.join("docs")).into_iter();
    let pages = docs.map(|entry| entry.unwrap().into_path());
    let beside = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages
        .chain(beside)
        .filter(|page| page.extension().is_some_and(|extension| extension == "md"));
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let linked = text.split("](").skip(1);
        let linked = linked.filter_map(|rest| rest.split([')', '#']).next());
        for link in linked.filter(|link| !link.contains("://")) {
            let there = page.parent().unwrap().join(link);
            assert!(there.exists(), "{}: {link}", page.display());
            links += 1;
        }
    }
    assert!(links > 30, "only {links} were found");
}

#[test]
fn every_exit_code_is_told_as_real_or_not() {
    let page = read("docs/when-it-fails.md");
    let codes = read("docs/reference/exit-codes.md");
    let codes = codes.split("| exit code | meaning |\n|---|---|\n").nth(1).unwrap();
    let codes = codes.lines().take_while(|line| line.starts_with('|'));
    let codes = codes
        .map(|line| line.split('|').nth(1).unwrap().trim())
        .collect::<Vec<_>>();
    assert!(codes.len() > 8, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("\n| {code} |")), "{code}");
    }
}

#[test]
fn only_what_may_go_away_is_run_again_and_three_times_at_most() {
    let place = Place::new();
    let tries = |ends: &str| {
        let script = format!("rm -f tries; scripts/again sh -c 'echo x >> tries; {ends}'");
        let ended = place.shell(&script, &[("AGAIN_AFTER", "0")]);
        let tries = fs::read_to_string(place.path().join("tries")).unwrap();
        (ended.code, tries.lines().count())
    };
    assert_eq!(tries("exit 0"), (0, 1));
    assert_eq!(tries("exit 100"), (100, 1));
    assert_eq!(tries("exit 75"), (75, 3));
    assert_eq!(tries("[ $(wc -l < tries) = 2 ] || exit 75"), (0, 2));
    assert_eq!(tries("[ $(wc -l < tries) = 1 ] && exit 75; exit 102"), (102, 2));
    place.shell("scripts/again", &[]).expect(2);
}
