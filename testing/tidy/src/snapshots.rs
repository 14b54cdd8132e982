//! A snapshot that no test reads any more proves nothing.

use std::collections::BTreeSet;

use crate::source::Token;
use crate::workspace::{has_extension, is_below};
use crate::{Finding, Workspace};

/// Reports snapshot files whose name no test of their crate gives as a string: snapshots are named by a literal,
/// `assert_json_snapshot!("name", ..)`, here or through a helper.
pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in workspace.texts.keys().filter(|path| has_extension(path, "snap")) {
        let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".snap");
        // `crate__module__name@suffix`
        let name = name.split('@').next().unwrap_or(name);
        let dir = workspace.crate_of(path).map_or("", |member| member.dir.as_str());
        if !literals(workspace, dir).iter().any(|text| name == *text || name.ends_with(&format!("__{text}")))
        {
            findings.push(Finding::new(
                path,
                "no `assert_*snapshot!(\"name\", ..)` of its crate reads this snapshot",
            ));
        }
    }
    findings
}

/// The strings in the crate, if it asserts snapshots at all.
fn literals<'a>(workspace: &'a Workspace, dir: &str) -> BTreeSet<&'a str> {
    let sources: Vec<_> = workspace.sources.iter().filter(|s| is_below(&s.path, dir)).collect();
    let is_assert = |name: &str| name.starts_with("assert_") && name.ends_with("snapshot");
    if !sources.iter().any(|source| source.macro_calls(is_assert).next().is_some()) {
        return BTreeSet::new();
    }
    let texts = sources.iter().flat_map(|source| source.tokens.iter().filter_map(Token::text));
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::samples::member;

    #[test]
    fn a_snapshot_that_nobody_reads_is_reported() {
        let mut workspace =
            Workspace { crates: vec![member("commerce-x", "apps/x", &[])], ..Workspace::default() };
        workspace
            .add("apps/x/tests/api.rs", "#[test] fn f() { insta::assert_json_snapshot!(\"openapi\", v); }");
        workspace
            .add("apps/y/tests/api.rs", "#[test] fn f() { insta::assert_json_snapshot!(\"elsewhere\", v); }");
        workspace.add("apps/x/tests/snapshots/api__openapi.snap", "");
        assert_eq!(check(&workspace), []);
        for stale in ["api__gone", "api__elsewhere", "api__my_openapi"] {
            workspace.add(format!("apps/x/tests/snapshots/{stale}.snap"), "");
        }
        assert_eq!(check(&workspace).len(), 3);
    }
}
