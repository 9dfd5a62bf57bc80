//! Directories as an engine has them, made by taking archives apart.

use std::fs;
use std::os::unix::fs::symlink;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::*;

/// An engine's directory.
struct Engine {
    root: tempfile::TempDir,
}

impl Engine {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn images(&self) -> PathBuf {
        self.root.path().join("image").join(DRIVER)
    }

    /// Keeps the layer with this archive, on top of what is called `below`. Returns what it is called.
    fn keep(&self, archive: &[u8], below: Option<&Digest>) -> Digest {
        let layer = Digest::of(archive);
        let name = below.map_or(layer.clone(), |below| Digest::of(format!("{below} {layer}").as_bytes()));
        let about = self.images().join("layerdb/sha256").join(name.hex());
        fs::create_dir_all(&about).unwrap();
        let id = &name.hex()[..12];
        fs::write(about.join("cache-id"), id).unwrap();
        let files = self.root.path().join(DRIVER).join(id).join("diff");
        fs::create_dir_all(&files).unwrap();
        let mut reader = tar::Archive::new(archive);
        reader.unpack(&files).unwrap();
        let parts = GzEncoder::new(
            File::create(about.join("tar-split.json.gz")).unwrap(),
            Compression::fast(),
        );
        write_parts(archive, parts);
        name
    }

    /// Keeps an image of layers with these archives. Returns its ID and their digests.
    fn image(&self, archives: &[&[u8]]) -> (Digest, Vec<Digest>) {
        let mut below = None;
        for archive in archives {
            below = Some(self.keep(archive, below.as_ref()));
        }
        let layers = archives.iter().map(|archive| Digest::of(archive)).collect::<Vec<_>>();
        let configuration = json!({"rootfs": {"type": "layers", "diff_ids": layers}}).to_string();
        let id = Digest::of(configuration.as_bytes());
        let path = self.images().join("imagedb/content/sha256");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(id.hex()), configuration).unwrap();
        (id, layers)
    }

    /// What is read of it, by name.
    fn read(&self, id: &Digest, wanted: &[&Digest]) -> Result<Vec<(String, Vec<u8>)>, FileError> {
        let wanted = wanted.iter().map(|&layer| layer.clone()).collect();
        let mut archive = Vec::new();
        stored(self.root.path(), id, &wanted, &mut archive)?;
        let mut archive = tar::Archive::new(archive.as_slice());
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        Ok(files.collect())
    }
}

/// Takes an archive apart as the engine does.
fn write_parts(archive: &[u8], mut out: impl Write) {
    let mut reader = tar::Archive::new(archive);
    let mut end = 0;
    for entry in reader.entries().unwrap() {
        let entry = entry.unwrap();
        let content = usize::try_from(entry.raw_file_position()).unwrap();
        let size = usize::try_from(entry.size()).unwrap();
        let segment = STANDARD.encode(&archive[end..content]);
        let path = entry.path_bytes();
        let mut file = json!({"type": FILE, "size": size, "payload": "AAAAAAAAAAA="});
        match std::str::from_utf8(&path) {
            Ok(name) => file["name"] = name.into(),
            Err(_) => file["name_raw"] = STANDARD.encode(&path).into(),
        }
        writeln!(out, "{}\n{file}", json!({"type": SEGMENT, "payload": segment})).unwrap();
        end = content + size;
    }
    let rest = STANDARD.encode(&archive[end..]);
    writeln!(out, "{}", json!({"type": SEGMENT, "payload": rest})).unwrap();
}

/// An archive with files of these names and sizes, a link, and an empty directory.
fn archive(files: &[(&[u8], usize)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, size) in files {
        let content = vec![name[0]; *size];
        let mut header = header(content.len() as u64);
        let path = Path::new(OsStr::from_bytes(name));
        archive.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    let mut link = header(0);
    link.set_entry_type(tar::EntryType::Symlink);
    archive.append_link(&mut link, "link", "nowhere").unwrap();
    archive.append_dir("empty", std::env::temp_dir()).unwrap();
    archive.into_inner().unwrap()
}

#[test]
fn what_is_wanted_of_an_image_is_read_to_the_byte_and_nothing_else() {
    let engine = Engine::new();
    let long = [b"d".repeat(90), b"/".to_vec(), b"f".repeat(120)].concat();
    let large = usize::try_from(LITTLE).unwrap() + 1000;
    let archives = [
        archive(&[(b"a/b.py", 100), (b"large", large), (b"none", 0)]),
        archive(&[(&long, 513), (b"no text \xff", 7)]),
        archive(&[(b"not wanted", 1)]),
    ];
    let archives = archives.each_ref().map(Vec::as_slice);
    let (id, layers) = engine.image(&archives);
    let read = engine.read(&id, &[&layers[1], &layers[0], &Digest::of(b"of another")]);
    let read = read.unwrap();
    let names = read.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let expected = [
        store::configuration(&id),
        store::layer(&layers[0]),
        store::layer(&layers[1]),
    ];
    assert_eq!(names, expected);
    assert_eq!(Digest::of(&read[0].1), id);
    assert!(read[1].1 == archives[0] && read[2].1 == archives[1]);
}

#[test]
fn a_layer_that_an_image_has_twice_is_written_once() {
    let engine = Engine::new();
    let same = archive(&[(b"a", 1)]);
    let (id, layers) = engine.image(&[&same, &archive(&[(b"b", 1)]), &same]);
    assert_eq!(engine.read(&id, &[&layers[0]]).unwrap().len(), 2);
}

#[test]
fn no_link_in_a_layer_leads_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("b.py"), "a".repeat(100)).unwrap();
    let engine = Engine::new();
    let whole = archive(&[(b"a/b.py", 100)]);
    let (id, layers) = engine.image(&[&whole]);
    let files = engine
        .root
        .path()
        .join(DRIVER)
        .join(&layers[0].hex()[..12])
        .join("diff");
    fs::rename(files.join("a"), files.join("moved")).unwrap();
    symlink(outside.path(), files.join("a")).unwrap();
    let error = engine.read(&id, &[&layers[0]]).unwrap_err().to_string();
    assert!(error.contains("a/b.py"), "{error}");
}

#[test]
fn what_is_cut_or_missing_is_an_error_that_names_the_file() {
    let engine = Engine::new();
    let (id, layers) = engine.image(&[&archive(&[(b"a.py", 100)])]);
    let cut = engine
        .root
        .path()
        .join(DRIVER)
        .join(&layers[0].hex()[..12])
        .join("diff/a.py");
    fs::write(cut, "short").unwrap();
    let error = engine.read(&id, &[&layers[0]]).unwrap_err().to_string();
    assert!(error.contains("a.py"), "{error}");
    let unknown = Digest::of(b"unknown");
    let error = engine.read(&unknown, &[]).unwrap_err().to_string();
    assert!(error.contains(unknown.hex()), "{error}");
}
