//! A TCP proxy on loopback between one node and the NATS server, through which the node can be
//! cut off.
//!
//! Bytes that are held back are delivered when the way is free again, as TCP does after packets
//! were lost; whoever gives up before that closes the connection. At most [`CHUNK`] bytes are held
//! per direction; the rest waits in the sockets. Unknown here: what the bytes say.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CHUNK: usize = 64 * 1024;

/// What the way is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Nothing gets to the node.
    pub(crate) deaf: bool,
    /// Nothing gets out of the node.
    pub(crate) mute: bool,
    /// By how much each piece is late.
    pub(crate) delay: Duration,
    /// How often all connections were closed.
    closed: u64,
}

#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

impl Weather {
    /// Everything passes at once again.
    pub(crate) const fn clear(&mut self) {
        (self.deaf, self.mute, self.delay) = (false, false, Duration::ZERO);
    }

    const fn passes(&self, way: Way) -> bool {
        !match way {
            Way::In => self.deaf,
            Way::Out => self.mute,
        }
    }
}

/// A running proxy. Dropped, it closes everything.
pub(crate) struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Starts one that leads to `port` of this machine.
    pub(crate) async fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (weather, seen) = watch::channel(Weather::default());
        let own = listener.local_addr()?.port();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, port, seen));
        Ok(Self { port: own, weather, _accepting: accepting })
    }

    /// Its address, as in `NATS_URL`.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Changes the weather.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Closes all connections. New ones are taken.
    pub(crate) fn close(&self) {
        self.set(|weather| weather.closed += 1);
    }
}

async fn accept(listener: TcpListener, port: u16, weather: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((near, _)) = accepted {
                connections.spawn(carry(near, port, weather.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until an end closes it, or the weather does.
async fn carry(near: TcpStream, port: u16, mut weather: watch::Receiver<Weather>) {
    let closed = weather.borrow_and_update().closed;
    let both = both_ways(near, port, weather.clone());
    tokio::select! {
        // How a connection ends is for its two ends to judge.
        _ = both => {}
        _ = weather.wait_for(|now| now.closed != closed) => {}
    }
}

async fn both_ways(
    near: TcpStream,
    port: u16,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    free(&mut weather, Way::Out).await?;
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    tokio::select! {
        out = one_way(from_near, to_far, Way::Out, weather.clone()) => out,
        back = one_way(from_far, to_near, Way::In, weather.clone()) => back,
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        free(&mut weather, way).await?;
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        let delay = weather.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        free(&mut weather, way).await?;
        to.write_all(&chunk[..count]).await?;
    }
}

/// Waits until the way is free.
async fn free(weather: &mut watch::Receiver<Weather>, way: Way) -> io::Result<()> {
    weather.wait_for(|now| now.passes(way)).await.map(drop).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use std::future::Future;

    const SOON: Duration = Duration::from_secs(5);
    /// Long enough for loopback by far.
    const NEVER: Duration = Duration::from_millis(200);

    async fn within<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(SOON, what).await.unwrap()
    }

    /// A proxy, and the two ends of a connection through it.
    async fn pair() -> (Proxy, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap().port()).await.unwrap();
        let near = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        let (far, _) = within(listener.accept()).await.unwrap();
        (proxy, near, far)
    }

    async fn sent(from: &mut TcpStream, to: &mut TcpStream) -> bool {
        from.write_all(b"x").await.unwrap();
        tokio::time::timeout(NEVER, to.read_u8()).await.is_ok()
    }

    #[tokio::test]
    async fn each_way_can_be_held_back_alone_and_nothing_is_lost() {
        let (proxy, mut near, mut far) = pair().await;
        assert!(sent(&mut near, &mut far).await && sent(&mut far, &mut near).await);
        proxy.set(|weather| weather.deaf = true);
        assert!(sent(&mut near, &mut far).await);
        assert!(!sent(&mut far, &mut near).await);
        proxy.set(|weather| weather.deaf = false);
        assert_eq!(within(near.read_u8()).await.unwrap(), b'x');
        proxy.set(|weather| weather.mute = true);
        assert!(sent(&mut far, &mut near).await);
        assert!(!sent(&mut near, &mut far).await);
        proxy.set(Weather::clear);
        assert_eq!(within(far.read_u8()).await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn connections_can_be_closed_also_while_they_are_held_back() {
        let (proxy, mut near, mut far) = pair().await;
        proxy.set(|weather| (weather.deaf, weather.mute) = (true, true));
        proxy.close();
        assert!(within(near.read_u8()).await.is_err());
        assert!(within(far.read_u8()).await.is_err());
    }
}
