//! A person's day at an engine, with images so small that it takes seconds.

use std::fs;

use world::LocalRegistry;

use crate::site::{Reach, Site};

/// What an environment holds of a conda package, which nobody installed: there is no python in these images.
const RECORD: &str = r#"{"name": "tool", "version": "1.0", "build": "0", "build_number": 0, "subdir": "noarch", "depends": [],
"fn": "tool-1.0-0.conda", "url": "https://conda.invalid/c/noarch/tool-1.0-0.conda", "channel": "https://conda.invalid/c",
"sha256": "0000000000000000000000000000000000000000000000000000000000000000", "files": []}"#;

const FROZEN: &str = "missions/tiny/environments/small/small-frozen.yml";

/// A mission with an environment, which its own Dockerfile makes.
fn write_mission(site: &Site) {
    let repository = &site.repository;
    // What all environments share is of no use to this one.
    fs::remove_dir_all(repository.path().join("common/common-env")).unwrap();
    repository.write("common/Dockerfile.trailer", "# Nothing.\n");
    repository.write("missions/tiny/installed/conda-meta/history", "");
    repository.write("missions/tiny/installed/conda-meta/tool-1.0-0.json", RECORD);
    // `USER root` is looked up, by some builders.
    repository.write("missions/tiny/etc/passwd", "root:x:0:0::/:/bin/sh\n");
    repository.write("missions/tiny/etc/group", "root:x:0:\n");
    let spec = "name: small\nchannels: [https://conda.invalid/c]\ndependencies: [tool]\n";
    repository.write("missions/tiny/environments/small/small.yml", spec);
    repository.write(FROZEN, &spec.replace("tool", "tool=0.9=0"));
    fs::remove_file(repository.path().join("missions/tiny/Dockerfile")).unwrap();
    repository.write(
        "missions/tiny/Dockerfile.custom",
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY environments/ /opt/environments/\nENV CONDA_DIR=/opt/conda\n\
         COPY etc/ /etc/\nCOPY installed/ /opt/conda/envs/small/\n",
    );
}

/// Builds, freezes, tests and pushes a mission, finds it up to date, and finds it in the registry.
pub fn a_day_at(engine: Reach) {
    let (registry, site) = (LocalRegistry::start(), Site::on(engine, "true"));
    let address = registry.address("hub");
    let push = ["push", "tiny", "--registry", &address];
    write_mission(&site);
    site.command(&["build", "tiny"]).expect(0);
    site.command(&["freeze", "tiny"])
        .expect(0)
        .prints(&["small-frozen.yml"]);
    let frozen = fs::read_to_string(site.repository.path().join(FROZEN)).unwrap();
    assert!(frozen.contains("tool=1.0=0"), "{frozen}");
    site.command(&["build", "tiny"]).expect(0);
    site.command(&["freeze", "tiny"])
        .expect(0)
        .prints(&["nothing to write"]);
    site.command(&push).expect(102).says(&["no passing test results"]);
    site.command(&["test", "tiny"]).expect(0);
    let pushed = site.command(&push).expect(0);
    let image = site.command(&["image", "tiny", "--format", "json"]).expect(0).stdout;
    let image = serde_json::from_str::<serde_json::Value>(&image).unwrap();
    let (_, tag) = image["reference"].as_str().unwrap().rsplit_once(':').unwrap();
    assert_eq!(pushed.stdout, registry.reference("hub/tiny", tag));
    let again = site.command(&["build", "tiny"]).expect(0);
    let again = again.says(&["UP-TO-DATE mission tiny"]).stderr.clone();
    assert!(!again.contains("Building"), "{again}");
    let again = site.command(&push).expect(0).says(&["is there already"]);
    assert_eq!(again.stdout, pushed.stdout);
    // What another machine pulls is what was tested here.
    let name = format!("{}:{tag}", registry.address("hub/tiny"));
    let known = site
        .docker()
        .args(["image", "inspect", "--format", "{{.Id}}", &name])
        .output();
    assert_eq!(
        String::from_utf8(known.unwrap().stdout).unwrap().trim(),
        image["id"].as_str().unwrap()
    );
}
