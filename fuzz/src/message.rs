//! The head of a request as text, so that inputs can be read and written by hand.

use http::request::{Builder, Parts};
use http::{HeaderName, HeaderValue, Request};

/// Reads `METHOD target`, then a line `name: value` for each header. Lines that are no header are
/// left out. `None` for what hyper would refuse before we see it.
pub fn head(data: &[u8]) -> Option<Parts> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let mut request = Builder::new().method(method).uri(target).body(()).ok()?;
    request.headers_mut().extend(lines.filter_map(header));
    Some(request.into_parts().0)
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value.trim_ascii()).ok()?))
}

/// The head of a GET.
pub fn get(authority: &str, target: &str) -> Parts {
    let request = Request::get(target).header("host", authority).body(());
    request.expect("the test spells its own requests").into_parts().0
}

/// What stands before the first empty line, and what after it.
pub fn head_and_body(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[]),
    }
}
