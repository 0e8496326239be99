//! Plans and seeds in files: those of histories that failed once are kept in `plans/`, and run again by `cargo histories --kept`
//! and by the tests.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::plan::Plan;

/// Why a file of plans or seeds cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file, and if it is known the line and the column in it.
    pub place: String,
    /// What is wrong, and what is expected.
    pub words: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.words)
    }
}

impl std::error::Error for Unreadable {}

/// What a file of a plan is, for whoever has another one.
const A_PLAN: &str = "a plan is what `cargo histories --seed N --keep` writes";

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    Unreadable { place: shown(path), words: format!("cannot be read: {error}") }
}

/// The directory of the plans that are kept.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plans")
}

/// The root of the workspace, which shown paths start from.
fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// A path as a command line takes it, from anywhere in the workspace.
#[must_use]
pub fn shown(path: &Path) -> String {
    path.strip_prefix(workspace()).unwrap_or(path).display().to_string()
}

/// Where a path of a command line is: cargo runs tests in the package's directory, and people type paths elsewhere.
#[must_use]
pub fn found(path: &Path) -> PathBuf {
    let typed_in = std::env::var_os("PWD").map(PathBuf::from);
    let places = typed_in.iter().map(PathBuf::as_path).chain([workspace()]);
    places.map(|place| place.join(path)).find(|path| path.exists()).unwrap_or_else(|| path.to_owned())
}

/// Where a file is to be that a command line names.
#[must_use]
pub fn typed(path: &Path) -> PathBuf {
    std::env::var_os("PWD").map_or_else(|| path.to_owned(), |place| PathBuf::from(place).join(path))
}

/// Reads a plan.
///
/// # Errors
/// The file cannot be read, or is no plan.
pub fn read_plan(path: &Path) -> Result<Plan, Unreadable> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        let words = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let words = words.strip_suffix(&place).unwrap_or(&words);
        Unreadable {
            place: format!("{}:{}:{}", shown(path), error.line(), error.column()),
            words: format!("{words} ({A_PLAN})"),
        }
    })?;
    plan.check().map_err(|words| Unreadable { place: shown(path), words: format!("{words} ({A_PLAN})") })?;
    Ok(plan)
}

/// The files of the plans that are kept, in the order of their names.
///
/// # Errors
/// The directory cannot be read.
pub fn files() -> Result<Vec<PathBuf>, Unreadable> {
    let directory = directory();
    let entries = fs::read_dir(&directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| unreadable(&directory, &error))?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// Keeps a plan under its seed; one of another plan with the same seed, of before the generator changed, stays.
///
/// # Errors
/// The file cannot be written, or one that is in its place not be read.
///
/// # Panics
/// Never: a plan is always JSON.
pub fn keep(plan: &Plan, directory: &Path) -> Result<PathBuf, Unreadable> {
    let mut number = 1;
    let path = loop {
        let name = if number == 1 { plan.seed.to_string() } else { format!("{}-{number}", plan.seed) };
        let path = directory.join(format!("{name}.json"));
        if !path.exists() {
            break path;
        }
        if read_plan(&path)? == *plan {
            return Ok(path);
        }
        number += 1;
    };
    let text = serde_json::to_string_pretty(plan).unwrap() + "\n";
    fs::write(&path, text)
        .map_err(|error| Unreadable { place: shown(&path), words: format!("cannot be written: {error}") })?;
    Ok(path)
}

/// Reads a list of seeds: one in a line, in decimal digits; empty lines and what follows a `#` do not count.
///
/// # Errors
/// The file cannot be read, or a line of it is no seed.
pub fn read_seeds(path: &Path) -> Result<Vec<u64>, Unreadable> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let mut seeds = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let seed = line.split('#').next().unwrap_or_default().trim();
        if seed.is_empty() {
            continue;
        }
        let read = seed.bytes().all(|byte| byte.is_ascii_digit()).then(|| seed.parse().ok()).flatten();
        seeds.push(read.ok_or_else(|| Unreadable {
            place: format!("{}:{}", shown(path), number + 1),
            words: format!(
                "`{seed}` is no seed: a line is one number from 0 to {}, in decimal digits, or a comment after #",
                u64::MAX
            ),
        })?);
    }
    Ok(seeds)
}
