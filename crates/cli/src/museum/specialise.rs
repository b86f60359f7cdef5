//! Reads a model's source and leaves of it what one variant runs: tests of what is known are decided, and what remains
//! keeps its comments and its layout.

use proc_macro2::Span;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprIf, ExprMatch, ItemConst, PatIdent, Stmt};

use super::decide;
use super::edits::{Edits, Line};
use super::policy::Knowledge;

/// Returns the lines of `source` that are left, given what is known.
///
/// # Errors
/// `source` is not Rust.
pub fn specialise(source: &str, knowledge: &Knowledge) -> syn::Result<Vec<Line>> {
    let file = syn::parse_file(source)?;
    let mut pruner = Pruner { source, knowledge, edits: Edits::new(source) };
    pruner.visit_file(&file);
    Ok(pruner.edits.apply())
}

struct Pruner<'s> {
    source: &'s str,
    knowledge: &'s Knowledge,
    edits: Edits<'s>,
}

/// A statement whose value nobody uses, or one whose value the block has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// More statements follow, or the value is discarded.
    Middle,
    /// The last one, with the block's value.
    Tail,
}

/// What is left of an `if` or a `match`.
enum Choice<'a> {
    Block(&'a Block),
    /// The expression of an arm, and where its pattern begins.
    Arm(&'a Expr, usize),
    /// The rest of a chain of `else if`.
    Chain(&'a Expr),
    Nothing,
}

impl<'ast> Visit<'ast> for Pruner<'_> {
    /// What is said about a bug is shown as prose, so that of the code only the protocol is left.
    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        if item.ident == "BUG" {
            self.drop_statement(range(item));
        } else {
            visit::visit_item_const(self, item);
        }
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let last = block.stmts.len().saturating_sub(1);
        for (at, stmt) in block.stmts.iter().enumerate() {
            let Stmt::Expr(expr, semicolon) = stmt else {
                self.visit_stmt(stmt);
                continue;
            };
            let place = if at == last && semicolon.is_none() { Place::Tail } else { Place::Middle };
            match self.choose(expr) {
                Some(choice) => self.keep_statement(stmt, choice, place, &block.stmts[at + 1..]),
                None => self.visit_expr(expr),
            }
        }
    }

    fn visit_expr(&mut self, expr: &'ast Expr) {
        if let Some(known) = decide::condition(expr, self.knowledge) {
            let range = range(expr);
            self.edits.insert(range.start, if known { "true" } else { "false" });
            self.edits.delete(range);
        } else if let Some(choice) = self.choose(expr) {
            self.keep_value(expr, choice);
        } else if let Some((rest, whole)) = decide::remainder(expr, self.knowledge) {
            self.keep(whole.byte_range(), range(rest));
            self.visit_expr(rest);
        } else if let Expr::If(chain) = expr {
            self.visit_if(chain);
        } else {
            visit::visit_expr(self, expr);
        }
    }
}

impl Pruner<'_> {
    /// What the variant makes of an `if` or a `match` that it decides.
    fn choose<'a>(&self, expr: &'a Expr) -> Option<Choice<'a>> {
        match expr {
            Expr::If(chain) => {
                decide::condition(&chain.cond, self.knowledge).map(|known| self.branch(chain, known))
            }
            Expr::Match(choices) => self.arm(choices),
            _ => None,
        }
    }

    fn branch<'a>(&self, chain: &'a ExprIf, taken: bool) -> Choice<'a> {
        match (&chain.else_branch, taken) {
            (_, true) => Choice::Block(&chain.then_branch),
            (None, false) => Choice::Nothing,
            (Some((_, otherwise)), false) => match otherwise.as_ref() {
                Expr::Block(block) => Choice::Block(&block.block),
                next => self.choose(next).unwrap_or(Choice::Chain(next)),
            },
        }
    }

    fn arm<'a>(&self, choices: &'a ExprMatch) -> Option<Choice<'a>> {
        let value = self.knowledge.value(&choices.expr)?;
        for arm in &choices.arms {
            if decide::pattern(&arm.pat, value)? {
                return Some(match arm.body.as_ref() {
                    Expr::Block(block) if block.label.is_none() => Choice::Block(&block.block),
                    body => Choice::Arm(body, range(&arm.pat).start),
                });
            }
        }
        None
    }

    /// An `if` that the variant does not decide, with branches that it may.
    fn visit_if(&mut self, chain: &ExprIf) {
        self.visit_expr(&chain.cond);
        self.visit_block(&chain.then_branch);
        let Some((_, otherwise)) = &chain.else_branch else { return };
        let whole = range(otherwise);
        match self.choose(otherwise) {
            None => self.visit_expr(otherwise),
            Some(Choice::Nothing) => {
                self.edits.delete(range(&chain.then_branch).end..whole.end);
            }
            Some(Choice::Block(block)) => {
                self.keep(whole, range(block));
                self.visit_block(block);
            }
            Some(Choice::Arm(rest, _) | Choice::Chain(rest)) => {
                self.keep(whole, range(rest));
                self.visit_expr(rest);
            }
        }
    }

    /// Leaves of an expression whose value is used what was chosen.
    fn keep_value(&mut self, expr: &Expr, choice: Choice<'_>) {
        let whole = range(expr);
        match choice {
            Choice::Nothing => {
                self.edits.insert(whole.start, "{}");
                self.edits.delete(whole);
            }
            Choice::Block(block) => match self.lone(block) {
                Some(value) => self.keep_expression(whole.clone(), self.edits.indent(whole.start), value),
                None => {
                    self.keep(whole, range(block));
                    self.visit_block(block);
                }
            },
            Choice::Arm(value, _) => {
                self.keep_expression(whole.clone(), self.edits.indent(whole.start), value);
            }
            Choice::Chain(rest) => {
                self.keep(whole, range(rest));
                self.visit_expr(rest);
            }
        }
    }

    /// Leaves of a statement what was chosen.
    fn keep_statement(&mut self, stmt: &Stmt, choice: Choice<'_>, place: Place, rest: &[Stmt]) {
        let whole = range(stmt);
        match choice {
            Choice::Nothing => self.drop_statement(whole),
            Choice::Block(block) if block.stmts.is_empty() => self.drop_statement(whole),
            Choice::Block(block) => {
                // What a block binds must not be seen by the statements after it.
                if self.binds_for(block, rest) {
                    self.keep(whole, range(block));
                } else {
                    self.splice(whole, block, place);
                }
                self.visit_block(block);
            }
            Choice::Arm(body, pattern) => {
                let indent = self.edits.indent(whole.start);
                let whole = self.keep_comments(whole, pattern);
                self.keep_expression(whole, indent, body);
                self.end_statement(body, place);
            }
            Choice::Chain(rest) => {
                self.keep(whole, range(rest));
                self.visit_expr(rest);
            }
        }
    }

    /// Whether `rest` would take something that `block` binds for its own, were it not for the braces.
    fn binds_for(&self, block: &Block, rest: &[Stmt]) -> bool {
        let (Some(first), Some(last)) = (rest.first(), rest.last()) else { return false };
        let text = &self.source[range(first).start..range(last).end];
        let mut bound = Bound::default();
        for stmt in &block.stmts {
            match stmt {
                Stmt::Local(local) => bound.visit_pat(&local.pat),
                Stmt::Item(_) => return true,
                _ => {}
            }
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        text.split(|c| !is_part(c)).any(|word| bound.0.iter().any(|name| name == word))
    }

    /// Keeps the comments that stand right above an arm; returns what is left to edit.
    fn keep_comments(&mut self, whole: Range<usize>, pattern: usize) -> Range<usize> {
        let line = self.edits.line(pattern);
        let mut first = line;
        while first > self.edits.line(whole.start) + 1 && self.edits.is_comment(first - 1) {
            first -= 1;
        }
        if first == line {
            return whole;
        }
        let indent = self.edits.indent(pattern);
        let columns = indent.saturating_sub(self.edits.indent(whole.start));
        let text = self.edits.range(first).start;
        self.edits.delete(whole.start..text + self.edits.indent(text));
        self.edits.dedent(first + 1..line + 1, columns);
        pattern..whole.end
    }

    /// Ends with a semicolon what was an arm and has become a statement.
    fn end_statement(&mut self, body: &Expr, place: Place) {
        let complete = matches!(body, Expr::If(_) | Expr::Match(_) | Expr::Loop(_) | Expr::While(_))
            || matches!(body, Expr::ForLoop(_) | Expr::Block(_));
        if place == Place::Middle && !complete {
            self.edits.insert(range(body).end, ";");
        }
    }

    /// The only thing in a block, if that is an expression without a comment.
    fn lone<'a>(&self, block: &'a Block) -> Option<&'a Expr> {
        let [Stmt::Expr(value, None)] = block.stmts.as_slice() else { return None };
        let alone = self.source[inside(block)].trim() == &self.source[range(value)];
        alone.then_some(value)
    }

    /// Leaves `value` of `whole`; its lines after the first move such that the first would have `indent`.
    fn keep_expression(&mut self, whole: Range<usize>, indent: usize, value: &Expr) {
        let kept = range(value);
        let columns = self.edits.indent(kept.start).saturating_sub(indent);
        let lines = self.edits.line(kept.start) + 1..self.edits.line(kept.end) + 1;
        self.edits.dedent(lines, columns);
        self.keep(whole, kept);
        self.visit_expr(value);
    }

    /// Leaves of `whole` what is inside `block`, as if it stood there.
    fn splice(&mut self, whole: Range<usize>, block: &Block, place: Place) {
        let inside = inside(block);
        let (open, close) = (self.edits.line(inside.start), self.edits.line(inside.end));
        if open == close {
            let trimmed = self.source[inside.clone()].trim();
            let blanks = self.source[inside.clone()].len() - self.source[inside.clone()].trim_start().len();
            let start = inside.start + blanks;
            self.keep(whole, start..start + trimmed.len());
        } else {
            let first = block.stmts.first().map_or(inside.start, |stmt| range(stmt).start);
            let columns = self.edits.indent(first).saturating_sub(self.edits.indent(whole.start));
            self.edits.dedent(open + 1..close, columns);
            if self.source[whole.end..].starts_with(" //") {
                // A comment behind the closing brace gets a line of its own.
                self.edits.delete(whole.end..whole.end + 1);
            }
            self.keep(whole, inside);
        }
        if let Some(Stmt::Expr(value, None)) = block.stmts.last() {
            self.end_statement(value, place);
        }
    }

    /// Takes a statement out, with the comments that belong to it: those right above it, and one behind it.
    fn drop_statement(&mut self, whole: Range<usize>) {
        let line = self.edits.line(whole.start);
        let mut first = line;
        while first > 0 && self.edits.is_comment(first - 1) {
            first -= 1;
        }
        let start = if first == line { whole.start } else { self.edits.range(first).start };
        let rest = self.edits.range(self.edits.line(whole.end)).end;
        let behind = &self.source[whole.end..rest];
        let end = if behind.trim_start().starts_with("//") { rest - 1 } else { whole.end };
        self.edits.delete(start..end);
    }

    fn keep(&mut self, whole: Range<usize>, kept: Range<usize>) {
        self.edits.delete(whole.start..kept.start);
        self.edits.delete(kept.end..whole.end);
    }
}

/// Names that patterns bind.
#[derive(Default)]
struct Bound(Vec<String>);

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, name: &'ast PatIdent) {
        self.0.push(name.ident.to_string());
        visit::visit_pat_ident(self, name);
    }
}

fn range(node: &impl Spanned) -> Range<usize> {
    let span: Span = node.span();
    span.byte_range()
}

/// What is between a block's braces.
fn inside(block: &Block) -> Range<usize> {
    let braces = block.brace_token.span;
    braces.open().byte_range().end..braces.close().byte_range().start
}

#[cfg(test)]
mod tests;
