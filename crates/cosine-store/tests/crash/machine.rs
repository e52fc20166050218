//! Replays system calls on a [`Disk`]: descriptors, positions, names.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::Failure;
use crate::disk::{DataChange, Disk, Inode, InodeId, Stamp, TwoStates};
use crate::trace::{Call, Event, Thread};

/// What a descriptor stands for; copies of the descriptor share it.
#[derive(Debug)]
struct OpenFile {
    what: Opened,
    position: Cell<u64>,
    append: bool,
    /// Every write is a sync (`O_SYNC`, `O_DSYNC`).
    synced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Opened {
    Inode(InodeId),
    /// The file to which the workload says what it does.
    Marks,
}

/// What an event was, beyond a change of the disk.
#[derive(Debug, PartialEq)]
pub enum Happened {
    Nothing,
    SyncBegins,
    SyncEnds,
    /// The workload said so.
    Marked(String),
}

/// A call under way, and what it is about.
struct Begun {
    call: Call,
    file: Option<Rc<OpenFile>>,
    stamp: Stamp,
}

/// A process that works on a disk.
pub struct Machine {
    pub disk: Disk,
    files: HashMap<i64, Rc<OpenFile>>,
    begun: HashMap<Thread, Begun>,
    root: Option<String>,
}

/// The name of the directory that is the disk, and of the file of marks, which lies beside it.
pub const ROOT: &str = "data";
pub const MARKS: &str = "marks";

impl Machine {
    pub fn new(disk: Disk) -> Self {
        Self { disk, files: HashMap::new(), begun: HashMap::new(), root: None }
    }

    pub fn replay(&mut self, event: &Event) -> Result<Happened, Failure> {
        match event {
            Event::Begin(thread, call) => Ok(self.begin(*thread, call.clone())),
            Event::End(thread, result) => {
                let begun = self.begun.remove(thread).ok_or("an end without a begin")?;
                let Some(result) = result else { return Ok(Happened::Nothing) };
                let what = format!("{} = {result}", begun.call.name);
                self.end(begun, *result).map_err(|failure| format!("{what}: {failure}"))
            }
        }
    }

    /// The descriptor means what it means when the call begins: a `close` gives its number away
    /// before it comes back.
    fn begin(&mut self, thread: Thread, call: Call) -> Happened {
        let number = match call.name.as_str() {
            "mmap" => call.number(4),
            _ => call.number(0),
        };
        let file = number.and_then(|number| self.files.get(&number)).cloned();
        if let (true, Some(number)) = (call.name == "close", number) {
            self.files.remove(&number);
        }
        let sync = file.is_some() && matches!(call.name.as_str(), "fsync" | "fdatasync");
        self.begun.insert(thread, Begun { call, file, stamp: self.disk.stamp() });
        if sync { Happened::SyncBegins } else { Happened::Nothing }
    }

    fn end(&mut self, begun: Begun, result: i64) -> Result<Happened, Failure> {
        let Begun { call, file, stamp } = begun;
        match call.name.as_str() {
            "open" | "creat" | "openat2" | "sync" | "syncfs" | "io_uring_setup" | "truncate"
            | "close_range" => return Err(unknown(&call)),
            "openat" => self.open(&call, result)?,
            "mkdir" | "mkdirat" | "rmdir" | "unlink" | "unlinkat" | "rename" | "renameat"
            | "renameat2" | "link" | "linkat" | "symlink" | "symlinkat" => self.name(&call)?,
            _ => {
                if let Some(file) = file {
                    return self.descriptor(&call, &file, stamp, result);
                }
            }
        }
        Ok(Happened::Nothing)
    }

    /// The inode from which a path is meant, and the rest of the path; `None` if it is not on this
    /// disk. `directory` is the number of the argument before the path, if there is one.
    fn place(
        &self,
        call: &Call,
        directory: Option<usize>,
        path: usize,
    ) -> Option<(InodeId, String)> {
        let path = call.path(path);
        if let Some(path) = self.root.as_ref().and_then(|root| path.strip_prefix(root.as_str())) {
            return (path.is_empty() || path.starts_with('/')).then(|| (0, path.to_owned()));
        }
        let open = self.files.get(&call.number(directory?)?)?;
        match open.what {
            Opened::Inode(inode) if !path.starts_with('/') => Some((inode, path)),
            _ => None,
        }
    }

    fn open(&mut self, call: &Call, descriptor: i64) -> Result<(), Failure> {
        self.files.remove(&descriptor);
        let path = call.path(1);
        if let (None, Some(parent)) = (&self.root, path.strip_suffix(&format!("/{MARKS}"))) {
            self.root = Some(format!("{parent}/{ROOT}"));
            self.insert(descriptor, call, Opened::Marks);
            return Ok(());
        }
        let Some((from, path)) = self.place(call, Some(0), 1) else { return Ok(()) };
        let inode = match self.disk.find(from, &path)? {
            Some(inode) => inode,
            None => {
                let (directory, name) = self.disk.parent(from, &path)?;
                self.disk.create(directory, name, Inode::File(TwoStates::default()))?
            }
        };
        if call.has(2, "O_TRUNC") {
            self.disk.change(inode, DataChange::Resize(0))?;
        }
        self.insert(descriptor, call, Opened::Inode(inode));
        Ok(())
    }

    fn insert(&mut self, descriptor: i64, call: &Call, what: Opened) {
        let synced = call.has(2, "O_SYNC") || call.has(2, "O_DSYNC");
        let append = call.has(2, "O_APPEND");
        let file = OpenFile { what, position: Cell::new(0), append, synced };
        self.files.insert(descriptor, Rc::new(file));
    }

    /// Calls that change directories.
    fn name(&mut self, call: &Call) -> Result<(), Failure> {
        let at = call.name.contains("at");
        let path = usize::from(at);
        let Some((from, path)) = self.place(call, at.then_some(0), path) else { return Ok(()) };
        let (directory, name) = self.disk.parent(from, &path)?;
        match call.name.as_str() {
            "mkdir" | "mkdirat" => {
                let made = Inode::Directory(TwoStates::default());
                self.disk.create(directory, name, made).map(drop)
            }
            "unlink" | "unlinkat" | "rmdir" => self.disk.unlink(directory, name),
            "rename" | "renameat" | "renameat2" if !call.has(4, "RENAME_EXCHANGE") => {
                let to = if at { self.place(call, Some(2), 3) } else { self.place(call, None, 1) };
                let (from, path) = to.ok_or("a rename out of the disk")?;
                match self.disk.parent(from, &path)? {
                    (same, to) if same == directory => self.disk.rename(directory, name, to),
                    _ => Err("a rename between directories".to_owned()),
                }
            }
            _ => Err(unknown(call)),
        }
    }

    /// Calls on an open file.
    fn descriptor(
        &mut self,
        call: &Call,
        file: &Rc<OpenFile>,
        stamp: Stamp,
        result: i64,
    ) -> Result<Happened, Failure> {
        let number = result.unsigned_abs();
        match call.name.as_str() {
            "close" => return Ok(Happened::Nothing),
            "dup" | "dup2" | "dup3" => {
                self.files.insert(result, Rc::clone(file));
                return Ok(Happened::Nothing);
            }
            "fcntl" if call.has(1, "F_DUPFD") || call.has(1, "F_DUPFD_CLOEXEC") => {
                self.files.insert(result, Rc::clone(file));
                return Ok(Happened::Nothing);
            }
            _ => {}
        }
        let Opened::Inode(inode) = file.what else { return Ok(marked(call)) };
        match call.name.as_str() {
            "mmap" if !(call.has(2, "PROT_WRITE") && call.has(3, "MAP_SHARED")) => {}
            "read" | "readv" => file.position.set(file.position.get() + number),
            "lseek" => file.position.set(number),
            "fcntl" if !call.has(1, "F_SETFL") => {}
            "write" | "writev" => {
                let size = self.disk.file(inode)?.live.size;
                let at = if file.append { size } else { file.position.get() };
                self.write(file, inode, at, call.bytes(1), number)?;
                file.position.set(at + number);
            }
            "pwrite64" if !file.append => {
                let at = call.number(3).ok_or("no offset")?.unsigned_abs();
                self.write(file, inode, at, call.bytes(1), number)?;
            }
            "ftruncate" => {
                let size = call.number(1).ok_or("no size")?.unsigned_abs();
                self.disk.change(inode, DataChange::Resize(size))?;
            }
            "fsync" | "fdatasync" => {
                self.disk.sync(inode, stamp);
                return Ok(Happened::SyncEnds);
            }
            _ => return Err(unknown(call)),
        }
        Ok(Happened::Nothing)
    }

    fn write(
        &mut self,
        file: &OpenFile,
        inode: InodeId,
        at: u64,
        mut data: Vec<u8>,
        written: u64,
    ) -> Result<(), Failure> {
        if (data.len() as u64) < written {
            return Err("the trace holds less than was written".to_owned());
        }
        data.truncate(written as usize);
        self.disk.change(inode, DataChange::Write { at, data })?;
        if file.synced {
            self.disk.sync(inode, self.disk.stamp());
        }
        Ok(())
    }
}

fn marked(call: &Call) -> Happened {
    match call.name.as_str() {
        "write" => Happened::Marked(call.path(1).trim_end().to_owned()),
        _ => Happened::Nothing,
    }
}

fn unknown(call: &Call) -> Failure {
    format!("{} on the disk is more than this test understands", call.name)
}
