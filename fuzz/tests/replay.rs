//! Every input that was ever worth keeping, on any compiler: the corpora, and every crash that was
//! found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cosine_fuzz::TARGETS;

fn entries(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let Ok(entries) = directory.read_dir() else { return vec![] };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    paths
}

fn names(directory: &str) -> BTreeSet<String> {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries(directory).iter().map(stem).collect()
}

#[test]
fn every_kept_input_passes() {
    for (name, target) in TARGETS {
        for directory in ["corpus", "crashes"] {
            for input in entries(&format!("{directory}/{name}")) {
                println!("{}", input.display()); // the last line of a failure names its input
                target(&std::fs::read(&input).unwrap());
            }
        }
    }
}

#[test]
fn every_target_is_in_the_table_and_has_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    assert!(names("crashes").is_subset(&targets));
}
