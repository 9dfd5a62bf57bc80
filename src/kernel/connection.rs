//! The sockets between floe and a kernel, and messages read without losing one.
//!
//! A message is kept as plain JSON: kernels and their libraries send payloads, fields and bytes that no typed reading
//! accepts, and a message that is lost may be the one that says that a cell failed.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jupyter_protocol::connection_info::{ConnectionInfo, Transport};
use jupyter_protocol::messaging::JupyterMessage;
use jupyter_zmq_client::{
    self as client, ClientControlConnection, ClientIoPubConnection, ClientShellConnection, ClientStdinConnection,
    RawMessage, RuntimeError,
};
use serde_json::Value;
use tokio::net::UnixStream;
use zeromq::{SocketRecv, SocketSend};

use super::KernelError;

/// The longest path of a Unix socket in bytes, without the terminating zero (`man 7 unix`).
const LONGEST_SOCKET_PATH: usize = 107;

/// What a socket's path has after the directory: `/floe-xxxxxx/s-5`, with some room.
const SOCKET_NAME: usize = 24;

/// How often a kernel that is starting is tried. The library's own attempts lie up to 400 ms apart.
const POLL: Duration = Duration::from_millis(5);

/// A connection that failed.
#[derive(Debug, thiserror::Error)]
#[error("the connection failed: {0}")]
pub struct ConnectionError(#[from] RuntimeError);

/// Where a kernel is to listen: sockets in a directory that only this user can enter, and the key that signs messages.
#[derive(Debug)]
pub struct Endpoint {
    directory: tempfile::TempDir,
    info: ConnectionInfo,
}

/// A message from the kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its type, e.g. `stream`.
    pub kind: String,
    /// The ID of the request that it belongs to; empty if it belongs to none.
    pub parent: String,
    /// Its content.
    pub content: Value,
}

/// The channels to a kernel.
pub struct Connection {
    /// Requests to execute, and their replies.
    pub shell: Channel<zeromq::DealerSocket>,
    /// Requests to interrupt and to end.
    pub control: Channel<zeromq::DealerSocket>,
    /// The kernel's requests for input.
    pub stdin: Channel<zeromq::DealerSocket>,
    /// Everything that cells print and show.
    pub iopub: Channel<zeromq::SubSocket>,
    /// The sockets' directory lives as long as the connection.
    _directory: tempfile::TempDir,
}

/// One channel, read leniently.
pub struct Channel<S>(client::Connection<S>);

impl Endpoint {
    /// Makes the directory and the connection file, in `scratch` or, where that path is too long for sockets, in `/tmp`.
    pub fn create(scratch: &Path, kernel: &str) -> Result<Self, KernelError> {
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
        // Sockets rather than ports: no other process can take one, and ipykernel does not warn of them.
        let info = ConnectionInfo {
            ip: directory.path().join("s").to_string_lossy().into_owned(),
            transport: Transport::IPC,
            shell_port: 1,
            iopub_port: 2,
            stdin_port: 3,
            control_port: 4,
            hb_port: 5,
            key: uuid::Uuid::new_v4().to_string(),
            signature_scheme: "hmac-sha256".to_owned(),
            kernel_name: Some(kernel.to_owned()),
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
        // Kernels open their channels in no particular order.
        for port in 1..=5 {
            let socket = format!("{}-{port}", self.info.ip);
            while UnixStream::connect(&socket).await.is_err() {
                tokio::time::sleep(POLL).await;
            }
        }
        let session = uuid::Uuid::new_v4().to_string();
        // The kernel asks for input on the channel of the same identity as that of the request.
        let identity = client::peer_identity_for_session(&session)?;
        let iopub: ClientIoPubConnection = client::create_client_iopub_connection(&self.info, "", &session).await?;
        let shell: ClientShellConnection =
            client::create_client_shell_connection_with_identity(&self.info, &session, identity.clone()).await?;
        let stdin: ClientStdinConnection =
            client::create_client_stdin_connection_with_identity(&self.info, &session, identity).await?;
        let control: ClientControlConnection = client::create_client_control_connection(&self.info, &session).await?;
        Ok(Connection {
            shell: Channel(shell),
            control: Channel(control),
            stdin: Channel(stdin),
            iopub: Channel(iopub),
            _directory: self.directory,
        })
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

impl<S: SocketSend> Channel<S> {
    /// Sends a request.
    pub async fn send(&mut self, message: JupyterMessage) -> Result<(), ConnectionError> {
        Ok(self.0.send(message).await?)
    }
}

impl<S: SocketRecv> Channel<S> {
    /// The next message. One that is not signed with this connection's key, or is no message at all, is passed over.
    pub async fn receive(&mut self) -> Result<Message, ConnectionError> {
        loop {
            let parts = self.0.socket.recv().await.map_err(RuntimeError::from)?;
            if let Some(message) = RawMessage::from_multipart(parts, &self.0.mac)
                .ok()
                .and_then(|raw| parse(&raw.jparts))
            {
                return Ok(message);
            }
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Reads header, parent header, metadata and content; bytes that are not UTF-8 are replaced rather than refused.
fn parse(parts: &[bytes::Bytes]) -> Option<Message> {
    let json = |part: &bytes::Bytes| -> Option<Value> {
        serde_json::from_slice(part)
            .or_else(|_| serde_json::from_str(&String::from_utf8_lossy(part)))
            .ok()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let header = json(parts.first()?)?;
    let parent = parts.get(1).and_then(json).unwrap_or_default();
    Some(Message {
        kind: text(&header["msg_type"]),
        parent: text(&parent["msg_id"]),
        content: parts.get(3).and_then(json).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_odd_bytes_and_unknown_fields_is_not_lost() {
        let parts = [
            &br#"{"msg_type":"stream","new":[1]}"#[..],
            br#"{"msg_id":"7"}"#,
            b"{}",
            b"{\"name\":\"stdout\",\"text\":\"a\xff\"}",
        ]
        .map(bytes::Bytes::from_static);
        let message = parse(&parts).unwrap();
        assert_eq!((message.kind.as_str(), message.parent.as_str()), ("stream", "7"));
        assert_eq!(message.content["text"], "a\u{fffd}");
    }

    #[test]
    fn a_long_scratch_path_does_not_make_sockets_impossible() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(100));
        fs::create_dir(&long).unwrap();
        let endpoint = Endpoint::create(&long, "k").unwrap();
        assert!(endpoint.info.ip.len() + 2 <= LONGEST_SOCKET_PATH);
        assert!(endpoint.file().starts_with("/tmp"));
    }

    #[test]
    fn nobody_else_can_read_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::create(dir.path(), "k").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&endpoint.file()), 0o600);
        assert_eq!(mode(endpoint.directory.path()), 0o700);
    }
}
