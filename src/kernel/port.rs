//! Where a kernel listens for one of its channels.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The ports that were given to kernels: each is given once, since a kernel takes some time to listen on its own.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Where a kernel listens for one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// A Unix socket.
    Socket(PathBuf),
    /// A port of this machine's own network.
    Tcp(u16),
}

/// A connection to a port.
pub trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Stream for T {}

impl Port {
    /// Connects; an error where nobody listens.
    pub async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Tcp(port) => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }

    /// The numbers of `N` ports on which nobody listens, none of which was given before.
    pub fn free<const N: usize>() -> io::Result<[u16; N]> {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, mut held) = ([0; N], Vec::new());
        for place in &mut free {
            // Each is held until all are known, so that no two are one.
            *place = loop {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let port = listener.local_addr()?.port();
                held.push(listener);
                if given.insert(port) {
                    break port;
                }
            };
        }
        Ok(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let all = [Port::free::<5>().unwrap(), Port::free::<5>().unwrap()].concat();
        assert_eq!(BTreeSet::from_iter(all).len(), 10);
    }
}
