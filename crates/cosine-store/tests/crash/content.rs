//! What a file holds: pages that versions of it share.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const PAGE_BYTES: usize = 4096;

#[derive(Debug)]
struct Page {
    bytes: Box<[u8; PAGE_BYTES]>,
    digest: u64,
}

impl Page {
    fn new(bytes: Box<[u8; PAGE_BYTES]>) -> Arc<Self> {
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes[..]);
        Arc::new(Self { bytes, digest: hasher.finish() })
    }
}

/// Bytes, where pages that were never written are zeros. Clones share their pages.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pub size: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.size.hash(state);
        self.pages.iter().for_each(|(number, page)| (number, page.digest).hash(state));
    }
}

impl Content {
    pub fn write(&mut self, at: u64, data: &[u8]) {
        let mut done = 0;
        while done < data.len() {
            let position = at + done as u64;
            let (number, offset) = (position / PAGE_BYTES as u64, position as usize % PAGE_BYTES);
            let count = (PAGE_BYTES - offset).min(data.len() - done);
            let mut bytes = self
                .pages
                .get(&number)
                .map_or_else(|| Box::new([0; PAGE_BYTES]), |page| page.bytes.clone());
            bytes[offset..offset + count].copy_from_slice(&data[done..done + count]);
            self.pages.insert(number, Page::new(bytes));
            done += count;
        }
        self.size = self.size.max(at + data.len() as u64);
    }

    pub fn resize(&mut self, size: u64) {
        if size < self.size {
            let cut = size / PAGE_BYTES as u64;
            let edge = self.pages.split_off(&cut).remove(&cut);
            let kept = size as usize % PAGE_BYTES;
            if let Some(page) = edge.filter(|_| kept > 0) {
                let mut bytes = page.bytes.clone();
                bytes[kept..].fill(0);
                self.pages.insert(cut, Page::new(bytes));
            }
        }
        self.size = size;
    }

    /// One byte.
    #[cfg(test)]
    pub fn byte(&self, at: u64) -> u8 {
        let page = self.pages.get(&(at / PAGE_BYTES as u64));
        page.map_or(0, |page| page.bytes[at as usize % PAGE_BYTES])
    }

    /// The numbers of the pages that are not all zeros.
    #[cfg(test)]
    pub fn pages_held(&self) -> Vec<u64> {
        self.pages.keys().copied().collect()
    }

    /// Puts the bytes into a new file.
    pub fn store(&self, path: &Path) -> std::io::Result<()> {
        let file = std::fs::File::create(path)?;
        for (number, page) in &self.pages {
            file.write_all_at(&page.bytes[..], number * PAGE_BYTES as u64)?;
        }
        file.set_len(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_what_a_file_would_be() {
        let directory = tempfile::tempdir().unwrap();
        let (path, stored) = (directory.path().join("file"), directory.path().join("stored"));
        let file = std::fs::File::create(&path).unwrap();
        let mut content = Content::default();
        let mut random = crate::random::Random(1);
        for step in 0..200 {
            let at = random.below(40_000) as u64;
            if random.chance(1, 4) {
                file.set_len(at).unwrap();
                content.resize(at);
            } else {
                let data = vec![step as u8 + 1; random.below(10_000)];
                file.write_all_at(&data, at).unwrap();
                content.write(at, &data);
            }
            content.store(&stored).unwrap();
            assert!(std::fs::read(&path).unwrap() == std::fs::read(&stored).unwrap());
        }
    }
}
