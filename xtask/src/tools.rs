//! Tools that are not part of the Rust toolchain, pinned and installed once into a folder of the user.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Outcome, console, process};

/// A cargo subcommand from crates.io.
pub struct Tool {
    /// Its crate and its binary.
    pub name: &'static str,
    /// The version that everybody runs.
    pub version: &'static str,
}

/// Checks bans, licences, sources and advisories.
pub const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// Coverage through LLVM's instrumentation.
pub const CARGO_LLVM_COV: Tool = Tool { name: "cargo-llvm-cov", version: "0.9.1" };

impl Tool {
    /// The path of the binary; installs it first where it is missing or of another version.
    pub fn path(&self) -> Outcome<PathBuf> {
        let root = root(|name| std::env::var_os(name))?;
        let binary = root.join("bin").join(self.name);
        let list = process::output(process::cargo().args(["install", "--list", "--root"]).arg(&root));
        if binary.exists() && lists(&list.unwrap_or_default(), self) {
            return Ok(binary);
        }
        console::line(&format!("installing {} {} into {}", self.name, self.version, root.display()));
        let mut install = process::cargo();
        install.args(["install", "--locked", "--version", self.version, "--root"]).arg(&root).arg(self.name);
        // Its build has no place in the workspace's own target folder.
        install.env_remove("CARGO_TARGET_DIR");
        process::run(&mut install).map_err(|error| {
            format!(
                "{error}; without network, set COMMERCE_TOOLS to a folder that has {} {}",
                self.name, self.version
            )
        })?;
        Ok(binary)
    }
}

/// `$COMMERCE_TOOLS`, else a folder in the user's cache.
pub fn root(variable: impl Fn(&str) -> Option<OsString>) -> Outcome<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    set("COMMERCE_TOOLS")
        .or_else(|| cache().map(|dir| dir.join("commerce-tools")))
        .ok_or_else(|| "no place for the tools: set COMMERCE_TOOLS or HOME".into())
}

/// Whether the output of `cargo install --list` has the tool in its pinned version.
fn lists(list: &str, tool: &Tool) -> bool {
    list.lines().any(|line| line == format!("{} v{}:", tool.name, tool.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_with(set: &[(&str, &str)]) -> Outcome<PathBuf> {
        root(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_folder_is_the_first_that_is_set() {
        let all = [("COMMERCE_TOOLS", "/t"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(root_with(&all), Ok("/t".into()));
        assert_eq!(root_with(&all[1..]), Ok("/x/commerce-tools".into()));
        assert_eq!(root_with(&all[2..]), Ok("/h/.cache/commerce-tools".into()));
        assert_eq!(
            root_with(&[("COMMERCE_TOOLS", ""), ("HOME", "/h")]),
            Ok("/h/.cache/commerce-tools".into())
        );
        assert!(root_with(&[]).is_err());
    }

    #[test]
    fn another_version_is_not_the_tool() {
        let list = "cargo-deny v0.20.2:\n    cargo-deny\ncargo-llvm-cov v0.6.0:\n    cargo-llvm-cov\n";
        assert!(lists(list, &CARGO_DENY));
        assert!(!lists(list, &CARGO_LLVM_COV));
        assert!(!lists("", &CARGO_DENY));
    }
}
