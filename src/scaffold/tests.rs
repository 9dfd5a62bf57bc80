//! What is made of what people have, and what of it stays behind.

use super::*;
use crate::config::BaseImage;

/// The paths of the files of a scaffold.
fn paths(scaffold: &Scaffold) -> Vec<&str> {
    let mut paths = scaffold
        .files
        .iter()
        .map(|file| file.path.to_str().unwrap())
        .collect::<Vec<_>>();
    paths.sort_unstable();
    paths
}

fn text<'a>(scaffold: &'a Scaffold, path: &str) -> &'a str {
    let file = scaffold.files.iter().find(|file| file.path == Path::new(path));
    std::str::from_utf8(&file.unwrap_or_else(|| panic!("{path}: {:?}", paths(scaffold))).bytes).unwrap()
}

fn left(scaffold: &Scaffold) -> Vec<&str> {
    scaffold.left.iter().map(|left| left.what.as_str()).collect()
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn of_repo2docker(files: &[(&str, &str)]) -> Scaffold {
    let dir = directory(files);
    repo2docker(dir.path(), &"m".parse().unwrap(), None, &BaseImage::Debian).unwrap()
}

#[test]
fn a_directory_of_repo2docker_becomes_an_environment_and_what_else_the_image_needs() {
    let scaffold = of_repo2docker(&[
        (
            "environment.yml",
            "name: My Env\nchannels:\n- conda-forge\ndependencies:\n- numpy\n- pip:\n  - -e .\n  - six\n",
        ),
        ("requirements.txt", "nobody reads this\n"),
        ("apt.txt", "# tools\njq  # for JSON\nlibgsl-dev\n"),
        ("postBuild", "#!/bin/bash\ntrue\n"),
        ("start", "#!/bin/bash\nexec \"$@\"\n"),
        ("install.R", "install.packages('x')\n"),
    ]);
    assert_eq!(
        paths(&scaffold),
        [
            "missions/m/Dockerfile.custom.tera",
            "missions/m/environments/My-Env/My-Env.yml",
            "missions/m/environments/My-Env/tests/imports",
            "missions/m/environments/test",
            "missions/m/postBuild",
            "missions/m/start",
        ]
    );
    let yml = text(&scaffold, "missions/m/environments/My-Env/My-Env.yml");
    assert!(yml.contains("\n#   - -e .\n  - six\n"), "{yml}");
    insta::assert_snapshot!(text(&scaffold, "missions/m/Dockerfile.custom.tera"), @r#"
    # Debian's packages first: environments may need them while they are installed.
    ARG BASE_IMAGE
    FROM ${BASE_IMAGE} AS system
    USER root
    RUN /opt/common-scripts/apt-install \
            jq \
            libgsl-dev

    {{ env_stages | replace(from="${BASE_IMAGE}", to="system") }}

    FROM system
    {{ env_layers }}
    USER root
    COPY --chmod=755 postBuild /opt/postBuild
    USER ${NB_UID}
    WORKDIR ${HOME}
    RUN /opt/common-scripts/env-run My-Env /opt/postBuild
    USER root
    COPY --chmod=755 start /opt/start
    ENTRYPOINT ["tini", "-g", "--", "/opt/start"]
    "#);
    assert_eq!(
        left(&scaffold),
        [
            "environment.yml:7: -e .",
            "requirements.txt",
            "what postBuild reads beside itself",
            "install.R",
            "notebooks and all other files"
        ]
    );
    assert_eq!(scaffold.settings, [("CONDA_CHANNELS", "conda-forge".to_owned())]);
}

#[test]
fn requirements_come_with_the_lists_that_they_name() {
    let scaffold = of_repo2docker(&[
        ("requirements.txt", "-r sub/more.txt\nsix\n./local\n"),
        ("sub/more.txt", "-c ../limits.txt\nidna\n"),
        ("limits.txt", "idna<4\n"),
    ]);
    let list = text(&scaffold, "missions/m/environments/m/requirements.pip");
    assert_eq!(list, "-r sub/more.txt\nsix\n# ./local\n");
    text(&scaffold, "missions/m/environments/m/sub/more.txt");
    text(&scaffold, "missions/m/environments/m/limits.txt");
    assert_eq!(scaffold.settings, []);
}

#[test]
fn a_runtime_is_the_python_of_the_environment_and_no_other_language() {
    let scaffold = of_repo2docker(&[("runtime.txt", "python-3.11\n"), ("requirements.txt", "six\n")]);
    let yml = text(&scaffold, "missions/m/environments/m/m.yml");
    assert!(yml.ends_with("- python=3.11\n- pip\n"), "{yml}");
    text(&scaffold, "missions/m/environments/m/requirements.pip");
    let scaffold = of_repo2docker(&[("runtime.txt", "r-4.1-2022-01-01\n")]);
    assert!(left(&scaffold).contains(&"runtime.txt: r-4.1-2022-01-01"));
}

#[test]
fn missions_of_the_original_framework_are_taken_as_they_are() {
    let dir = directory(&[
        (
            "missions/roman/Dockerfile.custom",
            "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n",
        ),
        ("missions/roman/Dockerfile", "made\n"),
        ("missions/roman/environments/cal/cal.pip", "six\n"),
        (
            "missions/roman/environments/cal/cal-frozen.yml",
            "dependencies:\n- python=3.11\n",
        ),
        ("missions/roman/environments/cal/tests/imports", "six\n"),
        (
            "missions/roman/environments/test",
            "#! /bin/bash\n/opt/common-scripts/test-environments\n",
        ),
        ("missions/Bad Name/x", ""),
        (
            "common/image/Dockerfile",
            "ARG TAG=2023\nARG BASE=jupyter/scipy-notebook:x\nFROM ${BASE}\n",
        ),
        ("common/image/Dockerfile.trailer", "USER x\n"),
        ("common/image/common-env/site.pip", "idna\n"),
        ("common/image/common-scripts/env-update", "#! /bin/bash\n"),
        ("common/image/common-scripts/own-thing", "#! /bin/bash\n"),
        ("scripts/image-build", ""),
        ("scripts/image-login", ""),
        (
            "setup-env.template",
            "export USE_FROZEN=1\nexport IMAGE_REPO=x\nexport CELL_TIMEOUT=\"900\"\n",
        ),
        ("deployments/x/hub.yaml", ""),
    ]);
    assert_eq!(Source::of(dir.path()).unwrap(), Source::Tree(dir.path().to_owned()));
    let scaffold = original(dir.path()).unwrap();
    assert_eq!(
        paths(&scaffold),
        [
            "common/common-env/site.pip",
            "common/common-scripts/own-thing",
            "missions/roman/Dockerfile.custom",
            "missions/roman/environments/cal/cal-frozen.yml",
            "missions/roman/environments/cal/cal.pip",
            "missions/roman/environments/cal/tests/imports",
            "missions/roman/environments/test",
        ]
    );
    let test = scaffold
        .files
        .iter()
        .find(|file| file.path.ends_with("environments/test"));
    assert!(test.unwrap().program);
    assert_eq!(
        left(&scaffold),
        [
            "missions/Bad Name",
            "missions/roman/Dockerfile",
            "common/image/Dockerfile",
            "common/image/Dockerfile.trailer",
            "common/image/common-scripts/env-update",
            "setup-env.template: IMAGE_REPO",
            "scripts/image-login",
            "deployments",
        ]
    );
    let settings = [("BASE_IMAGE", "jupyter/scipy-notebook:x"), ("CELL_TIMEOUT", "900")];
    assert_eq!(
        scaffold.settings,
        settings.map(|(name, value)| (name, value.to_owned()))
    );
}

#[test]
fn a_spec_of_nb_wrangler_becomes_an_environment_and_its_notebooks_stay_where_they_are() {
    let dir = directory(&[(
        "spec.yaml",
        "image_spec_header:\n  image_name: TIKE 2025.07-beta\n  deployment_name: tike\n  kernel_name: tess\n  \
         display_name: TESS\n  python_version: 3.11.13\nrepositories:\n  content:\n    url: https://example.org/content\n\
         selected_notebooks:\n  lcviz:\n    repo: content\n    root_directory: notebooks/\nextra_mamba_packages:\n  - hdf5\n\
         extra_pip_packages:\n  - boto3\ncommon_pip_packages:\n  - requests\nrefdata_dependencies: {}\nsystem:\n  spec_version: 1.0\n",
    )]);
    let file = dir.path().join("spec.yaml");
    assert_eq!(Source::of(&file).unwrap(), Source::Wrangler(file.clone()));
    let scaffold = wrangler(&file, None, &BaseImage::Debian).unwrap();
    let yml = text(&scaffold, "missions/tike/environments/tess/tess.yml");
    assert_eq!(
        yml,
        "channels:\n- conda-forge\ndependencies:\n- \"python=3.11.13\"\n- \"hdf5\"\n- \"pip\"\n"
    );
    assert_eq!(
        text(&scaffold, "missions/tike/environments/tess/tess.pip"),
        "boto3\nrequests\n"
    );
    assert_eq!(text(&scaffold, "missions/tike/environments/tess/kernel.name"), "TESS\n");
    assert_eq!(left(&scaffold), ["selected_notebooks lcviz", "refdata_dependencies"]);
    assert!(scaffold.left[0].why.contains("https://example.org/content notebooks/"));
}

#[test]
fn nothing_that_is_there_is_written_again() {
    let dir = directory(&[(".gitignore", "mine\n")]);
    let scaffold = repository(false, Some(Ci::Github));
    let written = scaffold.write(dir.path()).unwrap();
    assert_eq!(written.kept, [PathBuf::from(".gitignore")]);
    assert_eq!(fs::read_to_string(dir.path().join(".gitignore")).unwrap(), "mine\n");
    assert_eq!(scaffold.write(dir.path()).unwrap().new, Vec::<PathBuf>::new());
}

#[test]
fn wrappers_are_written_for_each_of_this_repositorys_own() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut own = Vec::new();
    for entry in fs::read_dir(scripts).unwrap().map(Result::unwrap) {
        let text = fs::read_to_string(entry.path()).unwrap();
        if let Some((_, command)) = text.split_once("/floe\" ") {
            let name = entry.file_name().into_string().unwrap();
            own.push((
                name,
                command.trim_end().trim_end_matches("\"$@\"").trim_end().to_owned(),
            ));
        }
    }
    own.sort();
    assert_eq!(
        own,
        repository::WRAPPERS.map(|(name, command)| (name.to_owned(), command.to_owned()))
    );
}

#[test]
fn what_is_nothing_that_is_known_is_refused() {
    let dir = directory(&[("README.md", "x")]);
    assert!(matches!(Source::of(dir.path()), Err(ScaffoldError::Unknown { .. })));
    let binder = directory(&[(".binder/requirements.txt", "six\n"), ("environment.yml", "x")]);
    let expected = Source::Repo2docker(binder.path().join(".binder"));
    assert_eq!(Source::of(binder.path()).unwrap(), expected);
}
