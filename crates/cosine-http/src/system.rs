//! What is asked of the server itself and not of the store in it: paths below `/-/`, on hosts that
//! name no bucket. Where the host is a bucket, such a path is a key like any other.
//!
//! A new endpoint is a row of the table and an arm of [`Endpoint::answer`].

use cosine_wire::host::HostRules;
use http::{Method, StatusCode};

use crate::Api;
use crate::reply::Reply;
use crate::request::Head;

/// No bucket can have this name: `-` is not `<name>-<appid>`.
const PREFIX: &str = "/-/";

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Whether the process serves.
    Healthy,
    /// Whether writes are taken.
    Ready,
}

/// The endpoints that anyone may ask, unsigned. HEAD goes where GET goes.
const TABLE: [(Method, &str, Endpoint); 2] =
    [(Method::GET, "/-/healthy", Endpoint::Healthy), (Method::GET, "/-/ready", Endpoint::Ready)];

/// Finds the endpoint that a request asks for, if it asks for one.
pub fn find(head: &Head, hosts: &HostRules) -> Option<Endpoint> {
    let may_be = head.path.starts_with(PREFIX) && !head.names_bucket(hosts);
    may_be.then(|| Endpoint::at(&head.method, &head.path)).flatten()
}

impl Endpoint {
    /// The endpoint at a path, whatever the host.
    pub fn at(method: &Method, path: &str) -> Option<Self> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let mut rows = TABLE.iter();
        rows.find(|row| row.0 == *method && row.1 == path).map(|row| row.2)
    }

    /// Answers.
    pub async fn answer(self, api: &Api) -> Reply {
        match self {
            Self::Healthy => Reply::text(StatusCode::OK, "healthy\n"),
            Self::Ready => match api.refuses_writes().await {
                None => Reply::text(StatusCode::OK, "ready\n"),
                Some(why) => Reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
        }
    }
}
