//! The circumstances of a request, for the conditions of policies.

use std::borrow::Cow;

use cosine_access::{Facts, Key};
use cosine_wire::date::iso_date;
use cosine_wire::header::name;
use http::{Method, header};

use crate::request::Request;

/// What of a request a condition is about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// All of it.
    Request,
    /// Only what reads an object that is copied: this version of it, if one is named. What the request
    /// says of the object that is written is none of the source's business.
    CopySource(Option<&'a str>),
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

    fn of_write(&self, name: &str) -> Option<Cow<'_, str>> {
        let method = &self.request.row.method;
        let is_write = *method == Method::PUT || *method == Method::POST;
        let value = self.request.headers.get(name).filter(|_| is_write)?;
        Some(Cow::Borrowed(value.to_str().ok()?.trim()))
    }

    /// A parameter of the query that the operation has.
    fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        let has = self.request.row.knows_param(name);
        self.request.query.get(name).filter(|_| has).map(Cow::Borrowed)
    }

    fn of_request(&self, key: Key) -> Option<Cow<'_, str>> {
        match key {
            // Classes are read in any case.
            Key::StorageClass => {
                self.of_write(name::STORAGE_CLASS).map(|class| class.to_ascii_uppercase().into())
            }
            Key::Acl => self.of_write(name::ACL),
            Key::ForbidOverwrite => self.of_write(name::FORBID_OVERWRITE),
            Key::ContentLength => self.of_write(header::CONTENT_LENGTH.as_str()),
            Key::ContentType => self.of_write(header::CONTENT_TYPE.as_str()),
            Key::VersionId => self.param("versionId"),
            Key::Prefix => self.param("prefix"),
            Key::Delimiter => self.param("delimiter"),
            Key::MaxKeys => self.param("max-keys"),
            Key::ResponseContentType => self.param("response-content-type"),
            Key::Ip | Key::CurrentTime | Key::SecureTransport | Key::TlsVersion => None,
        }
    }
}

impl Facts for RequestFacts<'_> {
    fn fact(&self, key: Key) -> Option<Cow<'_, str>> {
        let client = &self.request.client;
        match (key, self.about) {
            (Key::Ip, _) => Some(client.ip.to_string().into()),
            (Key::CurrentTime, _) => Some(iso_date(self.request.at.cast_signed()).into()),
            (Key::SecureTransport, _) => Some(client.tls.is_some().to_string().into()),
            (Key::TlsVersion, _) => client.tls.map(Cow::Borrowed),
            (Key::VersionId, About::CopySource(id)) => id.map(Cow::Borrowed),
            (_, About::CopySource(_)) => None,
            (_, About::Request) => self.of_request(key),
        }
    }
}
