//! Which conditions and patterns test something that is known, and how they come out.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::{BinOp, Expr, Pat, UnOp};

use super::policy::{self, Knowledge, Value};

/// Says how `condition` comes out where what is known decides it.
pub fn condition(condition: &Expr, knowledge: &Knowledge) -> Option<bool> {
    match condition {
        Expr::Paren(inner) => self::condition(&inner.expr, knowledge),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
            self::condition(&unary.expr, knowledge).map(|known| !known)
        }
        Expr::Binary(binary) => {
            let sides =
                || (self::condition(&binary.left, knowledge), self::condition(&binary.right, knowledge));
            match binary.op {
                BinOp::Eq(_) => equal(&binary.left, &binary.right, knowledge),
                BinOp::Ne(_) => equal(&binary.left, &binary.right, knowledge).map(|known| !known),
                BinOp::And(_) => match sides() {
                    (Some(false), _) => Some(false),
                    (Some(true), known) => known,
                    (None, known) => known.filter(|known| !known && is_quiet(&binary.left)),
                },
                BinOp::Or(_) => match sides() {
                    (Some(true), _) => Some(true),
                    (Some(false), known) => known,
                    (None, known) => known.filter(|known| *known && is_quiet(&binary.left)),
                },
                _ => None,
            }
        }
        Expr::Path(_) | Expr::Field(_) => match knowledge.value(condition) {
            Some(Value::Bool(known)) => Some(*known),
            _ => None,
        },
        _ => None,
    }
}

/// Says whether `pattern` takes `value`; `None` where that cannot be read off it.
pub fn pattern(pattern: &Pat, value: &Value) -> Option<bool> {
    match pattern {
        Pat::Wild(_) => Some(true),
        Pat::Paren(inner) => self::pattern(&inner.pat, value),
        Pat::Path(path) => policy::name(&path.path).map(|named| named == *value),
        // A guard can only refuse what the pattern takes.
        Pat::Guard(guarded) => self::pattern(&guarded.pat, value).filter(|taken| !taken),
        Pat::Or(cases) => cases.cases.iter().try_fold(false, |any, case| {
            let one = self::pattern(case, value)?;
            Some(any || one)
        }),
        _ => None,
    }
}

/// Whether evaluating `expr` does nothing but have a value, so that nothing is missed where it does not matter.
fn is_quiet(expr: &Expr) -> bool {
    match expr {
        Expr::Path(_) | Expr::Lit(_) => true,
        Expr::Paren(inner) => is_quiet(&inner.expr),
        Expr::Field(field) => is_quiet(&field.base),
        Expr::Unary(unary) => is_quiet(&unary.expr),
        Expr::Binary(binary) => is_quiet(&binary.left) && is_quiet(&binary.right),
        _ => false,
    }
}

/// The part of `a && b` or `a || b` that is left where the other part has no say: the span of the whole is to become
/// the part's.
pub fn remainder<'a>(expr: &'a Expr, knowledge: &Knowledge) -> Option<(&'a Expr, Span)> {
    let Expr::Binary(binary) = expr else { return None };
    let neutral = match binary.op {
        BinOp::And(_) => true,
        BinOp::Or(_) => false,
        _ => return None,
    };
    let left = condition(&binary.left, knowledge);
    let right = condition(&binary.right, knowledge);
    let rest = match (left, right) {
        (Some(known), None) if known == neutral => &binary.right,
        (None, Some(known)) if known == neutral => &binary.left,
        _ => return None,
    };
    Some((rest, expr.span()))
}

fn equal(left: &Expr, right: &Expr, knowledge: &Knowledge) -> Option<bool> {
    let one = |place: &Expr, value: &Expr| {
        let named = policy::named(value)?;
        knowledge.value(place).map(|known| *known == named)
    };
    one(left, right).or_else(|| one(right, left))
}
