//! `docs/monitoring.md` and `docs/dashboard.json` against what a server shows.
//! `UPDATE_DOCS=1 cargo test` writes the table.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cosine_access::{Account, Credential};
use cosine_http::audit::{Audit, AuditTarget};
use cosine_http::{Api, Limits, Monitor, Regions, Settings, monitor};
use cosine_kv::embedded::{Embedded, Options};
use cosine_store::{CollectorOptions, Engines, Store, SystemClock};
use cosine_wire::host::{HostRules, ServedRegions};
use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/monitoring.md");
const DASHBOARD: &str = include_str!("../../../docs/dashboard.json");
const BEGIN: &str = "<!-- metrics: made from the code -->\n";
const END: &str = "<!-- end of metrics -->";
const PANELS: usize = 10;

/// A metric, as a scrape describes it.
struct Metric {
    name: String,
    kind: String,
    help: String,
}

impl Metric {
    /// The names of its samples: the name and what its kind adds.
    fn samples(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }
}

/// Everything that `cosine serve` shows.
async fn metrics() -> Vec<Metric> {
    let directory = tempfile::tempdir().unwrap();
    let kv = Embedded::open(directory.path(), Options::default()).unwrap();
    let mut registry = monitor::registry();
    kv.register(&mut registry);
    let engines = Engines { kv: Arc::new(kv), blobs: Arc::new(cosine_blob::Memory::default()) };
    let clock = Arc::new(SystemClock);
    let master = crate::master_key::passing().unwrap();
    let store = Store::open(engines, clock.clone(), Arc::clone(master.keys())).await.unwrap();
    let settings = Settings {
        remotes: Default::default(),
        account: Account { appid: 1, uin: 1 },
        root: Credential { secret_id: "id".into(), secret_key: "key".into() },
        customer_keys_need_tls: false,
        master: Arc::new(master),
        sts_host: None,
        hosts: HostRules::new(vec![], ServedRegions::All, HashMap::new()),
        regions: Regions { default: "ap-x".into(), named: vec![], any: true },
        collector: CollectorOptions::default(),
        limits: Limits {
            connections: 1,
            requests: 1,
            memory: 4 << 20,
            header_time: Duration::from_secs(1),
            stall_time: Duration::from_secs(1),
            drain_time: Duration::from_secs(1),
        },
    };
    let api = Arc::new(Api::new(store, clock, settings, Audit::open(AuditTarget::Off).unwrap()));
    let page = Monitor::new(api, registry).page().await.unwrap();
    let described = |what: &str| {
        let lines = page.lines().filter_map(|line| line.strip_prefix(what));
        lines.map(|line| line.split_once(' ').unwrap()).collect::<Vec<_>>()
    };
    let rows = described("# HELP ").into_iter().zip(described("# TYPE "));
    rows.map(|((name, help), (same, kind))| {
        assert_eq!(name, same, "HELP and TYPE go together");
        Metric { name: name.into(), kind: kind.into(), help: help.trim_end_matches('.').into() }
    })
    .collect()
}

#[tokio::test]
async fn the_page_of_metrics_is_what_is_shown() {
    let mut table = "| metric | kind | meaning |\n| --- | --- | --- |\n".to_owned();
    for metric in metrics().await {
        let name = match metric.kind.as_str() {
            "histogram" => metric.name.clone(),
            _ => metric.samples().concat(),
        };
        table += &format!("| `{name}` | {} | {} |\n", metric.kind, metric.help);
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (front, rest) = page.split_once(BEGIN).unwrap();
    let (kept, back) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, format!("{front}{BEGIN}{table}{END}{back}")).unwrap();
    } else {
        assert_eq!(kept, table, "UPDATE_DOCS=1 cargo test writes docs/monitoring.md");
    }
}

/// The dashboard asks for what the page explains, and for nothing that does not exist.
#[tokio::test]
async fn the_dashboard_asks_for_what_is_shown() {
    let known: BTreeSet<String> = metrics().await.iter().flat_map(Metric::samples).collect();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), PANELS);
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert!(page.contains(&format!("`{expression}`")), "not explained: {expression}");
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let is_metric =
                |word: &&str| word.starts_with("cosine_") || word.starts_with("process_");
            let asked: Vec<&str> = words.filter(is_metric).collect();
            assert!(!asked.is_empty(), "asks for nothing: {expression}");
            for name in asked {
                assert!(known.contains(name), "{name} does not exist: {expression}");
            }
        }
    }
}
