//! Changing a version that is there: a new row for the same one.

use cosine_kv::{Commit, Outcome};

use crate::commit::ATTEMPTS_MAX;
use crate::record::{OldVersion, Record, Version, VersionId};
use crate::{Bucket, Error, ObjectKey, Store, key};

impl Store {
    /// Changes a version: the current one, or the one that is named. `change` may be called again, on
    /// what others made of the version meanwhile; an error of its leaves everything as it is. Returns
    /// what the last call of it said.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::NoSuchVersion`], [`Error::DeleteMarker`],
    /// [`Error::NoSuchBucket`], [`Error::Busy`]; [`Error::Unknown`] if it may or may not have happened.
    pub(crate) async fn edit<T>(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: Option<VersionId>,
        mut change: impl FnMut(&mut Version) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.require_room()?;
        let mut bucket = bucket.clone();
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let state = self.key_state(bucket.uid(), key).await?;
            if !state.exists() {
                return Err(if id.is_some() { Error::NoSuchVersion } else { Error::NoSuchKey });
            }
            let mut version = self.object(&bucket, key, id).await?;
            let said = change(&mut version)?;
            let head = key::head(bucket.uid(), key);
            let conditions = vec![bucket.unchanged(), state.untouched(head.clone())];
            let is_current = state.current.as_ref().is_some_and(|v| v.order == version.order);
            let row = match is_current {
                true => version.put(key::current(bucket.uid(), key))?,
                false => {
                    let row = key::old(bucket.uid(), key, version.order);
                    OldVersion::Version(Box::new(version)).put(row)?
                }
            };
            let writes = state.touch(head)?.into_iter().chain([row]).collect();
            // No row tells afterwards whether it was this commit: others make the same change.
            match self.kv().commit(Commit { conditions, writes }).await? {
                Outcome::Committed(_) => return Ok(said),
                Outcome::Unknown => return Err(Error::Unknown),
                Outcome::Conflict => self.refresh(&mut bucket).await?,
            }
        }
        Err(Error::Busy)
    }
}
