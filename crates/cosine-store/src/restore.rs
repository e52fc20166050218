//! POST Object restore: for how long an archived object can be read.

use std::time::Duration;

use crate::record::{Restore, RestoreTier, Version};
use crate::{Bucket, Error, ObjectKey, Store, VersionId};

/// How long a restore takes, by its tier. At once by default: there is no tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreTimes {
    /// `Expedited`.
    pub expedited: Duration,
    /// `Standard`.
    pub standard: Duration,
    /// `Bulk`.
    pub bulk: Duration,
}

impl RestoreTimes {
    fn of(self, tier: RestoreTier) -> Duration {
        match tier {
            RestoreTier::Expedited => self.expedited,
            RestoreTier::Standard => self.standard,
            RestoreTier::Bulk => self.bulk,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// For so long, from when it is ready.
    pub duration: Duration,
    /// How fast.
    pub tier: RestoreTier,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It began.
    Begun,
    /// The object was restored already, and stays so for the time asked for, from now on.
    Prolonged,
}

/// Whether an object can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// It is in no archive.
    Always,
    /// It is in an archive.
    No,
    /// It is on its way.
    Soon(Restore),
    /// It is restored.
    Until(Restore),
}

impl Readable {
    /// Whether it can be read now.
    pub fn now(self) -> bool {
        matches!(self, Self::Always | Self::Until(_))
    }
}

impl Version {
    /// Whether it can be read at this time, microseconds since 1970 UTC.
    pub fn readable_at(&self, now: u64) -> Readable {
        match self.restore {
            _ if !self.class.is_archive() => Readable::Always,
            Some(restore) if now < restore.ready => Readable::Soon(restore),
            Some(restore) if now < restore.expires => Readable::Until(restore),
            _ => Readable::No,
        }
    }
}

impl Store {
    /// Whether a version can be read now.
    pub fn readable(&self, version: &Version) -> Readable {
        version.readable_at(self.now())
    }

    /// Restores an archived object, or prolongs the time for which it is.
    ///
    /// # Errors
    /// [`Error::NotArchived`], [`Error::RestoreInProgress`], and those of finding the version.
    pub async fn restore(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: Option<VersionId>,
        request: RestoreRequest,
    ) -> Result<Restored, Error> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let takes = micros(self.inner.options.restore_times.of(request.tier));
        self.edit(bucket, key, id, |version| {
            let now = self.now();
            let (requested, ready, restored) = match version.readable_at(now) {
                Readable::Always => return Err(Error::NotArchived),
                Readable::Soon(_) => return Err(Error::RestoreInProgress),
                Readable::No => (now, now.saturating_add(takes), Restored::Begun),
                Readable::Until(old) => (old.requested, old.ready, Restored::Prolonged),
            };
            let from = ready.max(now);
            let expires = from.saturating_add(micros(request.duration));
            version.restore = Some(Restore { requested, ready, expires, tier: request.tier });
            Ok(restored)
        })
        .await
    }
}
