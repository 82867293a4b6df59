//! One process: found, started, greeted, and heard to its last words.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::ipc::{Decoder, FromWorker, Hello, Unreadable, VERSION};
use super::{Config, Lost};

/// The program's name.
const NAME: &str = "onair-worker";

/// How long a process may take until it greets. Loading the libraries takes 50 ms; a busy machine takes longer.
const START_TIME: Duration = Duration::from_secs(20);

/// How long an ended process may take to be gone.
const LAST_WORDS_TIME: Duration = Duration::from_secs(2);

/// Bytes that wait in a pipe: an image for an overlay, or many frames, so that they do not go in slices of 64 KiB with a change of
/// processes for each. What the system gives to everybody who asks.
const PIPE: libc::c_int = 1 << 20;

/// Lines that a process may write to the log, and their length in bytes.
const MOST_LINES: usize = 32;
const LONGEST_LINE: u64 = 1024;

/// What Rust's allocator says before it aborts.
const OUT_OF_MEMORY: &str = "memory allocation of";

/// Where the program is: the configured path, or beside the server's own program.
pub fn executable(config: &Config) -> Result<PathBuf, String> {
    let path = match &config.path {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .ok()
            .and_then(|own| Some(own.parent()?.join(NAME)))
            .ok_or_else(|| "the place of this program is not known: set worker.path".to_owned())?,
    };
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("there is no {}", path.display())),
    }
}

/// Why a process did not come to greet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// It cannot be started.
    #[error("cannot be started: {0}")]
    Spawn(#[from] io::Error),
    /// It said something else than a greeting, or nothing in time.
    #[error("did not greet: {0}")]
    Greeting(String),
    /// It is of another release.
    #[error("is of another release than the server: its messages are of version {0}")]
    Version(u16),
}

/// A process that has greeted, and waits.
#[derive(Debug)]
pub struct Process {
    /// What it said of itself.
    pub hello: Hello,
    /// Where orders go; taken to say that there are no more.
    pub input: Option<ChildStdin>,
    /// Where reports come from.
    pub output: Output,
    /// Kills the process when it is dropped.
    child: Child,
    words: LastWords,
}

/// Reports, as they come.
#[derive(Debug)]
pub struct Output {
    pipe: ChildStdout,
    received: BytesMut,
    decoder: Decoder<FromWorker>,
}

impl Output {
    /// The next report; `None` after the end. Cancel-safe.
    ///
    /// # Errors
    /// When what comes is no report.
    pub async fn next(&mut self) -> Result<Option<FromWorker>, Unreadable> {
        loop {
            if let Some(report) = self.decoder.next(&mut self.received)? {
                return Ok(Some(report));
            }
            // A pipe that breaks is an end like another.
            if self.pipe.read_buf(&mut self.received).await.unwrap_or(0) == 0 {
                return Ok(None);
            }
        }
    }
}

impl Process {
    /// Starts a process and waits for its greeting.
    ///
    /// # Errors
    /// When it does not greet.
    pub async fn start(executable: &Path, memory: usize) -> Result<Self, SpawnError> {
        let mut child = Command::new(executable)
            .arg("serve")
            .arg(memory.to_string())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the server, which lets its jobs end.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(io::Error::other("it has no pipes").into());
        };
        widen(&input);
        widen(&output);
        let words = LastWords::default();
        tokio::spawn(listen(errors, words.clone()));
        let mut output = Output { pipe: output, received: BytesMut::new(), decoder: Decoder::default() };
        let greeting = timeout(START_TIME, output.next()).await;
        let hello = match greeting {
            Ok(Ok(Some(FromWorker::Hello(hello)))) => hello,
            Ok(Ok(Some(_))) => return Err(SpawnError::Greeting("it said something else".to_owned())),
            Ok(Ok(None)) => {
                let ended = timeout(LAST_WORDS_TIME, child.wait()).await;
                return Err(SpawnError::Greeting(words.told(ended.ok().and_then(Result::ok))));
            }
            Ok(Err(error)) => return Err(SpawnError::Greeting(error.to_string())),
            Err(_) => return Err(SpawnError::Greeting("it said nothing".to_owned())),
        };
        match hello.version {
            VERSION => Ok(Self { hello, input: Some(input), output, child, words }),
            other => Err(SpawnError::Version(other)),
        }
    }

    /// Whether it still waits.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process, and tells why it ended if it did so by itself: a moment before, its pipe had.
    pub async fn bury(mut self) -> Lost {
        // It has closed its pipe, so that it is about to end.
        let ended = timeout(LAST_WORDS_TIME, self.child.wait()).await.ok().and_then(Result::ok);
        // The listener ends with the process; until then it may be behind.
        tokio::task::yield_now().await;
        match self.words.is_out_of_memory() {
            true => Lost::Memory,
            false => Lost::Crashed(self.words.told(ended)),
        }
    }
}

/// Makes room in a pipe. Where the system refuses, it is slower.
fn widen(pipe: &impl AsRawFd) {
    // SAFETY: the descriptor is open as long as it is borrowed; the call has plain numbers.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE) };
}

/// What a process wrote to standard error.
#[derive(Clone, Debug, Default)]
struct LastWords(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    last: String,
    lines: usize,
    out_of_memory: bool,
}

impl LastWords {
    fn hear(&self, line: &str) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.lines += 1;
        words.out_of_memory |= line.contains(OUT_OF_MEMORY);
        if words.lines <= MOST_LINES {
            tracing::warn!(line, "a media worker says");
            line.clone_into(&mut words.last);
        }
    }

    fn is_out_of_memory(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).out_of_memory
    }

    /// How it ended, with what it said last.
    fn told(&self, ended: Option<ExitStatus>) -> String {
        let ended = ended.map_or_else(|| "it does not end".to_owned(), |status| status.to_string());
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match words.last.as_str() {
            "" => ended,
            last => format!("{ended}: {last}"),
        }
    }
}

async fn listen(errors: ChildStderr, words: LastWords) {
    let mut reader = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(1..) => words.hear(String::from_utf8_lossy(&line).trim_end()),
            _ => return,
        }
    }
}
