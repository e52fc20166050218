//! Fuzz targets: everything that reads bytes which others wrote.
//!
//! A target is a plain function of the fuzzer's bytes that panics when a promise is broken.
//! `cargo fuzz` runs each with bytes that it invents; the test `replay` runs each, on any compiler,
//! with every input that was ever worth keeping.

mod blob;
mod copy_source;
mod grant;
mod host;
mod message;
mod policy;
mod post_policy;
mod qsign;
mod record;
mod sealed;
mod tc3;
mod xml;

pub use blob::blob;
pub use copy_source::copy_source;
pub use grant::grant;
pub use host::host;
pub use policy::policy;
pub use post_policy::post_policy;
pub use qsign::qsign;
pub use record::record;
pub use sealed::sealed;
pub use tc3::tc3;
pub use xml::xml;

use std::collections::HashMap;
use std::sync::LazyLock;

use cosine_wire::host::{Binding, HostRules, ServedRegions};

/// A target by the name of its program and of the directories that hold its inputs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 11] = [
    ("blob", blob),
    ("copy_source", copy_source),
    ("grant", grant),
    ("host", host),
    ("policy", policy),
    ("post_policy", post_policy),
    ("qsign", qsign),
    ("record", record),
    ("sealed", sealed),
    ("tc3", tc3),
    ("xml", xml),
];

/// Host rules with one of everything that can be configured.
static RULES: LazyLock<HostRules> = LazyLock::new(|| {
    let binding = |acceleration| Binding { bucket: "img-1250000000".to_owned(), acceleration };
    HostRules::new(
        vec!["cos.example.com".to_owned()],
        ServedRegions::Named(vec!["ap-guangzhou".to_owned()]),
        HashMap::from([
            ("img.example.com".to_owned(), binding(false)),
            ("fast.example.com".to_owned(), binding(true)),
        ]),
    )
});
