//! Reads an image's address as DigitalOcean does: HEAD first, then GET, as a stranger. A
//! few lines of HTTP/1.1 of its own, apart from any client's code.

use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use http::Uri;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::content::{Content, Draft};

const CHUNK: usize = 256 * 1024;

/// Whether the address answers HEAD with success.
pub(super) async fn is_reachable(url: &str) -> bool {
    matches!(ask("HEAD", url).await, Ok((200, _, _)))
}

/// The bytes behind the address.
pub(super) async fn get(url: &str, dir: &Path) -> anyhow::Result<Content> {
    let (status, length, mut stream) = ask("GET", url).await?;
    if status != 200 {
        bail!("the address answers {status}");
    }
    let (mut draft, mut rest) = (Draft::new(dir)?, length);
    let mut chunk = vec![0; CHUNK];
    while rest > 0 {
        let most = chunk.len().min(usize::try_from(rest).unwrap_or(CHUNK));
        let read = stream.read(&mut chunk[..most]).await?;
        if read == 0 {
            bail!("the connection ended {rest} bytes too early");
        }
        draft.write(&chunk[..read])?;
        rest -= read as u64;
    }
    Ok(draft.finish()?)
}

/// Status, length of the body, and the connection that it comes from.
async fn ask(method: &str, url: &str) -> anyhow::Result<(u16, u64, BufReader<TcpStream>)> {
    let uri: Uri = url.parse()?;
    if uri.scheme_str() != Some("http") {
        bail!("the sandbox reaches http:// alone");
    }
    let host = uri
        .authority()
        .context("the address names no host")?
        .as_str();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: sandbox\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut stream = BufReader::new(stream);
    let status = line(&mut stream).await?;
    let status = status
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let mut length = 0;
    loop {
        let line = line(&mut stream).await?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    Ok((status.context("no status")?, length, stream))
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}
