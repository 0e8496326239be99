//! The software bills of materials, as the `CycloneDX` project defines them.

use std::process::Command;

use anyhow::Context as _;
use cyclonedx_bom::{
    external_models::{spdx::SpdxExpression, uri::Purl},
    models::{
        bom::Bom,
        component::{Classification, Component, Components},
        license::{LicenseChoice, Licenses},
    },
};

use super::packages::Package;
use crate::{files::Workspace, process::said};

/// What is in the functions, except for the page.
pub(super) fn of_functions(packages: &[Package]) -> anyhow::Result<Vec<u8>> {
    let mut components = Vec::new();
    for Package { name, version, license, .. } in packages {
        let purl = Purl::new("cargo", name, version).with_context(|| format!("{name} {version}"))?;
        let mut component = Component::new(Classification::Library, name, version, Some(purl.to_string()));
        component.licenses = Some(Licenses(vec![LicenseChoice::Expression(SpdxExpression::new(license))]));
        component.purl = Some(purl);
        components.push(component);
    }
    let bom = Bom { components: Some(Components(components)), ..Bom::default() };
    let mut json = Vec::new();
    bom.output_as_json_v1_5(&mut json).context("cannot write the bill of materials")?;
    Ok(json)
}

/// What is in the page, according to npm.
pub(super) fn of_page(workspace: &Workspace) -> anyhow::Result<Vec<u8>> {
    let mut npm = Command::new("npm");
    npm.current_dir(workspace.path("web"));
    npm.args(["sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only"]);
    said(&mut npm)
}
