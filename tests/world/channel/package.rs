//! A conda package before it is packed: its metadata and its files.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sha256;

/// The prefix that stands in packed files for that of the environment, as long as conda-build makes it: 255 bytes.
pub const PLACEHOLDER: &str = concat!(
    "/opt/placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_place",
    "hold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_place",
    "hold_placehold_placehold_placehold_placehold_placehold_",
);

/// The time that all files and packages bear, in seconds since 1970.
pub const TIME: u64 = 1_700_000_000;

/// How a package is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A zip archive of two tar archives, compressed by zstd.
    Conda,
    /// One tar archive, compressed by bzip2.
    TarBz2,
}

/// Whether a package serves every platform, and how it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For Linux on x86-64.
    Platform,
    /// For every platform; files are linked as they are.
    Generic,
    /// For every platform; `site-packages/` and `python-scripts/` go where the environment's Python wants them.
    Python,
}

/// A file or a symbolic link of a package.
#[derive(Debug, Clone)]
pub enum Content {
    File { bytes: Vec<u8>, mode: u32, prefixed: bool },
    Link { target: String },
}

/// A package. Its files lie below the environment's prefix, by their paths.
#[derive(Debug, Clone)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub build: String,
    pub build_number: u64,
    pub kind: Kind,
    pub format: Format,
    pub depends: Vec<String>,
    pub constrains: Vec<String>,
    /// `name = module:function`, for the scripts that the installer of a `Kind::Python` makes.
    pub entry_points: Vec<String>,
    pub files: BTreeMap<String, Content>,
}

impl Package {
    /// A package for Linux in the newer format, with no files and no dependencies.
    pub fn new(name: &str, version: &str, build: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            build: build.to_owned(),
            build_number: 0,
            kind: Kind::Platform,
            format: Format::Conda,
            depends: Vec::new(),
            constrains: Vec::new(),
            entry_points: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// A package of small files for every platform.
    pub fn generic(name: &str, version: &str, build: &str) -> Self {
        Self {
            kind: Kind::Generic,
            ..Self::new(name, version, build)
        }
    }

    pub fn number(mut self, build_number: u64) -> Self {
        self.build_number = build_number;
        self
    }

    pub fn depends(mut self, specs: &[&str]) -> Self {
        self.depends.extend(specs.iter().map(ToString::to_string));
        self
    }

    pub fn constrains(mut self, specs: &[&str]) -> Self {
        self.constrains.extend(specs.iter().map(ToString::to_string));
        self
    }

    pub fn packed_as(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Adds a file that is the same in every environment.
    pub fn add(&mut self, path: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) {
        let (bytes, prefixed) = (bytes.into(), false);
        self.files.insert(path.into(), Content::File { bytes, mode, prefixed });
    }

    /// Adds a file that holds the placeholder: binary, if there is a zero byte in it.
    pub fn add_prefixed(&mut self, path: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) {
        let (bytes, prefixed) = (bytes.into(), true);
        self.files.insert(path.into(), Content::File { bytes, mode, prefixed });
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        let target = target.into();
        self.files.insert(path.into(), Content::Link { target });
    }

    /// The directory of the channel that the package lies in.
    pub fn subdir(&self) -> &'static str {
        match self.kind {
            Kind::Platform => "linux-64",
            Kind::Generic | Kind::Python => "noarch",
        }
    }

    /// `name-version-build`, the archive's name without its extension.
    pub fn stem(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.build)
    }

    /// The archive's name.
    pub fn file_name(&self) -> String {
        match self.format {
            Format::Conda => format!("{}.conda", self.stem()),
            Format::TarBz2 => format!("{}.tar.bz2", self.stem()),
        }
    }

    /// What `info/index.json` says, and repodata with the archive's size and hash added.
    pub fn index(&self) -> Value {
        let mut index = json!({
            "build": self.build,
            "build_number": self.build_number,
            "constrains": self.constrains,
            "depends": self.depends,
            "name": self.name,
            "subdir": self.subdir(),
            "timestamp": TIME * 1000,
            "version": self.version,
        });
        match self.kind {
            Kind::Platform => {
                index["arch"] = json!("x86_64");
                index["platform"] = json!("linux");
            }
            Kind::Generic => index["noarch"] = json!("generic"),
            Kind::Python => index["noarch"] = json!("python"),
        }
        index
    }

    /// The files below `info/`.
    pub fn info(&self) -> BTreeMap<String, Vec<u8>> {
        let paths = self.files.iter().map(|(path, content)| path_entry(path, content));
        let paths = json!({ "paths": paths.collect::<Vec<_>>(), "paths_version": 1 });
        let names = self
            .files
            .keys()
            .flat_map(|path| [path.as_str(), "\n"])
            .collect::<String>();
        let prefixed = self.files.iter().filter_map(|(path, content)| match content {
            Content::File {
                bytes, prefixed: true, ..
            } => Some(format!("{PLACEHOLDER} {} {path}\n", file_mode(bytes))),
            _ => None,
        });
        let mut info = BTreeMap::from([
            ("info/about.json".to_owned(), b"{}\n".to_vec()),
            ("info/files".to_owned(), names.into_bytes()),
            ("info/has_prefix".to_owned(), prefixed.collect::<String>().into_bytes()),
            ("info/index.json".to_owned(), pretty(&self.index())),
            ("info/paths.json".to_owned(), pretty(&paths)),
        ]);
        if self.kind == Kind::Python {
            let noarch = json!({ "entry_points": self.entry_points, "type": "python" });
            let link = json!({ "noarch": noarch, "package_metadata_version": 1 });
            info.insert("info/link.json".to_owned(), pretty(&link));
        }
        info
    }
}

/// What `info/paths.json` says of a file.
fn path_entry(path: &str, content: &Content) -> Value {
    match content {
        Content::Link { .. } => {
            json!({ "_path": path, "path_type": "softlink", "sha256": sha256(b""), "size_in_bytes": 0 })
        }
        Content::File { bytes, prefixed, .. } => {
            let mut entry = json!({
                "_path": path,
                "path_type": "hardlink",
                "sha256": sha256(bytes),
                "size_in_bytes": bytes.len(),
            });
            if *prefixed {
                entry["file_mode"] = json!(file_mode(bytes));
                entry["prefix_placeholder"] = json!(PLACEHOLDER);
            }
            entry
        }
    }
}

fn file_mode(bytes: &[u8]) -> &'static str {
    if bytes.contains(&0) { "binary" } else { "text" }
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap();
    text.push(b'\n');
    text
}
