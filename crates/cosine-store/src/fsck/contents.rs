//! Every content: that its bytes are there, and, if asked, that they are what was written.

use std::collections::BTreeSet;

use crate::damage::objects_of;
use crate::record::{ContentRecord, Record};
use crate::verify::{Depth, Pace, verify};
use crate::{Error, key};

use super::repair::Mend;
use super::{Check, Flaw, Progress, Walk, Watch, names_of};

impl Check<'_> {
    pub(super) async fn check_contents(&mut self, watch: Watch<'_>) -> Result<(), Error> {
        let depth = if self.options.deep { Depth::Bytes } else { Depth::Presence };
        let counts = self.report.counts;
        let total = Some(if self.options.deep { counts.content_bytes } else { counts.contents });
        let (mut done, mut damaged) = (0, Vec::new());
        let mut walk = Walk::new(self.kv, &key::contents());
        loop {
            let rows = walk.next().await?;
            if rows.is_empty() {
                break;
            }
            for (key, row) in rows {
                let Some(uid) = key::content_uid(&key) else { continue };
                let references = Walk::new(self.kv, &key::content_references(uid)).next().await?;
                let what = match ContentRecord::decode(&key, &row.value) {
                    Ok(content) => {
                        done += match self.options.deep {
                            true if content.is_leaf() => content.size,
                            true => 0,
                            false => 1,
                        };
                        let how = (depth, Pace::UNBOUNDED, None);
                        // What nobody refers to goes, whole or not.
                        match references.is_empty() {
                            true => None,
                            false => verify(self.kv, self.blobs, (uid, &content), how).await?,
                        }
                    }
                    Err(Error::NewerFormat { .. }) => None, // no damage, and told of with the row
                    Err(error) => (!references.is_empty()).then(|| error.to_string()),
                };
                damaged.extend(what.map(|what| (uid, what)));
                watch(Progress { phase: "contents", done, total });
            }
        }
        if self.options.deep {
            self.report.counts.verified_bytes = done;
        }
        let uids: BTreeSet<_> = damaged.iter().map(|(uid, _)| *uid).collect();
        let places = objects_of(self.kv, &uids).await?;
        for (uid, what) in damaged {
            if self.kv.get(&key::damage(uid)).await?.is_some() {
                continue; // told of already
            }
            let subject = names_of(uid, places.get(&uid).map_or(&[], Vec::as_slice));
            self.find(Flaw::DamagedObject, subject, what.clone(), Mend::Mark(uid, what));
        }
        Ok(())
    }
}
