//! A real registry on a loopback port (Debian's docker-registry), for the push tests.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
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
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = tempfile::tempdir().unwrap();
        let config = storage.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            storage.path().join("data").display()
        );
        std::fs::write(&config, text).unwrap();
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
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// What REGISTRY is set to for repositories below `path`.
    pub fn address(&self, path: &str) -> String {
        format!("localhost:{}/{path}", self.port)
    }

    /// The names of all repositories.
    pub fn repositories(&self) -> Vec<String> {
        let (_, body) = self.get("/v2/_catalog");
        serde_json::from_value(body["repositories"].clone()).unwrap()
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

    /// The head and the JSON body of an answer.
    fn get(&self, path: &str) -> (String, serde_json::Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let accept = "application/vnd.docker.distribution.manifest.v2+json";
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"),
            "{path}: {answer}"
        );
        (head.to_owned(), serde_json::from_str(body).unwrap())
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
