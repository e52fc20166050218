//! The circumstances of a request, for the conditions of policies.

use std::borrow::Cow;

use cosine_access::{Fact, Facts, Key};
use cosine_wire::date::iso_date;
use cosine_wire::header::name;
use http::{Method, header};

use crate::client::Client;
use crate::request::Request;

/// What of a request a condition is about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// All of it.
    Request,
    /// The same, for one of several objects that it names: this version of it, if one is named.
    Object(Option<&'a str>),
    /// Only what reads an object that is copied: this version of it, if one is named. What the request
    /// says of the object that is written is none of the source's business.
    CopySource(Option<&'a str>),
}

/// The circumstances of every request, whatever it is.
#[derive(Clone, Copy, Debug)]
pub struct CommonFacts {
    /// Where it comes from.
    pub client: Client,
    /// When it came, seconds since 1970 UTC.
    pub at: u64,
}

impl Facts for CommonFacts {
    fn fact(&self, key: Key) -> Fact<'_> {
        let value: Option<Cow<'_, str>> = match key {
            Key::Ip => Some(self.client.ip.to_string().into()),
            Key::CurrentTime => Some(iso_date(self.at.cast_signed()).into()),
            Key::SecureTransport => Some(self.client.tls.is_some().to_string().into()),
            Key::TlsVersion => self.client.tls.map(Cow::Borrowed),
            _ => None,
        };
        value.into()
    }
}

/// The circumstances of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    request: &'a Request,
    about: About<'a>,
}

impl<'a> RequestFacts<'a> {
    /// Those of this request.
    pub fn new(request: &'a Request, about: About<'a>) -> Self {
        Self { request, about }
    }

    fn common(&self) -> CommonFacts {
        CommonFacts { client: self.request.client, at: self.request.at }
    }

    fn of_write(&self, name: &str) -> Fact<'_> {
        let method = &self.request.row.method;
        let is_write = *method == Method::PUT || *method == Method::POST;
        match self.request.headers.get(name).filter(|_| is_write).map(|value| value.to_str()) {
            None => Fact::Absent,
            Some(Ok(text)) => Fact::Value(Cow::Borrowed(text.trim())),
            Some(Err(_)) => Fact::Unreadable,
        }
    }

    /// A parameter of the query that the operation has.
    fn param(&self, name: &str) -> Fact<'_> {
        let has = self.request.row.knows_param(name);
        self.request.query.get(name).filter(|_| has).map(Cow::Borrowed).into()
    }

    fn of_request(&self, key: Key) -> Fact<'_> {
        match key {
            // Classes are read in any case.
            Key::StorageClass => match self.of_write(name::STORAGE_CLASS) {
                Fact::Value(class) => Fact::Value(class.to_ascii_uppercase().into()),
                other => other,
            },
            Key::Acl => self.of_write(name::ACL),
            Key::ForbidOverwrite => self.of_write(name::FORBID_OVERWRITE),
            Key::ContentLength => self.of_write(header::CONTENT_LENGTH.as_str()),
            Key::ContentType => self.of_write(header::CONTENT_TYPE.as_str()),
            Key::VersionId => self.param("versionId"),
            Key::Prefix => self.param("prefix"),
            Key::Delimiter => self.param("delimiter"),
            Key::MaxKeys => self.param("max-keys"),
            Key::ResponseContentType => self.param("response-content-type"),
            Key::Ip | Key::CurrentTime | Key::SecureTransport | Key::TlsVersion => Fact::Absent,
        }
    }
}

/// The keys that are the same for all that a request is about.
fn is_common(key: Key) -> bool {
    matches!(key, Key::Ip | Key::CurrentTime | Key::SecureTransport | Key::TlsVersion)
}

impl Facts for RequestFacts<'_> {
    fn fact(&self, key: Key) -> Fact<'_> {
        match (key, self.about) {
            (key, _) if is_common(key) => match self.common().fact(key) {
                Fact::Value(text) => Fact::Value(text.into_owned().into()),
                Fact::Absent => Fact::Absent,
                Fact::Unreadable => Fact::Unreadable,
            },
            (Key::VersionId, About::CopySource(id) | About::Object(id)) => {
                id.map(Cow::Borrowed).into()
            }
            (_, About::CopySource(_)) => Fact::Absent,
            (_, About::Request | About::Object(_)) => self.of_request(key),
        }
    }
}
