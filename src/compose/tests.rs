//! What becomes of a mission's and the common Dockerfile.

use super::*;

pub(super) fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.into(),
        text: text.to_owned(),
    }
}

pub(super) fn trailer() -> Source {
    source(
        "common/Dockerfile.trailer",
        "USER ${NB_UID}\nRUN echo '{{base_url | urlencode}}'\n",
    )
}

#[test]
fn a_plain_file_passes_through_untouched_whatever_its_braces_hold() {
    let text = "FROM x\n\nENV A='{{ b }}' B=\"{% c %}\" # {# d #}\nCMD [\"x\"]";
    let body = Body::Custom(source("missions/m/Dockerfile.custom", text));
    let composed = mission("m", &body, &trailer(), &Mounts::default());
    for line in text.lines().chain(["USER ${NB_UID}"]) {
        assert!(
            composed
                .text
                .lines()
                .any(|l| l.trim_end_matches(" AS floe-finished") == line),
            "{line:?} is missing in:\n{}",
            composed.text
        );
    }
    assert!(composed.text.contains(" echo '{{base_url | urlencode}}'\n"));
}

#[test]
fn every_run_gets_the_site_and_every_stage_its_variables() {
    let text = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS a\nrun one \\\n  && two\nUSER 1000:100\nRUN --mount=type=tmpfs,target=/x apt-get update\nFROM b\n";
    let body = Body::OptedOut(source("missions/m/Dockerfile", text));
    let composed = mission("m", &body, &trailer(), &Mounts::of([CA]));
    insta::assert_snapshot!(composed.text, @r"
    ARG BASE_IMAGE
    FROM ${BASE_IMAGE} AS a
    ARG UV_CACHE_DIR=/dev/floe/cache/uv UV_LINK_MODE=copy PIP_CACHE_DIR=/dev/floe/cache/pip CONDA_PKGS_DIRS=/dev/floe/cache/conda FLOE_CACHE_DIR=/dev/floe/cache/floe
    ARG SSL_CERT_FILE=/dev/floe/ca.crt REQUESTS_CA_BUNDLE=/dev/floe/ca.crt PIP_CERT=/dev/floe/ca.crt CURL_CA_BUNDLE=/dev/floe/ca.crt GIT_SSL_CAINFO=/dev/floe/ca.crt NODE_EXTRA_CA_CERTS=/dev/floe/ca.crt
    run --mount=type=cache,id=floe-packages-the-base-image-user,target=/dev/floe/cache,uid=1000,gid=100 --mount=type=secret,id=ca.crt,target=/dev/floe/ca.crt,mode=0444 one \
      && two
    USER 1000:100
    RUN --mount=type=cache,id=floe-packages-1000-100,target=/dev/floe/cache,uid=1000,gid=100 --mount=type=cache,id=floe-var-cache-apt,target=/var/cache/apt,sharing=locked --mount=type=cache,id=floe-var-lib-apt-lists,target=/var/lib/apt/lists,sharing=locked --mount=type=secret,id=ca.crt,target=/dev/floe/ca.crt,mode=0444 --mount=type=tmpfs,target=/x apt-get update
    FROM b
    ARG UV_CACHE_DIR=/dev/floe/cache/uv UV_LINK_MODE=copy PIP_CACHE_DIR=/dev/floe/cache/pip CONDA_PKGS_DIRS=/dev/floe/cache/conda FLOE_CACHE_DIR=/dev/floe/cache/floe
    ARG SSL_CERT_FILE=/dev/floe/ca.crt REQUESTS_CA_BUNDLE=/dev/floe/ca.crt PIP_CERT=/dev/floe/ca.crt CURL_CA_BUNDLE=/dev/floe/ca.crt GIT_SSL_CAINFO=/dev/floe/ca.crt NODE_EXTRA_CA_CERTS=/dev/floe/ca.crt
    ");
}

#[test]
fn a_line_of_the_composed_file_leads_back_to_the_line_that_was_written() {
    let body = Body::Custom(source("missions/m/Dockerfile.custom", "FROM x\nRUN one\n"));
    let composed = mission("m", &body, &trailer(), &Mounts::default());
    let place = |needle: &str| {
        let line = composed.text.lines().position(|l| l.contains(needle)).unwrap() + 1;
        composed.place(line).map(ToString::to_string)
    };
    assert_eq!(place("one").unwrap(), "missions/m/Dockerfile.custom:2");
    assert_eq!(place("urlencode").unwrap(), "common/Dockerfile.trailer:2");
    assert_eq!(place("Composed by floe"), None);
    assert_eq!(composed.place(0), None);
    assert_eq!(composed.place(1000), None);
}

#[test]
fn a_failed_step_leads_back_to_its_instruction() {
    let text = "FROM x\nRUN apt-get update\nRUN apt-get install \\\n  wget nothing\n";
    let body = Body::Custom(source("missions/m/Dockerfile.custom", text));
    let composed = mission("m", &body, &trailer(), &Mounts::of([CA]));
    let line = |step: &str| composed.place_of_step(step).and_then(|place| place.line);
    let mount = "--mount=type=secret,id=ca.crt,target=/x";
    assert_eq!(
        line(&format!("[3/4] RUN {mount} apt-get install   wget nothing")),
        Some(3)
    );
    assert_eq!(line("[2/4] RUN apt-get update"), Some(2));
    assert_eq!(line("exporting to image"), None);
}

#[test]
fn directives_to_the_parser_stay_the_first_lines() {
    let text = "# syntax=docker/dockerfile:1\n# check=skip=all\nFROM x\n";
    let body = Body::Custom(source("missions/m/Dockerfile.custom", text));
    let composed = mission("m", &body, &trailer(), &Mounts::default());
    let lines = composed.text.lines().collect::<Vec<_>>();
    assert_eq!(lines[..2], ["# syntax=docker/dockerfile:1", "# check=skip=all"]);
    assert!(lines[2].starts_with("# Composed by floe"), "{lines:?}");
    let place = composed.place(5).unwrap();
    assert_eq!(
        (place.path.to_str().unwrap(), place.line),
        ("missions/m/Dockerfile.custom", Some(3))
    );
}

#[test]
fn the_trailer_is_continued_by_the_character_that_the_mission_chose() {
    let text = "# escape=`\nFROM x\nRUN a `\n b\n";
    let trailer = source("common/Dockerfile.trailer", "RUN one \\\n && two\nUSER x\n");
    let body = Body::Custom(source("missions/m/Dockerfile.custom", text));
    let composed = mission("m", &body, &trailer, &Mounts::default()).text;
    assert!(composed.starts_with("# escape=`\n"), "{composed}");
    assert!(composed.contains(" one `\n && two\nUSER x\n"), "{composed}");
}

#[test]
fn scripts_that_a_mission_calls_know_whether_specs_are_frozen() {
    let text = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS a\nRUN env-clone base a\nFROM a\n";
    let body = Body::Custom(source("missions/m/Dockerfile.custom", text));
    let composed = mission("m", &body, &trailer(), &Mounts::default()).text;
    let stages = composed.lines().filter(|line| line.starts_with("FROM ")).count();
    assert_eq!(composed.matches("\nARG USE_FROZEN\n").count(), stages, "{composed}");
    let body = Body::OptedOut(source("missions/m/Dockerfile", text));
    assert!(
        !mission("m", &body, &trailer(), &Mounts::default())
            .text
            .contains("USE_FROZEN")
    );
}

#[test]
fn a_dockerfile_that_begins_no_stage_is_refused_with_its_line() {
    let of = |text: &str| {
        single(&source("missions/m/Dockerfile", text), &Mounts::default()).staged(Path::new("missions/m/Dockerfile"))
    };
    for text in [
        "FROM x\n",
        "\u{feff}FROM x\n",
        "# syntax=a/b\n\nARG A\n  from x\nRUN y\n",
        "ARG A \\\n  B\nFROM --platform=a x AS y\n",
    ] {
        assert!(of(text).is_ok(), "{text}");
    }
    for (text, place) in [
        ("", "missions/m/Dockerfile: "),
        ("ARG BASE", "missions/m/Dockerfile: "),
        ("# FROM x\n", "missions/m/Dockerfile: "),
        ("ARG A\nRUN x\nFROM x\n", "missions/m/Dockerfile:2: "),
        ("FROM\n", "missions/m/Dockerfile:1: "),
    ] {
        let refused = of(text).unwrap_err().to_string();
        assert!(refused.starts_with(place), "{text}: {refused}");
    }
}

#[test]
fn a_mission_that_begins_no_stage_is_at_fault_and_not_the_trailer_after_it() {
    let body = Body::Custom(source("missions/m/Dockerfile.custom", "ARG A=1\n"));
    let composed = mission("m", &body, &trailer(), &Mounts::default());
    let refused = composed.staged(body.file().unwrap()).unwrap_err().to_string();
    assert!(refused.starts_with("missions/m/Dockerfile.custom: "), "{refused}");
}

#[test]
fn nothing_is_copied_out_of_the_root_of_a_stage_which_builders_would_read_whole() {
    let stages = ["base", "cal", "old"].map(|name| Stage {
        environment: name.parse().unwrap(),
        files: Vec::new(),
        commands: vec!["true".to_owned()],
        layers: if name == "cal" { 3 } else { 1 },
    });
    let body = Body::Generated(stages.to_vec());
    let Assembly { layers, above, .. } = assembly("m", &body, &trailer(), &Mounts::default()).unwrap().unwrap();
    let solved = solved(&stages, crate::plan::SOLVED, &Mounts::default());
    let whole = mission("m", &body, &trailer(), &Mounts::default());
    for composed in [layers, above, solved, whole] {
        let copies = composed
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("COPY --from="));
        let sources = copies.map(|words| Path::new(words.split(' ').nth(1).unwrap()));
        let sources = sources.collect::<Vec<_>>();
        assert!(!sources.is_empty(), "{}", composed.text);
        for source in sources {
            assert_ne!(source.parent(), Some(Path::new("/")), "{}", composed.text);
        }
    }
}
