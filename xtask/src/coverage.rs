//! Coverage as HTML through cargo-llvm-cov, and LLVM's own tools for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::servers::Servers;
use crate::{Outcome, console, debian, process, test, tools};

/// Runs the tests with instrumentation and writes `coverage/html/index.html` below the target folder.
pub fn run(packages: &[String]) -> Outcome {
    let cargo_llvm_cov = console::step("cargo-llvm-cov", || tools::CARGO_LLVM_COV.path())?;
    let llvm = console::step("llvm", llvm)?;
    let output = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let output = output.join("coverage");
    let servers = Servers::start()?;
    console::step("coverage", || {
        // Called by its path, since its folder is not in PATH; like cargo, it takes its own name first.
        let mut command = process::program(&cargo_llvm_cov);
        command.args(["llvm-cov", "--locked", "--html", "--output-dir"]).arg(&output);
        command.args(test::Filter::scope(packages));
        test::strict(&mut command, false);
        servers.tell(&mut command);
        if let Some(llvm) = &llvm {
            command.env("LLVM_COV", &llvm.cov).env("LLVM_PROFDATA", &llvm.profdata);
        }
        process::run(&mut command)
    })?;
    console::line(&format!("coverage: {}", output.join("html/index.html").display()));
    Ok(())
}

/// LLVM's tools; both must be of the compiler's LLVM version.
#[derive(Debug, PartialEq, Eq)]
struct Llvm {
    cov: PathBuf,
    profdata: PathBuf,
}

/// The tools from `LLVM_COV` and `LLVM_PROFDATA`, the toolchain's component (`None`: cargo-llvm-cov finds it itself),
/// PATH, or Debian's package, in this order.
fn llvm() -> Outcome<Option<Llvm>> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let (Some(cov), Some(profdata)) = (set("LLVM_COV"), set("LLVM_PROFDATA")) {
        console::line("from LLVM_COV and LLVM_PROFDATA");
        return Ok(Some(Llvm { cov, profdata }));
    }
    let version = process::output(Command::new("rustc").arg("-vV")).unwrap_or_default();
    let host = field(&version, "host").ok_or("`rustc -vV` does not say the host")?;
    let major = field(&version, "LLVM version").and_then(|v| v.split('.').next());
    let major = major.ok_or("`rustc -vV` does not say the version of LLVM")?;
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"])).unwrap_or_default();
    let component = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/llvm-cov");
    if component.exists() {
        console::line("from the toolchain's component llvm-tools");
        return Ok(None);
    }
    if let Some(found) = on_path(major) {
        return Ok(Some(found));
    }
    debian::install(&format!("llvm-{major}"))
        .map_err(|error| format!("{error}; {}", how_to_install(major)))?;
    on_path(major).map(Some).ok_or_else(|| how_to_install(major))
}

fn on_path(major: &str) -> Option<Llvm> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = find(&dirs, major)?;
    console::line(&format!("from {}", found.cov.display()));
    Some(found)
}

fn find(dirs: &[PathBuf], major: &str) -> Option<Llvm> {
    let file =
        |name: &str| dirs.iter().map(|dir| dir.join(format!("{name}-{major}"))).find(|path| path.is_file());
    Some(Llvm { cov: file("llvm-cov")?, profdata: file("llvm-profdata")? })
}

fn how_to_install(major: &str) -> String {
    format!(
        "llvm-cov and llvm-profdata of LLVM {major} are missing. Install one of: \
         `rustup component add llvm-tools`; Debian's package llvm-{major} (`apt-get install llvm-{major}`); \
         or set LLVM_COV and LLVM_PROFDATA to the two programs"
    )
}

/// The value of `name: value` in the output of `rustc -vV`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_says_host_and_llvm() {
        let text = "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        assert_eq!(field(text, "host"), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(text, "LLVM version"), Some("22.1.2"));
        assert_eq!(field(text, "LLVM"), None);
    }

    #[test]
    fn both_programs_of_the_version_must_be_there() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().to_path_buf();
        let dirs = [dir.clone()];
        std::fs::write(dir.join("llvm-cov-22"), "").unwrap();
        assert_eq!(find(&dirs, "22"), None);
        std::fs::write(dir.join("llvm-profdata-22"), "").unwrap();
        assert_eq!(find(&dirs, "21"), None);
        let both = find(&dirs, "22");
        assert_eq!(both, Some(Llvm { cov: dir.join("llvm-cov-22"), profdata: dir.join("llvm-profdata-22") }));
    }
}
