//! `CORSConfiguration`, and what its rules let pages of other origins do. Source: PUT and GET Bucket cors
//! (436/8279, 436/8274), OPTIONS Object (436/8288).

use super::{Xml, read};
use crate::error::{ApiError, Code};

/// A configuration holds at most this many bytes.
pub const BODY_BYTES_MAX: u64 = 64 << 10;
/// And this many rules.
const RULES_MAX: usize = 100;
const METHODS: [&str; 5] = ["PUT", "GET", "POST", "DELETE", "HEAD"];

/// The rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsConfiguration {
    /// In their order: the first that fits counts.
    pub rules: Vec<CorsRule>,
    /// Whether every answer says that it depends on the origin.
    pub response_vary: Option<bool>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsRule {
    /// What the client calls it.
    pub id: Option<String>,
    /// Origins, with at most one `*` each.
    pub allowed_origins: Vec<String>,
    /// Methods.
    pub allowed_methods: Vec<String>,
    /// Headers of requests, with at most one `*` each.
    pub allowed_headers: Vec<String>,
    /// Headers of answers that a page may see.
    pub expose_headers: Vec<String>,
    /// How long a browser may remember the answer to a preflight.
    pub max_age_seconds: Option<u32>,
}

impl CorsConfiguration {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 `MalformedXML`, `InvalidArgument` for an origin, a method or a header that is none.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (mut configuration, mut rule) = (Self::default(), CorsRule::default());
        read::elements(body, "CORSConfiguration", |path, text| {
            let text = text.trim().to_owned();
            match *path {
                [_, "CORSRule", "ID"] => rule.id = Some(text),
                [_, "CORSRule", "AllowedOrigin"] => rule.allowed_origins.push(text),
                [_, "CORSRule", "AllowedMethod"] => rule.allowed_methods.push(text),
                [_, "CORSRule", "AllowedHeader"] => rule.allowed_headers.push(text),
                [_, "CORSRule", "ExposeHeader"] => rule.expose_headers.push(text),
                [_, "CORSRule", "MaxAgeSeconds"] => {
                    let seconds = text.parse().map_err(|_| "MaxAgeSeconds is not a number")?;
                    rule.max_age_seconds = Some(seconds);
                }
                [_, "CORSRule"] => configuration.rules.push(std::mem::take(&mut rule)),
                [_, "ResponseVary"] => configuration.response_vary = Some(text == "true"),
                _ => {}
            }
            Ok(())
        })?;
        match configuration.rules.len() {
            0 => return Err(ApiError::new(Code::MalformedXML, "There is no CORSRule.")),
            1..=RULES_MAX => {}
            _ => {
                return Err(ApiError::new(Code::InvalidArgument, "There are more than 100 rules."));
            }
        }
        configuration.rules.iter().try_for_each(CorsRule::check)?;
        Ok(configuration)
    }

    /// Renders it as it was set.
    pub fn document(&self) -> String {
        let mut xml = Xml::document();
        xml.open("CORSConfiguration");
        for rule in &self.rules {
            xml.open("CORSRule");
            let texts = |xml: &mut Xml, name: &str, values: &[String]| {
                values.iter().for_each(|value| xml.text(name, value));
            };
            rule.id.iter().for_each(|id| xml.text("ID", id));
            texts(&mut xml, "AllowedOrigin", &rule.allowed_origins);
            texts(&mut xml, "AllowedMethod", &rule.allowed_methods);
            texts(&mut xml, "AllowedHeader", &rule.allowed_headers);
            texts(&mut xml, "ExposeHeader", &rule.expose_headers);
            rule.max_age_seconds.iter().for_each(|seconds| xml.value("MaxAgeSeconds", seconds));
            xml.close("CORSRule");
        }
        self.response_vary.iter().for_each(|vary| xml.value("ResponseVary", vary));
        xml.close("CORSConfiguration");
        xml.finish()
    }

    /// The first rule for an origin, a method and headers, which are asked for in any case.
    pub fn rule_for(&self, origin: &str, method: &str, headers: &[&str]) -> Option<&CorsRule> {
        self.rules.iter().find(|rule| {
            rule.allowed_origins.iter().any(|pattern| fits(pattern, origin))
                && rule.allowed_methods.iter().any(|allowed| allowed == method)
                && headers.iter().all(|header| rule.allows_header(header))
        })
    }
}

impl CorsRule {
    fn check(&self) -> Result<(), ApiError> {
        let invalid = |what: String| Err(ApiError::new(Code::InvalidArgument, what));
        if self.allowed_origins.is_empty() || self.allowed_methods.is_empty() {
            let message = "A CORSRule has an AllowedOrigin and an AllowedMethod.";
            return Err(ApiError::new(Code::MalformedXML, message));
        }
        for pattern in self.allowed_origins.iter().chain(&self.allowed_headers) {
            let printable = pattern.bytes().all(|b| b.is_ascii_graphic());
            if pattern.is_empty() || pattern.matches('*').count() > 1 || !printable {
                return invalid(format!("{pattern:?} is neither an origin nor a header."));
            }
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&b);
        let no_token = |name: &&String| name.is_empty() || !name.bytes().all(token);
        if let Some(header) = self.expose_headers.iter().find(no_token) {
            return invalid(format!("{header:?} is no header that can be exposed."));
        }
        match self.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            Some(method) => invalid(format!("{method:?} is not PUT, GET, POST, DELETE or HEAD.")),
            None => Ok(()),
        }
    }

    fn allows_header(&self, header: &str) -> bool {
        let header = header.to_ascii_lowercase();
        self.allowed_headers.iter().any(|allowed| fits(&allowed.to_ascii_lowercase(), &header))
    }

    /// Whether it is for every origin.
    pub fn is_for_all(&self) -> bool {
        self.allowed_origins.iter().any(|origin| origin == "*")
    }
}

/// A pattern with at most one `*`.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((front, back)) => text.strip_prefix(front).is_some_and(|rest| rest.ends_with(back)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "<CORSConfiguration><CORSRule><ID>a</ID><AllowedOrigin>http://*.example.com</AllowedOrigin>\
        <AllowedMethod>GET</AllowedMethod><AllowedHeader>x-cos-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>\
        <MaxAgeSeconds>5</MaxAgeSeconds></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin>\
        <AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule>\
        <ResponseVary>true</ResponseVary></CORSConfiguration>";

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = CorsConfiguration::parse(BODY.as_bytes()).unwrap();
        assert_eq!(CorsConfiguration::parse(rules.document().as_bytes()).unwrap(), rules);
        let found = |origin, method, headers: &[&str]| {
            let rule = rules.rule_for(origin, method, headers);
            rule.and_then(|rule| rules.rules.iter().position(|other| other == rule))
        };
        assert_eq!(found("http://a.example.com", "GET", &[]), Some(0));
        assert_eq!(found("http://a.example.com", "GET", &["X-Cos-Acl"]), Some(0));
        assert_eq!(found("http://a.example.com", "GET", &["authorization"]), Some(1));
        assert_eq!(found("http://a.example.com", "PUT", &[]), Some(1));
        assert_eq!(found("https://a.example.com", "GET", &[]), Some(1));
        assert_eq!(found("https://a.example.com", "DELETE", &[]), None);
    }

    #[test]
    fn rules_that_are_none_are_refused() {
        let rule = |inner: &str| {
            format!("<CORSConfiguration><CORSRule>{inner}</CORSRule></CORSConfiguration>")
        };
        let origin = "<AllowedOrigin>*</AllowedOrigin>";
        let get = "<AllowedMethod>GET</AllowedMethod>";
        for (body, code) in [
            ("<CORSConfiguration/>".to_owned(), Code::MalformedXML),
            (rule(origin), Code::MalformedXML),
            (rule(get), Code::MalformedXML),
            (
                rule(&format!("{origin}<AllowedMethod>OPTIONS</AllowedMethod>")),
                Code::InvalidArgument,
            ),
            (rule(&format!("<AllowedOrigin>*.*</AllowedOrigin>{get}")), Code::InvalidArgument),
            (
                rule(&format!("{origin}{get}<ExposeHeader>a b</ExposeHeader>")),
                Code::InvalidArgument,
            ),
            (rule(&format!("{origin}{get}<MaxAgeSeconds>x</MaxAgeSeconds>")), Code::MalformedXML),
            (
                rule(&format!("{origin}{get}")).replace("<CORSRule>", &"<CORSRule>".repeat(20)),
                Code::MalformedXML,
            ),
        ] {
            assert_eq!(CorsConfiguration::parse(body.as_bytes()).unwrap_err().code, code, "{body}");
        }
    }
}
