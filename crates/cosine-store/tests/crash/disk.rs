//! A file system as POSIX promises it and no better: what was not synced may be lost.
//!
//! Data and size of a file last when the file is synced; the names in a directory last when that
//! directory is synced. Everything has two states, the live one, which processes see, and the
//! durable one, which a power cut leaves, and between them the changes that are still under way.

use std::collections::{BTreeMap, VecDeque};

use crate::Failure;
use crate::content::Content;
use crate::random::Random;

/// Changes are numbered in the order in which they happened.
pub type Stamp = u64;
pub type InodeId = usize;

/// Something that changes.
pub trait State: Clone + Default {
    type Change;
    fn apply(&mut self, change: &Self::Change);
}

/// A live and a durable state.
#[derive(Debug)]
pub struct TwoStates<S: State> {
    pub live: S,
    durable: S,
    pending: VecDeque<(Stamp, S::Change)>,
}

impl<S: State> Default for TwoStates<S> {
    fn default() -> Self {
        Self { live: S::default(), durable: S::default(), pending: VecDeque::new() }
    }
}

impl<S: State> TwoStates<S> {
    fn change(&mut self, stamp: Stamp, change: S::Change) {
        self.live.apply(&change);
        self.pending.push_back((stamp, change));
    }

    /// What had happened before `stamp` is durable.
    fn sync(&mut self, stamp: Stamp) {
        while let Some((_, change)) = self.pending.pop_front_if(|(at, _)| *at < stamp) {
            self.durable.apply(&change);
        }
    }

    fn pending(&self) -> impl Iterator<Item = &S::Change> {
        self.pending.iter().map(|(_, change)| change)
    }

    /// The durable state with the first `count` of the pending changes.
    fn prefix(&self, count: usize) -> S {
        let mut state = self.durable.clone();
        self.pending().take(count).for_each(|change| state.apply(change));
        state
    }
}

/// How a file changes.
#[derive(Debug)]
pub enum DataChange {
    Write { at: u64, data: Vec<u8> },
    Resize(u64),
}

impl State for Content {
    type Change = DataChange;

    fn apply(&mut self, change: &DataChange) {
        match change {
            DataChange::Write { at, data } => self.write(*at, data),
            DataChange::Resize(size) => self.resize(*size),
        }
    }
}

/// What a directory holds.
pub type Names = BTreeMap<String, InodeId>;

/// How a directory changes.
#[derive(Debug)]
pub enum NameChange {
    Link(String, InodeId),
    Unlink(String),
    Rename(String, String),
}

impl State for Names {
    type Change = NameChange;

    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Link(name, inode) => {
                self.insert(name.clone(), *inode);
            }
            NameChange::Unlink(name) => {
                self.remove(name);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = self.remove(from) {
                    self.insert(to.clone(), inode);
                }
            }
        }
    }
}

#[derive(Debug)]
pub enum Inode {
    File(TwoStates<Content>),
    Directory(TwoStates<Names>),
}

/// What the sync of a file that is new means for its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewNames {
    /// Nothing: the directory has to be synced too. As POSIX has it.
    NeedTheirDirectory,
    /// The name lasts as well. As ext4, xfs and btrfs have it.
    LastWithTheFile,
}

/// The file system below one directory, inode 0.
#[derive(Debug)]
pub struct Disk {
    inodes: Vec<Inode>,
    /// Where an inode got its name, and when.
    named: BTreeMap<InodeId, (InodeId, Stamp)>,
    /// Which rule is in force for names in this directory.
    rule: fn(directory: &str) -> NewNames,
    paths: Vec<String>,
    stamp: Stamp,
}

impl Disk {
    pub fn new(rule: fn(directory: &str) -> NewNames) -> Self {
        let inodes = vec![Inode::Directory(TwoStates::default())];
        Self { inodes, named: BTreeMap::new(), rule, paths: vec![String::new()], stamp: 0 }
    }

    /// Every path that was ever made.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn tick(&mut self) -> Stamp {
        self.stamp += 1;
        self.stamp
    }

    fn directory(&mut self, id: InodeId) -> Result<&mut TwoStates<Names>, Failure> {
        match &mut self.inodes[id] {
            Inode::Directory(directory) => Ok(directory),
            Inode::File(_) => Err(format!("{} is no directory", self.paths[id])),
        }
    }

    pub fn file(&mut self, id: InodeId) -> Result<&mut TwoStates<Content>, Failure> {
        match &mut self.inodes[id] {
            Inode::File(file) => Ok(file),
            Inode::Directory(_) => Err(format!("{} is no file", self.paths[id])),
        }
    }

    /// Follows the names of a path from a directory.
    pub fn find(&mut self, from: InodeId, path: &str) -> Result<Option<InodeId>, Failure> {
        let mut at = from;
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            match self.directory(at)?.live.get(name) {
                Some(next) => at = *next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The directory of a path, and the name in it.
    pub fn parent<'p>(
        &mut self,
        from: InodeId,
        path: &'p str,
    ) -> Result<(InodeId, &'p str), Failure> {
        let path = path.trim_end_matches('/');
        let (front, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.find(from, front)?.ok_or(format!("no directory {front}"))?;
        Ok((directory, name))
    }

    pub fn create(
        &mut self,
        directory: InodeId,
        name: &str,
        inode: Inode,
    ) -> Result<InodeId, Failure> {
        let (stamp, id) = (self.tick(), self.inodes.len());
        self.inodes.push(inode);
        self.paths.push(format!("{}/{name}", self.paths[directory]));
        self.directory(directory)?.change(stamp, NameChange::Link(name.to_owned(), id));
        self.named.insert(id, (directory, stamp));
        Ok(id)
    }

    pub fn unlink(&mut self, directory: InodeId, name: &str) -> Result<(), Failure> {
        let stamp = self.tick();
        self.directory(directory)?.change(stamp, NameChange::Unlink(name.to_owned()));
        Ok(())
    }

    pub fn rename(&mut self, directory: InodeId, from: &str, to: &str) -> Result<(), Failure> {
        let stamp = self.tick();
        let names = self.directory(directory)?;
        let inode = *names.live.get(from).ok_or(format!("no {from} to rename"))?;
        names.change(stamp, NameChange::Rename(from.to_owned(), to.to_owned()));
        self.named.insert(inode, (directory, stamp));
        Ok(())
    }

    pub fn change(&mut self, file: InodeId, change: DataChange) -> Result<(), Failure> {
        let stamp = self.tick();
        self.file(file)?.change(stamp, change);
        Ok(())
    }

    /// A sync that began at `stamp` has come back.
    pub fn sync(&mut self, id: InodeId, stamp: Stamp) {
        match &mut self.inodes[id] {
            Inode::File(file) => file.sync(stamp + 1),
            Inode::Directory(directory) => directory.sync(stamp + 1),
        }
        self.sync_name(id, stamp);
    }

    /// Where names last with their files: the name, and with it what was done to its directory
    /// before, since journals keep the order.
    fn sync_name(&mut self, id: InodeId, began: Stamp) {
        let Some((directory, stamp)) = self.named.get(&id).copied() else { return };
        if stamp > began || (self.rule)(&self.paths[directory]) == NewNames::NeedTheirDirectory {
            return;
        }
        if let Inode::Directory(names) = &mut self.inodes[directory] {
            names.sync(stamp + 1);
        }
        self.sync_name(directory, began);
    }

    /// What a power cut could leave.
    pub fn crash(&self, mut fate: Fate) -> Image {
        let mut image = Image::new();
        self.survivors(0, "", &mut fate, &mut image);
        image
    }

    fn survivors(&self, directory: InodeId, path: &str, fate: &mut Fate, image: &mut Image) {
        let Inode::Directory(names) = &self.inodes[directory] else { return };
        for (name, id) in fate.names(names) {
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            match &self.inodes[id] {
                Inode::Directory(_) => {
                    image.insert(path.clone(), None);
                    self.survivors(id, &path, fate, image);
                }
                Inode::File(file) => {
                    image.insert(path, Some(fate.content(file)));
                }
            }
        }
    }
}

/// Paths and what is there; `None` is a directory.
pub type Image = BTreeMap<String, Option<Content>>;

/// What becomes of changes that are under way when the power goes.
#[derive(Clone, Debug)]
pub enum Fate {
    AllLost,
    AllKept,
    Mixed(Random),
}

impl Fate {
    /// A directory loses its last changes; a journal keeps their order.
    fn names(&mut self, directory: &TwoStates<Names>) -> Names {
        match self {
            Self::AllLost => directory.durable.clone(),
            Self::AllKept => directory.live.clone(),
            Self::Mixed(random) => directory.prefix(random.below(directory.pending.len() + 1)),
        }
    }

    fn content(&mut self, file: &TwoStates<Content>) -> Content {
        match self {
            Self::AllLost => file.durable.clone(),
            Self::AllKept => file.live.clone(),
            Self::Mixed(_) if file.pending.is_empty() => file.durable.clone(),
            Self::Mixed(random) => match random.below(6) {
                0 => file.durable.clone(),
                1 => file.live.clone(),
                2 => torn_after(file, random),
                3 => holed(file, random),
                _ => scattered(file, random),
            },
        }
    }
}

/// What no disk writes in part: a sector holds what the file had there at some moment.
const SECTOR_BYTES: u64 = 512;

/// Keeps some bytes of a pending write, with all that was written before into the sectors that they lie in:
/// who writes these to the disk writes what the file has there, and not the last write alone.
fn keep(
    content: &mut Content,
    file: &TwoStates<Content>,
    (number, bytes): (usize, std::ops::Range<usize>),
) {
    let Some(DataChange::Write { at, data }) = file.pending().nth(number) else { return };
    if bytes.is_empty() {
        return;
    }
    let (from, to) = (at + bytes.start as u64, at + bytes.end as u64);
    let from_sector = from / SECTOR_BYTES * SECTOR_BYTES;
    let to_sector = to.next_multiple_of(SECTOR_BYTES);
    let before: Vec<&DataChange> = file.pending().take(number).collect();
    let resized = before.iter().rposition(|change| matches!(change, DataChange::Resize(_)));
    for change in before.into_iter().skip(resized.map_or(0, |resized| resized + 1)) {
        let DataChange::Write { at, data } = change else { continue };
        let (start, end) = (from_sector.max(*at), to_sector.min(at + data.len() as u64));
        if start < end {
            content.write(start, &data[(start - at) as usize..(end - at) as usize]);
        }
    }
    content.write(from, &data[bytes]);
}

/// Some writes whole, the next one in part, the others not.
fn torn_after(file: &TwoStates<Content>, random: &mut Random) -> Content {
    let count = random.below(file.pending.len());
    let mut content = file.prefix(count);
    tear(&mut content, file, count, random);
    content
}

/// Everything but a few sectors of one write.
fn holed(file: &TwoStates<Content>, random: &mut Random) -> Content {
    let chosen = random.below(file.pending.len());
    let mut content = file.durable.clone();
    for (number, change) in file.pending().enumerate() {
        match change {
            DataChange::Write { at, data } if number == chosen => {
                let sector = random.one(&[512, 4096]);
                let from = random.below(data.len() + 1) / sector * sector;
                let from = from.saturating_sub(*at as usize % sector);
                let to = (from + sector * (1 + random.below(4))).min(data.len());
                keep(&mut content, file, (number, 0..from));
                content.resize(content.size.max(at + to as u64));
                keep(&mut content, file, (number, to..data.len()));
            }
            DataChange::Write { data, .. } => keep(&mut content, file, (number, 0..data.len())),
            DataChange::Resize(_) => content.apply(change),
        }
    }
    content
}

/// Each change by itself: kept, lost, torn, or only its size kept.
fn scattered(file: &TwoStates<Content>, random: &mut Random) -> Content {
    let mut content = file.durable.clone();
    for (number, change) in file.pending().enumerate() {
        match (random.below(4), change) {
            (0, DataChange::Write { data, .. }) => {
                keep(&mut content, file, (number, 0..data.len()));
            }
            (0, DataChange::Resize(_)) => content.apply(change),
            (1, DataChange::Write { at, data }) => {
                content.resize(content.size.max(at + data.len() as u64));
            }
            (2, _) => tear(&mut content, file, number, random),
            _ => {}
        }
    }
    content
}

/// A write up to some sector.
fn tear(content: &mut Content, file: &TwoStates<Content>, number: usize, random: &mut Random) {
    let Some(DataChange::Write { at, data }) = file.pending().nth(number) else { return };
    let sector = random.one(&[512, 4096]);
    let sectors = (at + data.len() as u64).div_ceil(sector) - at / sector;
    let end = (at / sector + random.below(sectors as usize) as u64) * sector;
    let kept = end.saturating_sub(*at) as usize;
    keep(content, file, (number, 0..kept.min(data.len())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(rule: NewNames) -> Disk {
        match rule {
            NewNames::NeedTheirDirectory => Disk::new(|_| NewNames::NeedTheirDirectory),
            NewNames::LastWithTheFile => Disk::new(|_| NewNames::LastWithTheFile),
        }
    }

    fn write(disk: &mut Disk, file: InodeId, at: u64, data: &[u8]) {
        disk.change(file, DataChange::Write { at, data: data.to_vec() }).unwrap();
    }

    fn size(image: &Image, path: &str) -> Option<u64> {
        image.get(path).map(|content| content.as_ref().map_or(0, |content| content.size))
    }

    #[test]
    fn what_was_not_synced_may_be_lost() {
        let mut disk = disk(NewNames::NeedTheirDirectory);
        let file = disk.create(0, "file", Inode::File(TwoStates::default())).unwrap();
        write(&mut disk, file, 0, b"hello");
        disk.sync(file, disk.stamp());
        assert!(disk.crash(Fate::AllLost).is_empty(), "its name was not synced");
        disk.sync(0, disk.stamp());
        let began = disk.stamp();
        write(&mut disk, file, 5, b", world");
        disk.sync(file, began);
        assert_eq!(size(&disk.crash(Fate::AllLost), "file"), Some(5), "the sync began before");
        assert_eq!(size(&disk.crash(Fate::AllKept), "file"), Some(12));
        disk.rename(0, "file", "other").unwrap();
        assert_eq!(size(&disk.crash(Fate::AllLost), "file"), Some(5));
        assert_eq!(size(&disk.crash(Fate::AllKept), "file"), None);
        disk.sync(0, disk.stamp());
        assert_eq!(size(&disk.crash(Fate::AllLost), "other"), Some(5));
    }

    #[test]
    fn a_new_name_lasts_with_its_file_where_that_is_the_rule() {
        let mut disk = disk(NewNames::LastWithTheFile);
        let directory = disk.create(0, "d", Inode::Directory(TwoStates::default())).unwrap();
        let file = disk.create(directory, "file", Inode::File(TwoStates::default())).unwrap();
        disk.create(directory, "later", Inode::File(TwoStates::default())).unwrap();
        write(&mut disk, file, 0, b"hello");
        disk.sync(file, disk.stamp());
        let image = disk.crash(Fate::AllLost);
        assert_eq!((size(&image, "d/file"), size(&image, "d/later")), (Some(5), None));
    }

    /// Of two writes that meet in a sector, the later one is never there without the earlier one; but the
    /// earlier one may be there without the later one, and other sectors go their own ways.
    #[test]
    fn a_sector_holds_what_the_file_had_at_some_moment() {
        let mut disk = disk(NewNames::NeedTheirDirectory);
        let file = disk.create(0, "file", Inode::File(TwoStates::default())).unwrap();
        disk.sync(0, disk.stamp());
        write(&mut disk, file, 0, &[1; 1100]);
        write(&mut disk, file, 1100, &[2; 50]);
        let crash = |seed| {
            let image = disk.crash(Fate::Mixed(Random(seed)));
            let content = image["file"].clone().unwrap_or_default();
            [0, 512, 1024, 1099, 1100, 1149].map(|at| content.byte(at))
        };
        let seen: std::collections::BTreeSet<_> = (0..2000).map(crash).collect();
        for image in &seen {
            let [_, _, first, last, second, end] = *image;
            assert!(first == last && second == end, "a sector in part: {image:?}");
            assert!(second == 0 || last == 1, "the later write alone: {image:?}");
        }
        for expected in [[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2], [1, 0, 1, 1, 2, 2]] {
            assert!(seen.contains(&expected), "{expected:?} never happened: {seen:?}");
        }
    }

    #[test]
    fn mixtures_reach_every_loss() {
        let mut disk = disk(NewNames::NeedTheirDirectory);
        let file = disk.create(0, "file", Inode::File(TwoStates::default())).unwrap();
        disk.sync(0, disk.stamp());
        write(&mut disk, file, 0, &[1; 4096]);
        write(&mut disk, file, 4096, &[2; 4096]);
        let crash = |seed| {
            let image = disk.crash(Fate::Mixed(Random(seed)));
            image["file"].as_ref().map(|content| content.pages_held()).unwrap_or_default()
        };
        let seen: std::collections::BTreeSet<_> = (0..200).map(crash).collect();
        for expected in [vec![], vec![0], vec![1], vec![0, 1]] {
            assert!(seen.contains(&expected), "{expected:?} never happened");
        }
    }
}
