//! Packs packages into archives whose bytes depend on nothing but the package.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use super::package::{Content, Format, Package, TIME};
use super::sha256;

/// An archive that lies in the channel.
pub struct Written {
    pub subdir: &'static str,
    pub file_name: String,
    /// What repodata says of it.
    pub record: Value,
}

/// Packs a package into its directory of `channel`.
pub fn write(channel: &Path, package: &Package) -> Written {
    let bytes = match package.format {
        Format::Conda => conda(package),
        Format::TarBz2 => tar_bz2(package),
    };
    let directory = channel.join(package.subdir());
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(package.file_name()), &bytes).unwrap();
    let mut record = package.index();
    record["sha256"] = json!(sha256(&bytes));
    record["size"] = json!(bytes.len());
    Written {
        subdir: package.subdir(),
        file_name: package.file_name(),
        record,
    }
}

/// Packs packages, several at a time.
pub fn write_all(channel: &Path, packages: Vec<Package>) -> Vec<Written> {
    let packages = packages.into_par_iter();
    packages.map(|package| write(channel, &package)).collect()
}

/// Packs what `package` makes of each of `sources`, several at a time, and holds no more of them in memory.
pub fn write_each<T: Sync>(channel: &Path, sources: &[T], package: impl Fn(&T) -> Package + Sync) -> Vec<Written> {
    let sources = sources.par_iter();
    sources.map(|source| write(channel, &package(source))).collect()
}

fn conda(package: &Package) -> Vec<u8> {
    let stem = package.stem();
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |name: &str, bytes: &[u8]| {
        let time = zip::DateTime::from_date_and_time(2023, 11, 14, 0, 0, 0).unwrap();
        let options = SimpleFileOptions::default();
        let options = options
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(time);
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    };
    put("metadata.json", br#"{"conda_pkg_format_version": 2}"#);
    put(&format!("pkg-{stem}.tar.zst"), &zstd(&files(package)));
    put(&format!("info-{stem}.tar.zst"), &zstd(&info(package)));
    archive.finish().unwrap().into_inner()
}

fn tar_bz2(package: &Package) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append_info(&mut archive, package);
    append_files(&mut archive, package);
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(&archive.into_inner().unwrap()).unwrap();
    encoder.finish().unwrap()
}

fn files(package: &Package) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append_files(&mut archive, package);
    archive.into_inner().unwrap()
}

fn info(package: &Package) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append_info(&mut archive, package);
    archive.into_inner().unwrap()
}

fn append_files(archive: &mut tar::Builder<Vec<u8>>, package: &Package) {
    for (path, content) in &package.files {
        match content {
            Content::File { bytes, mode, .. } => {
                let mut header = header(*mode);
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, path, bytes.as_slice()).unwrap();
            }
            Content::Link { target } => {
                let mut header = header(0o777);
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, path, target).unwrap();
            }
        }
    }
}

fn append_info(archive: &mut tar::Builder<Vec<u8>>, package: &Package) {
    for (path, bytes) in package.info() {
        let mut header = header(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
}

fn header(mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_mtime(TIME);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}
