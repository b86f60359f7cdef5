//! Which conditions and patterns are tests of the variant, and how they come out.

use proc_macro2::Span;
use shootdown_machine::Variant;
use syn::spanned::Spanned as _;
use syn::{BinOp, Expr, Pat, Path, UnOp};

/// Says how `condition` comes out where the variant alone decides it.
pub fn condition(condition: &Expr, variant: Variant) -> Option<bool> {
    match condition {
        Expr::Paren(inner) => self::condition(&inner.expr, variant),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
            self::condition(&unary.expr, variant).map(|known| !known)
        }
        Expr::Binary(binary) => {
            let sides = || (self::condition(&binary.left, variant), self::condition(&binary.right, variant));
            match binary.op {
                BinOp::Eq(_) => equal(&binary.left, &binary.right, variant),
                BinOp::Ne(_) => equal(&binary.left, &binary.right, variant).map(|known| !known),
                BinOp::And(_) => match sides() {
                    (Some(false), _) => Some(false),
                    (Some(true), known) => known,
                    (None, _) => None,
                },
                BinOp::Or(_) => match sides() {
                    (Some(true), _) => Some(true),
                    (Some(false), known) => known,
                    (None, _) => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// Says whether `pattern` takes the variant; `None` where that cannot be read off it.
pub fn pattern(pattern: &Pat, variant: Variant) -> Option<bool> {
    match pattern {
        Pat::Wild(_) => Some(true),
        Pat::Paren(inner) => self::pattern(&inner.pat, variant),
        Pat::Path(path) => named(&path.path).map(|named| named == variant),
        Pat::Or(cases) => cases.cases.iter().try_fold(false, |any, case| {
            let one = self::pattern(case, variant)?;
            Some(any || one)
        }),
        _ => None,
    }
}

/// Whether `expr` is the variant: `variant`, `self.variant`, `policy.variant`.
pub fn is_variant(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => is_variant(&inner.expr),
        Expr::Path(path) => path.path.is_ident("variant"),
        Expr::Field(field) => matches!(&field.member, syn::Member::Named(name) if name == "variant"),
        _ => false,
    }
}

/// The part of `a && b` or `a || b` that is left where the other part has no say: the span of the whole is to become
/// the part's.
pub fn remainder(expr: &Expr, variant: Variant) -> Option<(&Expr, Span)> {
    let Expr::Binary(binary) = expr else { return None };
    let neutral = match binary.op {
        BinOp::And(_) => true,
        BinOp::Or(_) => false,
        _ => return None,
    };
    let left = condition(&binary.left, variant);
    let right = condition(&binary.right, variant);
    let rest = match (left, right) {
        (Some(known), None) if known == neutral => &binary.right,
        (None, Some(known)) if known == neutral => &binary.left,
        _ => return None,
    };
    Some((rest, expr.span()))
}

fn equal(left: &Expr, right: &Expr, variant: Variant) -> Option<bool> {
    let name = |expr: &Expr| match expr {
        Expr::Path(path) => named(&path.path),
        _ => None,
    };
    match (is_variant(left), is_variant(right)) {
        (true, false) => name(right).map(|named| named == variant),
        (false, true) => name(left).map(|named| named == variant),
        _ => None,
    }
}

/// The variant that a path names: `Variant::Broken`.
fn named(path: &Path) -> Option<Variant> {
    let mut segments = path.segments.iter().rev();
    let last = segments.next()?;
    if segments.next()?.ident != "Variant" {
        return None;
    }
    match last.ident.to_string().as_str() {
        "Broken" => Some(Variant::Broken),
        "Fixed" => Some(Variant::Fixed),
        "Shipped" => Some(Variant::Shipped),
        _ => None,
    }
}
