//! A second index of Python packages: the simple API (PEP 503) over wheels of a test's own.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::channel::server::Server;

/// What large packages bring, in bytes.
const LARGE: usize = 300 << 20;

/// An index until it is dropped: `/simple/` names packages, `/files/` holds their wheels, each of which a module of the
/// package's name is in. Those whose names begin with `sharing-` all bring the module `shared`, too; those that begin with `large-` a file of
/// 300 MiB, which takes little in a wheel.
pub struct PackageIndex {
    directory: tempfile::TempDir,
    /// What serves it.
    pub server: Server,
}

impl PackageIndex {
    /// An index with these packages, by name and version; on every interface, if containers are to reach it.
    pub fn of(packages: &[(&str, &str)], everywhere: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = if everywhere {
            Server::start_everywhere(directory.path())
        } else {
            Server::start(directory.path())
        };
        let index = Self { directory, server };
        for (name, version) in packages {
            index.add(name, version);
        }
        index
    }

    /// Adds one version of a package.
    pub fn add(&self, name: &str, version: &str) {
        let module = name.replace('-', "_");
        let wheel = format!("{module}-{version}-py3-none-any.whl");
        let path = self.files().join(&wheel);
        fs::create_dir_all(self.files()).unwrap();
        fs::write(&path, self::wheel(&module, name, version)).unwrap();
        let page = self.directory.path().join("simple").join(name).join("index.html");
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        let mut text = fs::read_to_string(&page).unwrap_or_default();
        let digest = self.digest(&wheel);
        let address = wheel.replace('+', "%2B");
        writeln!(text, "<a href=\"../../files/{address}#sha256={digest}\">{wheel}</a>").unwrap();
        fs::write(&page, text).unwrap();
        // A page of links, as `--find-links` takes it.
        let links = self.directory.path().join("links.html");
        let mut text = fs::read_to_string(&links).unwrap_or_default();
        writeln!(text, "<a href=\"files/{address}\">{wheel}</a>").unwrap();
        fs::write(&links, text).unwrap();
    }

    /// Where the wheels are.
    pub fn files(&self) -> PathBuf {
        self.directory.path().join("files")
    }

    /// The digest of a wheel, in hexadecimal.
    pub fn digest(&self, wheel: &str) -> String {
        let digest = Sha256::digest(fs::read(self.files().join(wheel)).unwrap());
        digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}

fn wheel(module: &str, name: &str, version: &str) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let dist_info = format!("{module}-{version}.dist-info");
    let mut record = String::new();
    let mut add = |file: &str, text: &str| {
        archive.start_file(file, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
        writeln!(record, "{file},,").unwrap();
    };
    add(
        &format!("{module}/__init__.py"),
        &format!("__version__ = '{version}'\n"),
    );
    if name.starts_with("sharing-") {
        add("shared.py", "");
    }
    if name.starts_with("large-") {
        add(&format!("{module}/data"), &"\0".repeat(LARGE));
    }
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    add(&format!("{dist_info}/METADATA"), &metadata);
    let tags = "Wheel-Version: 1.0\nGenerator: fixture\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    add(&format!("{dist_info}/WHEEL"), tags);
    writeln!(record, "{dist_info}/RECORD,,").unwrap();
    archive
        .start_file(format!("{dist_info}/RECORD"), SimpleFileOptions::default())
        .unwrap();
    archive.write_all(record.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}
