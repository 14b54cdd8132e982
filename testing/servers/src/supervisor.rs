//! Starting a server's process, and what looks after it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Lives, ServerError};

/// A shell that ends the server when its own standard input ends: with the process that holds the other end, however
/// that dies. A byte that came before tells that whoever started it lives and cleans up by itself.
const SUPERVISOR: &str = r#"
pid_file=$1 remove=$2
shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
echo $server >"$pid_file"
{
    told=$(cat <&3)
    kill -KILL $server
    if [ -z "$told" ] && [ -n "$remove" ]; then
        while kill -0 $server; do sleep 0.05; done
        rm -rf -- "$remove"
    fi
} 2>/dev/null >&2 &
exec 3<&-
wait $server
"#;

/// Everything that it takes to start a server, as often as one likes.
#[derive(Debug)]
pub struct Recipe {
    command: Command,
    dir: PathBuf,
    lives: Lives,
}

impl Recipe {
    /// A server that runs by `command` with its log in `dir`. With `remove` the folder goes with the process that
    /// started it, also where that is killed.
    pub fn new(command: &Command, dir: &Path, lives: Lives, remove: bool) -> Result<Self, ServerError> {
        let mut started = match lives {
            Lives::WithUs => {
                let mut supervisor = Command::new("sh");
                supervisor.args(["-c", SUPERVISOR, "sh"]).arg(dir.join("server.pid"));
                supervisor.arg(if remove { dir.as_os_str() } else { "".as_ref() });
                supervisor.arg(command.get_program()).stdin(Stdio::piped());
                supervisor
            }
            Lives::OnItsOwn => {
                let mut own = Command::new(command.get_program());
                own.stdin(Stdio::null());
                own
            }
        };
        let log = dir.join("server.log");
        let out = File::create(&log).map_err(ServerError::file(&log))?;
        let err = out.try_clone().map_err(ServerError::file(&log))?;
        // Of a group of its own: Ctrl-C is for whoever started it.
        started.args(command.get_args()).stdout(out).stderr(err).process_group(0);
        Ok(Self { command: started, dir: dir.to_owned(), lives })
    }

    /// What the server said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Starts it.
    pub fn spawn(&mut self) -> Result<Process, ServerError> {
        let program = self.command.get_program().to_string_lossy().into_owned();
        let child = self.command.spawn().map_err(|source| ServerError::Run { program, source })?;
        Ok(Process { child, pid_file: self.dir.join("server.pid"), lives: self.lives })
    }
}

/// A server's process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid_file: PathBuf,
    lives: Lives,
}

impl Process {
    /// The server's own process, which is not the supervisor's.
    pub fn pid(&self) -> Option<u32> {
        match self.lives {
            Lives::OnItsOwn => Some(self.child.id()),
            Lives::WithUs => fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok(),
        }
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Has the operating system send a signal, by its name without `SIG`.
    pub fn signal(&self, signal: &str) -> Result<(), ServerError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid.to_string()]);
        let status = kill.status().map_err(|source| ServerError::Run { program: "kill".into(), source })?;
        if status.success() {
            return Ok(());
        }
        let last = format!("SIG{signal} to {pid}");
        Err(ServerError::Ended { program: "kill".into(), status: status.to_string(), last })
    }

    /// Ends it now, whatever it is doing.
    pub fn end(mut self) {
        if self.lives == Lives::OnItsOwn {
            let _ = self.child.kill();
        }
        if let Some(mut pipe) = self.child.stdin.take() {
            // Its supervisor ends it when this end of the pipe is closed.
            let _ = pipe.write_all(b"we live");
        }
        let _ = self.child.wait();
    }
}
