//! Tools from `PyPI`, each pinned and in a virtual environment of its own, in the folder of the other tools.

use std::path::PathBuf;
use std::process::Command;

use crate::{Outcome, console, debian, process, tools};

/// A command-line tool from `PyPI`.
pub struct PythonTool {
    /// Its package and its program.
    pub name: &'static str,
    /// The version that everybody runs.
    pub version: &'static str,
}

/// Tests an HTTP API against its `OpenAPI` document.
pub const SCHEMATHESIS: PythonTool = PythonTool { name: "schemathesis", version: "4.32.5" };

impl PythonTool {
    /// The path of the program; installs it first where it is missing.
    pub fn path(&self) -> Outcome<PathBuf> {
        let Self { name, version } = self;
        let home = tools::root(|name| std::env::var_os(name))?.join(format!("{name}-{version}"));
        let program = home.join("bin").join(name);
        let is_there = |path: &PathBuf| process::output(Command::new(path).arg("--version")).is_some();
        if is_there(&program) {
            return Ok(program);
        }
        console::line(&format!("installing {name} {version} into {}", home.display()));
        require_python()?;
        // What an installation that was cut off left behind goes.
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        let mut install = Command::new(home.join("bin").join("pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", &format!("{name}=={version}")]);
        process::run(&mut install).map_err(|error| {
            format!(
                "{error}; {name} comes from PyPI: without network, set COMMERCE_TOOLS to a folder that has \
                 {name}-{version}, made on a machine with network"
            )
        })?;
        Ok(program)
    }
}

/// `venv` and `ensurepip` are packages of their own on Debian.
fn require_python() -> Outcome {
    let mut complete = Command::new("python3");
    complete.args(["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"]);
    if process::output(&mut complete).is_some() {
        return Ok(());
    }
    debian::install("python3-venv")
        .map_err(|error| format!("{error}; install Python 3.10 or newer with its venv module (python3-venv)"))
}
