//! Embeds the built page (`web/dist`, created by `npm run build` in `web/`) into the function.
//!
//! You don't need npm to build the Rust code: without a built page, a development build still compiles, and the
//! function says what's missing. A release build, which is what you deploy, fails instead.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const MISSING: &str = "web/dist is missing, because the settings page hasn't been built. Run `npm ci && npm run build` \
                       in web/ first.";

fn main() -> Result<(), Box<dyn Error>> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../web/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &mut files)?;
    } else if env::var("PROFILE")? == "release" {
        println!("cargo::error={MISSING}");
    } else {
        println!("cargo::warning={MISSING}");
    }
    files.sort();
    let mut code = "pub(crate) const FILES: &[File] = &[\n".to_owned();
    for file in files {
        let name = file.strip_prefix(&dist)?.to_string_lossy().replace('\\', "/");
        let content = |suffix: &str| {
            let path = PathBuf::from(format!("{}{suffix}", file.display()));
            path.is_file().then(|| path.canonicalize().map(|path| path.display().to_string())).transpose()
        };
        let compressed = |suffix: &str| -> Result<String, Box<dyn Error>> {
            Ok(content(suffix)?
                .map_or_else(|| "None".to_owned(), |path| format!("Some(include_bytes!({path:?}))")))
        };
        // A compressed file is embedded in compressed form only, except for the page itself, which is small.
        let plain = if content(".gz")?.is_none() || name == "index.html" {
            compressed("")?
        } else {
            "None".to_owned()
        };
        let (brotli, gzip) = (compressed(".br")?, compressed(".gz")?);
        writeln!(code, "    File {{ path: {name:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }},")?;
    }
    code.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("files.rs"), code)?;
    Ok(())
}

/// Every file in a folder and its subfolders, without the compressed copies.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_copy = path.extension().is_some_and(|extension| extension == "br" || extension == "gz");
        if path.is_dir() {
            collect(&path, files)?;
        } else if !is_copy {
            files.push(path);
        }
    }
    Ok(())
}
