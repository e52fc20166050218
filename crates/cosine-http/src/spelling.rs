//! The spelling of header names on HTTP/1.
//!
//! Names are case-insensitive, but not to every client: cosfs searches for the text `ETag: "`, and
//! the Python SDK hands out a plain dictionary. hyper writes names in lower case unless a response
//! carries the spellings that it recorded from a request; so we let it read a request that spells
//! every name as COS does, once, and give its record to every response.

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

/// Every name that we send and that COS does not write in lower case.
const NAMES: [&str; 19] = [
    "Accept-Ranges",
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Expires",
    "Last-Modified",
    "Location",
    "Server",
    "Transfer-Encoding",
    "Vary",
    "x-cos-server-side-encryption-customer-key-MD5",
];

/// The extensions that make hyper spell a response's headers as COS does.
///
/// # Errors
/// If hyper does not read its own protocol, which would be a defect there.
pub async fn recorded() -> std::io::Result<Extensions> {
    let head: String = NAMES.map(|name| format!("{name}: {}\r\n", sample(name))).concat();
    let (mut client, server) = tokio::io::duplex(4096);
    client
        .write_all(format!("GET / HTTP/1.1\r\nHost: h\r\n{head}\r\n0\r\n\r\n").as_bytes())
        .await?;
    let seen = Mutex::new(None);
    let service = service_fn(async |request: Request<Incoming>| {
        if let Ok(mut seen) = seen.lock() {
            *seen = Some(request.extensions().clone());
        }
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(server), service)
        .await
        .map_err(std::io::Error::other)?;
    seen.into_inner().ok().flatten().ok_or_else(|| std::io::Error::other("no header spellings"))
}

/// A value that hyper lets pass; the connection ends after the one answer.
fn sample(name: &str) -> &'static str {
    match name {
        "Connection" => "close",
        "Transfer-Encoding" => "chunked",
        _ => "0",
    }
}
