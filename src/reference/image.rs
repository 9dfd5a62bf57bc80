//! Images by name: references as people write them, tags that floe gives, and what an image is in a repository.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference;
use serde::{Deserialize, Serialize};

use super::{Digest, MissionName, ReferenceError, text_type};

/// What an image is, among those that are built from one repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// What the common image extends, where floe makes that, too.
    Base,
    /// What the common image is without floe's own program.
    Foundation,
    /// What all missions share.
    Common,
    /// The image of a mission.
    Mission(MissionName),
}

impl Role {
    /// The mission, of a mission's image.
    #[must_use]
    pub fn mission(&self) -> Option<&MissionName> {
        match self {
            Self::Base | Self::Foundation | Self::Common => None,
            Self::Mission(name) => Some(name),
        }
    }

    /// The tag `tag` of this image on the machine that builds it, e.g. `floe/roman:0123456789ab`.
    #[must_use]
    pub fn tag(&self, tag: impl Into<String>) -> ImageTag {
        let name = match self {
            Self::Base => "base",
            Self::Foundation => "foundation",
            Self::Common => "common",
            Self::Mission(name) => name.as_str(),
        };
        ImageTag::local(name, tag)
    }
}

/// In people's words: `base`, `common`, `mission roman`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("base"),
            Self::Foundation => f.write_str("foundation"),
            Self::Common => f.write_str("common"),
            Self::Mission(name) => write!(f, "mission {name}"),
        }
    }
}

/// A repository and a tag, e.g. `floe/roman:0123456789ab` or `registry.example.org/hub/roman:v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageTag {
    /// The repository, with the registry's host where there is one.
    pub repository: String,
    /// The tag, without the colon.
    pub tag: String,
}

impl ImageTag {
    /// A tag that stays on the machine where floe runs.
    #[must_use]
    pub fn local(name: &str, tag: impl Into<String>) -> Self {
        Self {
            repository: format!("floe/{name}"),
            tag: tag.into(),
        }
    }

    /// The same as a reference.
    ///
    /// # Panics
    ///
    /// Where repository or tag break the grammar of references; floe makes neither of anything but well-formed names.
    #[must_use]
    pub fn reference(&self) -> ImageReference {
        self.to_string().parse().expect("a tag is made of well-formed names")
    }
}

impl fmt::Display for ImageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

text_type!(
    /// A registry by its host, with the port where one is named, e.g. `registry.example.org:5000`.
    RegistryHost
);

impl RegistryHost {
    const DOCKER_HUB: &str = "docker.io";

    /// The name under which `docker login` keeps the credentials for this registry.
    #[must_use]
    pub fn login(&self) -> &str {
        if self.0 == Self::DOCKER_HUB {
            "https://index.docker.io/v1/"
        } else {
            &self.0
        }
    }

    /// The server that answers for it.
    #[must_use]
    pub fn server(&self) -> &str {
        if self.0 == Self::DOCKER_HUB {
            "index.docker.io"
        } else {
            &self.0
        }
    }

    /// Whether it is a registry on this machine, which engines speak to without TLS.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let name = self.0.rsplit_once(':').map_or(self.as_str(), |(name, _)| name);
        matches!(name, "localhost" | "127.0.0.1" | "[::1]")
    }
}

impl FromStr for RegistryHost {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = format!("{text}/x")
            .parse::<RegistryPath>()
            .map_err(|_| ReferenceError {
                kind: "registry",
                text: text.to_owned(),
                rule: "use HOST or HOST:PORT",
            })?;
        Ok(path.host())
    }
}

text_type!(
    /// A place in a registry below which repositories are, e.g. `registry.example.org/hub`.
    RegistryPath
);

impl RegistryPath {
    /// The registry.
    #[must_use]
    pub fn host(&self) -> RegistryHost {
        RegistryHost(
            parsed(&format!("{}/x", self.0)).map_or_else(|_| self.0.clone(), |known| known.registry().to_owned()),
        )
    }

    /// The tag `tag` of the repository `name` below this place.
    #[must_use]
    pub fn tag(&self, name: &MissionName, tag: impl Into<String>) -> ImageTag {
        ImageTag {
            repository: format!("{}/{name}", self.0),
            tag: tag.into(),
        }
    }
}

impl FromStr for RegistryPath {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = text.trim_end_matches('/');
        let plain = !whole.is_empty() && !whole.contains('@');
        match parsed(&format!("{whole}/x")) {
            Ok(_) if plain => Ok(Self(whole.to_owned())),
            _ => Err(ReferenceError {
                kind: "place in a registry",
                text: text.to_owned(),
                rule: "use HOST[:PORT][/PATH] without a scheme, PATH in lower-case letters, digits, '.', '_' and '-'",
            }),
        }
    }
}

/// A reference to an image as people write it: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
///
/// The grammar is that of the distribution specification, with Docker's defaults: without a host it is Docker Hub's, and
/// without tag and digest it means the tag `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    text: String,
    parsed: Reference,
}

impl ImageReference {
    /// The reference as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry that it is of.
    #[must_use]
    pub fn registry(&self) -> RegistryHost {
        RegistryHost(self.parsed.registry().to_owned())
    }

    /// The repository in the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        self.parsed.repository()
    }

    /// The tag, unless there is only a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.parsed.tag()
    }

    /// The digest of the manifest, where one is named.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.parsed.digest()?.parse().ok()
    }

    /// What has this digest or tag in the same repository.
    ///
    /// # Panics
    ///
    /// Where `name` begins with neither `@` nor `:`, or is no digest and no tag.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        let text = format!("{}/{}{name}", self.registry(), self.repository());
        text.parse()
            .expect("a repository with a digest or a tag is a reference")
    }

    /// What an engine is asked to pull. Without a tag it would pull all of them.
    #[must_use]
    pub fn pulled(&self) -> String {
        match (self.parsed.tag(), self.parsed.digest()) {
            (Some(tag), None) if !self.text.ends_with(&format!(":{tag}")) => format!("{}:{tag}", self.text),
            _ => self.text.clone(),
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for ImageReference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageReference> for String {
    fn from(reference: ImageReference) -> Self {
        reference.text
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = parsed(text).map_err(|_| ReferenceError {
            kind: "reference to an image",
            text: text.to_owned(),
            rule: "use [HOST[:PORT]/]PATH[:TAG][@DIGEST], PATH in lower-case letters, digits, '.', '_' and '-'",
        })?;
        Ok(Self {
            text: text.to_owned(),
            parsed,
        })
    }
}

fn parsed(text: &str) -> Result<Reference, oci_spec::distribution::ParseError> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> ImageReference {
        text.parse().unwrap()
    }

    #[test]
    fn a_reference_is_read_as_docker_reads_it() {
        let read = |text: &str| {
            let reference = reference(text);
            format!(
                "{} {} {:?}",
                reference.registry(),
                reference.repository(),
                reference.tag()
            )
        };
        assert_eq!(read("debian"), "docker.io library/debian Some(\"latest\")");
        assert_eq!(
            read("jupyter/scipy-notebook:x"),
            "docker.io jupyter/scipy-notebook Some(\"x\")"
        );
        assert_eq!(read("localhost/a"), "localhost a Some(\"latest\")");
        assert_eq!(read("r.example:5000/a/b:c"), "r.example:5000 a/b Some(\"c\")");
        let digest = Digest::of(b"x");
        let fixed = reference(&format!("r.example/a@{digest}"));
        assert_eq!((fixed.tag(), fixed.digest()), (None, Some(digest)));
    }

    #[test]
    fn a_reference_that_docker_refuses_is_refused() {
        for text in [
            "",
            "a/B",
            "a..b",
            "r.example:abc/a",
            "a:b:c",
            "https://r.example/a",
            "a b",
            "a@sha256:00",
            "-a",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_reference_without_a_tag_is_pulled_as_the_latest() {
        assert_eq!(reference("localhost:5000/a").pulled(), "localhost:5000/a:latest");
        assert_eq!(reference("a/b:c").pulled(), "a/b:c");
        assert_eq!(reference("a:latest").pulled(), "a:latest");
        let fixed = format!("a@{}", Digest::of(b"x"));
        assert_eq!(reference(&fixed).pulled(), fixed);
    }

    #[test]
    fn credentials_are_kept_under_the_name_that_docker_login_gives_them() {
        let login = |text: &str| reference(text).registry().login().to_owned();
        assert_eq!(login("debian"), "https://index.docker.io/v1/");
        assert_eq!(login("index.docker.io/a/b"), "https://index.docker.io/v1/");
        assert_eq!(login("r.example:5000/a"), "r.example:5000");
        assert_eq!(login("localhost/a"), "localhost");
    }

    #[test]
    fn a_place_in_a_registry_has_a_host_and_no_scheme() {
        let path = |text: &str| text.parse::<RegistryPath>();
        assert_eq!(path("r.example:5000/hub/").unwrap().as_str(), "r.example:5000/hub");
        assert_eq!(path("r.example:5000").unwrap().host().as_str(), "r.example:5000");
        assert_eq!(path("hub").unwrap().host().login(), "https://index.docker.io/v1/");
        for text in [
            "",
            "https://r.example",
            "r.example:abc",
            "r.example/Hub",
            "r.example/a..b",
            "r.example/a@b",
            "/hub",
        ] {
            assert!(path(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_registry_on_this_machine_is_known_by_its_name() {
        let local = |text: &str| text.parse::<RegistryHost>().unwrap().is_local();
        assert!(local("localhost:5000") && local("127.0.0.1:5000") && local("localhost"));
        assert!(!local("r.example:5000") && !local("localhost.example"));
    }
}
