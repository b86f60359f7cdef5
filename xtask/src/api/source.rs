//! The modules of a library, as its documentation has them: without tests, checkers and other machines' halves.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

/// A library.
pub struct Crate {
    /// The module at its root.
    pub root: Module,
}

/// A module.
#[derive(Default)]
pub struct Module {
    /// Its items, other modules apart.
    pub items: Vec<Item>,
    /// Modules inside, and whether they are public.
    pub modules: BTreeMap<String, (bool, Module)>,
}

impl Crate {
    /// Reads a library from the file of its root.
    ///
    /// # Errors
    /// A file cannot be read or is no Rust.
    pub fn read(root: &Path) -> Result<Self> {
        let folder = root.parent().unwrap_or(root).to_path_buf();
        Ok(Self { root: module_of_file(root, &folder)? })
    }

    /// Reads a library from text, for tests.
    #[cfg(test)]
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { root: module(syn::parse_file(text)?.items, Path::new(""))? })
    }
}

fn module_of_file(file: &Path, folder: &Path) -> Result<Module> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
    module(parsed.items, folder)
}

/// Sorts items; modules without a body are files in `folder`.
fn module(items: Vec<Item>, folder: &Path) -> Result<Module> {
    let mut found = Module::default();
    for item in items {
        if !attributes(&item).is_none_or(is_compiled) {
            continue;
        }
        let Item::Mod(inner) = item else {
            found.items.push(item);
            continue;
        };
        let (name, inside) = (inner.ident.to_string(), folder.join(inner.ident.to_string()));
        let public = matches!(inner.vis, syn::Visibility::Public(_));
        let inner = match inner.content {
            Some((_, items)) => module(items, &inside)?,
            None => {
                let files: [PathBuf; 2] = [folder.join(format!("{name}.rs")), inside.join("mod.rs")];
                let file = files.iter().find(|file| file.exists());
                module_of_file(file.with_context(|| format!("no file for module {name}"))?, &inside)?
            }
        };
        found.modules.insert(name, (public, inner));
    }
    Ok(found)
}

/// The attributes of an item that may have any.
pub fn attributes(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

/// Whether documentation for all hosts and with all features has what these attributes stand on.
pub fn is_compiled(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.into_iter().all(|attribute| attribute.parse_args::<Meta>().is_ok_and(|meta| holds(&meta)))
}

fn holds(condition: &Meta) -> bool {
    let inner = |list: &syn::MetaList| {
        let parsed = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        parsed.map(|inner| inner.iter().map(holds).collect::<Vec<_>>()).unwrap_or_default()
    };
    match condition {
        Meta::Path(path) => path.is_ident("doc"),
        Meta::NameValue(pair) => pair.path.is_ident("feature") || pair.path.is_ident("target_has_atomic"),
        Meta::List(list) if list.path.is_ident("any") => inner(list).contains(&true),
        Meta::List(list) if list.path.is_ident("all") => !inner(list).contains(&false),
        Meta::List(list) if list.path.is_ident("not") => inner(list) == [false],
        Meta::List(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Crate;

    #[test]
    fn only_what_documentation_has_is_read() {
        let text = "#[cfg(test)] mod tests { pub fn a() {} }\n#[cfg(any(target_arch = \"x\", doc))] pub mod hw { pub \
                    fn b() {} }\n#[cfg(shootdown_loom)] fn c() {}\n#[cfg(not(shootdown_loom))] fn d() {}\n#[cfg(all(\
                    feature = \"f\", not(test)))] fn e() {}";
        let read = Crate::parse(text).expect("a library");
        assert_eq!(read.root.modules.keys().collect::<Vec<_>>(), ["hw"]);
        assert!(read.root.modules["hw"].0);
        assert_eq!(read.root.items.len(), 2, "{:?}", read.root.items.len());
    }
}
