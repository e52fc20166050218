//! Contents in use, counted from their references.

use cosine_kv::{Found, Scan};

use crate::id::Uid;
use crate::record::{Census, ContentRecord, Record};
use crate::{Error, Store, key};

/// References are read in pages of this many.
const PAGE: usize = 1000;

impl Store {
    /// Counts the contents in use: one walk over all references, some seconds for a million. For a
    /// person who asks; nothing depends on it.
    ///
    /// # Errors
    /// Those of the metadata engine.
    pub async fn census(&self) -> Result<Census, Error> {
        let mut census = Census::default();
        let mut counted: Option<(Uid, u64)> = None;
        let mut scan = Scan::prefix(&key::all_content_references(), PAGE);
        loop {
            let page = self.kv().scan(scan.clone()).await?;
            for found in page.found {
                let Found::Row(key, _) = found else { continue };
                if let Some((_, content, _)) = key::reference_of(&key) {
                    let content = Uid(content);
                    match &mut counted {
                        Some((same, references)) if *same == content => *references += 1,
                        _ => {
                            self.count(counted.replace((content, 1)), &mut census).await?;
                        }
                    }
                }
                scan.start = [&key[..], &[0]].concat();
            }
            if !page.more {
                self.count(counted, &mut census).await?;
                return Ok(census);
            }
            tokio::task::yield_now().await;
        }
    }

    async fn count(&self, counted: Option<(Uid, u64)>, census: &mut Census) -> Result<(), Error> {
        let Some((content, references)) = counted else { return Ok(()) };
        let key = key::content(content);
        let row = self.kv().get(&key).await?;
        match row.map(|row| ContentRecord::decode(&key, &row.value)).transpose() {
            Ok(Some(content)) => census.count(&content, references),
            Ok(None) | Err(Error::Damaged(_)) => census.damaged += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
