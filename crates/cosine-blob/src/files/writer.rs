//! Writes one blob's file.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{blocking, footer, sync_directory};
use crate::table::TableBuilder;
use crate::{BlobId, BlobWriter, Error, Finished};

/// The file comes with the first bytes. Dropped unfinished, it goes away again.
#[derive(Debug)]
pub(super) struct Writer {
    id: BlobId,
    path: PathBuf,
    durable: bool,
    /// `None` while the bytes are on their way on another thread, and after an error.
    open: Option<Open>,
    /// Whether a file of ours may lie under the path.
    begun: bool,
}

#[derive(Debug, Default)]
struct Open {
    file: Option<File>,
    table: TableBuilder,
}

impl Writer {
    pub(super) fn new(id: BlobId, path: PathBuf, durable: bool) -> Self {
        Self { id, path, durable, open: Some(Open::default()), begun: false }
    }

    /// Hands the file to a thread that may block, and takes it back.
    async fn append(&mut self, data: Bytes) -> Result<Open, Error> {
        let (id, path) = (self.id, self.path.clone());
        let mut open = self.open.take().ok_or_else(|| Error::Io(ErrorKind::BrokenPipe.into()))?;
        self.begun = true;
        let appended = blocking(move || {
            open.append(id, &path, &data)?;
            Ok(open)
        })
        .await;
        // A file that was there before is another blob's, and is not ours to remove.
        self.begun = !matches!(appended, Err(Error::Exists(_)));
        appended
    }
}

impl Open {
    fn append(&mut self, id: BlobId, path: &Path, data: &[u8]) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(create(id, path)?),
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
        self.open = Some(self.append(data).await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, last: Bytes) -> Result<Finished, Error> {
        let (id, path) = (self.id, self.path.clone());
        let mut open = self.open.take().ok_or_else(|| Error::Io(ErrorKind::BrokenPipe.into()))?;
        let directory = self.durable.then(|| self.path.parent().map(Path::to_owned)).flatten();
        self.begun = true;
        let finished = blocking(move || {
            open.append(id, &path, &last)?;
            open.finish(id, directory.as_deref())
        })
        .await;
        self.begun = !matches!(finished, Ok(_) | Err(Error::Exists(_)));
        finished
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.begun {
            let _ = remove_file(&self.path); // what stays behind is an orphan of this run
        }
    }
}
