//! The modules of every crate form layers: no module uses one that uses it, directly or indirectly. And no test is where
//! nothing runs it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use syn::{Attribute, Item, UseTree, visit::Visit};

/// The name of a module, from the root of its crate.
type Name = Vec<String>;

#[derive(Debug, Default)]
struct Module {
    children: BTreeSet<String>,
    /// What the module re-exports: the name, and the path to it.
    reexports: BTreeMap<String, Vec<String>>,
    /// The paths in its code.
    paths: BTreeSet<Vec<String>>,
}

#[derive(Debug, Default)]
struct Crate(BTreeMap<Name, Module>);

impl Crate {
    /// Reads a module and all its submodules.
    fn read(&mut self, file: &Path, directory: &Path, name: &Name) {
        let parsed = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        let mut module = Module::default();
        for item in parsed.items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(child) if child.content.is_none() => {
                    let child = child.ident.to_string();
                    let below = directory.join(&child);
                    let file = [directory.join(format!("{child}.rs")), below.join("mod.rs")];
                    let file = file.into_iter().find(|file| file.is_file()).unwrap();
                    self.read(&file, &below, &[name.as_slice(), std::slice::from_ref(&child)].concat());
                    module.children.insert(child);
                }
                Item::Use(used) => {
                    let mut paths = Vec::new();
                    flatten(&used.tree, &mut Vec::new(), &mut paths);
                    let is_private = matches!(used.vis, syn::Visibility::Inherited);
                    for (path, seen_as) in paths {
                        if is_private {
                            module.paths.insert(path);
                        } else {
                            module.reexports.insert(seen_as, path);
                        }
                    }
                }
                item => Paths(&mut module.paths).visit_item(item),
            }
        }
        self.0.insert(name.clone(), module);
    }

    /// The module that defines the item at a path, as seen from a module.
    fn resolve(&self, from: &Name, path: &[String]) -> Option<Name> {
        let mut segments = path.iter().peekable();
        let mut at = match segments.peek()?.as_str() {
            "crate" => Name::new(),
            "super" | "self" => from.clone(),
            child if self.0[from].children.contains(child) => from.clone(),
            _ => return None,
        };
        while let Some(segment) = segments.next() {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => {
                    at.pop()?;
                }
                name if self.0[&at].children.contains(name) => at.push(name.to_owned()),
                name => {
                    let Some(reexport) = self.0[&at].reexports.get(name) else { break };
                    let rest: Vec<_> = segments.cloned().collect();
                    return self.resolve(&at, &[reexport.as_slice(), &rest].concat());
                }
            }
        }
        Some(at)
    }

    /// The modules that can't be put into layers, with the modules that they use.
    fn cycles(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        let edges = |(name, module): (&Name, &Module)| {
            let used = module.paths.iter().filter_map(|path| self.resolve(name, path));
            (name.clone(), used.filter(|used| used != name).collect::<BTreeSet<_>>())
        };
        let mut left: BTreeMap<_, _> = self.0.iter().map(edges).collect();
        loop {
            let names: BTreeSet<_> = left.keys().cloned().collect();
            let needed: BTreeSet<_> = left.values().flatten().cloned().collect();
            left.retain(|name, _| needed.contains(name));
            for uses in left.values_mut() {
                uses.retain(|name| names.contains(name));
            }
            left.retain(|_, uses| !uses.is_empty());
            if left.len() == names.len() {
                return left;
            }
        }
    }
}

/// Collects the paths in code.
struct Paths<'a>(&'a mut BTreeSet<Vec<String>>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(crate)` uses nothing.
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }
}

fn flatten(tree: &UseTree, before: &mut Vec<String>, paths: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, paths);
            before.pop();
        }
        UseTree::Name(name) => {
            let path = [before.as_slice(), &[name.ident.to_string()]].concat();
            paths.push((path, name.ident.to_string()));
        }
        UseTree::Rename(rename) => {
            let path = [before.as_slice(), &[rename.ident.to_string()]].concat();
            paths.push((path, rename.rename.to_string()));
        }
        UseTree::Glob(_) => paths.push((before.clone(), "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, paths)),
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |list: &syn::MetaList| list.tokens.to_string() == "test";
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => is_test(list),
        _ => false,
    })
}

/// The root files of every crate in the workspace.
fn roots() -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates = vec![workspace.join("local"), workspace.join("model")];
    for group in ["shared", "functions"] {
        let entries = fs::read_dir(workspace.join(group)).unwrap();
        crates.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    }
    let mut roots: Vec<_> =
        crates.iter().flat_map(|path| [path.join("src/lib.rs"), path.join("src/main.rs")]).collect();
    roots.retain(|root| root.is_file());
    roots.sort();
    roots
}

fn check(root: &Path) -> Option<String> {
    let mut of = Crate::default();
    of.read(root, root.parent().unwrap(), &Name::new());
    let cycles = of.cycles();
    let line = |(name, uses): (Name, BTreeSet<Name>)| {
        let uses: Vec<_> = uses.iter().map(|name| format!("crate::{}", name.join("::"))).collect();
        format!("  crate::{} uses {}", name.join("::"), uses.join(", "))
    };
    (!cycles.is_empty()).then(|| {
        let lines: Vec<_> = cycles.into_iter().map(line).collect();
        format!("{}:\n{}", root.display(), lines.join("\n"))
    })
}

#[test]
fn no_module_uses_one_that_uses_it() {
    let roots = roots();
    assert!(roots.len() > 15, "every crate is checked: {roots:?}");
    let cycles: Vec<_> = roots.iter().filter_map(|root| check(root)).collect();
    assert!(cycles.is_empty(), "modules in cycles:\n{}", cycles.join("\n"));
}

#[test]
fn a_cycle_through_a_reexport_is_found() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-cycle");
    fs::create_dir_all(directory.join("facade")).unwrap();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("lib.rs", "mod facade; mod other; mod alone;");
    write("facade.rs", "mod inner; pub(crate) use inner::Thing;");
    write("facade/inner.rs", "pub(crate) struct Thing; fn f() { crate::other::g() }");
    write("other.rs", "use crate::facade::Thing; pub(crate) fn g() { crate::alone::h() }");
    write("alone.rs", "pub(crate) fn h() {} #[cfg(test)] mod tests { use crate::other; }");
    let found = check(&directory.join("lib.rs")).unwrap();
    assert!(found.contains("crate::other uses crate::facade::inner"), "{found}");
    assert!(found.contains("crate::facade::inner uses crate::other"), "{found}");
    assert!(!found.contains("alone"), "{found}");
}

#[test]
fn every_test_is_in_a_target_that_runs_it() {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    let untested: Vec<_> = targets
        .filter(|target| target["test"] == false && matches!(target["kind"][0].as_str(), Some("lib" | "bin")))
        .map(|target| Path::new(target["src_path"].as_str().unwrap()))
        .collect();
    assert_eq!(untested.len(), 11, "ten functions' main.rs, and the model: {untested:?}");
    for root in untested {
        let files =
            if root.ends_with("lib.rs") { files(root.parent().unwrap()) } else { vec![root.to_owned()] };
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(
                !text.contains("#[cfg(test)]") && !text.contains("#[test]"),
                "{} has a test",
                file.display()
            );
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
