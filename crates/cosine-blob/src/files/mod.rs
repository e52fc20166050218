//! The file engine: one file a blob, in 256 directories.
//!
//! Right on a local disk and on a shared POSIX file system alike: a file is written under its final
//! name, synced, and its directory synced; there are no locks. A file without a whole footer is a
//! blob in the making, or one that never was finished. The layout is in `docs/format.md`.

mod footer;
mod reader;
mod writer;

use std::collections::BTreeSet;
use std::fs::{File, create_dir_all, read, read_dir, remove_file, rename};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{BlobId, BlobReader, BlobWriter, Blobs, Error, Finished, Space, StoreId};

/// Blobs in a directory.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
    options: Options,
}

/// How the engine is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether a finished blob is synced; else it is left to the operating system.
    pub durable: bool,
    /// Bytes of the disk that are to stay free.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: true, reserve_bytes: 0 }
    }
}

/// Holds the id of the store that the blobs belong to.
pub const STORE_FILE: &str = "STORE";
/// Holds the blobs that were put aside.
const QUARANTINE: &str = "quarantine";

impl Files {
    /// Opens the engine in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        let shards = (0..=u8::MAX).map(|shard| directory.join(format!("{shard:02x}")));
        let missing: Vec<PathBuf> = shards.filter(|shard| !shard.is_dir()).collect();
        missing.iter().try_for_each(create_dir_all)?;
        // At every open: an earlier one may have ended between making a directory and syncing it.
        if options.durable {
            sync_directory(directory)?;
            directory.parent().map_or(Ok(()), sync_directory)?;
        }
        Ok(Self { root: directory.to_owned(), options })
    }

    fn directory(&self, shard: u8) -> PathBuf {
        self.root.join(format!("{shard:02x}"))
    }

    fn sync_shards(&self, shards: impl IntoIterator<Item = u8>) -> Result<(), Error> {
        if self.options.durable {
            shards.into_iter().try_for_each(|shard| sync_directory(&self.directory(shard)))?;
        }
        Ok(())
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.directory(id.shard()).join(id.to_string())
    }
}

/// Opens a file as a blob and reads a range of it, on the caller's thread. Public for the fuzz
/// targets alone.
///
/// # Errors
/// As for [`Blobs::open`] and [`BlobReader::read`].
#[doc(hidden)]
pub fn read_file(id: BlobId, file: File, range: Range<u64>) -> Result<(Finished, Bytes), Error> {
    let reader = reader::Reader::of(id, file)?;
    Ok((reader.finished(), reader.read_here(range)?))
}

/// Runs what blocks on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Io(std::io::Error::other(error)))?
}

/// Bytes that are free on the disk of a directory.
fn free_bytes(directory: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(directory)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

#[async_trait]
impl Blobs for Files {
    fn create(&self, id: BlobId) -> Box<dyn BlobWriter> {
        Box::new(writer::Writer::new(id, self.path(id), self.options))
    }

    async fn open(&self, id: BlobId) -> Result<Arc<dyn BlobReader>, Error> {
        let path = self.path(id);
        let reader = blocking(move || reader::Reader::open(id, &path)).await?;
        Ok(Arc::new(reader))
    }

    async fn delete(&self, ids: &[BlobId]) -> Result<(), Error> {
        let (this, ids) = (self.clone(), ids.to_vec());
        blocking(move || {
            let mut touched = BTreeSet::new();
            for id in ids {
                match remove_file(this.path(id)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    removed => {
                        removed?;
                        touched.insert(id.shard());
                    }
                }
            }
            this.sync_shards(touched)
        })
        .await
    }

    async fn quarantine(&self, id: BlobId) -> Result<(), Error> {
        let this = self.clone();
        blocking(move || {
            let aside = this.root.join(QUARANTINE);
            create_dir_all(&aside)?;
            match rename(this.path(id), aside.join(id.to_string())) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                renamed => renamed?,
            }
            if this.options.durable {
                sync_directory(&aside)?;
                sync_directory(&this.root)?;
            }
            this.sync_shards([id.shard()])
        })
        .await
    }

    async fn quarantined(&self) -> Result<Vec<BlobId>, Error> {
        let aside = self.root.join(QUARANTINE);
        blocking(move || if aside.is_dir() { Ok(blobs_in(&aside)?) } else { Ok(vec![]) }).await
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, Error> {
        let this = self.clone();
        blocking(move || {
            let mut page = Vec::new();
            for shard in after.map_or(0, BlobId::shard)..=u8::MAX {
                let mut ids = blobs_in(&this.directory(shard))?;
                // A file that strayed into another directory is found by nobody, and would have a
                // walk begin again where it belongs.
                ids.retain(|id| id.shard() == shard);
                ids.retain(|id| after.is_none_or(|a| a.shard() != shard || *id > a));
                ids.sort_unstable();
                page.extend(ids.into_iter().take(limit - page.len()));
                if page.len() >= limit {
                    break;
                }
            }
            Ok(page)
        })
        .await
    }

    fn space(&self) -> Result<Option<Space>, Error> {
        Ok(Some(Space { free: free_bytes(&self.root)?, reserve: self.options.reserve_bytes }))
    }

    async fn store_id(&self) -> Result<Option<StoreId>, Error> {
        let path = self.root.join(STORE_FILE);
        blocking(move || match read(&path) {
            Ok(bytes) => store_id_in(&bytes).map(Some).ok_or_else(|| {
                let what = format!("{} holds no store id", path.display());
                std::io::Error::new(ErrorKind::InvalidData, what).into()
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn adopt(&self, store: StoreId) -> Result<(), Error> {
        let root = self.root.clone();
        blocking(move || {
            let temporary = root.join("STORE.new");
            let mut file = File::create(&temporary)?;
            writeln!(file, "{:032x}", store.0)?;
            file.sync_all()?;
            rename(&temporary, root.join(STORE_FILE))?;
            Ok(sync_directory(&root)?)
        })
        .await
    }
}

/// The store id in what [`STORE_FILE`] holds: 32 hex digits and a line end.
fn store_id_in(bytes: &[u8]) -> Option<StoreId> {
    let digits = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let is_id = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(digits, 16).ok().filter(|_| is_id).map(StoreId)
}

/// The blobs in one directory; files that are no blobs are nobody's business here.
fn blobs_in(directory: &Path) -> std::io::Result<Vec<BlobId>> {
    let mut ids = Vec::new();
    for entry in read_dir(directory)? {
        ids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<BlobId>().ok()));
    }
    Ok(ids)
}
