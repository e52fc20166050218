//! DELETE Object: a delete marker where older versions are kept, the end of a version elsewhere.

use cosine_kv::{Commit, Write};

use crate::bucket::Bucket;
use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::publish::{KeyState, Placement, release};
use crate::record::{DeleteMarker, HeadRecord, OldVersion, Record, Version, VersionId, Versioning};
use crate::{Error, ObjectKey, Store, key};

/// What a deletion did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// There was nothing to delete, which is no error.
    Nothing,
    /// An object of a bucket that keeps no versions is gone.
    Object,
    /// The key has this delete marker now.
    Marked(DeleteMarker),
    /// This version is gone for good, ...
    Version(VersionId),
    /// ... or this delete marker.
    Marker(VersionId),
}

/// How a commit of a deletion went on.
enum Attempt {
    Done(Deleted),
    Conflict,
}

impl Store {
    /// Deletes an object, or hides it behind a delete marker if its bucket keeps versions; or removes
    /// the version that is named for good. Deleting what is not there is no error.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::Busy`].
    pub async fn delete(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: Option<VersionId>,
    ) -> Result<Deleted, Error> {
        let mut bucket = bucket.clone();
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let state = self.key_state(bucket.uid(), key).await?;
            let place = Placement { bucket: bucket.uid(), key, state: &state };
            let attempt = match (id, bucket.versioning()) {
                (Some(id), _) => self.remove_version(&bucket, place, id).await?,
                (None, Versioning::Never) => self.remove_object(&bucket, place).await?,
                (None, versioning) => {
                    let null = versioning == Versioning::Suspended;
                    self.mark_deleted(&bucket, place, null).await?
                }
            };
            if let Attempt::Done(deleted) = attempt {
                return Ok(deleted);
            }
            self.refresh(&mut bucket).await?;
        }
        Err(Error::Busy)
    }

    async fn remove_object(&self, bucket: &Bucket, place: Placement<'_>) -> Result<Attempt, Error> {
        let Some(current) = &place.state.current else {
            return Ok(Attempt::Done(Deleted::Nothing));
        };
        let conditions = vec![bucket.unchanged(), place.state.untouched(place.head())];
        let mut writes =
            vec![Write::Delete(place.head()), Write::Delete(key::current(place.bucket, place.key))];
        writes.extend(release(current, self.now())?);
        let commit = Commit { conditions, writes };
        self.attempt(commit, &gone(current), Deleted::Object).await
    }

    async fn mark_deleted(
        &self,
        bucket: &Bucket,
        place: Placement<'_>,
        null: bool,
    ) -> Result<Attempt, Error> {
        let marker = DeleteMarker { order: place.state.next_order(self.now()), null };
        let row = key::old(place.bucket, place.key, marker.order);
        let conditions = vec![bucket.unchanged(), place.state.untouched(place.head())];
        let mut writes = self.make_room(place, marker.order, null).await?;
        writes.push(OldVersion::Marker(marker).put(row.clone())?);
        if place.state.current.is_some() {
            writes.push(Write::Delete(key::current(place.bucket, place.key)));
        }
        let commit = Commit { conditions, writes };
        self.attempt(commit, &Proof::Present(row), Deleted::Marked(marker)).await
    }

    /// Removes a version for good. If it was the newest, the next one takes its place.
    async fn remove_version(
        &self,
        bucket: &Bucket,
        place: Placement<'_>,
        id: VersionId,
    ) -> Result<Attempt, Error> {
        let nothing = Ok(Attempt::Done(Deleted::Nothing));
        if !place.state.exists() {
            return nothing;
        }
        let order = match id {
            VersionId::Order(order) => order,
            VersionId::Null => match place.state.null() {
                Some(order) => order,
                None => return nothing,
            },
        };
        let current = place.state.current.as_ref().filter(|current| current.order == order);
        let (removed, row) = match current {
            Some(current) => (
                OldVersion::Version(Box::new(current.clone())),
                key::current(place.bucket, place.key),
            ),
            None => match self.old(place.bucket, place.key, order).await? {
                Some(old) => (old, key::old(place.bucket, place.key, order)),
                None => return nothing,
            },
        };
        if removed.id() != id {
            return nothing;
        }
        let mut writes = self.close_gap(place, order).await?;
        let (proof, deleted) = match &removed {
            OldVersion::Version(version) => {
                writes.extend(release(version, self.now())?);
                (gone(version), Deleted::Version(id))
            }
            OldVersion::Marker(_) => (Proof::Absent(row.clone()), Deleted::Marker(id)),
        };
        if !writes.iter().any(|write| write.key() == row) {
            writes.push(Write::Delete(row));
        }
        let conditions = vec![bucket.unchanged(), place.state.untouched(place.head())];
        self.attempt(Commit { conditions, writes }, &proof, deleted).await
    }

    /// The writes that leave the rest of a key right when the version of this order goes: the head, and
    /// the version that becomes current.
    async fn close_gap(&self, place: Placement<'_>, order: u64) -> Result<Vec<Write>, Error> {
        let Placement { bucket, key, state } = place;
        let newest = match &state.current {
            // An older one goes.
            Some(current) if current.order != order => {
                return Ok(vec![head_without(place, order)?]);
            }
            _ => self.newest_old_before(bucket, key, u64::MAX).await?,
        };
        let next = match newest {
            // Everything is hidden by a delete marker, and stays so.
            Some(OldVersion::Marker(marker)) if marker.order != order => {
                return Ok(vec![head_without(place, order)?]);
            }
            Some(newest) if newest.order() == order => {
                self.newest_old_before(bucket, key, order).await?
            }
            next => next,
        };
        Ok(match next {
            None => vec![Write::Delete(place.head())],
            Some(OldVersion::Marker(_)) => vec![head_without(place, order)?],
            Some(OldVersion::Version(version)) => vec![
                head_without(place, order)?,
                version.put(key::current(bucket, key))?,
                Write::Delete(key::old(bucket, key, version.order)),
            ],
        })
    }

    async fn attempt(
        &self,
        commit: Commit,
        proof: &Proof,
        deleted: Deleted,
    ) -> Result<Attempt, Error> {
        let done = self.commit(commit, proof).await?;
        Ok(if done { Attempt::Done(deleted) } else { Attempt::Conflict })
    }
}

/// The head of a key without the version of this order.
fn head_without(place: Placement<'_>, order: u64) -> Result<Write, Error> {
    let state: &KeyState = place.state;
    let null = state.null().filter(|null| *null != order);
    HeadRecord { newest: state.newest(), null }.put(place.head())
}

/// That a version's reference is gone.
fn gone(version: &Version) -> Proof {
    Proof::Absent(key::content_reference(version.content, version.uid))
}
