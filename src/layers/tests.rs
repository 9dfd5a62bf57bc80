//! Archives of every engine, and what comes of them.

use std::collections::BTreeSet;

use super::*;

const CONFIGURATION: &[u8] = br#"{"rootfs": {}}"#;

fn hex(bytes: &[u8]) -> String {
    Digest::of(bytes).as_str().replace("sha256:", "")
}

/// An archive of files by their names.
fn archive(files: &[(String, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn wanted(layers: &[&[u8]]) -> Wanted {
    Wanted {
        configuration: Digest::of(CONFIGURATION),
        layers: layers.iter().map(|layer| Digest::of(layer)).collect(),
        lengths: BTreeSet::new(),
        compression: Compression::Gzip,
    }
}

/// What is told of an archive, less how far it is.
fn told(archive: &[u8], wanted: &Wanted, shelf: &Shelf) -> (Vec<Digest>, bool) {
    let (mut layers, mut configured) = (Vec::new(), false);
    unpacked(archive, wanted, shelf, |told| match told {
        Told::Layer(layer, known) => {
            assert!(shelf.open(&known.packed.digest).is_some());
            layers.push(layer);
        }
        Told::Configuration(bytes) => configured = bytes == CONFIGURATION,
        Told::Compressing { done, total, .. } => assert!(done <= total),
    })
    .unwrap();
    (layers, configured)
}

#[test]
fn a_layer_is_found_in_the_archive_of_each_engine() {
    let (one, two): (&[u8], &[u8]) = (b"one", b"another");
    let (configuration, first, second) = (hex(CONFIGURATION), hex(one), hex(two));
    for files in [
        [
            format!("{first}/layer.tar"),
            format!("{configuration}.json"),
            "0f/layer.tar".to_owned(),
        ],
        [&first, &configuration, &second].map(|name| format!("blobs/sha256/{name}")),
        [
            format!("{first}.tar"),
            format!("{configuration}.json"),
            format!("{second}.tar"),
        ],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(directory.path().to_owned());
        let files = files.into_iter().zip([one, CONFIGURATION, two]).collect::<Vec<_>>();
        let archive = archive(&files);
        assert_eq!(told(&archive, &wanted(&[two]), &shelf), (vec![Digest::of(two)], true));
        assert_eq!(
            shelf.known(&Digest::of(one), Compression::Gzip),
            None,
            "it was not asked for"
        );
    }
}

#[test]
fn a_layer_that_is_as_long_as_a_known_one_is_passed_over_unless_it_is_little() {
    let large = vec![7; 5 << 20];
    let (large, little): (&[u8], &[u8]) = (&large, b"little");
    let files = [("a/layer.tar".to_owned(), large), ("b/layer.tar".to_owned(), little)];
    let archive = archive(&files);
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::at(directory.path().to_owned());
    let mut wanted = wanted(&[large, little]);
    wanted.lengths = [large, little].map(|layer| layer.len() as u64).into();
    assert_eq!(told(&archive, &wanted, &shelf), (vec![Digest::of(little)], false));
    wanted.lengths.clear();
    assert_eq!(told(&archive, &wanted, &shelf).0.len(), 2);
}

#[test]
fn an_archive_that_is_cut_off_is_an_error_and_keeps_no_part_of_a_layer() {
    let content = vec![7; 100_000];
    let archive = archive(&[("a/layer.tar".to_owned(), content.as_slice())]);
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::at(directory.path().to_owned());
    let cut = unpacked(&archive[..50_000], &wanted(&[&content]), &shelf, |told| {
        assert!(matches!(told, Told::Compressing { .. }), "{told:?}");
    });
    assert!(cut.is_err());
    assert_eq!(shelf.known(&Digest::of(&content), Compression::Gzip), None);
}
