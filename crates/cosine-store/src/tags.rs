//! Tags of an object that is there: a new row for the same version.

use cosine_kv::{Commit, Outcome};

use crate::commit::ATTEMPTS_MAX;
use crate::record::Record;
use crate::{Bucket, Error, ObjectKey, Store, key};

impl Store {
    /// Gives an object these tags, key and value, in place of all that it has. Nothing else about it
    /// changes, its time of modification neither.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::NoSuchBucket`], [`Error::Busy`]; [`Error::Unknown`] if it may
    /// or may not have happened.
    pub async fn set_tags(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        tags: &[(String, String)],
    ) -> Result<(), Error> {
        self.require_room()?;
        let mut bucket = bucket.clone();
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let state = self.key_state(bucket.uid(), key).await?;
            let head = key::head(bucket.uid(), key);
            let conditions = vec![bucket.unchanged(), state.untouched(head.clone())];
            let touch = state.touch(head)?;
            let mut version = state.current.ok_or(Error::NoSuchKey)?;
            tags.clone_into(&mut version.tags);
            let mut writes = vec![version.put(key::current(bucket.uid(), key))?];
            writes.extend(touch);
            // No row tells afterwards whether it was this commit: others set the same tags.
            match self.kv().commit(Commit { conditions, writes }).await? {
                Outcome::Committed(_) => return Ok(()),
                Outcome::Unknown => return Err(Error::Unknown),
                Outcome::Conflict => self.refresh(&mut bucket).await?,
            }
        }
        Err(Error::Busy)
    }
}
