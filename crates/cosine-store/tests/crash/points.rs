//! The moments at which the power goes, and the images that it may leave.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use crate::Failure;
use crate::disk::{Disk, Fate, Image, NewNames};
use crate::examine::{examine, store_image};
use crate::machine::{Happened, Machine, ROOT};
use crate::plan::{Expected, Group, Operation, State};
use crate::random::Random;
use crate::trace::Event;

/// Images of each point beside the two extremes.
const MIXTURES: usize = 2;
/// One event in so many that is no sync is a point too.
const BETWEEN: usize = 60;
const EXAMINERS: usize = 2;
/// Where fjall flushes the rows to.
const TABLES: &str = "/meta/keyspaces/1/tables/";

/// What was done.
#[derive(Debug, Default)]
pub struct Figures {
    operations: u64,
    syncs: usize,
    tables: usize,
    points: usize,
    images: usize,
    distinct: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations acknowledged, {} syncs, {} tables, {} crash points, {} images \
             ({} distinct), 0 lost",
            self.operations, self.syncs, self.tables, self.points, self.images, self.distinct
        )
    }
}

/// An image, and what has to be in it.
struct Case {
    image: Image,
    digest: u64,
    expected: Arc<Expected>,
    what: String,
}

/// The strict rule, with one exception: fjall never syncs the directory in which it makes the files
/// of separated values, so there the name of a new file has to last with the file.
fn rule(directory: &str) -> NewNames {
    match directory.starts_with("/meta/keyspaces/") && directory.ends_with("/blobs") {
        true => NewNames::LastWithTheFile,
        false => NewNames::NeedTheirDirectory,
    }
}

/// Replays the events, and examines what each power cut leaves.
pub fn run(
    seed: u64,
    events: &[Event],
    plan: &[Group],
    scratch: &Path,
) -> Result<Figures, Failure> {
    let (cases, queue) = sync_channel(16);
    let queue = Arc::new(Mutex::new(queue));
    let found = Mutex::new(HashMap::new());
    std::thread::scope(|scope| {
        let examiners: Vec<_> = (0..EXAMINERS)
            .map(|number| {
                let (queue, found) = (Arc::clone(&queue), &found);
                scope.spawn(move || work_off(&queue, found, &scratch.join(number.to_string())))
            })
            .collect();
        drop(queue);
        let replayed = Points::new(seed, plan, cases).replay(events);
        for examiner in examiners {
            examiner.join().unwrap()?;
        }
        let distinct = found.lock().unwrap().len();
        replayed.map(|figures| Figures { distinct, ..figures })
    })
}

struct Points<'p> {
    machine: Machine,
    random: Random,
    operations: HashMap<u64, &'p Operation>,
    expected: Arc<Expected>,
    seen: HashSet<(u64, u64)>,
    marks: u64,
    figures: Figures,
    cases: SyncSender<Case>,
}

impl<'p> Points<'p> {
    fn new(seed: u64, plan: &'p [Group], cases: SyncSender<Case>) -> Self {
        Self {
            machine: Machine::new(Disk::new(rule)),
            random: Random(seed),
            operations: plan.iter().flatten().map(|(number, o)| (*number, o)).collect(),
            expected: Arc::default(),
            seen: HashSet::new(),
            marks: 0,
            figures: Figures::default(),
            cases,
        }
    }

    /// Consumes the points, and with them the queue's end.
    fn replay(mut self, events: &[Event]) -> Result<Figures, Failure> {
        events.iter().try_for_each(|event| self.event(event))?;
        let paths = self.machine.disk.paths().iter();
        self.figures.tables = paths.filter(|path| path.starts_with(TABLES)).count();
        match self.figures.tables {
            0..=2 => Err("the workload is too small: rows were hardly ever flushed".to_owned()),
            _ => Ok(self.figures),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let happened = self.machine.replay(event)?;
        match happened {
            Happened::Nothing if self.random.chance(1, BETWEEN) => self.crash("between syncs"),
            Happened::Nothing => Ok(()),
            Happened::SyncBegins => self.crash("before a sync"),
            Happened::SyncEnds => {
                self.figures.syncs += 1;
                self.crash("after a sync")
            }
            Happened::Marked(mark) => self.mark(&mark),
        }
    }

    /// `begin 12` or `done 12`.
    fn mark(&mut self, mark: &str) -> Result<(), Failure> {
        let (word, number) = mark.split_once(' ').ok_or(format!("the mark {mark:?}"))?;
        let number: u64 = number.parse().map_err(|error| format!("the mark {mark:?}: {error}"))?;
        let operation = self.operations.get(&number).ok_or(format!("the mark {mark:?}"))?;
        let expected = Arc::make_mut(&mut self.expected);
        self.marks += 1;
        match word {
            "begin" => expected.begin(number, operation),
            _ => expected.acknowledge(number)?,
        }
        self.figures.operations = expected.acknowledged;
        self.crash(&format!("after {word} {number}"))
    }

    fn crash(&mut self, when: &str) -> Result<(), Failure> {
        self.figures.points += 1;
        let mixed = (0..MIXTURES).map(|_| Fate::Mixed(Random(self.random.next())));
        let fates: Vec<Fate> = [Fate::AllLost, Fate::AllKept].into_iter().chain(mixed).collect();
        for fate in fates {
            self.figures.images += 1;
            let what = format!("crash point {} {when}, {fate:?}", self.figures.points);
            let image = self.machine.disk.crash(fate);
            let mut hasher = DefaultHasher::new();
            image.hash(&mut hasher);
            let digest = hasher.finish();
            if self.seen.insert((digest, self.marks)) {
                let expected = Arc::clone(&self.expected);
                let case = Case { image, digest, expected, what };
                self.cases.send(case).map_err(|_| "the examiners gave up")?;
            }
        }
        Ok(())
    }
}

/// Examines cases until there are no more, or one fails. The same image is opened once.
fn work_off(
    queue: &Mutex<Receiver<Case>>,
    found: &Mutex<HashMap<u64, State>>,
    directory: &Path,
) -> Result<(), Failure> {
    loop {
        let Ok(case) = queue.lock().unwrap().recv() else { return Ok(()) };
        let known = found.lock().unwrap().get(&case.digest).cloned();
        let state = match known {
            Some(state) => Ok(state),
            None => open_image(&case.image, directory),
        };
        let judged = state.and_then(|state| {
            found.lock().unwrap().insert(case.digest, state.clone());
            case.expected.check(&state)
        });
        if let Err(failure) = judged {
            return Err(report(&case, &failure, directory));
        }
    }
}

fn open_image(image: &Image, directory: &Path) -> Result<State, Failure> {
    let data = directory.join(ROOT);
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(|error| error.to_string())?;
    }
    std::fs::create_dir_all(&data).map_err(|error| error.to_string())?;
    store_image(image, &data).map_err(|error| format!("cannot store an image: {error}"))?;
    let examined = catch_unwind(AssertUnwindSafe(|| examine(&data)));
    examined.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map_or("of itself", String::as_str);
        Err(format!("it panicked: {text}"))
    })
}

/// Keeps the image as the crash left it, and what should have been in it.
fn report(case: &Case, failure: &str, directory: &Path) -> Failure {
    let kept = directory.with_extension("failed");
    let store = || {
        std::fs::create_dir_all(kept.join(ROOT))?;
        store_image(&case.image, &kept.join(ROOT))?;
        std::fs::write(kept.join("expected"), format!("{:#?}", case.expected))
    };
    let stored = store().map_or_else(|error| error.to_string(), |()| kept.display().to_string());
    format!("{}: {failure}\nthe image: {stored}", case.what)
}
