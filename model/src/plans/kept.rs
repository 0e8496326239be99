//! Plans and seeds in files. The plans of histories that once failed are saved in `plans/`; `cargo histories --kept`
//! and the tests run them again.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::plans::plan::Plan;

/// Why a file of plans or seeds can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file, with line and column if known.
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

/// Where plans come from, for error messages.
const A_PLAN: &str = "`cargo histories --seed N --keep` writes plans";

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    Unreadable { place: shown(path), words: format!("cannot read it: {error}") }
}

/// The directory of the saved plans.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plans")
}

/// The root of the workspace. Printed paths are relative to it.
fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// A path in a form that you can pass to `cargo histories` from anywhere in the workspace.
#[must_use]
pub fn shown(path: &Path) -> String {
    path.strip_prefix(workspace()).unwrap_or(path).display().to_string()
}

/// Finds a path from the command line. Cargo runs tests in the package's directory, but users type paths relative to
/// another one.
#[must_use]
pub fn found(path: &Path) -> PathBuf {
    let typed_in = std::env::var_os("PWD").map(PathBuf::from);
    let places = typed_in.iter().map(PathBuf::as_path).chain([workspace()]);
    places.map(|place| place.join(path)).find(|path| path.exists()).unwrap_or_else(|| path.to_owned())
}

/// Where to write a file from the command line.
#[must_use]
pub fn typed(path: &Path) -> PathBuf {
    std::env::var_os("PWD").map_or_else(|| path.to_owned(), |place| PathBuf::from(place).join(path))
}

/// Reads a plan.
///
/// # Errors
/// If the file can't be read, or isn't a plan.
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

/// The files of the saved plans, sorted by name.
///
/// # Errors
/// If the directory can't be read.
pub fn files() -> Result<Vec<PathBuf>, Unreadable> {
    let directory = directory();
    let entries = fs::read_dir(&directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| unreadable(&directory, &error))?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// Saves a plan under its seed. A different plan with the same seed, from before the generator changed, is kept too.
///
/// # Errors
/// If the file can't be written, or an existing one with its name can't be read.
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
        .map_err(|error| Unreadable { place: shown(&path), words: format!("cannot write it: {error}") })?;
    Ok(path)
}

/// Reads a list of seeds: one decimal number per line. Empty lines and comments after `#` are ignored.
///
/// # Errors
/// If the file can't be read, or one of its lines isn't a seed.
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
                "`{seed}` isn't a seed: each line is a decimal number from 0 to {} or a comment after #",
                u64::MAX
            ),
        })?);
    }
    Ok(seeds)
}
