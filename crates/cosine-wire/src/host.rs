//! Host names: which bucket, which region, which kind of endpoint.
//!
//! Source: request and access domain names (436/6224) and the hosts that the SDKs generate.

use std::collections::HashMap;
use std::net::IpAddr;

/// What a host name says about the request behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// One bucket; the path is the key.
    Bucket(BucketHost),
    /// No bucket: `/` is the service, `/<bucket>/<key>` is path style.
    Root {
        /// The region that the name carries, if any.
        region: Option<String>,
    },
    /// `<uin>.cos-control.<region>`: batch jobs.
    Control,
    /// `.ci.` and `.pic.` hosts: data processing, which is not object storage.
    DataProcessing,
}

/// A host name that stands for one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketHost {
    /// `<name>-<appid>`.
    pub bucket: String,
    /// The region that the name carries. `None` where it carries none that binds.
    pub region: Option<String>,
    /// The kind of endpoint.
    pub endpoint: Endpoint,
}

/// Kinds of bucket endpoint that behave differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The object API.
    Api,
    /// Global acceleration, or a custom domain that is its origin: never a copy source.
    Accelerate,
    /// Static website: GET, HEAD and OPTIONS only.
    Website,
}

/// A custom host name bound to one bucket by configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// `<name>-<appid>`.
    pub bucket: String,
    /// Whether the host is a global-acceleration origin.
    pub acceleration: bool,
}

/// The domains of COS itself; SDKs switch from the first to the second on a retry.
pub const COS_DOMAINS: [&str; 2] = ["myqcloud.com", "tencentcos.cn"];

/// Regions from before `cos.<region>`: `<bucket>.<region>.myqcloud.com`.
const LEGACY_REGIONS: [&str; 7] =
    ["cn-east", "cn-north", "cn-south", "cn-south-2", "cn-southwest", "sg", "tj"];

/// Which regions a name under a foreign domain may carry.
#[derive(Clone, Debug)]
pub enum ServedRegions {
    /// These.
    Named(Vec<String>),
    /// Any.
    All,
}

impl ServedRegions {
    fn have(&self, region: &str) -> bool {
        match self {
            Self::Named(regions) => regions.iter().any(|named| named == region),
            Self::All => true,
        }
    }
}

/// How this deployment reads host names.
#[derive(Clone, Debug)]
pub struct HostRules {
    domains: Vec<String>,
    regions: ServedRegions,
    bindings: HashMap<String, Binding>,
}

impl HostRules {
    /// `domains` come on top of COS's own; `regions` are those that a name under a foreign domain
    /// may carry; `bindings` are keyed by host name without port.
    pub fn new(
        domains: Vec<String>,
        regions: ServedRegions,
        bindings: HashMap<String, Binding>,
    ) -> Self {
        let lower = |text: String| text.to_ascii_lowercase();
        Self {
            domains: COS_DOMAINS
                .map(str::to_owned)
                .into_iter()
                .chain(domains.into_iter().map(lower))
                .collect(),
            regions,
            bindings: bindings.into_iter().map(|(host, binding)| (lower(host), binding)).collect(),
        }
    }

    /// Reads a host name, with or without port. Total: a name that says nothing is a root.
    pub fn read(&self, authority: &str) -> Host {
        let host = without_port(authority).trim_end_matches('.').to_ascii_lowercase();
        if let Some(binding) = self.bindings.get(&host) {
            let endpoint = if binding.acceleration { Endpoint::Accelerate } else { Endpoint::Api };
            return bucket_host(&binding.bucket, None, endpoint);
        }
        if is_address(&host) {
            return Host::Root { region: None };
        }
        match self.labels_below_known_domain(&host) {
            Some(labels) => read_known(&labels),
            None => self.read_foreign(&host),
        }
    }

    /// The labels in front of the longest known domain that ends the host.
    fn labels_below_known_domain<'h>(&self, host: &'h str) -> Option<Vec<&'h str>> {
        self.domains
            .iter()
            .filter_map(|domain| {
                let front = host.strip_suffix(domain.as_str())?;
                if front.is_empty() { Some(front) } else { front.strip_suffix('.') }
            })
            .min_by_key(|front| front.len())
            .map(|front| front.split('.').filter(|label| !label.is_empty()).collect())
    }

    /// `<bucket-appid>.<anything>`; a region counts only if this deployment has it, since nobody
    /// promised that the other labels mean anything (C19).
    fn read_foreign(&self, host: &str) -> Host {
        let mut labels = host.split('.');
        let (first, second, third) = (labels.next(), labels.next(), labels.next());
        let served = |region: Option<&str>| {
            region.filter(|region| self.regions.have(region)).map(str::to_owned)
        };
        match (first, second) {
            (Some(bucket), Some(cos)) if is_bucket_name(bucket) => {
                bucket_host(bucket, served(third.filter(|_| cos == "cos")), Endpoint::Api)
            }
            (Some("cos"), region) => Host::Root { region: served(region) },
            _ => Host::Root { region: None },
        }
    }
}

fn read_known(labels: &[&str]) -> Host {
    let region = |region: &str| Some(region.to_owned());
    match *labels {
        ["cos" | "cos-internal", "accelerate"] => Host::Root { region: None },
        ["cos" | "cos-internal", r] => Host::Root { region: region(r) },
        [_, "cos-control", _] => Host::Control,
        [_, "ci" | "pic", _] | ["ci" | "pic", _] => Host::DataProcessing,
        [bucket, "cos" | "cos-internal", "accelerate"] => {
            bucket_host(bucket, None, Endpoint::Accelerate)
        }
        [bucket, "cos-website", r] => bucket_host(bucket, region(r), Endpoint::Website),
        [bucket, "cos" | "cos-internal" | "cosv6" | "cos-cdc", r] => {
            bucket_host(bucket, region(r), Endpoint::Api)
        }
        [bucket, r] if LEGACY_REGIONS.contains(&r) => bucket_host(bucket, region(r), Endpoint::Api),
        [bucket, ..] if is_bucket_name(bucket) => bucket_host(bucket, None, Endpoint::Api),
        _ => Host::Root { region: None },
    }
}

fn bucket_host(bucket: &str, region: Option<String>, endpoint: Endpoint) -> Host {
    Host::Bucket(BucketHost { bucket: bucket.to_owned(), region, endpoint })
}

/// Strips `:port`; leaves IPv6 literals (`[::1]`, `[::1]:80`) whole but for the port.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok()
}

/// Whether a label has the shape `<name>-<appid>`. Enough to tell a bucket from a host label; the
/// full naming rules are the store's.
pub fn is_bucket_name(label: &str) -> bool {
    label.rsplit_once('-').is_some_and(|(name, appid)| {
        !name.is_empty()
            && !appid.is_empty()
            && appid.bytes().all(|b| b.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> HostRules {
        let binding = |acceleration| Binding { bucket: "img-1250000000".to_owned(), acceleration };
        HostRules::new(
            vec!["cos.Example.com".into()],
            ServedRegions::Named(vec!["ap-guangzhou".into()]),
            HashMap::from([
                ("img.example.com".into(), binding(false)),
                ("Fast.example.com".into(), binding(true)),
            ]),
        )
    }

    #[test]
    fn every_host_form() {
        let root = |region: Option<&str>| Host::Root { region: region.map(str::to_owned) };
        let bucket = |region: Option<&str>, endpoint| {
            bucket_host("b-1250000000", region.map(str::to_owned), endpoint)
        };
        let (api, gz) = (Endpoint::Api, Some("ap-guangzhou"));
        let table = [
            ("b-1250000000.cos.ap-beijing.myqcloud.com", bucket(Some("ap-beijing"), api)),
            ("b-1250000000.cos.ap-beijing.tencentcos.cn:8080", bucket(Some("ap-beijing"), api)),
            ("B-1250000000.COS.ap-beijing.myqcloud.com.", bucket(Some("ap-beijing"), api)),
            ("b-1250000000.cos-internal.ap-x.tencentcos.cn", bucket(Some("ap-x"), api)),
            ("b-1250000000.cosv6.ap-x.myqcloud.com", bucket(Some("ap-x"), api)),
            ("b-1250000000.cos.accelerate.myqcloud.com", bucket(None, Endpoint::Accelerate)),
            (
                "b-1250000000.cos-internal.accelerate.tencentcos.cn",
                bucket(None, Endpoint::Accelerate),
            ),
            ("b-1250000000.cos-website.ap-x.myqcloud.com", bucket(Some("ap-x"), Endpoint::Website)),
            ("b-1250000000.cn-south.myqcloud.com", bucket(Some("cn-south"), api)),
            ("b-1250000000.file.myqcloud.com", bucket(None, api)),
            ("b-1250000000.cos.example.com:80", bucket(None, api)),
            ("b-1250000000.cos.ap-guangzhou.localhost:9000", bucket(gz, api)),
            ("b-1250000000.cos.ap-elsewhere.localhost", bucket(None, api)),
            ("b-1250000000.store.internal", bucket(None, api)),
            ("b-1250000000.cos-dualstack.ap-guangzhou.myqcloud.com", bucket(None, api)),
            ("img.example.com:443", bucket_host("img-1250000000", None, api)),
            ("fast.example.com", bucket_host("img-1250000000", None, Endpoint::Accelerate)),
            ("service.cos.myqcloud.com", root(None)),
            ("cos.ap-beijing.myqcloud.com", root(Some("ap-beijing"))),
            ("cos.ap-guangzhou.localhost:9000", root(gz)),
            ("cos.example.com", root(None)),
            ("127.0.0.1:9000", root(None)),
            ("[::1]:9000", root(None)),
            ("::1", root(None)),
            ("localhost", root(None)),
            ("cosine", root(None)),
            ("", root(None)),
            ("100000000001.cos-control.ap-x.myqcloud.com", Host::Control),
            ("b-1250000000.ci.ap-x.myqcloud.com", Host::DataProcessing),
        ];
        for (host, expected) in table {
            assert_eq!(rules().read(host), expected, "{host}");
        }
    }

    #[test]
    fn where_any_region_is_served_a_foreign_name_may_carry_any() {
        let rules = HostRules::new(vec![], ServedRegions::All, HashMap::new());
        let host = rules.read("b-1250000000.cos.ap-elsewhere.localhost:9000");
        assert_eq!(host, bucket_host("b-1250000000", Some("ap-elsewhere".into()), Endpoint::Api));
    }

    #[test]
    fn a_port_is_stripped_only_where_there_is_one() {
        for (authority, host) in
            [("h:80", "h"), ("h", "h"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("::1", "::1")]
        {
            assert_eq!(without_port(authority), host);
        }
    }
}
