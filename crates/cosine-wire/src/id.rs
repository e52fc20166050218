//! Request, trace and version ids.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::encode::hex;

/// What makes a request id: the fields of COS's own form, so that tools which decode it agree.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    /// Arrival, seconds since 1970 UTC.
    pub seconds: u64,
    /// The server's IPv4 address.
    pub address: [u8; 4],
    /// The serving process.
    pub process: u32,
    /// Requests served by this process so far.
    pub counter: u64,
}

impl RequestId {
    /// base64 of `<hex seconds>_<hex address, little-endian>_<hex process>_<hex counter>`.
    pub fn encode(self) -> String {
        let address = u32::from_le_bytes(self.address);
        STANDARD.encode(format!(
            "{:08x}_{address:x}_{:x}_{:x}",
            self.seconds, self.process, self.counter
        ))
    }
}

/// Wraps 48 random bytes as a trace id: base64 of 128 hex characters with the prefix that COS's
/// own samples share.
pub fn trace_id(random: [u8; 48]) -> String {
    STANDARD.encode(format!("8efc6b2d3b069ca89454d10b9ef00187{}", hex(&random)))
}

/// The version id of a version of this time, microseconds since 1970 UTC: base64 without padding of the
/// decimal 2^64 - 1 - T. As numbers, those of newer versions are smaller.
pub fn version_id(micros: u64) -> String {
    STANDARD_NO_PAD.encode((u64::MAX - micros).to_string())
}

/// The time in a version id; `None` for what was never given out.
pub fn parse_version_id(id: &str) -> Option<u64> {
    let text = String::from_utf8(STANDARD_NO_PAD.decode(id).ok()?).ok()?;
    let micros = u64::MAX - text.parse::<u64>().ok()?;
    (version_id(micros) == id).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_id_has_the_form_of_the_copy_page() {
        let id = RequestId {
            seconds: 0x5e90_b8ee,
            address: [9, 11, 192, 121],
            process: 0x1c729,
            counter: 0x1d5a,
        };
        assert!(id.encode().starts_with("NWU5MGI4ZWVfNzljMDBiMDlfMWM3MjlfMWQ1"));
    }

    #[test]
    fn version_ids_are_those_of_the_samples() {
        for (id, micros) in [
            ("MTg0NDUxNTc0NDYxOTI4MzU0MDI", 1_586_627_516_716_213),
            ("MTg0NDUxNTc0NDYyMjQ2MzUzMjQ", 1_586_627_484_916_291),
            ("MTg0NDUxNzYzMDc0NDMzNDExOTc", 1_567_766_266_210_418),
        ] {
            assert_eq!(version_id(micros), id);
            assert_eq!(parse_version_id(id), Some(micros));
        }
        for bad in ["", "null", "MTg0NDUxNTc0NDYxOTI4MzU0MDI=", "KzE4", "LTE", "AAAA", "%"] {
            assert_eq!(parse_version_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn trace_id_is_128_hex_characters() {
        assert_eq!(STANDARD.decode(trace_id([7; 48])).unwrap().len(), 128);
    }
}
