//! The packages that the functions are made from, as Cargo resolves them for Lambda.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    path::PathBuf,
    process::Command,
};

use anyhow::Context as _;
use serde::Deserialize;

use crate::{cargo::as_in_a_shell, files::Workspace, process::said};

/// Lambda's platform.
const PLATFORM: &str = "aarch64-unknown-linux-gnu";

/// A third-party package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) license: String,
    /// Where its source is.
    pub(super) folder: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Described {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Resolved>,
}

#[derive(Deserialize)]
struct Resolved {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` for what becomes part of the program.
    kind: Option<String>,
}

/// The third-party packages in the programs with these names.
pub(super) fn of(workspace: &Workspace, programs: &[&str]) -> anyhow::Result<Vec<Package>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = as_in_a_shell(Command::new(cargo));
    command.current_dir(workspace.path(""));
    command.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM]);
    let metadata: Metadata =
        serde_json::from_slice(&said(&mut command)?).context("cargo metadata isn't as expected")?;
    Ok(inside(&metadata, programs))
}

fn inside(metadata: &Metadata, programs: &[&str]) -> Vec<Package> {
    let nodes: BTreeMap<&str, &Resolved> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let is_program =
        |package: &&Described| package.source.is_none() && programs.contains(&package.name.as_str());
    let mut next: Vec<&str> =
        metadata.packages.iter().filter(is_program).map(|package| package.id.as_str()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let is_inside =
            |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        next.extend(dependencies.filter(is_inside).map(|dependency| dependency.pkg.as_str()));
    }
    let third_party = metadata.packages.iter().filter(|p| p.source.is_some() && seen.contains(p.id.as_str()));
    let mut packages: Vec<_> = third_party
        .map(|found| Package {
            name: found.name.clone(),
            version: found.version.clone(),
            license: found.license.clone().unwrap_or_default(),
            folder: found.manifest_path.parent().map(PathBuf::from).unwrap_or_default(),
        })
        .collect();
    packages.sort();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_becomes_part_of_a_program_is_listed() {
        let metadata = serde_json::from_str(
            r#"{"packages": [
                {"id": "a", "name": "api", "version": "1.0.0", "license": null, "source": null, "manifest_path": "/a/Cargo.toml"},
                {"id": "t", "name": "tool", "version": "1.0.0", "license": null, "source": null, "manifest_path": "/t/Cargo.toml"},
                {"id": "s", "name": "serde", "version": "1.0.2", "license": "MIT", "source": "registry", "manifest_path": "/s/Cargo.toml"},
                {"id": "c", "name": "cc", "version": "1.0.3", "license": "MIT", "source": "registry", "manifest_path": "/c/Cargo.toml"},
                {"id": "p", "name": "clap", "version": "4.0.0", "license": "MIT", "source": "registry", "manifest_path": "/p/Cargo.toml"}
            ], "resolve": {"nodes": [
                {"id": "a", "deps": [{"pkg": "s", "dep_kinds": [{"kind": null}]}, {"pkg": "c", "dep_kinds": [{"kind": "build"}]}]},
                {"id": "t", "deps": [{"pkg": "p", "dep_kinds": [{"kind": null}]}]},
                {"id": "s", "deps": []}, {"id": "c", "deps": []}, {"id": "p", "deps": []}
            ]}}"#,
        );
        let packages = inside(&metadata.unwrap(), &["api"]);
        let serde = Package {
            name: "serde".to_owned(),
            version: "1.0.2".to_owned(),
            license: "MIT".to_owned(),
            folder: PathBuf::from("/s"),
        };
        assert_eq!(packages, [serde]);
    }
}
