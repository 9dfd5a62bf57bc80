//! A mission of one environment, whose frozen spec is there in two forms that differ in one package.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use world::{LocalRegistry, Repository, run};

use crate::measure::engine;
use crate::measure::side::Side;
use crate::measure::usage::watched;
use crate::measure::{Bar, Figure, Row, medians, time, timed};

/// Every name of this benchmark's own begins with this.
const OWN: &str = "bench-layers";

/// What is asked for. All that these need is about what the bar is said for: 180 packages of 1.5 GB, with 54,000 files.
const PACKAGES: &[&str] = &[
    "altair",
    "astropy",
    "bokeh",
    "boto3",
    "dask[array,diagnostics,distributed]",
    "h5py",
    "holoviews",
    "ipykernel",
    "ipywidgets",
    "jupyterlab",
    "matplotlib",
    "netcdf4",
    "nltk",
    "pandas",
    "panel",
    "photutils",
    "plotly",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "seaborn",
    "statsmodels",
    "xarray",
];

/// The package that changes, in both of its versions.
const CHANGING: [&str; 2] = ["iniconfig==2.0.0", "iniconfig==2.1.0"];

/// The mission in its forms; an earlier floe builds it, too, if `before` holds one.
pub fn measure(before: Option<&Path>, rounds: usize) -> Vec<Row> {
    let mission = Mission::new(before);
    let [[assembled], [earlier], [staged], [written], [changed], [nothing]] = medians(
        rounds,
        [
            &mut || [mission.build_anew(Form::Assembled)],
            &mut || [mission.build_before().unwrap_or_default()],
            &mut || [mission.build_anew(Form::Staged)],
            &mut || [mission.build_by_dockerfile()],
            &mut || [mission.build_changed()],
            &mut || [mission.build_again()],
        ],
    );
    let (memory, (push, sent)) = (mission.memory(), mission.push_changed());
    let within = |bytes| Some(Bar::Within(Figure::Bytes(bytes)));
    let what = format!("frozen spec to image, {}", mission.describe());
    let bar = Some(Bar::Times(0.45));
    let mut rows = match before {
        // A stage, too, keeps bytecode by now.
        Some(_) => vec![
            Row::new(what, assembled, ("an earlier floe, in a stage", earlier), bar),
            Row::new("  beside a stage by this one", assembled, ("in a stage", staged), None),
        ],
        None => vec![Row::new(what, assembled, ("in a stage", staged), bar)],
    };
    rows.extend([
        Row::new(
            "  beside a Dockerfile",
            assembled,
            ("uv pip install --compile-bytecode", written),
            Some(Bar::Times(0.6)),
        ),
        Row::alone(
            "  one package changed",
            changed,
            Some(Bar::Within(Figure::Time(Duration::from_secs(4)))),
        ),
        Row::alone("  nothing changed", nothing, None),
        Row::alone("  its push after one package changed", push, None),
        // A wheel of 6 kB, and what says what the image is.
        Row::alone("  bytes of that push", Figure::Bytes(sent), within(2_000_000)),
        Row::alone("  floe's memory", Figure::Bytes(memory), within(250_000_000)),
    ]);
    rows
}

/// How the environment comes into the image.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    Assembled,
    Staged,
}

impl Form {
    /// What `ASSEMBLE_LAYERS` is for it.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Assembled => "1",
            Self::Staged => "0",
        }
    }
}

struct Mission {
    repository: Repository,
    /// The same for an earlier floe.
    earlier: Option<Side>,
    /// The frozen spec and its lock, in each of the two forms.
    frozen: [[Vec<u8>; 2]; 2],
}

impl Mission {
    /// Needs the engine, and the network for packages; and a directory with an earlier floe, if one is to build it, too.
    pub fn new(before: Option<&Path>) -> Self {
        let mut mission = Self {
            repository: Repository::with_engine(),
            earlier: before.map(|before| Side::new(Some(before))),
            frozen: [const { [const { Vec::new() }; 2] }; 2],
        };
        let tests = format!("missions/{OWN}/environments/{OWN}/tests/imports");
        mission.repository.write(&tests, "iniconfig\n");
        mission.frozen = CHANGING.map(|changing| mission.freeze(changing));
        // Its packages are to be at hand as they are here.
        if let Some(mut build) = mission.build_by_earlier() {
            run(&mut build);
        }
        mission
    }

    /// How much the environment holds.
    pub fn describe(&self) -> String {
        let packages = String::from_utf8_lossy(&self.frozen[0][0]).matches("==").count();
        let image = run(Command::new("docker").args(["images", "--quiet", &format!("floe/{OWN}")]));
        let image = image.lines().next().unwrap();
        let count = format!("cd /opt/conda/envs/{OWN}; find -type f | wc -l; du --bytes --summarize | cut -f 1");
        let counted = run(Command::new("docker").args(["run", "--rm", image, "sh", "-c", &count]));
        let mut counted = counted.lines().map(|number| number.trim().parse::<u32>().unwrap());
        let mut next = || f64::from(counted.next().unwrap());
        let (thousands, gigabytes) = (next() / 1e3, next() / 1e9);
        format!("{packages} packages, {gigabytes:.1} GB, {thousands:.0} thousand files")
    }

    /// How long a build takes of an image that the engine has nothing of.
    pub fn build_anew(&self, form: Form) -> Duration {
        self.put(0);
        forget();
        self.build(form)
    }

    /// How long it takes an earlier floe, if there is one.
    pub fn build_before(&self) -> Option<Duration> {
        let mut build = self.build_by_earlier()?;
        forget();
        Some(time(&mut build))
    }

    /// The build by an earlier floe, of the same frozen spec.
    fn build_by_earlier(&self) -> Option<Command> {
        let earlier = self.earlier.as_ref()?;
        for (extension, content) in ["yml", "lock"].iter().zip(&self.frozen[0]) {
            let content = String::from_utf8_lossy(content);
            let file = format!("missions/{OWN}/environments/{OWN}/{OWN}-frozen.{extension}");
            earlier.repository.write(&file, &content);
        }
        let mut build = earlier.command(&["build", OWN]);
        build.env("USE_FROZEN", "1");
        Some(build)
    }

    /// How long a build takes after one package has changed.
    pub fn build_changed(&self) -> Duration {
        forget();
        self.put(0);
        self.build(Form::Assembled);
        self.put(1);
        self.build(Form::Assembled)
    }

    /// How long a build takes when the image is there.
    pub fn build_again(&self) -> Duration {
        self.build(Form::Assembled)
    }

    /// How long the builder takes for the same environment by a Dockerfile, which floe passes on as it is.
    pub fn build_by_dockerfile(&self) -> Duration {
        forget();
        let spec = String::from_utf8_lossy(&self.frozen[0][0]).into_owned();
        let pins = spec.lines().filter_map(|line| line.trim().strip_prefix("- "));
        let pins = pins.filter(|pin| pin.contains("==")).map(|pin| pin.trim_matches('"'));
        let pins = pins.collect::<Vec<_>>().join("\n");
        self.repository.write("missions/by-hand/pins.txt", &pins);
        let text = format!(
            "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nUSER root\nCOPY pins.txt /tmp/pins.txt\n\
             RUN --mount=type=cache,id={OWN},target=/var/cache/uv --mount=type=secret,id=ca.crt \
             python -m venv /opt/conda/envs/by-hand && SSL_CERT_FILE=/run/secrets/ca.crt UV_LINK_MODE=copy \
             UV_CACHE_DIR=/var/cache/uv uv pip install --python /opt/conda/envs/by-hand/bin/python --no-deps \
             --compile-bytecode --quiet --requirement /tmp/pins.txt\n"
        );
        self.repository.write("missions/by-hand/Dockerfile", &text);
        time(&mut self.repository.command(&["build", "by-hand"]))
    }

    /// How much memory a build takes of an image that the engine has nothing of, in bytes.
    pub fn memory(&self) -> u64 {
        self.put(0);
        forget();
        let mut build = self.repository.command(&["build", OWN]);
        watched(build.env("USE_FROZEN", "1")).memory
    }

    /// How long a push takes after one package has changed, and how many bytes of layers it sends.
    pub fn push_changed(&self) -> (Duration, u64) {
        let registry = LocalRegistry::start();
        let address = registry.address("hub");
        let command = |words: &[&str]| {
            let mut command = self.repository.command(words);
            command.envs([("USE_FROZEN", "1"), ("TEST_SERVER", "0")]);
            command
        };
        let mut took = Duration::ZERO;
        let layers = [0, 1].map(|which| {
            self.put(which);
            run(&mut command(&["test", OWN]));
            let mut pushed = String::new();
            took = timed(|| pushed = run(&mut command(&["push", OWN, "--registry", &address])));
            let digest = pushed
                .lines()
                .last()
                .unwrap_or_default()
                .rsplit('@')
                .next()
                .unwrap_or_default();
            let manifest = registry.manifest(&format!("hub/{OWN}"), digest.trim());
            let layers = manifest["layers"].as_array().unwrap().iter();
            layers.map(ToString::to_string).collect::<BTreeSet<_>>()
        });
        let sizes = layers[1].difference(&layers[0]).map(|layer| {
            let layer = serde_json::from_str::<serde_json::Value>(layer).unwrap();
            layer["size"].as_u64().unwrap()
        });
        (took, sizes.sum())
    }

    fn build(&self, form: Form) -> Duration {
        let mut build = self.repository.command(&["build", OWN]);
        time(build.env("USE_FROZEN", "1").env("ASSEMBLE_LAYERS", form.setting()))
    }

    /// Freezes the environment with one version of the package that changes.
    fn freeze(&self, changing: &str) -> [Vec<u8>; 2] {
        let list = format!("{}\n{changing}\n", PACKAGES.join("\n"));
        let directory = self.directory();
        self.repository
            .write(&format!("missions/{OWN}/environments/{OWN}/{OWN}.pip"), &list);
        run(self.repository.command(&["build", OWN]).env("USE_FROZEN", "0"));
        ["yml", "lock"].map(|extension| fs::read(directory.join(format!("{OWN}-frozen.{extension}"))).unwrap())
    }

    /// Puts one of the two frozen specs in its place.
    fn put(&self, which: usize) {
        for (extension, content) in ["yml", "lock"].iter().zip(&self.frozen[which]) {
            fs::write(self.directory().join(format!("{OWN}-frozen.{extension}")), content).unwrap();
        }
    }

    fn directory(&self) -> PathBuf {
        self.repository
            .path()
            .join(format!("missions/{OWN}/environments/{OWN}"))
    }
}

/// Removes the images and the builder's steps of this benchmark.
pub fn forget() {
    engine::forget(&["floe/bench-layers", "floe/by-hand:"]);
}

impl Drop for Mission {
    fn drop(&mut self) {
        forget();
    }
}
