//! What can be mended: references and other rows that follow from the rest are rebuilt, blobs that
//! nothing explains are put aside, damaged objects are marked. No object is removed or changed.

use std::collections::BTreeSet;

use cosine_blob::BlobId;
use cosine_kv::{Commit, Outcome, Write};

use crate::damage::objects_of;
use crate::id::Uid;
use crate::record::{DamageRecord, Record};
use crate::{Engines, Error, key};

use super::Finding;

/// How a finding is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// It cannot be.
    No,
    /// By writing rows that follow from others.
    Write(Vec<Write>),
    /// By putting a blob aside.
    Quarantine(BlobId),
    /// By marking a content as damaged, with what is wrong.
    Mark(Uid, String),
}

/// Mends; returns what was mended. Marks stay findings: the objects are damaged still.
pub(super) async fn repair(engines: &Engines, findings: &[Finding]) -> Result<Vec<Finding>, Error> {
    let marked = findings.iter().filter_map(|finding| match &finding.mend {
        Mend::Mark(uid, _) => Some(*uid),
        _ => None,
    });
    let mut places = objects_of(&*engines.kv, &marked.collect::<BTreeSet<_>>()).await?;
    let mut mended = Vec::new();
    for finding in findings {
        match finding.mend.clone() {
            Mend::No => continue,
            Mend::Write(writes) => commit(engines, writes).await?,
            Mend::Quarantine(id) => engines.blobs.quarantine(id).await?,
            Mend::Mark(uid, what) => {
                let objects = places.remove(&uid).unwrap_or_default();
                let record = DamageRecord { at: 0, what, objects };
                commit(engines, vec![record.put(key::damage(uid))?]).await?;
            }
        }
        mended.push(finding.clone());
    }
    Ok(mended)
}

async fn commit(engines: &Engines, writes: Vec<Write>) -> Result<(), Error> {
    match engines.kv.commit(Commit { conditions: vec![], writes }).await? {
        Outcome::Committed(_) => Ok(()),
        Outcome::Conflict | Outcome::Unknown => Err(Error::Unknown),
    }
}
