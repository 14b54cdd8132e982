//! `docs/correctness.md` names the test behind every claim; the names must exist.

use std::collections::BTreeSet;

use crate::{Finding, Source, Workspace};

/// The document that names tests.
pub const CORRECTNESS: &str = "docs/correctness.md";

/// Reports names in [`CORRECTNESS`] that no test has. No document, no finding.
pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let Some(document) = workspace.texts.get(CORRECTNESS) else { return Vec::new() };
    let tests: BTreeSet<&str> = workspace.sources.iter().flat_map(Source::test_functions).collect();
    let mut findings = Vec::new();
    for (i, line) in document.lines().enumerate() {
        // Every second piece stands between backticks.
        for path in line.split('`').skip(1).step_by(2).filter(|piece| is_path(piece)) {
            let name = path.rsplit("::").next().unwrap_or(path);
            if !tests.contains(name) {
                findings.push(Finding::at(
                    CORRECTNESS,
                    i + 1,
                    format!("`{path}` is no test of the workspace"),
                ));
            }
        }
    }
    findings
}

fn is_path(piece: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
    piece.contains("::") && piece.split("::").all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_test_is_reported() {
        let mut workspace = Workspace::default();
        workspace.add("a/src/lib.rs", "#[test] fn never_oversells() {} fn helper() {}");
        assert_eq!(check(&workspace), []);
        workspace.add(
            CORRECTNESS,
            "1. `desk::never_oversells`, with `plain code` and `x + y`\n2. `desk::helper`, `desk::gone`\n",
        );
        let found: Vec<_> = check(&workspace).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "docs/correctness.md:2: `desk::helper` is no test of the workspace",
                "docs/correctness.md:2: `desk::gone` is no test of the workspace"
            ]
        );
    }
}
