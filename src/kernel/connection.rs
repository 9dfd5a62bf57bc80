//! The sockets between floe and a kernel, and messages read without losing one.
//!
//! A message is kept as plain JSON: kernels and their libraries send payloads, fields and bytes that no typed reading
//! accepts, and a message that is lost may be the one that says that a cell failed.

use std::fs;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jupyter_protocol::connection_info::{ConnectionInfo, Transport};
use jupyter_protocol::messaging::JupyterMessage;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::KernelError;
use super::port::Port;
use super::spec::KernelSpec;
use super::zmtp::{Kind, Multipart, Socket};

/// What stands between the routing and the message itself.
const DELIMITER: &[u8] = b"<IDS|MSG>";

/// The longest path of a Unix socket in bytes, without the terminating zero (`man 7 unix`).
const LONGEST_SOCKET_PATH: usize = 107;

/// What a socket's path has after the directory: `/floe-xxxxxx/s-5`, with some room.
const SOCKET_NAME: usize = 24;

/// How often a kernel that is starting is tried. The library's own attempts lie up to 400 ms apart.
const CONNECT_INTERVAL: Duration = Duration::from_millis(5);

/// A connection that failed.
#[derive(Debug, thiserror::Error)]
#[error("the connection failed: {0}")]
pub struct ConnectionError(#[from] io::Error);

/// Where a kernel is to listen, a directory that only this user can enter, and the key that signs messages.
#[derive(Debug)]
pub struct Endpoint {
    directory: tempfile::TempDir,
    info: ConnectionInfo,
}

/// A message from the kernel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// Its own ID.
    pub id: String,
    /// Its type, e.g. `stream`.
    pub kind: String,
    /// The ID of the request that it belongs to; empty if it belongs to none.
    pub parent: String,
    /// Its content. Strings of many megabytes are shortened; `null` if it was too large in another way, or no JSON.
    pub content: Value,
    /// The bytes beside it, which widgets send.
    pub buffers: Vec<Vec<u8>>,
    /// How many bytes of it are missing for that.
    pub dropped: u64,
}

/// The channels to a kernel.
#[derive(Debug)]
pub struct Connection {
    /// Requests to execute, and their replies.
    pub shell: Channel,
    /// Requests to interrupt and to end.
    pub control: Channel,
    /// The kernel's requests for input.
    pub stdin: Channel,
    /// Everything that cells print and show.
    pub iopub: Channel,
    /// The sockets' directory lives as long as the connection.
    _directory: tempfile::TempDir,
}

/// One channel, read leniently.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    key: String,
    session: String,
    /// Whether others of this machine can send something here, too.
    open: bool,
}

impl Endpoint {
    /// Makes the directory and the connection file, in `scratch` or, where that path is too long for sockets, in `/tmp`.
    ///
    /// ipykernel listens on sockets: no other process can take one, and it does not warn of them. Others listen on ports,
    /// as under Jupyter: many know nothing else, those made with xeus among them.
    pub fn create(scratch: &Path, kernel: &KernelSpec) -> Result<Self, KernelError> {
        let parent = sockets_parent(scratch);
        let failed = |source| KernelError::Directory {
            path: parent.to_owned(),
            source,
        };
        let directory = tempfile::Builder::new()
            .prefix("floe-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(failed)?;
        let (ip, transport, ports) = if kernel.is_ipykernel() {
            let path = directory.path().join("s").to_string_lossy().into_owned();
            (path, Transport::IPC, [1, 2, 3, 4, 5])
        } else {
            let ports = Port::free().map_err(failed)?;
            (Ipv4Addr::LOCALHOST.to_string(), Transport::TCP, ports)
        };
        let [shell_port, iopub_port, stdin_port, control_port, hb_port] = ports;
        let info = ConnectionInfo {
            ip,
            transport,
            shell_port,
            iopub_port,
            stdin_port,
            control_port,
            hb_port,
            key: uuid::Uuid::new_v4().to_string(),
            signature_scheme: "hmac-sha256".to_owned(),
            kernel_name: Some(kernel.name.clone()),
        };
        let endpoint = Self { directory, info };
        endpoint.write_file().map_err(failed)?;
        Ok(endpoint)
    }

    /// The connection file, which the kernel reads.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("kernel.json")
    }

    /// Connects to all channels as soon as the kernel listens. Waits without end: the caller sets the limit.
    pub async fn connect(self) -> Result<Connection, ConnectionError> {
        let info = &self.info;
        // Kernels open their channels in no particular order.
        for port in [
            info.shell_port,
            info.iopub_port,
            info.stdin_port,
            info.control_port,
            info.hb_port,
        ] {
            while self.port(port).connect().await.is_err() {
                tokio::time::sleep(CONNECT_INTERVAL).await;
            }
        }
        let session = uuid::Uuid::new_v4().to_string();
        let channel = async |port: u16, kind: Kind<'_>| {
            Ok::<_, ConnectionError>(Channel {
                socket: Socket::connect(&self.port(port), kind).await?,
                key: info.key.clone(),
                session: session.clone(),
                open: matches!(info.transport, Transport::TCP),
            })
        };
        // The kernel asks for input on the channel of the same identity as that of the request.
        let same = Kind::Dealer(session.as_bytes());
        Ok(Connection {
            iopub: channel(info.iopub_port, Kind::Subscriber).await?,
            shell: channel(info.shell_port, same).await?,
            stdin: channel(info.stdin_port, same).await?,
            control: channel(info.control_port, same).await?,
            _directory: self.directory,
        })
    }

    fn port(&self, number: u16) -> Port {
        match self.info.transport {
            Transport::IPC => Port::Socket(format!("{}-{number}", self.info.ip).into()),
            Transport::TCP => Port::Tcp(number),
        }
    }

    fn write_file(&self) -> std::io::Result<()> {
        let json = serde_json::to_vec(&self.info)?;
        // The key is in it: nobody else may read it.
        let mut file = fs::OpenOptions::new();
        file.write(true).create_new(true).mode(0o600);
        file.open(self.file())?.write_all(&json)
    }
}

/// Where a directory for sockets is made: in `scratch` or, where that path is too long for sockets, in `/tmp`.
#[must_use]
pub fn sockets_parent(scratch: &Path) -> &Path {
    if scratch.as_os_str().len() + SOCKET_NAME <= LONGEST_SOCKET_PATH {
        scratch
    } else {
        Path::new("/tmp")
    }
}

impl Channel {
    /// Sends a request.
    pub async fn send(&mut self, message: JupyterMessage) -> Result<(), ConnectionError> {
        let message = message.with_session(&self.session);
        let json = |value: serde_json::Result<Vec<u8>>| value.map_err(io::Error::from);
        let parts = [
            json(serde_json::to_vec(&message.header))?,
            b"{}".to_vec(),
            b"{}".to_vec(),
            json(serde_json::to_vec(&message.content))?,
        ];
        let signature = signature(self.key.as_bytes(), &parts).into_bytes();
        let message = [DELIMITER.to_vec(), signature]
            .into_iter()
            .chain(parts)
            .collect::<Vec<_>>();
        Ok(self.socket.send(&message).await?)
    }

    /// The next message; what is none is passed over. Nothing is lost when this is dropped before it is ready.
    ///
    /// Signatures are not looked at where the sockets' directory lets nobody else in, and cannot be where a message is
    /// not kept as a whole.
    pub async fn receive(&mut self) -> Result<Message, ConnectionError> {
        loop {
            let message = self.socket.receive().await?;
            if self.open && message.dropped == 0 && !is_signed(self.key.as_bytes(), &message.parts) {
                continue;
            }
            if let Some(message) = parse(&message) {
                return Ok(message);
            }
        }
    }
}

/// The HMAC-SHA256 of the parts in hexadecimal digits (RFC 2104), as Jupyter signs messages.
fn signature(key: &[u8], parts: &[Vec<u8>]) -> String {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36));
    for part in parts {
        inner.update(part);
    }
    let outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c)).chain_update(inner.finalize());
    format!("{:x}", outer.finalize())
}

/// Whether a message has the signature that its four parts must have.
fn is_signed(key: &[u8], parts: &[Vec<u8>]) -> bool {
    let delimiter = parts.iter().position(|part| part == DELIMITER);
    let signed = delimiter.and_then(|place| parts.get(place + 1..place + 6));
    signed.is_some_and(|signed| signed[0] == signature(key, &signed[1..]).as_bytes())
}

/// Reads header, parent header, metadata and content; bytes that are not UTF-8 are replaced rather than refused.
fn parse(message: &Multipart) -> Option<Message> {
    let json = |part: &Vec<u8>| -> Option<Value> {
        serde_json::from_slice(part)
            .or_else(|_| serde_json::from_str(&String::from_utf8_lossy(part)))
            .ok()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Before the delimiter stands what the message was routed by, behind it the signature.
    let delimiter = message.parts.iter().position(|part| part == DELIMITER)?;
    let parts = message.parts.get(delimiter + 2..)?;
    let header = json(parts.first()?)?;
    let parent = parts.get(1).and_then(json).unwrap_or_default();
    Some(Message {
        id: text(&header["msg_id"]),
        kind: text(&header["msg_type"]),
        parent: text(&parent["msg_id"]),
        content: parts.get(3).and_then(json).unwrap_or_default(),
        buffers: parts.get(4..).unwrap_or_default().to_vec(),
        dropped: message.dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_odd_bytes_and_unknown_fields_is_not_lost() {
        let parts = [
            &b"kernel.stream"[..],
            DELIMITER,
            b"signature",
            br#"{"msg_type":"stream","new":[1]}"#,
            br#"{"msg_id":"7"}"#,
            b"{}",
            b"{\"name\":\"stdout\",\"text\":\"a\xff\"}",
            b"\xffbuffer",
        ];
        let message = Multipart {
            parts: parts.map(<[u8]>::to_vec).to_vec(),
            dropped: 0,
        };
        let message = parse(&message).unwrap();
        assert_eq!((message.kind.as_str(), message.parent.as_str()), ("stream", "7"));
        assert_eq!(message.content["text"], "a\u{fffd}");
        assert_eq!(message.buffers, [b"\xffbuffer"]);
    }

    #[test]
    fn messages_are_signed_as_the_standard_has_it() {
        // RFC 4231, test cases 2 and 6.
        let data = [b"what do ya want ".to_vec(), b"for nothing?".to_vec()];
        assert!(
            signature(b"Jefe", &data).starts_with("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        let data = [b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec()];
        assert!(signature(&[0xaa; 131], &data).starts_with("60e431591ee0b67f0d8a26aacbf5b77f"));
    }

    #[test]
    fn what_another_sends_to_an_open_port_is_no_message() {
        let parts = [b"{}", b"{}", b"{}", b"{}"].map(|part| part.to_vec());
        let message = |signature: String| [vec![DELIMITER.to_vec(), signature.into_bytes()], parts.to_vec()].concat();
        assert!(is_signed(b"key", &message(signature(b"key", &parts))));
        assert!(!is_signed(b"key", &message(signature(b"other", &parts))));
        assert!(!is_signed(b"key", &message(String::new())[..3]));
    }

    #[test]
    fn a_long_scratch_path_does_not_make_sockets_impossible() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(100));
        fs::create_dir(&long).unwrap();
        let endpoint = Endpoint::create(&long, &KernelSpec::of(&["python", "-m", "ipykernel"])).unwrap();
        assert!(endpoint.info.ip.len() + 2 <= LONGEST_SOCKET_PATH);
        assert!(endpoint.file().starts_with("/tmp"));
    }

    #[test]
    fn nobody_else_can_read_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::create(dir.path(), &KernelSpec::of(&["xr"])).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&endpoint.file()), 0o600);
        assert_eq!(mode(endpoint.directory.path()), 0o700);
    }
}
