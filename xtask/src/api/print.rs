//! One item as the listing has it: without documentation, bodies and what is private.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::{Attribute, Fields, ImplItem, Item, Visibility, parse_quote};

/// Whether an item or a part of one is public.
pub fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Prints an item; nothing of one that has no place in the listing.
pub fn item(mut item: Item) -> String {
    match &mut item {
        Item::Fn(item) => {
            strip(&mut item.attrs);
            *item.block = parse_quote!({});
        }
        Item::Struct(item) => {
            strip(&mut item.attrs);
            hide(&mut item.fields);
        }
        Item::Enum(item) => {
            strip(&mut item.attrs);
            for variant in &mut item.variants {
                strip(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| strip(&mut field.attrs));
            }
        }
        Item::Trait(item) => {
            strip(&mut item.attrs);
            for part in &mut item.items {
                trait_item(part);
            }
        }
        Item::Const(item) => strip(&mut item.attrs),
        Item::Static(item) => strip(&mut item.attrs),
        Item::Type(item) => strip(&mut item.attrs),
        Item::Macro(item) => {
            strip(&mut item.attrs);
            item.mac.tokens = undocumented(std::mem::take(&mut item.mac.tokens));
        }
        Item::Use(item) => strip(&mut item.attrs),
        Item::Impl(item) => strip(&mut item.attrs),
        _ => return String::new(),
    }
    let file = syn::File { shebang: None, frontmatter: None, attrs: Vec::new(), items: vec![item] };
    prettyplease::unparse(&file)
}

/// Prints the part of an inherent `impl` that others see, or only the head of one of a trait.
pub fn implementation(mut block: syn::ItemImpl) -> Option<String> {
    if block.trait_.is_some() {
        block.items.retain(|part| matches!(part, ImplItem::Type(_)));
    } else {
        block.items = block.items.into_iter().filter_map(visible).collect();
        if block.items.is_empty() {
            return None;
        }
    }
    Some(item(Item::Impl(block)))
}

/// A part of an inherent `impl`, if others see it. What a macro wraps that only adds `const` is read through it.
fn visible(part: ImplItem) -> Option<ImplItem> {
    match part {
        ImplItem::Fn(mut function) if is_public(&function.vis) => {
            if !super::source::is_compiled(&function.attrs) {
                return None;
            }
            strip(&mut function.attrs);
            function.block = parse_quote!({});
            Some(ImplItem::Fn(function))
        }
        ImplItem::Const(mut constant) if is_public(&constant.vis) => {
            strip(&mut constant.attrs);
            Some(ImplItem::Const(constant))
        }
        ImplItem::Macro(call) => visible(syn::parse2(call.mac.tokens).ok()?),
        _ => None,
    }
}

fn trait_item(part: &mut syn::TraitItem) {
    match part {
        syn::TraitItem::Fn(function) => {
            strip(&mut function.attrs);
            // A body says that there is a default.
            if function.default.is_some() {
                function.default = Some(parse_quote!({}));
            }
        }
        syn::TraitItem::Type(part) => strip(&mut part.attrs),
        syn::TraitItem::Const(part) => strip(&mut part.attrs),
        _ => {}
    }
}

/// Leaves the attributes that callers notice.
fn strip(attributes: &mut Vec<Attribute>) {
    const SEEN: [&str; 6] = ["derive", "non_exhaustive", "repr", "must_use", "macro_export", "deprecated"];
    attributes.retain(|attribute| SEEN.iter().any(|name| attribute.path().is_ident(name)));
    for attribute in attributes {
        if attribute.path().is_ident("must_use") {
            *attribute = parse_quote!(#[must_use]);
        }
    }
}

/// Takes private fields away, and leaves a sign that there are some.
fn hide(fields: &mut Fields) {
    match fields {
        Fields::Named(named) => {
            let all = named.named.len();
            named.named =
                std::mem::take(&mut named.named).into_iter().filter(|field| is_public(&field.vis)).collect();
            if named.named.len() < all {
                named.named.push(parse_quote!(private: ()));
            }
        }
        Fields::Unnamed(unnamed) => {
            for field in unnamed.unnamed.iter_mut().filter(|field| !is_public(&field.vis)) {
                field.ty = parse_quote!(private);
                field.vis = Visibility::Inherited;
            }
        }
        Fields::Unit => {}
    }
    fields.iter_mut().for_each(|field| strip(&mut field.attrs));
}

/// Takes documentation out of a macro's tokens: `#` and a group that begins with `doc`.
fn undocumented(tokens: TokenStream) -> TokenStream {
    let (mut kept, mut tokens) = (Vec::new(), tokens.into_iter().peekable());
    while let Some(token) = tokens.next() {
        let is_sharp = matches!(&token, TokenTree::Punct(sign) if sign.as_char() == '#');
        let is_doc = |next: &TokenTree| match next {
            TokenTree::Group(group) => group.stream().to_string().starts_with("doc "),
            _ => false,
        };
        if is_sharp && tokens.next_if(is_doc).is_some() {
            continue;
        }
        kept.push(match token {
            TokenTree::Group(group) => Group::new(group.delimiter(), undocumented(group.stream())).into(),
            other => other,
        });
    }
    kept.into_iter().collect()
}
