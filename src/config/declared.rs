//! The one list of the variables that floe reads, from which `setup-env.template` is made.

use std::fmt::Write as _;

/// A variable that floe reads.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the environment and in `setup-env`.
    pub name: &'static str,
    /// Its value where nothing sets it.
    pub default: &'static str,
    /// What it does, for `setup-env.template`.
    pub about: &'static str,
}

/// Every variable that floe reads, in the order of `setup-env.template`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "MISSION",
        default: "",
        about: "The mission that commands take when none is named: a directory under missions/.",
    },
    Setting {
        name: "USE_FROZEN",
        default: "1",
        about: "1: build from frozen specs (<env>-frozen.yml) only.\n\
                0: build from floating specs, and write new frozen ones when the build has succeeded.",
    },
    Setting {
        name: "BASE_IMAGE",
        default: "debian",
        about: "What the common image extends: an image reference such as jupyter/scipy-notebook:latest,\n\
                or debian for a base made on this machine from Debian's packages.",
    },
    Setting {
        name: "BUILD_JOBS",
        default: "",
        about: "How many missions are built at a time. Empty: one for each processor, and no more than four.",
    },
    Setting {
        name: "ASSEMBLE_LAYERS",
        default: "1",
        about: "1: where the engine takes layers, a frozen environment is put together from what is kept of its packages, and only what\n\
                is new is installed. 0: all of it is installed in a stage of the build, as `floe compose` prints that.",
    },
    Setting {
        name: "SIZE_BUDGET",
        default: "",
        about: "How large the image of a mission may be, e.g. 8G: a larger one is refused once it is built, with its largest packages.",
    },
    Setting {
        name: "GROWTH_BUDGET",
        default: "",
        about: "How much larger the image of a mission may become than the one that was built here before, e.g. 200M, likewise.",
    },
    Setting {
        name: "REGISTRY",
        default: "",
        about: "Where image-push sends images, e.g. registry.example.org/hub. Empty: images stay on this machine.",
    },
    Setting {
        name: "IMAGE_TAG",
        default: "",
        about: "Tags of one's own, separated by blanks, that image-push gives in the registry to what it has pushed, e.g. stable\n\
                or 2026.1. They may move; gates and deployments never ask for them. Empty: the immutable tag alone.",
    },
    Setting {
        name: "LAYER_COMPRESSION",
        default: "gzip",
        about: "How image-push compresses layers. gzip: every engine pulls it. zstd: smaller, and unpacked more than four times as\n\
                fast; containerd, Podman and Docker from 23 on pull it, earlier Docker does not. engine: the engine pushes, in its\n\
                own way.\n\
                What a build puts together for containerd's image store is compressed in the same way; for engine, by gzip.",
    },
    Setting {
        name: "SIGNING_KEY",
        default: "",
        about: "A private key that signs the evidence which image-push attaches to images, as cosign verifies it: a file of\n\
                `cosign generate-key-pair`, or an ECDSA key on P-256 as PKCS#8 in PEM. Empty: evidence is not signed.",
    },
    Setting {
        name: "COSIGN_PASSWORD",
        default: "",
        about: "The password of an encrypted SIGNING_KEY. It belongs into the environment of a job rather than into this file.",
    },
    Setting {
        name: "VERIFY_KEY",
        default: "",
        about: "A public key, as a PEM file (cosign.pub). Gates believe only what is signed by it. Empty: they believe evidence\n\
                without a signature, too.",
    },
    Setting {
        name: "GATE_COMMANDS",
        default: "",
        about: "Commands that must succeed before an image is pushed, separated by semicolons, e.g. a scanner. Each runs on\n\
                this machine by sh -c, with FLOE_IMAGE (the image's ID), FLOE_REFERENCE (its tag here), FLOE_MISSION, FLOE_SBOM\n\
                (a file of SPDX 2.3), FLOE_CHANGES (a file of JSON: each environment's changes since it was last frozen)\n\
                and FLOE_EVIDENCE (the statement of the tests that it passed).\n\
                Write them in single quotes here, which leave these variables to the commands.",
    },
    Setting {
        name: "GATE_TIMEOUT",
        default: "600",
        about: "How long each of these commands may take: seconds, or 90s, 10m, 1h.",
    },
    Setting {
        name: "SITE_CA",
        default: "",
        about: "A PEM file with the certificates that builds behind a TLS proxy must trust.\n\
                Empty: what SSL_CERT_FILE names, if it is set. It reaches every RUN and stays out of the image.",
    },
    Setting {
        name: "HTTP_PROXY",
        default: "",
        about: "The proxy for plain HTTP during builds.",
    },
    Setting {
        name: "HTTPS_PROXY",
        default: "",
        about: "The proxy for HTTPS during builds.",
    },
    Setting {
        name: "NO_PROXY",
        default: "",
        about: "Hosts that builds reach without the proxy, separated by commas.",
    },
    Setting {
        name: "PIP_INDEX_URL",
        default: "",
        about: "The Python package index for builds, with credentials if it needs them. Empty: PyPI.",
    },
    Setting {
        name: "CONDA_CHANNELS",
        default: "",
        about: "The conda channels of specs that name none, by name or URL, separated by blanks. Setting them makes\n\
                conda environments where the base environment is a venv, too; empty there: environments are venvs.",
    },
    Setting {
        name: "CONDA_MIRROR",
        default: "",
        about: "Where builds find the channels of https://conda.anaconda.org, with credentials if it needs them.\n\
                Specs and images keep naming the channels themselves. Empty: conda.anaconda.org.",
    },
    Setting {
        name: "APT_MIRROR",
        default: "",
        about: "The Debian mirror for BASE_IMAGE=debian and for apt during builds. Empty: Debian's own. A snapshot, such as\n\
                https://snapshot.debian.org/archive/debian/20261101T000000Z, freezes the packages of apt, too.",
    },
    Setting {
        name: "TEST_JOBS",
        default: "",
        about: "How many tests run at a time. Empty: one for each processor.",
    },
    Setting {
        name: "TEST_MEMORY",
        default: "",
        about: "How much memory the tests that run at a time may be expected to take together, e.g. 8G or 80%; what a test\n\
                takes is known from earlier runs. Empty: what the container may use, or the machine has left.",
    },
    Setting {
        name: "CARRY_TESTS",
        default: "168h",
        about: "How long the tests of an environment that passed stand for the same tests: image-test and image-all do not run\n\
                them again while nothing that they rest on has changed, and say so. 0: all tests run, as with --all-tests.",
    },
    Setting {
        name: "CONTAINER_MEMORY",
        default: "",
        about: "How much memory the containers that tests run in may take, e.g. 8G, the limit that a hub sets for its users:\n\
                a test that needs more fails with OOM. Empty: no limit.",
    },
    Setting {
        name: "CELL_TIMEOUT",
        default: "600",
        about: "How long one notebook cell may take: seconds, or 90s, 10m, 1h. The settings of an environment\n\
                (tests/settings.yml) and the metadata of a notebook or cell win over it.",
    },
    Setting {
        name: "NOTEBOOK_TIMEOUT",
        default: "1800",
        about: "How long one notebook, import or test script may take, likewise.",
    },
    Setting {
        name: "RUN_TIMEOUT",
        default: "",
        about: "How long a whole test run may take. Empty: as long as its tests do.",
    },
    Setting {
        name: "TEST_SERVER",
        default: "1",
        about: "1: tests also start the image as a JupyterHub does, and ask its server for the API, JupyterLab and a kernel\n\
                of each environment. 0: they do not.",
    },
    Setting {
        name: "SERVER_TIMEOUT",
        default: "120",
        about: "How long such a server may take until it answers for the first time.",
    },
    Setting {
        name: "HOME_MOUNT",
        default: "",
        about: "A directory of this machine that image-sh, image-exec and run-lab have as the home directory. It is made where\n\
                it is not there. Empty: the image's own, which goes with the container.",
    },
    Setting {
        name: "DATA_MOUNTS",
        default: "",
        about: "What else they have of this machine, as HOST:CONTAINER or HOST:CONTAINER:ro, separated by blanks. What is\n\
                written to a mount belongs to whoever calls.",
    },
    Setting {
        name: "DOCKER_HOST",
        default: "",
        about: "The container engine's address, as for Docker's client: unix:///var/run/docker.sock, tcp://HOST:PORT,\n\
                ssh://USER@HOST. Empty: that of DOCKER_CONTEXT, or the first socket of Docker or Podman that there is;\n\
                where there is none, floe starts Podman for itself.",
    },
    Setting {
        name: "DOCKER_CONTEXT",
        default: "",
        about: "A context of Docker's client (docker context ls) that names the engine. Empty: the current one.",
    },
    Setting {
        name: "DOCKER_TLS_VERIFY",
        default: "",
        about: "1: an engine at a TCP address is spoken to by TLS.",
    },
    Setting {
        name: "DOCKER_CERT_PATH",
        default: "",
        about: "The directory of ca.pem, cert.pem and key.pem for that. Empty: that of Docker's client, ~/.docker.",
    },
    Setting {
        name: "SECRETS_REPO",
        default: "",
        about: "The git repository of the deployment's secrets: an address of https or ssh, or a path.",
    },
    Setting {
        name: "SECRETS_DIR",
        default: ".floe/secrets",
        about: "Where secrets-clone puts its clone, relative to this file.",
    },
    Setting {
        name: "SECRETS_FILE",
        default: "secrets.yaml",
        about: "The encrypted file in it that secrets-edit and secrets-get-exports are for.",
    },
    Setting {
        name: "SECRETS_LOGIN",
        default: "",
        about: "A command that authorizes before that repository is reached or something decrypted, e.g. aws sso login. What it\n\
                prints as export NAME=value, as aws configure export-credentials --format env does, git and sops get.",
    },
    Setting {
        name: "SOPS_AGE_KEY_FILE",
        default: "",
        about: "The file of age keys that decrypt secrets. Empty: sops's own, ~/.config/sops/age/keys.txt.",
    },
];

/// The text of `setup-env.template`: every setting with its explanation and default.
///
/// A setting without a default stands in a comment, so that sourcing an unedited copy unsets nothing.
#[must_use]
pub fn template() -> String {
    let mut text = String::from(
        "#! /bin/bash\n\
         # Copy this file to setup-env and edit it; git ignores the copy.\n\
         # floe reads it by itself: comments and export NAME=value with quotes and ${NAME}, nothing else.\n\
         # A flag wins over an environment variable, which wins over this file.\n",
    );
    for setting in SETTINGS {
        text.push('\n');
        for line in setting.about.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let comment = if setting.default.is_empty() { "# " } else { "" };
        let _ = writeln!(text, "{comment}export {}=\"{}\"", setting.name, setting.default);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::setup_env;
    use super::*;

    #[test]
    fn the_template_shows_every_setting_with_its_default() {
        let text = template().replace("# export", "export");
        let file = setup_env::parse("setup-env".as_ref(), &text, &|_| None).unwrap();
        assert_eq!(file.len(), SETTINGS.len());
        for setting in SETTINGS {
            assert_eq!(file[setting.name].value, setting.default);
        }
    }

    #[test]
    fn the_committed_template_is_the_one_the_code_declares() {
        let committed = include_str!("../../setup-env.template");
        assert!(
            committed == template(),
            "setup-env.template differs from the settings; it should be:\n{}",
            template()
        );
    }
}
