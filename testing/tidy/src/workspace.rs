//! The workspace as the checks see it: crates with their declared dependencies, and all files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Finding, Source};

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By the crate itself.
    Normal,
    /// By its tests only.
    Dev,
    /// By its build script.
    Build,
}

/// A dependency as a crate declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// When it is needed.
    pub kind: Kind,
    /// Whether it comes from outside the workspace.
    pub external: bool,
    /// The features asked for.
    pub features: Vec<String>,
    /// Whether its default features are on.
    pub default_features: bool,
    /// Whether it is there with a feature only.
    pub optional: bool,
}

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// The package's name.
    pub name: String,
    /// Its folder relative to the workspace root, with `/`.
    pub dir: String,
    /// What it declares.
    pub dependencies: Vec<Dependency>,
}

/// All that the checks read.
#[derive(Default)]
pub struct Workspace {
    /// The members.
    pub crates: Vec<Crate>,
    /// The Rust files that parse.
    pub sources: Vec<Source>,
    /// Manifests, snapshots and Markdown by path relative to the root.
    pub texts: BTreeMap<String, String>,
    /// What could not be read or parsed.
    pub unreadable: Vec<Finding>,
}

impl Workspace {
    /// Reads the workspace at `root`: `cargo metadata` without resolving (no network), and every file below
    /// except hidden folders, `target` and `data`.
    pub fn load(root: &Path) -> Result<Self, String> {
        let mut workspace = Self { crates: crates(root)?, ..Self::default() };
        let mut paths = Vec::new();
        walk(root, &mut paths).map_err(|e| format!("cannot list {}: {e}", root.display()))?;
        paths.sort();
        for path in paths {
            let relative = relative(root, &path);
            if !matches!(path.extension().and_then(|e| e.to_str()), Some("rs" | "toml" | "snap" | "md")) {
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => workspace.add(relative, text),
                Err(error) => workspace.unreadable.push(Finding::new(relative, error.to_string())),
            }
        }
        Ok(workspace)
    }

    /// Adds a file; a `.rs` file is parsed.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        let (path, text) = (path.into(), text.into());
        if !has_extension(&path, "rs") {
            self.texts.insert(path, text);
            return;
        }
        match Source::parse(path.clone(), text) {
            Ok(source) => self.sources.push(source),
            Err(error) => self.unreadable.push(Finding::new(path, error)),
        }
    }

    /// The member that a path belongs to.
    pub fn crate_of(&self, path: &str) -> Option<&Crate> {
        self.crates.iter().filter(|c| is_below(path, &c.dir)).max_by_key(|c| c.dir.len())
    }
}

/// Whether `path` lies in the folder `dir` (both relative, with `/`).
pub fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether the file name ends in `.extension`.
pub fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == extension)
}

fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn walk(dir: &Path, out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if hidden || name == "target" || name == "data" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), out)?;
        } else {
            out.push(entry.path());
        }
    }
    Ok(())
}

fn crates(root: &Path) -> Result<Vec<Crate>, String> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .exec()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    let members = metadata.workspace_packages().into_iter().map(|package| Crate {
        name: package.name.to_string(),
        dir: package.manifest_path.parent().map_or_else(String::new, |dir| relative(root, dir.as_std_path())),
        dependencies: package.dependencies.iter().map(dependency).collect(),
    });
    Ok(members.collect())
}

fn dependency(declared: &cargo_metadata::Dependency) -> Dependency {
    let kind = match declared.kind {
        cargo_metadata::DependencyKind::Development => Kind::Dev,
        cargo_metadata::DependencyKind::Build => Kind::Build,
        _ => Kind::Normal,
    };
    Dependency {
        name: declared.name.clone(),
        kind,
        external: declared.path.is_none(),
        features: declared.features.clone(),
        default_features: declared.uses_default_features,
        optional: declared.optional,
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Crate, Dependency, Kind};

    pub(crate) fn dependency(name: &str, external: bool) -> Dependency {
        Dependency {
            name: name.into(),
            kind: Kind::Normal,
            external,
            features: vec![],
            default_features: false,
            optional: false,
        }
    }

    /// A crate whose dependencies are internal where the name starts with `commerce`.
    pub(crate) fn member(name: &str, dir: &str, dependencies: &[&str]) -> Crate {
        let dependencies = dependencies.iter().map(|d| dependency(d, !d.starts_with("commerce"))).collect();
        Crate { name: name.into(), dir: dir.into(), dependencies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_deepest_member() {
        let workspace = Workspace {
            crates: vec![
                samples::member("app", "apps/app", &[]),
                samples::member("app-domain", "apps/app/domain", &[]),
            ],
            ..Workspace::default()
        };
        assert_eq!(workspace.crate_of("apps/app/domain/src/lib.rs").unwrap().name, "app-domain");
        assert_eq!(workspace.crate_of("apps/app/src/lib.rs").unwrap().name, "app");
        assert!(workspace.crate_of("apps/application/src/lib.rs").is_none());
    }

    #[test]
    fn a_file_that_does_not_parse_is_kept_as_a_finding() {
        let mut workspace = Workspace::default();
        workspace.add("a.rs", "fn (");
        assert_eq!(workspace.unreadable.len(), 1);
    }
}
