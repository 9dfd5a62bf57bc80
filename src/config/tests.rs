//! Where settings come from, and which are refused.

use super::*;

fn file(text: &str) -> BTreeMap<String, Assignment> {
    setup_env::parse("setup-env".as_ref(), text, &|_| None).unwrap()
}

#[test]
fn a_channel_mirror_must_be_a_url_and_its_password_is_not_shown() {
    let resolved = |mirror: &str| {
        let flags = BTreeMap::from([("CONDA_MIRROR", mirror.to_owned())]);
        resolve(&flags, nothing, &BTreeMap::new()).map(|settings| settings.site.conda_mirror)
    };
    assert_eq!(
        resolved("https://me:secret@conda.example/").unwrap().as_deref(),
        Some("https://me:secret@conda.example")
    );
    let error = resolved("ftp://me:secret@conda.example").unwrap_err().to_string();
    assert_eq!(
        error,
        "CONDA_MIRROR=ftp://***@conda.example: expected a URL of http, https or file, not of ftp"
    );
}

#[test]
fn the_password_of_a_key_is_kept_as_it_is_and_not_shown() {
    let environment = |name: &str| (name == "COSIGN_PASSWORD").then(|| " secret word ".to_owned());
    let settings = resolve(&BTreeMap::new(), environment, &BTreeMap::new()).unwrap();
    assert_eq!(settings.signing.password, " secret word ");
    assert!(!format!("{settings:?}").contains("secret word"));
}

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_setup_env_and_its_default() {
    let file = file("export USE_FROZEN=0\nexport MISSION=tess\nexport REGISTRY=r.example/x/");
    let environment = |name: &str| (name == "MISSION").then(|| "roman".to_owned());
    let flags = BTreeMap::from([("REGISTRY", "flag.example".to_owned())]);
    let settings = resolve(&flags, environment, &file).unwrap();
    assert!(!settings.use_frozen);
    assert_eq!(settings.mission.unwrap().as_str(), "roman");
    assert_eq!(settings.registry.unwrap().as_str(), "flag.example");
    assert_eq!(settings.base_image, BaseImage::Debian);
    assert_eq!(settings.run.cell_timeout, Some("10m".parse().unwrap()));
    assert_eq!((settings.run.run_timeout, settings.run.memory), (None, None));
}

#[test]
fn a_bad_value_names_its_file_and_line() {
    let error = resolve(&BTreeMap::new(), nothing, &file("# x\nexport USE_FROZEN=yes")).unwrap_err();
    assert_eq!(error.to_string(), "setup-env:2: USE_FROZEN=yes: expected 0 or 1");
}

#[test]
fn an_unusable_value_of_any_kind_is_refused() {
    for text in [
        "export MISSION=../x",
        "export CELL_TIMEOUT=0",
        "export RUN_TIMEOUT=soon",
        "export TEST_MEMORY=much",
        "export CONTAINER_MEMORY=80%",
        "export TEST_JOBS=many",
        "export REGISTRY=https://x",
        "export SITE_CA=/no/such/file",
    ] {
        assert!(
            resolve(&BTreeMap::new(), nothing, &file(text)).is_err(),
            "{text} was accepted"
        );
    }
}
