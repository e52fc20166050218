//! The circumstances of a request, as conditions ask for them.

use std::borrow::Cow;

macro_rules! keys {
    ($($key:ident [$($name:literal)+] $encoded:literal $meaning:literal;)*) => {
        /// What a condition may ask for. Source: conditions (436/71306, 436/71307).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Key { $(#[doc = $meaning] $key,)* }

        impl Key {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$key,)*];

            /// The names in policies; the first is the one to show.
            pub const fn names(self) -> &'static [&'static str] {
                match self { $(Self::$key => &[$($name),+],)* }
            }

            /// What it is, for a reader of the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$key => $meaning,)* }
            }

            /// Whether policies hold its values percent-encoded: they come from request parameters.
            pub const fn is_encoded(self) -> bool {
                match self { $(Self::$key => $encoded,)* }
            }
        }
    };
}

keys! {
    Ip ["qcs:ip"] false "The address of the client, of the connection that it came on.";
    CurrentTime ["qcs:current_time"] false "The time of the server.";
    SecureTransport ["cos:secure-transport"] false "`true` for a request over TLS.";
    TlsVersion ["cos:tls-version" "tls-version"] false "The version of TLS, such as `1.2`; absent without TLS.";
    StorageClass ["cos:x-cos-storage-class"] false "`x-cos-storage-class` of a write.";
    VersionId ["cos:versionid"] true "`versionId` of the request, or of the copy source.";
    Prefix ["cos:prefix"] true "`prefix` of a list.";
    Delimiter ["cos:delimiter"] true "`delimiter` of a list.";
    MaxKeys ["cos:max-keys"] true "`max-keys` of a list.";
    Acl ["cos:x-cos-acl"] false "`x-cos-acl` of a write.";
    ContentLength ["cos:content-length"] false "`Content-Length` of a write.";
    ContentType ["cos:content-type"] false "`Content-Type` of a write.";
    ResponseContentType ["cos:response-content-type"] true "`response-content-type` of a read.";
    ForbidOverwrite ["cos:x-cos-forbid-overwrite"] false "`x-cos-forbid-overwrite` of a write.";
}

impl Key {
    /// The key of this name. Names are case-sensitive, as in COS.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.names().contains(&name))
    }
}

/// A circumstance of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// The request does not have it.
    Absent,
    /// It is this.
    Value(Cow<'a, str>),
    /// The request has it, and nobody can read it: nobody knows what it would say to a condition.
    Unreadable,
}

impl<'a> From<Option<Cow<'a, str>>> for Fact<'a> {
    fn from(value: Option<Cow<'a, str>>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

/// Where the circumstances of a request are looked up.
pub trait Facts {
    /// What the request has of a key.
    fn fact(&self, key: Key) -> Fact<'_>;
}

/// No circumstances at all.
#[derive(Clone, Copy, Debug)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn fact(&self, _: Key) -> Fact<'_> {
        Fact::Absent
    }
}
