//! The packages of a Debian system, by what dpkg keeps of them.

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is built for, e.g. `amd64` or `all`.
    pub architecture: String,
    /// The source package that it was built from, where that has another name or version: `name` or `name (version)`.
    pub source: Option<String>,
    /// Who maintains it.
    pub maintainer: Option<String>,
}

/// The installed packages that `/var/lib/dpkg/status` names, in the order of names.
#[must_use]
pub fn installed(status: &str) -> Vec<DebianPackage> {
    let mut packages = status.split("\n\n").filter_map(package).collect::<Vec<_>>();
    packages.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
    packages
}

fn package(paragraph: &str) -> Option<DebianPackage> {
    let field = |name: &str| {
        let mut lines = paragraph.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    // `install ok installed`; what is only configured is not there.
    let state = field("Status")?;
    if state.split_whitespace().nth(2) != Some("installed") {
        return None;
    }
    Some(DebianPackage {
        name: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture")?,
        source: field("Source"),
        maintainer: field("Maintainer"),
    })
}

/// The name of a system and its release, as package URLs have them: `debian` and `12`, `ubuntu` and `24.04`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// The name.
    pub name: String,
    /// The release.
    pub release: String,
}

impl Distribution {
    /// The system, by what `/etc/lsb-release` says (Ubuntu's) or `/etc/debian_version`.
    #[must_use]
    pub fn of(lsb_release: &str, debian_version: &str) -> Self {
        let value = |name: &str| {
            let mut lines = lsb_release.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.trim_matches('"').to_owned()))
        };
        match (value("DISTRIB_ID="), value("DISTRIB_RELEASE=")) {
            (Some(name), Some(release)) => Self {
                name: name.to_lowercase(),
                release,
            },
            // Minor releases change nothing that a package's version does not tell; a name stands before a release.
            _ => Self {
                name: "debian".to_owned(),
                release: debian_version
                    .trim()
                    .split(['.', '/'])
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_read_and_what_is_removed_is_not() {
        let status = "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nSource: zlib\n\
                      Version: 1:1.2.13.dfsg-1\nDescription: x\n Version: not this\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
                      Package: apt\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.6.1\n";
        let installed = installed(status);
        let names = installed.iter().map(|package| package.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["apt", "zlib1g"]);
        assert_eq!(installed[1].version, "1:1.2.13.dfsg-1");
        assert_eq!(installed[1].source.as_deref(), Some("zlib"));
    }

    #[test]
    fn a_system_is_known_by_its_files() {
        let told = |lsb: &str, debian: &str| {
            let Distribution { name, release } = Distribution::of(lsb, debian);
            format!("{name}-{release}")
        };
        assert_eq!(told("", "12.11\n"), "debian-12");
        assert_eq!(told("", "trixie/sid\n"), "debian-trixie");
        assert_eq!(
            told("DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\n", "trixie/sid"),
            "ubuntu-24.04"
        );
    }
}
