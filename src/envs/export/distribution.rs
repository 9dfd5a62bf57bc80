//! What python distributions an environment holds: the `*.dist-info` and `*.egg-info` in site-packages.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::origin::{self, Origin};
use crate::envs::EnvsError;
use crate::envs::error::io_error;
use crate::envs::pip::archive::Wheel;
use crate::sbom::Recorded;
use crate::spec::frozen::normalized;

/// A python distribution.
pub(super) struct Distribution {
    /// The name, as the package writes it.
    pub name: String,
    /// The version.
    pub version: String,
    /// The file that holds both, relative to the prefix.
    pub metadata: String,
    /// What installed it: `pip`, `uv`, `conda`; empty where that is not known.
    pub installer: String,
    /// When it was installed.
    pub modified: SystemTime,
    /// What the wheel was made for.
    pub wheel: Wheel,
    /// What it says that it needs.
    pub requires: Vec<String>,
    /// What it says of its licence.
    pub licence: Recorded,
    /// Where it is at home.
    pub homepage: Option<String>,
    /// The text of `direct_url.json`; empty for a package of an index.
    direct_url: String,
    /// The directory that an old kind of link points to.
    link: Option<String>,
}

impl Distribution {
    /// Where the distribution came from. The error is why it cannot be had from there elsewhere.
    pub fn origin(&self) -> Result<Origin, String> {
        match &self.link {
            Some(directory) => Err(origin::editable(directory)),
            None => origin::of(&self.direct_url),
        }
    }

    /// Where it came from, if from no index.
    pub fn address(&self) -> Option<String> {
        match (&self.link, origin::of(&self.direct_url)) {
            (None, Ok(Origin::Index)) => None,
            (None, Ok(Origin::Address { address, .. })) => Some(address),
            (Some(directory), _) => Some(directory.clone()),
            (None, Err(_)) => Some("a directory of the machine that built it".to_owned()),
        }
    }

    /// The list of the distribution's files, relative to the prefix.
    pub fn record_path(&self) -> String {
        self.metadata.replace("/METADATA", "/RECORD")
    }
}

/// Reads all distributions of the environment at `prefix`.
pub(super) fn read(prefix: &Path) -> Result<Vec<Distribution>, EnvsError> {
    let mut found = Vec::new();
    for directory in site_packages(prefix)? {
        for entry in entries(&prefix.join(&directory))? {
            // What pip moved aside and could not remove begins with a tilde.
            if !entry.starts_with('~')
                && [".dist-info", ".egg-info", ".egg-link"]
                    .iter()
                    .any(|end| entry.ends_with(end))
            {
                found.push(format!("{directory}/{entry}"));
            }
        }
    }
    found.sort();
    let read = found.into_par_iter().map(|path| read_one(prefix, &path));
    let read = read.collect::<Result<Vec<_>, _>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// The normalized name of the distribution whose metadata is at `path`.
pub(super) fn name_of(path: &str) -> String {
    let directory = path
        .split('/')
        .find(|part| part.ends_with(".dist-info") || part.ends_with(".egg-info"));
    let (name, _) = directory.unwrap_or_default().split_once('-').unwrap_or_default();
    normalized(name)
}

/// `lib/python3.11/site-packages` and its like. A link to one of them is not another one.
fn site_packages(prefix: &Path) -> Result<Vec<String>, EnvsError> {
    let lib = prefix.join("lib");
    let names = entries(&lib)?;
    let real = |name: &String| !lib.join(name).is_symlink() && lib.join(name).join("site-packages").is_dir();
    let pythons = names
        .into_iter()
        .filter(|name| name.starts_with("python") && real(name));
    Ok(pythons.map(|name| format!("lib/{name}/site-packages")).collect())
}

/// The names of what is in the directory; none where there is no such directory.
fn entries(directory: &Path) -> Result<Vec<String>, EnvsError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io_error(directory)(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(io_error(directory))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

/// `None` for a directory without metadata, which python does not take for a distribution either.
fn read_one(prefix: &Path, path: &str) -> Result<Option<Distribution>, EnvsError> {
    let directory = prefix.join(path);
    if path.ends_with(".egg-link") {
        return egg_link(&directory, path).map(Some);
    }
    let metadata = if path.ends_with(".dist-info") {
        format!("{path}/METADATA")
    } else if directory.is_dir() {
        format!("{path}/PKG-INFO")
    } else {
        path.to_owned()
    };
    let file = prefix.join(&metadata);
    let text = text(&file)?;
    let (Some(name), Some(version)) = (header(&text, "Name").next(), header(&text, "Version").next()) else {
        return Ok(None);
    };
    let modified = fs::metadata(&file)
        .and_then(|metadata| metadata.modified())
        .map_err(io_error(&file))?;
    let wheel = self::text(&directory.join("WHEEL"))?;
    Ok(Some(Distribution {
        name: name.to_owned(),
        version: version.to_owned(),
        installer: self::text(&directory.join("INSTALLER"))?.trim().to_owned(),
        direct_url: self::text(&directory.join("direct_url.json"))?,
        wheel: Wheel {
            tags: header(&wheel, "Tag").map(str::to_owned).collect(),
            build: header(&wheel, "Build").next().map(str::to_owned),
        },
        requires: header(&text, "Requires-Dist").map(str::to_owned).collect(),
        licence: recorded(&text),
        homepage: homepage(&text),
        modified,
        metadata,
        link: None,
    }))
}

/// What `setup.py develop` leaves: a file with the path of the sources.
fn egg_link(file: &Path, path: &str) -> Result<Distribution, EnvsError> {
    let text = text(file)?;
    let name = Path::new(path)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let modified = fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .map_err(io_error(file))?;
    Ok(Distribution {
        name,
        version: String::new(),
        metadata: path.to_owned(),
        installer: String::new(),
        modified,
        wheel: Wheel::default(),
        requires: Vec::new(),
        licence: Recorded::default(),
        homepage: None,
        direct_url: String::new(),
        link: Some(text.lines().next().unwrap_or_default().to_owned()),
    })
}

/// The text of a file; empty where there is none.
fn text(file: &Path) -> Result<String, EnvsError> {
    match fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(source) => Err(io_error(file)(source)),
    }
}

/// A longer text is cut, in characters: some hold a whole licence.
const LONGEST_LICENCE: usize = 200;

/// What the metadata says of the licence.
fn recorded(metadata: &str) -> Recorded {
    let cut = |text: &str| text.chars().take(LONGEST_LICENCE).collect::<String>();
    let first = |name: &str| {
        let mut values = header(metadata, name).filter(|value| !value.is_empty() && *value != "UNKNOWN");
        values.next().map(cut)
    };
    let classifiers = header(metadata, "Classifier").filter_map(|value| value.strip_prefix("License ::"));
    Recorded {
        expression: first("License-Expression"),
        text: first("License"),
        classifiers: classifiers.map(|name| cut(name.trim())).collect(),
    }
}

/// The page of the project: `Home-page`, else the first of its addresses that is called so, else the first of them.
fn homepage(text: &str) -> Option<String> {
    let listed = header(text, "Project-URL").filter_map(|listed| listed.split_once(','));
    let listed =
        listed.map(|(label, address)| (label.trim().to_lowercase().replace(['-', ' ', '_'], ""), address.trim()));
    let listed = listed.collect::<Vec<_>>();
    let called = [
        "homepage",
        "home",
        "repository",
        "source",
        "sourcecode",
        "github",
        "documentation",
    ];
    let best = called
        .iter()
        .find_map(|name| listed.iter().find(|(label, _)| label == name))
        .or(listed.first());
    header(text, "Home-page")
        .chain(best.map(|(_, address)| *address))
        .find(|address| address.starts_with("https://") || address.starts_with("http://"))
        .map(str::to_owned)
}

/// The values of the header `name`, which end at the first empty line.
fn header<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let head = text.lines().take_while(|line| !line.is_empty());
    head.filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
