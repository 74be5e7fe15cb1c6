//! The files below src as a graph: an arrow from each file to the files that hold what its
//! paths name. A re-export counts as what it stands for, so that a name taken through a
//! parent's `mod.rs` leads to the sibling that holds it; the parent itself does not count.
//! Tests in src do not count either.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use regex::Regex;
use syn::visit::{self, Visit};

/// The names from the crate's root to a module.
type Name = Vec<String>;

/// From each child of a module to its siblings, with one pair of files for each arrow.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// What a module holds of paths, as they are written.
#[derive(Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    /// What `use` brings in: the name here, and the path.
    imports: BTreeMap<String, Name>,
    paths: Vec<Name>,
}

/// The modules of a crate.
#[derive(Default)]
pub struct Crate {
    modules: BTreeMap<Name, Module>,
}

impl Crate {
    /// Reads `lib.rs` in this folder and all files that belong to it.
    pub fn read(src: &Path) -> Self {
        let mut all = Self::default();
        all.add(src, "lib.rs", Name::new());
        all
    }

    /// Adds a file, which is this module, and those of its children.
    fn add(&mut self, src: &Path, file: &str, name: Name) {
        let text = fs::read_to_string(src.join(file)).unwrap();
        let tree = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader {
            file,
            name,
            modules: &mut self.modules,
            files: vec![],
            spelled: Regex::new(r"(?:\w+\s*::\s*)+\w+").unwrap(),
        };
        file.clone_into(&mut reader.module().file);
        reader.visit_file(&tree);
        for name in reader.files {
            let path = name.join("/");
            let file = [format!("{path}.rs"), format!("{path}/mod.rs")]
                .into_iter()
                .find(|file| src.join(file).exists());
            self.add(src, &file.unwrap_or_else(|| panic!("no {path}.rs")), name);
        }
    }

    /// The module that holds what a path of this module names; none outside of the crate.
    fn holder(&self, from: &Name, path: &[String], depth: usize) -> Option<Name> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Name::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            _ => {
                rest = path;
                from.clone()
            }
        };
        let is_bare = rest.len() == path.len();
        let mut known = !is_bare;
        for (index, word) in rest.iter().enumerate() {
            let module = &self.modules[&at];
            if word == "super" {
                at.pop()?;
            } else if module.children.contains(word) {
                at.push(word.clone());
            } else if let (Some(import), true) = (module.imports.get(word), depth < 20) {
                let path: Name = import.iter().chain(&rest[index + 1..]).cloned().collect();
                return self.holder(&at, &path, depth + 1);
            } else {
                break;
            }
            known = true;
        }
        known.then_some(at)
    }

    /// The circles between the children of a module, one for each module: the files that the
    /// arrows lead from and to, an arrow a line.
    pub fn circles(&self) -> Vec<String> {
        let mut folders: BTreeMap<Name, Arrows> = BTreeMap::new();
        for (from, module) in &self.modules {
            for path in &module.paths {
                let Some(to) = self.holder(from, path, 0) else {
                    continue;
                };
                let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let (Some(a), Some(b)) = (from.get(same), to.get(same)) else {
                    continue;
                };
                let files = format!("src/{} -> src/{}", module.file, self.modules[&to].file);
                let siblings = folders.entry(from[..same].to_vec()).or_default();
                let arrows = siblings.entry(a.clone()).or_default();
                arrows.entry(b.clone()).or_insert(files);
            }
        }
        folders.into_values().filter_map(circle).collect()
    }
}

/// One circle of these arrows.
fn circle(mut arrows: Arrows) -> Option<String> {
    // What nothing leads on from is in no circle.
    loop {
        let sources: BTreeSet<String> = arrows.keys().cloned().collect();
        for targets in arrows.values_mut() {
            targets.retain(|to, _| sources.contains(to));
        }
        let before = arrows.len();
        arrows.retain(|_, targets| !targets.is_empty());
        if arrows.len() == before {
            break;
        }
    }
    let mut way = vec![arrows.keys().next()?];
    let start = loop {
        let next = arrows[way[way.len() - 1]].keys().next()?;
        let seen = way.iter().position(|name| *name == next);
        way.push(next);
        if let Some(seen) = seen {
            break seen;
        }
    };
    let mut text = String::new();
    for pair in way[start..].windows(2) {
        let _ = writeln!(text, "{}", arrows[pair[0]][pair[1]]);
    }
    Some(text)
}

/// Reads a file's modules, those in braces included.
struct Reader<'a> {
    file: &'a str,
    name: Name,
    modules: &'a mut BTreeMap<Name, Module>,
    /// The modules that have files of their own.
    files: Vec<Name>,
    /// A path in a macro's tokens or an attribute's string.
    spelled: Regex,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        self.modules.entry(self.name.clone()).or_default()
    }

    fn spelled(&mut self, tokens: &str) {
        let found = self.spelled.find_iter(tokens);
        let found = found.map(|path| path.as_str().split("::").map(|word| word.trim().to_owned()));
        let found: Vec<Name> = found.map(Iterator::collect).collect();
        self.module().paths.extend(found);
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (name, path) = match tree {
            syn::UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(tree, before));
            }
            syn::UseTree::Glob(_) => return self.module().paths.push(before.to_vec()),
            // `use a::{self}`
            syn::UseTree::Name(name) if name.ident == "self" => {
                (before.last().unwrap().clone(), before.to_vec())
            }
            syn::UseTree::Name(name) => (name.ident.to_string(), with(&name.ident)),
            syn::UseTree::Rename(name) => (name.rename.to_string(), with(&name.ident)),
        };
        let module = self.module();
        module.paths.push(path.clone());
        // `use tokio;` and the like would lead back to themselves.
        if path.len() > 1 {
            module.imports.insert(name, path);
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_item(&mut self, item: &'a syn::Item) {
        let attributes = match item {
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        let child = item.ident.to_string();
        self.module().children.insert(child.clone());
        self.name.push(child);
        if item.content.is_some() {
            let file = self.file;
            file.clone_into(&mut self.module().file);
            visit::visit_item_mod(self, item);
        } else {
            self.files.push(self.name.clone());
        }
        self.name.pop();
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let words = path.segments.iter().map(|word| word.ident.to_string());
            let words = words.collect();
            self.module().paths.push(words);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.spelled(&call.tokens.to_string());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'a syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.spelled(&list.tokens.to_string());
        }
        visit::visit_attribute(self, attribute);
    }
}

/// `#[cfg(test)]`.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    let is_test = |list: &syn::MetaList| list.tokens.to_string() == "test";
    attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(is_test)
}

#[test]
fn a_circle_is_found_through_re_exports_macros_attributes_and_folders() {
    let cases = [
        (
            "use crate::b::{self, B as Other};",
            "pub struct B(crate::a::A);",
            "src/a.rs -> src/b/mod.rs\nsrc/b/mod.rs -> src/a.rs\n",
        ),
        (
            "use super::Inner;",
            "mod inner { fn text() { format!(\"{}\", super::super::a::X); } }",
            "src/a.rs -> src/b/c.rs\nsrc/b/mod.rs -> src/a.rs\n",
        ),
        (
            "const _: u8 = crate::b::c::Y;",
            "#[serde(with = \"crate::a::text\")] struct B;",
            "src/a.rs -> src/b/c.rs\nsrc/b/mod.rs -> src/a.rs\n",
        ),
        ("use crate::b::B;", "#[cfg(test)] use crate::a;", ""),
        ("use std::fmt;", "use crate::{a::A, Inner};", ""),
    ];
    for (a, b, expected) in cases {
        let src = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(src.path().join(file), text).unwrap();
        fs::create_dir(src.path().join("b")).unwrap();
        write("lib.rs", "mod a; mod b; use b::c::Inner;");
        write("a.rs", a);
        write("b/mod.rs", &format!("pub mod c; {b}"));
        write("b/c.rs", "pub struct Inner; pub const Y: u8 = 1;");
        assert_eq!(Crate::read(src.path()).circles().concat(), expected);
    }
}
