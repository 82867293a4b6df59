//! A server started for a measurement, and the folder that it works in: both end with us.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::machine;

/// How long a server may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// Lines of its log that are shown when it fails.
const LOG_TAIL: usize = 12;

/// A folder that goes away with its owner.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// A new, empty one that nobody else can look into.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(purpose: &str) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;

        let path = std::env::temp_dir().join(format!("onair-bench-{}-{purpose}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| named(&error, &path))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it and says where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(|error| named(&error, &path))?;
        Ok(path)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Nothing can be done about it here, and the system clears its temporary folder.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A running server.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts a command on one processor; what it says goes to a file in `folder`.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(mut command: Command, core: usize, folder: &TemporaryFolder) -> io::Result<Self> {
        let log = folder.path().join("log");
        let output = File::create(&log).map_err(|error| named(&error, &log))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        machine::confine(&mut command, core);
        let program = Path::new(command.get_program()).to_owned();
        let child = command.spawn().map_err(|error| named(&error, &program))?;
        Ok(Self { child, log })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said last, if it has ended.
    pub fn epitaph(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
        Some(format!("{status}\n{tail}"))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        drop(machine::terminate(self.child.id()));
        let mut waited = Duration::ZERO;
        while let Ok(None) = self.child.try_wait() {
            if waited >= PATIENCE {
                drop(self.child.kill());
                drop(self.child.wait());
                return;
            }
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_and_its_folder_end_with_their_owner() {
        let folder = TemporaryFolder::create("end").unwrap();
        let path = folder.path().to_owned();
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut server =
            ServerProcess::start(command, machine::Cores::choose().unwrap().server, &folder).unwrap();
        let pid = server.pid();
        assert_eq!(server.epitaph(), None);
        drop(server);
        drop(folder);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!path.exists());
    }

    #[test]
    fn a_server_that_cannot_start_says_why() {
        let folder = TemporaryFolder::create("why").unwrap();
        let core = machine::Cores::choose().unwrap().server;
        let missing = ServerProcess::start(Command::new("/nonexistent/server"), core, &folder).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/server"), "{missing}");

        let mut command = Command::new("sh");
        command.args(["-c", "echo the port is taken; exit 3"]);
        let mut server = ServerProcess::start(command, core, &folder).unwrap();
        server.child.wait().unwrap();
        let epitaph = server.epitaph().unwrap();
        assert!(epitaph.contains('3') && epitaph.contains("the port is taken"), "{epitaph}");
    }
}
