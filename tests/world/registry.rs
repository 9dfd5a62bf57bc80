//! A real registry on a loopback port (Debian's docker-registry), for the push tests.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A registry that lives as long as the test.
pub struct LocalRegistry {
    process: Child,
    port: u16,
    _storage: tempfile::TempDir,
}

impl LocalRegistry {
    /// Starts a registry and waits until it answers.
    pub fn start() -> Self {
        Self::configured("127.0.0.1", "", "")
    }

    /// The same, which lets in the user `reader` with the password `pass word` and nobody else.
    pub fn start_for_a_user() -> Self {
        // The word by bcrypt.
        let users = "reader:$2b$04$KwMwJapoo1k3tWv.1Par0uoDEde9Ksw0UteDP8xITnnoTdccrtHsq\n";
        Self::configured("127.0.0.1", "", users)
    }

    /// Starts a registry at an address of this machine that speaks TLS with the certificate and key in two files, and waits
    /// until it answers.
    pub fn secured(host: &str, certificate: &Path, key: &Path) -> Self {
        let tls = format!(
            ", tls: {{certificate: {}, key: {}}}",
            certificate.display(),
            key.display()
        );
        Self::configured(host, &tls, "")
    }

    fn configured(host: &str, tls: &str, users: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = tempfile::tempdir().unwrap();
        let config = storage.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {host}:{port}{tls}}}\n",
            storage.path().join("data").display()
        );
        let known = storage.path().join("users");
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", known.display());
        std::fs::write(&known, users).unwrap();
        std::fs::write(&config, if users.is_empty() { text } else { text + &auth }).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed (scripts/check installs it)");
        let registry = Self {
            process,
            port,
            _storage: storage,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((host, port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// What REGISTRY is set to for repositories below `path`.
    pub fn address(&self, path: &str) -> String {
        format!("localhost:{}/{path}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The names of all repositories.
    pub fn repositories(&self) -> Vec<String> {
        let (_, body) = self.get("/v2/_catalog");
        serde_json::from_value(body["repositories"].clone()).unwrap()
    }

    /// The tags of a repository; none where there is no such repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let answer = self.asked(&format!("/v2/{repository}/tags/list"));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = serde_json::from_str::<serde_json::Value>(body).unwrap();
        serde_json::from_value(body["tags"].clone()).unwrap_or_default()
    }

    /// The manifest of an image.
    pub fn manifest(&self, repository: &str, tag: &str) -> serde_json::Value {
        self.get(&format!("/v2/{repository}/manifests/{tag}")).1
    }

    /// How floe names the image on standard output: by the digest of its manifest.
    pub fn reference(&self, repository: &str, tag: &str) -> String {
        let (head, _) = self.get(&format!("/v2/{repository}/manifests/{tag}"));
        let digest = head
            .lines()
            .find_map(|line| line.strip_prefix("Docker-Content-Digest: "))
            .unwrap();
        format!("localhost:{}/{repository}@{digest}\n", self.port)
    }

    /// The size of a manifest in bytes.
    pub fn size(&self, repository: &str, tag: &str) -> usize {
        let (head, _) = self.get(&format!("/v2/{repository}/manifests/{tag}"));
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .unwrap();
        length.trim().parse().unwrap()
    }

    /// Puts an image without layers, and returns the digest of its manifest.
    pub fn image(&self, repository: &str, tag: &str) -> String {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","author":"{tag}"}}"#);
        let digest = |text: &str| {
            use sha2::Digest as _;
            let bytes = sha2::Sha256::digest(text);
            bytes
                .iter()
                .fold("sha256:".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
        };
        let begun = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), "");
        let place = begun.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let path = place.split_once("/v2/").unwrap().1.trim();
        let blob = digest(&config);
        let ended = self.send("PUT", &format!("/v2/{path}&digest={blob}"), &config);
        assert!(ended.contains(" 201 "), "{ended}");
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(),
                "digest": blob,
            },
            "layers": [],
        });
        self.put(repository, tag, &manifest);
        digest(&manifest.to_string())
    }

    /// The answer to a request.
    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Puts a manifest.
    pub fn put(&self, repository: &str, tag: &str, manifest: &serde_json::Value) {
        let body = manifest.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "PUT /v2/{repository}/manifests/{tag} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{body}",
            manifest["mediaType"].as_str().unwrap(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 201 "), "{answer}");
    }

    /// The head and the JSON body of an answer.
    fn get(&self, path: &str) -> (String, serde_json::Value) {
        let answer = self.asked(path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"),
            "{path}: {answer}"
        );
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    /// An answer as it arrives.
    fn asked(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for LocalRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // What was pushed keeps the name that it had for the registry, and with it its layers.
        let filter = format!("reference=localhost:{}/*/*", self.port);
        let list = ["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", &filter];
        let listed = Command::new("docker").args(list).output();
        let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
        for image in String::from_utf8_lossy(&listed).lines() {
            let _ = Command::new("docker").args(["rmi", "--force", image]).output();
        }
    }
}
