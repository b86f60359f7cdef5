//! What a bug's own file says about the frame of code that it shares with others: the values with which it builds it.
//! With them, tests in the shared code come out, too, and what is left is what this bug runs.

use shootdown_machine::Variant;
use std::collections::HashMap;
use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, ExprStruct, File, FnArg, ImplItem, Item, ItemImpl, Lit, Local, Member, Pat, Type};

use super::specialise::specialise;

/// A value that does not change while a model runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// `Trim::Never`: type and name.
    Named(String, String),
}

/// What is known when code is specialised.
#[derive(Clone, Debug)]
pub struct Knowledge {
    /// By place: `policy.trim`, or `waits` for a field of the model itself. `None`: said in two ways.
    places: HashMap<String, Option<Value>>,
    variant: Value,
}

impl Knowledge {
    /// Only the variant is known.
    pub fn of(variant: Variant) -> Self {
        let variant = Value::Named("Variant".to_owned(), format!("{variant:?}"));
        Self { places: HashMap::new(), variant }
    }

    /// Reads the first file of `code`, in which the others are put to use.
    pub fn read(code: &[(&str, &str)], variant: Variant) -> Self {
        let mut knowledge = Self::of(variant);
        let [(_, own), shared @ ..] = code else { return knowledge };
        let Ok(lines) = specialise(own, &knowledge) else { return knowledge };
        let text: String = lines.iter().map(|line| format!("{}\n", line.text)).collect();
        let Ok(file) = syn::parse_file(&text) else { return knowledge };
        let mut uses = Uses::default();
        uses.visit_file(&file);
        for (field, value) in uses.policy {
            knowledge.learn(format!("policy.{field}"), value);
        }
        let shared: Vec<File> = shared.iter().filter_map(|(_, text)| syn::parse_file(text).ok()).collect();
        for (built, arguments) in uses.built {
            let fields = shared.iter().find_map(|file| fields_of(file, &built)).unwrap_or_default();
            for (field, value) in fields.into_iter().zip(arguments) {
                if let (Some(field), Some(value)) = (field, value) {
                    knowledge.learn(field, value);
                }
            }
        }
        knowledge
    }

    /// The value of `variant`, `self.variant`, `self.policy.trim`, `policy.trim` or `self.waits`, if known.
    pub fn value(&self, expr: &Expr) -> Option<&Value> {
        let place = place(expr)?;
        if place == "variant" || place.ends_with(".variant") {
            return Some(&self.variant);
        }
        let field = match place.strip_prefix("self.") {
            Some(field) => field,
            None if place.starts_with("policy.") => &place,
            None => return None,
        };
        self.places.get(field)?.as_ref()
    }

    fn learn(&mut self, place: String, value: Value) {
        let known = self.places.entry(place).or_insert_with(|| Some(value.clone()));
        if known.as_ref() != Some(&value) {
            *known = None;
        }
    }
}

/// Reads a path with two names: `Trim::Never`.
pub fn named(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Path(path) => name(&path.path),
        _ => None,
    }
}

/// Reads the last two names of a path that a variant of an enumeration may have.
pub fn name(path: &syn::Path) -> Option<Value> {
    let mut names = path.segments.iter().rev().map(|segment| segment.ident.to_string());
    let (last, of) = (names.next()?, names.next()?);
    let capital = |name: &str| name.starts_with(char::is_uppercase);
    (capital(&last) && capital(&of)).then_some(Value::Named(of, last))
}

/// `a.b.c` as a text.
fn place(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Paren(inner) => place(&inner.expr),
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Field(field) => match &field.member {
            Member::Named(name) => Some(format!("{}.{name}", place(&field.base)?)),
            Member::Unnamed(_) => None,
        },
        _ => None,
    }
}

/// How a bug's own file uses shared code.
#[derive(Default)]
struct Uses {
    lets: HashMap<String, Value>,
    policy: Vec<(String, Value)>,
    /// Types of which `new` is called, and the arguments.
    built: Vec<(String, Vec<Option<Value>>)>,
}

impl Uses {
    fn constant(&self, expr: &Expr) -> Option<Value> {
        match expr {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Bool(known) => Some(Value::Bool(known.value)),
                _ => None,
            },
            Expr::Path(path) => match path.path.get_ident() {
                Some(name) => self.lets.get(&name.to_string()).cloned(),
                None => named(expr),
            },
            _ => None,
        }
    }
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_local(&mut self, local: &'ast Local) {
        if let (Pat::Ident(name), Some(init)) = (&local.pat, &local.init) {
            if let Some(value) = self.constant(&init.expr) {
                self.lets.insert(name.ident.to_string(), value);
            }
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_struct(&mut self, literal: &'ast ExprStruct) {
        if literal.path.segments.last().is_some_and(|last| last.ident == "Policy") {
            for field in &literal.fields {
                if let (Member::Named(name), Some(value)) = (&field.member, self.constant(&field.expr)) {
                    self.policy.push((name.to_string(), value));
                }
            }
        }
        visit::visit_expr_struct(self, literal);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = call.func.as_ref() {
            let names: Vec<String> = path.path.segments.iter().map(|s| s.ident.to_string()).collect();
            if let [.., of, new] = names.as_slice() {
                if new == "new" {
                    let arguments = call.args.iter().map(|argument| self.constant(argument)).collect();
                    self.built.push((of.clone(), arguments));
                }
            }
        }
        visit::visit_expr_call(self, call);
    }
}

/// For each parameter of `new` of the type called `built`, the field that keeps it unchanged under its own name.
fn fields_of(file: &File, built: &str) -> Option<Vec<Option<String>>> {
    let is_of = |item: &&ItemImpl| {
        item.trait_.is_none() && matches!(&*item.self_ty, Type::Path(path) if path.path.is_ident(built))
    };
    let impls = file.items.iter().filter_map(|item| match item {
        Item::Impl(item) => Some(item),
        _ => None,
    });
    let mut functions = impls.filter(is_of).flat_map(|item| &item.items);
    let new = functions.find_map(|item| match item {
        ImplItem::Fn(function) if function.sig.ident == "new" => Some(function),
        _ => None,
    })?;
    let mut kept = Kept::default();
    kept.visit_block(&new.block);
    let parameter = |argument: &FnArg| match argument {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) => Some(name.ident.to_string()).filter(|name| kept.0.contains(name)),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    };
    Some(new.sig.inputs.iter().map(parameter).collect())
}

/// Fields that a struct literal gets from variables of the same name.
#[derive(Default)]
struct Kept(Vec<String>);

impl<'ast> Visit<'ast> for Kept {
    fn visit_expr_struct(&mut self, literal: &'ast ExprStruct) {
        if literal.path.is_ident("Self") {
            let short = literal.fields.iter().filter(|field| field.colon_token.is_none());
            self.0.extend(short.filter_map(|field| match &field.member {
                Member::Named(name) => Some(name.to_string()),
                Member::Unnamed(_) => None,
            }));
        }
        visit::visit_expr_struct(self, literal);
    }
}

#[cfg(test)]
mod tests {
    use super::Knowledge;
    use crate::museum::specialise::specialise;
    use shootdown_machine::Variant::{self, Broken, Fixed};

    const OWN: &str = "fn model(variant: Variant) -> Shape {
    let trim = if variant == Variant::Broken { Trim::Never } else { Trim::Always };
    Shape::new(Policy { trim, early: variant == Variant::Fixed, cpus: 2 }, Waits::Idly)
}
";
    const SHARED: &str = "impl Shape {
    fn new(policy: Policy, waits: Waits) -> Self {
        Self { policy, waits, late: false }
    }
    fn run(&self, trim: Trim) {
        if self.policy.trim == Trim::Always && self.ready() {
            a();
        }
        if self.policy.early {
            b();
        }
        match self.waits {
            Waits::Idly => c(),
            Waits::Serving if late => d(),
            _ => e(),
        }
        if trim == Trim::Never || self.policy.cpus > 1 {
            f();
        }
    }
}
";

    fn left(own: &str, variant: Variant) -> String {
        let knowledge = Knowledge::read(&[("own.rs", own), ("shared.rs", SHARED)], variant);
        let lines = specialise(SHARED, &knowledge).expect("Rust");
        let body =
            lines.iter().skip(5).map(|line| format!("{}\n", line.text.trim_start())).collect::<String>();
        body.trim_end_matches("}\n").to_owned()
    }

    #[test]
    fn tests_of_what_a_bug_builds_the_shared_code_with_come_out() {
        let rest = "c();\nif trim == Trim::Never || self.policy.cpus > 1 {\nf();\n";
        assert_eq!(left(OWN, Broken), rest);
        assert_eq!(left(OWN, Fixed), format!("if self.ready() {{\na();\n}}\nb();\n{rest}"));
    }

    #[test]
    fn what_is_said_in_two_ways_is_not_known() {
        let twice = format!("{OWN}fn other() -> Policy {{ Policy {{ trim: Trim::Late, early: false }} }}\n");
        let broken = left(&twice, Broken);
        assert!(broken.starts_with("if self.policy.trim == Trim::Always && self.ready() {"), "{broken}");
        assert!(!broken.contains("early"), "{broken}");
    }
}
