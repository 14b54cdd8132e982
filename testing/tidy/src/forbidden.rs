//! Code that is not written here: `allow`, unfinished code, ignored tests, tests that sleep for an outcome.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use proc_macro2::Delimiter;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::{Finding, Source};

/// Here all time is simulated: the one runtime that there is starts paused, so a sleep is a moment of the run and costs
/// none of ours.
const SIMULATED: &str = "testing/simulation/src/";

/// Reports what stands in the sources and must not.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let test_files = test_modules(sources);
    let mut findings = Vec::new();
    for source in sources {
        findings.extend(attributes(source));
        findings.extend(unfinished(source));
        if source.path.starts_with(SIMULATED) {
            continue;
        }
        let whole = source.is_test_file() || test_files.iter().any(|stem| is_module(&source.path, stem));
        findings.extend(sleeps(source, whole));
    }
    findings
}

fn attributes(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, from, to) in source.attributes() {
        let names = source.tokens[from..to].iter().filter_map(|token| token.ident());
        // The name alone, or what `cfg_attr(condition, ..)` puts there.
        let wrapped = source.tokens[from].ident() == Some("cfg_attr");
        let names: Vec<_> = if wrapped { names.collect() } else { names.take(1).collect() };
        let line = source.tokens[from].line;
        if names.contains(&"allow") {
            let message =
                "`allow`: use `#[expect(lint, reason = \"..\")]`, which fails when it is not needed any more";
            findings.push(Finding::at(&source.path, line, message));
        }
        if names.contains(&"ignore") {
            findings.push(Finding::at(&source.path, line, "an ignored test: mend it or delete it"));
        }
    }
    findings
}

fn unfinished(source: &Source) -> Vec<Finding> {
    let calls = source.macro_calls(|name| matches!(name, "todo" | "unimplemented"));
    calls.map(|(i, ..)| Finding::at(&source.path, source.tokens[i].line, "unfinished code")).collect()
}

fn sleeps(source: &Source, whole: bool) -> Vec<Finding> {
    let mut regions = TestRegions::default();
    if let Some(tree) = source.tree() {
        regions.visit_file(&tree);
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let excused = |line: usize| {
        [line.saturating_sub(1), line]
            .iter()
            .any(|&n| n > 0 && lines.get(n - 1).is_some_and(|text| is_excuse(text)))
    };
    let mut findings = Vec::new();
    for pair in source.tokens.windows(2) {
        let sleeps = matches!(pair[0].ident(), Some("sleep" | "sleep_until" | "sleep_ms"));
        let line = pair[0].line;
        let in_test = whole || regions.lines.iter().any(|region| region.contains(&line));
        if sleeps && pair[1].opens(Delimiter::Parenthesis).is_some() && in_test && !excused(line) {
            let message = "a test that sleeps: wait for the event, use tokio's paused clock, \
                           or say why on this line or the one above: `// tidy: sleep <reason>`";
            findings.push(Finding::at(&source.path, line, message));
        }
    }
    findings
}

fn is_excuse(line: &str) -> bool {
    line.split_once("// tidy: sleep ").is_some_and(|(_, reason)| !reason.trim().is_empty())
}

/// The lines of a file that are compiled for tests only.
#[derive(Default)]
struct TestRegions {
    lines: Vec<RangeInclusive<usize>>,
}

impl TestRegions {
    fn add(&mut self, attributes: &[syn::Attribute], span: proc_macro2::Span) {
        if attributes.iter().any(|a| is_cfg_test(a) || is_test(a)) {
            self.lines.push(span.start().line..=span.end().line);
        }
    }
}

impl<'ast> Visit<'ast> for TestRegions {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.add(&item.attrs, item.span());
        visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.attrs, item.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.add(&item.attrs, item.span());
        visit::visit_item_impl(self, item);
    }
}

fn is_test(attribute: &syn::Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
}

/// `cfg(test)`, `cfg(any(test, ..))`, but not `cfg(not(test))`.
fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    if !attribute.path().is_ident("cfg") {
        return false;
    }
    let text = list.tokens.to_string();
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    words.contains("test") && !words.contains("not")
}

/// Paths without `.rs` of the modules that other files declare as `#[cfg(test)] mod name;`.
fn test_modules(sources: &[Source]) -> Vec<String> {
    let mut stems = Vec::new();
    for source in sources {
        let (dir, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let base = match file {
            "lib.rs" | "main.rs" | "mod.rs" => dir.to_owned(),
            other => format!("{dir}/{}", other.trim_end_matches(".rs")),
        };
        for item in source.tree().map_or_else(Vec::new, |tree| tree.items) {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && module.attrs.iter().any(is_cfg_test)
            {
                stems.push(format!("{base}/{}", module.ident));
            }
        }
    }
    stems
}

fn is_module(path: &str, stem: &str) -> bool {
    path.strip_prefix(stem).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&[Source::parse(path, text).unwrap()]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn allow_is_reported_in_every_form() {
        for bad in [
            "#[allow(dead_code)] fn f() {}",
            "#![allow(missing_docs)]",
            "#[cfg_attr(test, allow(dead_code))] fn f() {}",
            "macro_rules! m { () => { #[allow(unused)] fn f() {} } }",
        ] {
            assert_eq!(found("a.rs", bad).len(), 1, "{bad}");
        }
        assert!(found("a.rs", "#[expect(dead_code, reason = \"why\")] fn allow() {}").is_empty());
        assert!(found("a.rs", "const A: &str = \"#[allow(dead_code)]\"; // #[allow(dead_code)]").is_empty());
    }

    #[test]
    fn unfinished_code_is_reported() {
        assert_eq!(found("a.rs", "fn f() {\n todo!()\n}"), ["a.rs:2: unfinished code"]);
        assert_eq!(found("a.rs", "fn f() { unimplemented!(\"later\") }").len(), 1);
        assert!(found("a.rs", "fn todo() {}").is_empty());
    }

    #[test]
    fn an_ignored_test_is_reported() {
        assert_eq!(found("a.rs", "#[test] #[ignore = \"slow\"] fn f() {}").len(), 1);
        assert_eq!(found("a.rs", "#[test] #[cfg_attr(windows, ignore)] fn f() {}").len(), 1);
    }

    #[test]
    fn a_sleep_is_reported_in_tests_only() {
        let code = "async fn f() { tokio::time::sleep(D).await; }";
        for path in [
            "apps/a/tests/x.rs",
            "apps/a/src/tests.rs",
            "apps/a/src/desk_tests.rs",
            "testing/harness/src/a.rs",
        ] {
            assert_eq!(found(path, code).len(), 1, "{path}");
        }
        assert!(found("apps/a/src/relay.rs", code).is_empty());
        assert!(found("testing/simulation/src/life.rs", code).is_empty(), "simulated time");
        assert_eq!(found("testing/simulation/tests/seeds.rs", code).len(), 1);
        let inner = format!("#[cfg(test)] mod tests {{ {code} }}");
        assert_eq!(found("apps/a/src/relay.rs", &inner).len(), 1);
        let other = format!("#[cfg(not(test))] mod real {{ {code} }}");
        assert!(found("apps/a/src/relay.rs", &other).is_empty());
        assert_eq!(found("a.rs", "#[tokio::test] async fn f() { sleep_until(x).await; }").len(), 1);
    }

    #[test]
    fn a_module_declared_for_tests_is_a_test_file() {
        let parent = Source::parse("a/src/desk.rs", "#[cfg(test)] mod faults;").unwrap();
        let child = Source::parse("a/src/desk/faults.rs", "fn f() { sleep(D); }").unwrap();
        let other = Source::parse("a/src/desk/faults_real.rs", "fn f() { sleep(D); }").unwrap();
        let found = check(&[parent, child, other]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "a/src/desk/faults.rs:1");
    }

    #[test]
    fn a_sleep_needs_a_reason() {
        let path = "a/tests/x.rs";
        assert!(
            found(path, "fn f() {\n // tidy: sleep the kill moment is the subject\n sleep(D); }").is_empty()
        );
        assert!(
            found(path, "fn f() { sleep(D); // tidy: sleep the kill moment is the subject\n }").is_empty()
        );
        assert_eq!(found(path, "fn f() {\n // tidy: sleep \n sleep(D); }").len(), 1);
        assert_eq!(found(path, "fn f() {\n // tidy: sleep too far away\n\n sleep(D); }").len(), 1);
    }
}
