//! Limits that keep the code readable: it is the longest functions and files that separate a code
//! base one can hold in the head from one that cannot.

use std::path::{Path, PathBuf};

use crate::Failure;

/// A file of the product holds at most this many lines, and a file of tests as many.
const FILE_LINES_MAX: usize = 600;
/// A function holds at most this many lines.
const FUNCTION_LINES_MAX: usize = 70;

/// Holds every Rust file of the workspace against the limits.
pub fn check(root: &Path) -> Result<(), Failure> {
    let mut files = Vec::new();
    for part in ["crates", "bench", "fuzz/src", "fuzz/fuzz_targets", "fuzz/tests", "xtask"] {
        collect(&root.join(part), &mut files).map_err(|error| format!("{part}: {error}"))?;
    }
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        found.extend(problems(&name, &text));
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut problems = Vec::new();
    if lines.len() > FILE_LINES_MAX {
        problems.push(format!("{name}: {} lines, at most {FILE_LINES_MAX}", lines.len()));
    }
    for (at, length) in functions(&lines) {
        if length > FUNCTION_LINES_MAX {
            problems.push(format!("{name}:{}: a function of {length} lines", at + 1));
        }
    }
    problems
}

/// Where each function begins, and how many lines it has: up to the brace that closes it, which
/// rustfmt puts below its first letter.
fn functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &str| {
        let words =
            line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let words = words.trim_start_matches("pub ").trim_start_matches("const ");
        words.trim_start_matches("async ").starts_with("fn ")
    };
    let starts = lines.iter().enumerate().filter(|(_, line)| begins(line) && !line.ends_with('}'));
    let length = |(at, line): (usize, &&str)| {
        let rest = lines.iter().skip(at).position(|l| indent(l) == indent(line) && l.trim() == "}");
        rest.map(|rest| (at, rest + 1))
    };
    starts.filter_map(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_and_long_files_are_found() {
        let body = "    work();\n".repeat(FUNCTION_LINES_MAX - 2);
        let fits = format!("pub async fn f() {{\n{body}}}\n");
        assert_eq!(problems("f.rs", &fits), Vec::<String>::new());
        let long = format!("fn g() {{}}\npub(crate) fn f(\n) {{\n{body}    more();\n}}\n");
        assert_eq!(problems("f.rs", &long), ["f.rs:2: a function of 72 lines"]);
        assert_eq!(problems("f.rs", &"\n".repeat(601)), ["f.rs: 601 lines, at most 600"]);
    }
}
