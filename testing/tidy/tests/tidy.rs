//! The rules of `docs/` and style.md, held over the whole workspace.

#![cfg(test)]

use std::path::Path;
use std::sync::OnceLock;

use commerce_tidy::{Finding, Workspace, correctness, forbidden, layers, manifests, sizes, snapshots, sql};

fn workspace() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Workspace::load(&root.canonicalize().unwrap()).unwrap()
    })
}

#[track_caller]
fn assert_none(findings: &[Finding]) {
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} finding(s):\n{}", findings.len(), list.join("\n"));
}

/// Without it, a wrong root would make every other test here pass.
#[test]
fn the_workspace_is_seen() {
    let workspace = workspace();
    assert!(
        workspace
            .crates
            .iter()
            .any(|c| c.name == "commerce-api-domain" && c.dir == "apps/commerce-api/domain")
    );
    assert!(workspace.sources.iter().any(|s| s.path == "testing/tidy/tests/tidy.rs"));
    assert!(workspace.texts.contains_key("Cargo.toml"));
    assert_none(&workspace.unreadable);
}

#[test]
fn layers_hold() {
    assert_none(&layers::check_crates(&workspace().crates));
}

#[test]
fn interfaces_name_no_driver() {
    assert_none(&layers::check_interfaces(&workspace().sources));
}

#[test]
fn every_crate_inherits_the_lints() {
    assert_none(&manifests::check_lints(workspace()));
}

#[test]
fn every_dependency_is_justified() {
    assert_none(&manifests::check_dependencies(workspace()));
}

#[test]
fn files_and_functions_are_small() {
    assert_none(&sizes::check(&workspace().sources));
}

#[test]
fn nothing_forbidden_is_written() {
    assert_none(&forbidden::check(&workspace().sources));
}

#[test]
fn sql_is_not_formatted() {
    assert_none(&sql::check(&workspace().sources));
}

#[test]
fn named_tests_exist() {
    assert_none(&correctness::check(workspace()));
}

#[test]
fn every_snapshot_is_read() {
    assert_none(&snapshots::check(workspace()));
}
