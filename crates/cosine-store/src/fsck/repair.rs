//! What can be mended: references and other rows that follow from the rest are rebuilt, blobs that
//! nothing explains are put aside, damaged objects are marked. No object is removed or changed.

use std::collections::BTreeSet;

use cosine_access::BucketAcl;
use cosine_blob::BlobId;
use cosine_kv::{Commit, Outcome, Write};

use crate::damage::objects_of;
use crate::id::Uid;
use crate::record::{
    BucketAclRecord, DamageRecord, DoomedRecord, EndedUploadRecord, FenceRecord, HeartbeatRecord,
    IdentitiesRecord, OverRecord, Record, ReferenceRecord, ReleasedRecord,
};
use crate::{Clock, Engines, Error, SystemClock, key};

use super::{Finding, Flaw};

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

impl Mend {
    /// What a damaged record is replaced with, if its key says all that matters of it, or what it
    /// said can begin anew.
    pub(super) fn remake(key: &[u8]) -> Result<Self, Error> {
        let row = key.to_vec();
        let write = match key.first() {
            Some(b'd') => DoomedRecord { bytes: 0 }.put(row)?,
            Some(b'f') => FenceRecord { began: 0 }.put(row)?,
            Some(b'm') if key == key::ledger() || key == key::scrub() => Write::Delete(row),
            Some(b'm') if key == key::identities() => IdentitiesRecord { changes: 0 }.put(row)?,
            Some(b'o') => OverRecord { swept: false }.put(row)?,
            Some(b'q') => ReleasedRecord { at: 0 }.put(row)?,
            Some(b'r') => ReferenceRecord {}.put(row)?,
            Some(b's') if key::setting_of(key) == b"acl" => {
                BucketAclRecord { acl: BucketAcl::Private }.put(row)?
            }
            Some(b't') => HeartbeatRecord { at: 0 }.put(row)?,
            Some(b'w') => EndedUploadRecord {}.put(row)?,
            Some(b'x') => {
                let what = "its damage was known, and the record of it is damaged".into();
                return Ok(key::content_uid(key).map_or(Self::No, |uid| Self::Mark(uid, what)));
            }
            _ => return Ok(Self::No),
        };
        Ok(Self::Write(vec![write]))
    }
}

/// Mends; returns what was mended. Marks stay findings: the objects are damaged still.
pub(super) async fn repair(engines: &Engines, findings: &[Finding]) -> Result<Vec<Finding>, Error> {
    let marked = findings.iter().filter_map(|finding| match &finding.mend {
        Mend::Mark(uid, _) => Some(*uid),
        _ => None,
    });
    let places = objects_of(&*engines.kv, &marked.collect::<BTreeSet<_>>()).await?;
    // References first: a collector that starts after a repair that was cut off must find them.
    let (first, then): (Vec<_>, Vec<_>) =
        findings.iter().partition(|finding| finding.flaw == Flaw::MissingReference);
    let mut mended = Vec::new();
    for finding in first.into_iter().chain(then) {
        match finding.mend.clone() {
            Mend::No => continue,
            Mend::Write(writes) => commit(engines, writes).await?,
            Mend::Quarantine(id) => engines.blobs.quarantine(id).await?,
            Mend::Mark(uid, what) => {
                let objects = places.get(&uid).cloned().unwrap_or_default();
                let record = DamageRecord { at: SystemClock.now_micros(), what, objects };
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
