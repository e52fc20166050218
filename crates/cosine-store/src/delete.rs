//! DELETE Object.

use cosine_kv::{Commit, Write};

use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::publish::release;
use crate::{Bucket, Error, ObjectKey, Store, key};

impl Store {
    /// Deletes an object. Deleting what is not there is no error.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::Busy`].
    pub async fn delete(&self, bucket: &Bucket, key: &ObjectKey) -> Result<(), Error> {
        let mut bucket = bucket.clone();
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let state = self.key_state(bucket.uid(), key).await?;
            let Some(current) = &state.current else { return Ok(()) };
            let head = key::head(bucket.uid(), key);
            let conditions = vec![bucket.unchanged(), state.untouched(head.clone())];
            let mut writes =
                vec![Write::Delete(head), Write::Delete(key::current(bucket.uid(), key))];
            writes.extend(release(current, self.now())?);
            let proof = Proof::Absent(key::content_reference(current.content, current.uid));
            if self.commit(Commit { conditions, writes }, &proof).await? {
                return Ok(());
            }
            self.refresh(&mut bucket).await?;
        }
        Err(Error::Busy)
    }
}
