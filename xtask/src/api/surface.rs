//! What of a library can be named from outside.

use super::print;
use super::source::{Crate, Module};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use syn::{Item, ItemImpl, Type, UseTree};

/// Lists a library: each public module's items by name, then implementations, then macros.
pub fn listing(of: &Crate) -> String {
    let mut named = BTreeMap::new();
    walk(&of.root, &of.root, "crate", &mut named);
    let names: BTreeSet<String> =
        named.keys().filter_map(|(_, name)| name.split(' ').next()).map(str::to_owned).collect();
    let (mut blocks, mut macros) = (BTreeSet::new(), BTreeSet::new());
    rest(&of.root, &names, &mut blocks, &mut macros);
    let (mut text, mut module) = (String::new(), "");
    for ((path, _), item) in &named {
        if path != module {
            module = path;
            write_head(&mut text, module);
        }
        text += item;
    }
    for (head, lines) in [("implementations", blocks), ("macros", macros)] {
        if !lines.is_empty() {
            write_head(&mut text, head);
            text.extend(lines);
        }
    }
    text.lines().map(without_body).collect()
}

/// Ends a line that ends in an empty body in a semicolon: bodies are left out.
fn without_body(line: &str) -> String {
    match line.strip_suffix(" {}").filter(|rest| !rest.trim().is_empty()) {
        Some(rest) => format!("{rest};\n"),
        None => format!("{line}\n"),
    }
}

fn write_head(text: &mut String, head: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "\n# {head}\n");
}

/// Prints what `module` offers under `path`.
fn walk(root: &Module, module: &Module, path: &str, named: &mut BTreeMap<(String, String), String>) {
    for item in &module.items {
        match item {
            Item::Use(used) if print::is_public(&used.vis) => {
                for (from, name, renamed) in leaves(&used.tree) {
                    let found = find(root, module, &from).and_then(|module| item_of(module, &name));
                    let text = match found {
                        Some(item) if renamed == name => print::item(item.clone()),
                        _ if renamed == name => format!("pub use {}::{name};\n", from.join("::")),
                        _ => format!("pub use {}::{name} as {renamed};\n", from.join("::")),
                    };
                    named.insert((path.to_owned(), renamed), text);
                }
            }
            other => {
                if let Some(name) = public_name(other) {
                    named.insert((path.to_owned(), name), print::item(other.clone()));
                }
            }
        }
    }
    for (name, (public, inner)) in &module.modules {
        if *public {
            walk(root, inner, &format!("{path}::{name}"), named);
        }
    }
}

/// Finds the module that a path of `use` begins with, from the root or from where it is used.
fn find<'m>(root: &'m Module, here: &'m Module, path: &[String]) -> Option<&'m Module> {
    let (mut at, mut rest) = (here, path);
    match path.first().map(String::as_str) {
        Some("crate") => (at, rest) = (root, &path[1..]),
        Some("self") => rest = &path[1..],
        _ => {}
    }
    for name in rest {
        at = &at.modules.get(name)?.1;
    }
    Some(at)
}

/// Finds an item, through the module's own re-exports.
fn item_of<'m>(module: &'m Module, name: &str) -> Option<&'m Item> {
    let direct = module.items.iter().find(|item| public_name(item).as_deref() == Some(name));
    direct.or_else(|| {
        let uses = module.items.iter().filter_map(|item| match item {
            Item::Use(used) => Some(leaves(&used.tree)),
            _ => None,
        });
        let (from, original, _) = uses.flatten().find(|(_, _, renamed)| renamed == name)?;
        find(module, module, &from).filter(|_| !from.is_empty()).and_then(|inner| item_of(inner, &original))
    })
}

/// Paths, names, and names outside of all that a `use` names.
fn leaves(tree: &UseTree) -> Vec<(Vec<String>, String, String)> {
    match tree {
        UseTree::Path(path) => {
            let mut inner = leaves(&path.tree);
            inner.iter_mut().for_each(|(from, _, _)| from.insert(0, path.ident.to_string()));
            inner
        }
        UseTree::Name(name) => vec![(Vec::new(), name.ident.to_string(), name.ident.to_string())],
        UseTree::Rename(name) => vec![(Vec::new(), name.ident.to_string(), name.rename.to_string())],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
        UseTree::Glob(_) => vec![(Vec::new(), "*".to_owned(), "*".to_owned())],
    }
}

fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    print::is_public(visibility).then(|| name.to_string())
}

/// Collects implementations for what is named, and the macros that may make some, or what is named.
fn rest(
    module: &Module,
    names: &BTreeSet<String>,
    blocks: &mut BTreeSet<String>,
    macros: &mut BTreeSet<String>,
) {
    let is_named = |item: &Item| public_name(item).is_some_and(|name| names.contains(&name));
    let offers = module.items.iter().any(is_named);
    let mut own = Vec::new();
    for item in &module.items {
        match item {
            Item::Impl(block) if concerns(block, names) => {
                blocks.extend(print::implementation(block.clone()));
            }
            Item::Macro(_) => own.push(print::item(item.clone())),
            _ => {}
        }
    }
    let mentions = |text: &String| names.iter().any(|name| text.contains(&format!("pub struct {name} ")));
    if offers || own.iter().any(mentions) || own.iter().any(|text| text.contains("#[macro_export]")) {
        macros.extend(own);
    }
    for (_, inner) in module.modules.values() {
        rest(inner, names, blocks, macros);
    }
}

/// Whether a block is for a type that is named, or of a trait of ours for a type of others.
fn concerns(block: &ItemImpl, names: &BTreeSet<String>) -> bool {
    let last = |path: &syn::Path| path.segments.last().map(|segment| segment.ident.to_string());
    let mut target = &*block.self_ty;
    while let Type::Reference(reference) = target {
        target = &reference.elem;
    }
    let Type::Path(target) = target else { return false };
    let is_named = |path: &syn::Path| last(path).is_some_and(|name| names.contains(&name));
    is_named(&target.path)
}

#[cfg(test)]
mod tests {
    use super::listing;
    use crate::api::source::Crate;

    fn list(text: &str) -> String {
        listing(&Crate::parse(text).expect("a library"))
    }

    const LIBRARY: &str = "
        mod inner {
            /// Documented.
            #[derive(Debug)] #[must_use = \"why\"]
            pub struct Seen { pub field: u64, hidden: u8 }
            pub struct Unseen;
            impl Seen {
                pub fn get(&self) -> u64 { self.field }
                fn private(&self) {}
                const_fn! { /// Makes one.
                    pub fn new() -> Self { todo() } }
            }
            impl Unseen { pub fn no(&self) {} }
            impl Drop for Seen { fn drop(&mut self) {} }
            counters! {
                /// Counted.
                a: b
            }
        }
        pub use inner::Seen;
        pub mod sub { pub trait Do { fn must(&self); fn may(&self) { body() } } pub const N: u64 = 3; }
        fn quiet() {}
        mod apart { sites! { quietly: made } }
    ";

    #[test]
    fn what_can_be_named_is_listed_and_nothing_else() {
        let listing = list(LIBRARY);
        for line in [
            "# crate",
            "pub struct Seen {",
            "    pub field: u64,",
            "    private: (),",
            "    pub fn get(&self) -> u64;",
            "    pub fn new() -> Self;",
            "impl Drop for Seen;",
            "# crate::sub",
            "    fn must(&self);",
            "pub const N: u64 = 3;",
            "#[must_use]",
        ] {
            assert!(listing.lines().any(|found| found == line), "{line} is missing in {listing}");
        }
        for word in ["Unseen", "quiet", "hidden", "Documented", "body", "why", "Counted", "sites"] {
            assert!(!listing.contains(word), "{word} is in {listing}");
        }
        assert!(listing.contains("counters! {"), "{listing}");
    }

    #[test]
    fn a_change_of_the_surface_changes_the_listing_and_a_change_of_a_body_does_not() {
        let changed = LIBRARY.replace("get(&self) -> u64", "get(&self) -> u32");
        assert_ne!(list(LIBRARY), list(&changed));
        let same = LIBRARY.replace("{ self.field }", "{ 7 }").replace("hidden: u8", "hidden: u16");
        assert_eq!(list(LIBRARY), list(&same));
        assert_ne!(list(LIBRARY), list(&LIBRARY.replace("a: b", "a: c")));
    }
}
