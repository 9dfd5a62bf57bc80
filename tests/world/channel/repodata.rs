//! The index of a channel: `repodata.json`, plain and compressed, for each of its directories.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::archive::Written;

/// Writes the index of `archives` into `channel`.
pub fn write(channel: &Path, archives: &[Written]) {
    for subdir in ["linux-64", "noarch"] {
        let mut archives = archives
            .iter()
            .filter(|archive| archive.subdir == subdir)
            .collect::<Vec<_>>();
        archives.sort_by(|one, other| one.file_name.cmp(&other.file_name));
        let named = |extension: &str| {
            let named = archives.iter().filter(|archive| archive.file_name.ends_with(extension));
            Value::from(
                named
                    .map(|archive| (archive.file_name.clone(), archive.record.clone()))
                    .collect::<Map<_, _>>(),
            )
        };
        let index = json!({
            "info": { "subdir": subdir },
            "packages": named(".tar.bz2"),
            "packages.conda": named(".conda"),
            "removed": [],
            "repodata_version": 1,
        });
        let text = serde_json::to_vec_pretty(&index).unwrap();
        let directory = channel.join(subdir);
        fs::create_dir_all(&directory).unwrap();
        fs::write(
            directory.join("repodata.json.zst"),
            zstd::encode_all(text.as_slice(), 3).unwrap(),
        )
        .unwrap();
        fs::write(directory.join("repodata.json"), text).unwrap();
    }
    let subdirs = json!({ "channeldata_version": 1, "packages": {}, "subdirs": ["linux-64", "noarch"] });
    fs::write(channel.join("channeldata.json"), subdirs.to_string()).unwrap();
}
