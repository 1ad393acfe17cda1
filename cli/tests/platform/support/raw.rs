//! The NATS protocol by hand: bytes that no client library would send.

use catena_testing::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that speaks for itself.
pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub(crate) async fn connect(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("nats://")).await.unwrap();
        let mut raw = Self { stream };
        raw.send(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n").await;
        raw.arrived().await;
        raw
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Publishes with a subject of any bytes.
    pub(crate) async fn publish(&mut self, subject: &[u8], reply: &str, body: &[u8]) {
        let mut bytes = b"PUB ".to_vec();
        bytes.extend_from_slice(subject);
        bytes.extend_from_slice(format!(" {reply} {}\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes).await;
    }

    /// Publishes with a header block of any bytes.
    pub(crate) async fn publish_with_headers(
        &mut self,
        subject: &str,
        reply: &str,
        block: &[u8],
        body: &[u8],
    ) {
        let line =
            format!("HPUB {subject} {reply} {} {}\r\n", block.len(), block.len() + body.len());
        self.send(&[line.as_bytes(), block, body, b"\r\n"].concat()).await;
    }

    /// Waits until the server has taken everything.
    pub(crate) async fn arrived(&mut self) {
        self.send(b"PING\r\n").await;
        let mut heard = Vec::new();
        within(5, "PONG", async {
            while !heard.windows(6).any(|bytes| bytes == b"PONG\r\n") {
                let mut buffer = [0; 4096];
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "the server closed: {}", String::from_utf8_lossy(&heard));
                heard.extend_from_slice(&buffer[..count]);
            }
        })
        .await;
    }
}
