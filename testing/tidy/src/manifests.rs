//! Workspace lints in every crate, and one justified line for every dependency.

use std::collections::BTreeSet;

use crate::{Crate, Finding, Workspace};

/// Where the justifications stand.
pub const DEPENDENCIES: &str = "docs/dependencies.md";

/// Reports crates that do not inherit the workspace's lints.
pub fn check_lints(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.crates {
        let path = format!("{}/Cargo.toml", member.dir);
        let manifest = workspace.texts.get(&path).map_or("", String::as_str);
        if !inherits_lints(manifest) {
            findings.push(Finding::new(path, "must contain `[lints]` with `workspace = true`"));
        }
    }
    findings
}

fn inherits_lints(manifest: &str) -> bool {
    let table = manifest.parse::<toml::Table>().unwrap_or_default();
    let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
    lints.and_then(toml::Value::as_bool) == Some(true)
}

/// Reports dependencies from outside without a line in [`DEPENDENCIES`], lines without such a dependency, and
/// entries of the root manifest that no crate uses.
pub fn check_dependencies(workspace: &Workspace) -> Vec<Finding> {
    let document = workspace.texts.get(DEPENDENCIES).map_or("", String::as_str);
    let root = workspace.texts.get("Cargo.toml").map_or("", String::as_str);
    let used = external(&workspace.crates);
    let listed = listed(document);
    let mut findings = Vec::new();
    let mut report = |place: &str, message: String| findings.push(Finding::new(place, message));
    for name in &used {
        match listed.iter().filter(|(listed, _)| listed == name).count() {
            0 => report(DEPENDENCIES, format!("has no line for `{name}`: say in one line why it is needed")),
            1 => {}
            n => report(DEPENDENCIES, format!("has {n} lines for `{name}`")),
        }
    }
    for (name, why) in &listed {
        if !used.contains(name) {
            report(DEPENDENCIES, format!("names `{name}`, which no crate uses"));
        }
        if why.is_empty() {
            report(DEPENDENCIES, format!("does not say why `{name}` is needed"));
        }
    }
    for name in root_entries(root) {
        if !used.contains(&name) {
            report("Cargo.toml", format!("`[workspace.dependencies]` has `{name}`, which no crate uses"));
        }
    }
    findings
}

fn external(crates: &[Crate]) -> BTreeSet<String> {
    let all = crates.iter().flat_map(|c| &c.dependencies);
    all.filter(|d| d.external).map(|d| d.name.clone()).collect()
}

/// The rows `| name | why |` of the document's tables.
fn listed(document: &str) -> Vec<(String, String)> {
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let name = cells.next()?.trim_matches('`').to_owned();
        let why = cells.next().unwrap_or_default().to_owned();
        let separator = name.chars().all(|c| matches!(c, '-' | ':'));
        (!separator && name != "name").then_some((name, why))
    });
    rows.collect()
}

fn root_entries(manifest: &str) -> Vec<String> {
    let table = manifest.parse::<toml::Table>().unwrap_or_default();
    let entries = table.get("workspace").and_then(|w| w.get("dependencies")).and_then(toml::Value::as_table);
    let Some(entries) = entries else { return Vec::new() };
    let outside = entries.iter().filter(|(_, value)| value.get("path").is_none());
    let name = |(key, value): (&String, &toml::Value)| {
        value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned()
    };
    outside.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::samples::member;

    fn workspace(dependencies: &[&str], root: &str, document: &str) -> Workspace {
        let mut workspace = Workspace {
            crates: vec![member("commerce-x", "modules/x", dependencies)],
            ..Workspace::default()
        };
        workspace.add("Cargo.toml", root);
        workspace.add(DEPENDENCIES, document);
        workspace
    }

    const DOCUMENT: &str = "# Dependencies\n\n| name | why |\n|---|:--|\n| `serde` | derives |\n";

    #[test]
    fn missing_lints_are_reported() {
        let mut workspace = workspace(&[], "", "");
        workspace.add("modules/x/Cargo.toml", "[lints]\nworkspace = true\n");
        assert!(check_lints(&workspace).is_empty());
        for bad in ["[package]\n", "[lints]\nworkspace = false\n", "# [lints]\n# workspace = true\n"] {
            workspace.add("modules/x/Cargo.toml", bad);
            assert_eq!(check_lints(&workspace).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_complete_document_is_not_reported() {
        let root = "[workspace.dependencies]\nserde = \"1\"\ncommerce-y = { path = \"y\" }\n";
        assert_eq!(check_dependencies(&workspace(&["serde", "commerce-y"], root, DOCUMENT)), []);
    }

    #[test]
    fn a_dependency_without_a_line_is_reported() {
        let found = check_dependencies(&workspace(&["serde", "tokio"], "", DOCUMENT));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("`tokio`"), "{found:?}");
    }

    #[test]
    fn a_line_without_a_dependency_is_reported() {
        let found = check_dependencies(&workspace(&[], "", DOCUMENT));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("`serde`"), "{found:?}");
    }

    #[test]
    fn a_line_twice_or_without_a_reason_is_reported() {
        let twice = format!("{DOCUMENT}| serde | again |\n");
        assert_eq!(check_dependencies(&workspace(&["serde"], "", &twice)).len(), 1);
        assert_eq!(check_dependencies(&workspace(&["serde"], "", "| serde | |\n")).len(), 1);
    }

    #[test]
    fn a_root_entry_that_no_crate_uses_is_reported() {
        let root = "[workspace.dependencies]\nserde = \"1\"\nlegacy = { version = \"1\" }\n";
        let found = check_dependencies(&workspace(&["serde"], root, DOCUMENT));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("`legacy`"), "{found:?}");
    }
}
