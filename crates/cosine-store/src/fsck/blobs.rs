//! Every blob: that somebody refers to it, or that it is known why not.

use crate::{Error, key};

use super::repair::Mend;
use super::{Check, Flaw, PAGE, Progress, Walk, Watch};

impl Check<'_> {
    pub(super) async fn check_blobs(&mut self, watch: Watch<'_>) -> Result<(), Error> {
        self.report.counts.doomed_blobs = self.doomed.len() as u64;
        self.report.counts.quarantined_blobs = self.blobs.quarantined().await?.len() as u64;
        let mut after = None;
        loop {
            let page = self.blobs.list(after, PAGE).await?;
            after = page.last().copied();
            if after.is_none() {
                return Ok(());
            }
            for id in page {
                self.report.counts.blobs += 1;
                let references = Walk::new(self.kv, &key::blob_references(id)).next().await?;
                if !references.is_empty() || self.doomed.contains(&id) {
                    continue;
                }
                if self.runs.contains(&id.run()) {
                    self.report.counts.orphaned_blobs += 1;
                } else {
                    let what = "nobody refers to it, and nothing explains it".into();
                    let mend = Mend::Quarantine(id);
                    self.find(Flaw::UnexplainedBlob, format!("blob {id}"), what, mend);
                }
            }
            watch(Progress { phase: "blobs", done: self.report.counts.blobs, total: None });
        }
    }
}
