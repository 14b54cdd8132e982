//! Limits on files and functions (style.md).

use proc_macro2::Delimiter;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source::TokenKind;
use crate::{Finding, Source};

/// Lines of a file at most, its tests included.
pub const FILE_LINES_MAX: usize = 600;
/// Lines of a function at most, from its signature to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;
/// Arguments of a function at most, `self` included.
pub const ARGUMENTS_MAX: usize = 7;

/// Reports files and functions over the limits.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let mut functions = Functions { path: &source.path, findings: Vec::new() };
    if let Some(tree) = source.tree() {
        functions.visit_file(&tree);
    }
    let mut findings = functions.findings;
    findings.extend(check_macros(source));
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        let message = format!("{lines} lines; at most {FILE_LINES_MAX}: split by concept");
        findings.push(Finding::new(&source.path, message));
    }
    findings
}

struct Functions<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn check(&mut self, signature: &syn::Signature, body: Option<&syn::Block>) {
        let line = signature.span().start().line;
        let name = &signature.ident;
        let arguments = signature.inputs.len();
        if arguments > ARGUMENTS_MAX {
            let message = format!("`{name}` has {arguments} arguments; at most {ARGUMENTS_MAX}");
            self.findings.push(Finding::at(self.path, line, message));
        }
        let Some(body) = body else { return };
        let lines = body.brace_token.span.close().end().line + 1 - line;
        self.findings.extend(too_long(self.path, line, &name.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.sig, Some(&item.block));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.sig, Some(&item.block));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.check(&item.sig, item.default.as_ref());
        visit::visit_trait_item_fn(self, item);
    }
}

/// The bodies of macro calls are no syntax tree, so their functions are found by their tokens.
fn check_macros(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut inside_until = 0;
    for (_, from, to) in source.macro_calls(|_| true) {
        if from < inside_until {
            continue;
        }
        inside_until = to;
        for i in from..to {
            if source.tokens[i].ident() != Some("fn") {
                continue;
            }
            let Some(name) = source.tokens.get(i + 1).and_then(|token| token.ident()) else { continue };
            let Some(end) = body_end(source, i, to) else { continue };
            let line = source.tokens[i].line;
            let lines = source.tokens[end].line + 1 - line;
            findings.extend(too_long(&source.path, line, name, lines));
        }
    }
    findings
}

/// The closing brace of the function that starts at the token `from`.
fn body_end(source: &Source, from: usize, to: usize) -> Option<usize> {
    for token in &source.tokens[from..to] {
        if let Some(close) = token.opens(Delimiter::Brace) {
            return Some(close);
        }
        if token.kind == TokenKind::Punct(';') {
            return None;
        }
    }
    None
}

fn too_long(path: &str, line: usize, name: &str, lines: usize) -> Option<Finding> {
    let message = || format!("`{name}` has {lines} lines; at most {FUNCTION_LINES_MAX}");
    (lines > FUNCTION_LINES_MAX).then(|| Finding::at(path, line, message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Finding> {
        check(&[Source::parse("a.rs", text).unwrap()])
    }

    /// A function of exactly `lines` lines.
    fn function(lines: usize) -> String {
        format!("fn f() {{{}}}", "\n".repeat(lines - 1))
    }

    #[test]
    fn a_function_is_measured_to_the_line() {
        assert_eq!(found(&function(70)), []);
        assert_eq!(found(&function(71)).len(), 1);
    }

    #[test]
    fn attributes_and_comments_above_do_not_count() {
        assert_eq!(found(&format!("/// One.\n/// Two.\n#[inline]\n{}", function(70))), []);
    }

    #[test]
    fn methods_defaults_nested_and_macro_functions_are_measured() {
        for (before, after) in [
            ("impl A { ", "}"),
            ("trait T { ", "}"),
            ("fn g() { ", "}"),
            ("mod m { ", "}"),
            ("proptest! { ", "}"),
        ] {
            let text = format!("{before}{}{after}", function(71));
            assert!(!found(&text).is_empty(), "{before}");
        }
    }

    #[test]
    fn arguments_are_counted_with_self() {
        assert_eq!(found("fn f(a: M<u8, u8>, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {}"), []);
        assert_eq!(found("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) {}").len(), 1);
        assert_eq!(
            found("trait T { fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8); }").len(),
            1
        );
    }

    #[test]
    fn a_file_is_measured_to_the_line() {
        assert_eq!(found(&"//\n".repeat(600)), []);
        assert_eq!(found(&"//\n".repeat(601)).len(), 1);
    }
}
