//! The texts of all third-party licenses.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use super::packages::Package;
use crate::{files::Workspace, process::said};

/// One text after another, each with the packages that it belongs to.
pub(super) fn texts(workspace: &Workspace, packages: &[Package]) -> anyhow::Result<String> {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut bare = Vec::new();
    let of_page = page(workspace)?;
    let all =
        packages.iter().map(|p| (format!("{} {} ({})", p.name, p.version, p.license), p.folder.clone()));
    for (name, folder) in all.chain(of_page) {
        let texts = in_folder(&folder)?;
        if texts.is_empty() {
            bare.push(name.clone());
        }
        for text in texts {
            owners.entry(text).or_default().push(name.clone());
        }
    }
    let mut document = String::new();
    if !bare.is_empty() {
        writeln!(
            document,
            "These packages name their license, and contain no text of it:\n\n{}\n",
            bare.join("\n")
        )?;
    }
    for (text, owners) in owners {
        writeln!(document, "{}\n{}\n\n{}\n", "=".repeat(100), owners.join("\n"), text.trim_end())?;
    }
    Ok(document)
}

/// The page's packages with their folders.
fn page(workspace: &Workspace) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut npm = Command::new("npm");
    npm.current_dir(workspace.path("web")).args(["ls", "--omit", "dev", "--all", "--parseable", "--long"]);
    // One line for each: the folder, then the name with the version.
    let lines = String::from_utf8(said(&mut npm)?).context("npm's output isn't text")?;
    let line = |line: &str| {
        let (folder, rest) = line.split_once(':')?;
        let name = rest.split(':').next()?;
        folder.contains("/node_modules/").then(|| (name.to_owned(), PathBuf::from(folder)))
    };
    Ok(lines.lines().filter_map(line).collect())
}

fn in_folder(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file()
            && ["LICENSE", "LICENCE", "NOTICE", "COPYING"].iter().any(|start| name.starts_with(start))
        {
            texts.push(String::from_utf8_lossy(&fs::read(path)?).into_owned());
        }
    }
    texts.sort();
    Ok(texts)
}
