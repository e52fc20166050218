//! Writes one blob's file.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Options, blocking, footer, free_bytes, sync_directory};
use crate::table::TableBuilder;
use crate::{BlobId, BlobWriter, Error, Finished};

/// The file comes with the first bytes. Dropped unfinished, it goes away again.
#[derive(Debug)]
pub(super) struct Writer {
    id: BlobId,
    options: Options,
    /// `None` while the bytes are on their way on another thread, and after an error.
    open: Option<Open>,
    place: Place,
}

#[derive(Debug, Default)]
struct Open {
    file: Option<File>,
    table: TableBuilder,
}

/// Where the file is, and whether anyone still wants it. The writer may be dropped while another
/// thread is about to make the file: whichever of the two comes second removes it.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    begun: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
}

impl Place {
    fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.remove_if_abandoned();
    }

    fn remove_if_abandoned(&self) {
        if self.abandoned.load(Ordering::SeqCst) && self.begun.load(Ordering::SeqCst) {
            let _ = remove_file(&self.path); // what stays behind is an orphan of this run
        }
    }
}

impl Writer {
    pub(super) fn new(id: BlobId, path: PathBuf, options: Options) -> Self {
        let place = Place { path, begun: Arc::default(), abandoned: Arc::default() };
        Self { id, options, open: Some(Open::default()), place }
    }

    /// Hands the file to a thread that may block.
    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Open, &Place) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let open = self.open.take().ok_or_else(|| Error::Io(ErrorKind::BrokenPipe.into()))?;
        let place = self.place.clone();
        blocking(move || {
            let done = work(open, &place);
            place.remove_if_abandoned();
            done
        })
        .await
    }
}

impl Open {
    fn append(
        &mut self,
        id: BlobId,
        place: &Place,
        data: &[u8],
        reserve: u64,
    ) -> Result<(), Error> {
        let directory = place.path.parent().unwrap_or(Path::new("."));
        if reserve > 0 && free_bytes(directory)? < reserve.saturating_add(data.len() as u64) {
            return Err(Error::Full);
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = create(id, &place.path)?;
                place.begun.store(true, Ordering::SeqCst);
                none.insert(file)
            }
        };
        self.table.update(data);
        Ok(file.write_all(data)?)
    }

    fn finish(self, id: BlobId, directory: Option<&Path>) -> Result<Finished, Error> {
        let finished = Finished { length: self.table.length(), crc64: self.table.crc64() };
        let footer = footer::encode(id, finished.length, &self.table.finish());
        let mut file = self.file.ok_or_else(|| Error::Io(ErrorKind::BrokenPipe.into()))?;
        file.write_all(&footer)?;
        if let Some(directory) = directory {
            file.sync_data()?;
            sync_directory(directory)?;
        }
        Ok(finished)
    }
}

fn create(id: BlobId, path: &Path) -> Result<File, Error> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Exists(id),
        _ => error.into(),
    })
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, data: Bytes) -> Result<(), Error> {
        let (id, reserve) = (self.id, self.options.reserve_bytes);
        let append = move |mut open: Open, place: &Place| {
            open.append(id, place, &data, reserve)?;
            Ok(open)
        };
        self.open = Some(self.on_thread(append).await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, last: Bytes) -> Result<Finished, Error> {
        let (id, Options { durable, reserve_bytes }) = (self.id, self.options);
        let finish = move |mut open: Open, place: &Place| {
            open.append(id, place, &last, reserve_bytes)?;
            open.finish(id, place.path.parent().filter(|_| durable))
        };
        let finished = self.on_thread(finish).await?;
        self.place.begun.store(false, Ordering::SeqCst); // it is not the writer's any more
        Ok(finished)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.place.abandon();
    }
}
