//! What only HTTP/2 can do to us, against the real listener on the in-memory engines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test reports by panicking")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cosine_access::{Account, Credential};
use cosine_http::audit::{Audit, AuditTarget};
use cosine_http::{Api, Limits, Master, Regions, Settings, serve};
use cosine_store::{Clock, Engines, MasterKeys, Store, SystemClock};
use cosine_wire::host::{HostRules, ServedRegions};
use cosine_wire::qsign::{Signed, sign};
use cosine_wire::query::Query;
use h2::Reason;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/b-1250000000/k";

/// Starts a server; it ends with the test's runtime.
async fn start() -> std::net::SocketAddr {
    let engines = Engines {
        kv: Arc::new(cosine_kv::Memory::default()),
        blobs: Arc::new(cosine_blob::Memory::default()),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let master = Arc::new(MasterKeys::parse(&"5a".repeat(32)).unwrap());
    let store = Store::open(engines, Arc::clone(&clock), Arc::clone(&master)).await.unwrap();
    let credential = Credential { secret_id: "id".into(), secret_key: "key".into() };
    let settings = Settings {
        remotes: Default::default(),
        account: Account { appid: 1_250_000_000, uin: 1 },
        root: credential,
        sts_host: None,
        hosts: HostRules::new(vec![], ServedRegions::All, HashMap::new()),
        regions: Regions { default: "ap-x".into(), named: vec!["ap-x".into()], any: false },
        collector: Default::default(),
        limits: Limits {
            connections: 16,
            requests: 16,
            memory: 64 << 20,
            header_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(60),
            drain_time: Duration::from_secs(25),
        },
        customer_keys_need_tls: false,
        master: Arc::new(Master::new(Arc::clone(&master), None, true)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = Arc::new(Api::new(store, clock, settings, Audit::open(AuditTarget::Off).unwrap()));
    tokio::spawn(serve(api, listener, None, std::future::pending()));
    address
}

async fn connect(address: std::net::SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

fn request(method: &str, path: &str, length: Option<u64>) -> Request<()> {
    let now = SystemClock.now_seconds();
    let (query, headers) = (Query::default(), HeaderMap::new());
    let signed =
        Signed { method, path: path.as_bytes(), query: &query, headers: &headers, authority: "" };
    let authorization = sign(signed, &[], "id", "key", (now - 60, now + 600));
    let request = Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1{path}"))
        .header("authorization", authorization);
    let length = length.map(|length| ("content-length", length));
    let request = length.into_iter().fold(request, |r, (name, value)| r.header(name, value));
    request.body(()).unwrap()
}

async fn put(client: &mut SendRequest<Bytes>, body: Bytes) -> Response<h2::RecvStream> {
    let (response, mut stream) =
        client.send_request(request("PUT", PATH, Some(body.len() as u64)), false).unwrap();
    stream.send_data(body, true).unwrap();
    response.await.unwrap()
}

async fn get(client: &mut SendRequest<Bytes>) -> Vec<u8> {
    let (response, _) = client.send_request(request("GET", PATH, None), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let (mut body, mut whole) = (response.into_body(), vec![]);
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        whole.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    whole
}

/// The limit on headers is the API's own, whichever protocol carries them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_20_kib_are_taken_and_of_40_kib_refused_with_a_document() {
    let mut client = connect(start().await).await;
    for (bytes, status) in [(20 << 10, StatusCode::OK), (40 << 10, StatusCode::BAD_REQUEST)] {
        let mut request = request("GET", "/", None);
        let pad = "p".repeat(bytes).parse().unwrap();
        request.headers_mut().insert("x-pad", pad);
        let (response, _) = client.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), status, "{bytes}");
        let document = response.into_body().data().await.unwrap().unwrap();
        assert!(document.starts_with(b"<?xml"), "{bytes}");
    }
}

/// A stream that is reset without an error looks like one that ended. It must not replace an object
/// with half of another, whether it announced a length or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_reset_leaves_the_object_as_it_was() {
    let mut client = connect(start().await).await;
    let (made, _) = client.send_request(request("PUT", "/b-1250000000", Some(0)), true).unwrap();
    assert_eq!(made.await.unwrap().status(), StatusCode::OK);
    assert_eq!(put(&mut client, Bytes::from_static(b"whole")).await.status(), StatusCode::OK);

    for length in [Some(20_000), None] {
        for reason in [Reason::NO_ERROR, Reason::CANCEL] {
            let (response, mut stream) =
                client.send_request(request("PUT", PATH, length), false).unwrap();
            stream.send_data(Bytes::from(vec![7; 10_000]), false).unwrap();
            stream.send_reset(reason);
            assert!(response.await.is_err(), "a reset stream has no answer");
            // The next request on the connection is answered after the reset was seen.
            let kept = get(&mut client).await;
            assert!(kept == b"whole", "{length:?} {reason:?}: {} bytes", kept.len());
        }
    }
    let settled = put(&mut client, Bytes::from_static(b"after")).await;
    assert_eq!(settled.status(), StatusCode::OK);
    assert_eq!(get(&mut client).await, b"after");
}
