//! The other end of a connection, and what came from there when.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where requests of a connection come from, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address that it came to; IPv6 addresses as zeros.
    pub local: [u8; 4],
    /// The address that it came from; an IPv4 address in the form of IPv6 as the former.
    pub ip: IpAddr,
    /// The version of TLS, if it is over TLS.
    pub tls: Option<&'static str>,
}

/// What is known of a request beside what it says.
#[derive(Debug)]
pub struct Arrival {
    /// How it is called in logs and answers.
    pub id: String,
    /// Where it comes from.
    pub client: Client,
    /// When it came, seconds since 1970 UTC.
    pub at: u64,
}

impl Client {
    /// The ends of a connection, in clear.
    pub fn new(local: Option<SocketAddr>, peer: Option<SocketAddr>) -> Self {
        let local = match local.map(|address| address.ip().to_canonical()) {
            Some(IpAddr::V4(ip)) => ip.octets(),
            _ => [0; 4],
        };
        // A connection that is gone already: its request reaches nobody.
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let ip = peer.map_or(nowhere, |address| address.ip().to_canonical());
        Self { local, ip, tls: None }
    }

    /// The same, over TLS.
    pub fn over_tls(self, version: Option<rustls::ProtocolVersion>) -> Self {
        let tls = match version {
            Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        };
        Self { tls: Some(tls), ..self }
    }
}
