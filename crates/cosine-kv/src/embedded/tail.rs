//! The end of the journal after a power cut.
//!
//! A batch that was being synced may have reached the disk with a hole in it: its last sector, but
//! not one before. fjall drops a batch without an end, but takes one with an end and a wrong
//! checksum for damage, and opens no more. So, if the journal's last batch has a hole, its end is
//! taken away, and fjall drops it: nobody was told that it was written.

use std::fs::{File, OpenOptions, read_dir};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// No disk writes less at once. What it did not write reads as zeros, since the journal only grows.
const SECTOR_BYTES: usize = 512;

/// The last byte of a journal, taken away.
pub(super) struct Cut {
    journal: File,
    at: u64,
    byte: u8,
}

impl Cut {
    /// Takes the last byte of the newest journal away; `None` if nothing in it looks like a hole.
    pub(super) fn make(directory: &Path) -> std::io::Result<Option<Self>> {
        let Some(path) = newest_journal(directory)? else { return Ok(None) };
        let bytes = std::fs::read(&path)?;
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return Ok(None) };
        let written = bytes.get(..last).unwrap_or_default();
        let is_hole = |sector: &[u8; SECTOR_BYTES]| sector.iter().all(|byte| *byte == 0);
        let (Some(byte), true) =
            (bytes.get(last), written.as_chunks::<SECTOR_BYTES>().0.iter().any(is_hole))
        else {
            return Ok(None);
        };
        let journal = OpenOptions::new().write(true).open(path)?;
        journal.set_len(last as u64)?;
        Ok(Some(Self { journal, at: last as u64, byte: *byte }))
    }

    /// Puts the byte back: the damage was elsewhere.
    pub(super) fn undo(self) -> std::io::Result<()> {
        self.journal.write_all_at(&[self.byte], self.at)?;
        self.journal.sync_all()
    }
}

/// The journal with the highest number: the one that was being written.
fn newest_journal(directory: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in read_dir(directory)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
        newest = newest.max(number.map(|number| (number, path)));
    }
    Ok(newest.map(|(_, path)| path))
}
