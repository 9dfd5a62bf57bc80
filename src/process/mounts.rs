//! What `/proc` says of what is mounted where this process is.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use procfs_core::FromBufRead as _;
use procfs_core::process::{MountInfo, MountInfos};

/// Of what file system a directory is a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path in that, whatever of it is mounted where.
    pub path: PathBuf,
    /// Where the file system keeps what is written to it, if it is an overlay: a path of whoever mounted it.
    pub upper: Option<PathBuf>,
}

/// Of what file system `directory` is a part.
///
/// # Errors
///
/// If the kernel does not say.
pub fn place(directory: &Path) -> io::Result<Place> {
    let directory = directory.canonicalize()?;
    let mounts = MountInfos::from_buf_read(BufReader::new(File::open("/proc/self/mountinfo")?));
    let mounts = mounts.map_err(io::Error::other)?.0;
    place_among(&directory, &mounts).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The same by what is mounted, the latest last.
fn place_among(directory: &Path, mounts: &[MountInfo]) -> Option<Place> {
    let above = mounts
        .iter()
        .filter_map(|mount| Some((mount, directory.strip_prefix(&mount.mount_point).ok()?)));
    // Of what is mounted at the same place, the latest is seen.
    let (mount, rest) = above.max_by_key(|(mount, _)| mount.mount_point.components().count())?;
    let upper = mount.super_options.get("upperdir").cloned().flatten();
    Some(Place {
        path: Path::new(&mount.root).join(rest),
        upper: upper.filter(|_| mount.fs_type == "overlay").map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_a_part_of_what_is_mounted_above_it_last() {
        let text = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                    2 1 8:1 /engine/of/another /cache rw master:1 - ext4 /dev/a rw\n\
                    3 1 8:1 /engine/of/one/diff /cache rw - ext4 /dev/a rw\n\
                    4 1 0:9 /x /cached rw - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/l/c/diff,workdir=/l/c/work\n";
        let mounts = MountInfos::from_buf_read(text.as_bytes()).unwrap().0;
        for (directory, path, upper) in [
            ("/cache/a/b", "/engine/of/one/diff/a/b", None),
            ("/cached", "/x", Some("/l/c/diff")),
            ("/caches/a", "/caches/a", None),
        ] {
            let expected = Place {
                path: path.into(),
                upper: upper.map(PathBuf::from),
            };
            assert_eq!(
                place_among(Path::new(directory), &mounts),
                Some(expected),
                "{directory}"
            );
        }
        let here = place(&std::env::current_dir().unwrap()).unwrap();
        assert!(here.path.is_absolute());
    }
}
