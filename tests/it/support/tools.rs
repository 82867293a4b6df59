//! The real tools: Debian's ffmpeg and ffprobe, and the newer ffmpeg that speaks Enhanced RTMP.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use super::in_time;

/// Debian's ffmpeg.
pub const FFMPEG: &str = "ffmpeg";

/// The newer ffmpeg, where it is installed. `make install-test` installs it; without it the caller skips, loudly, and in
/// continuous integration fails.
pub fn enhanced_ffmpeg() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/ffmpeg-enhanced");
    if path.exists() {
        return Some(path);
    }
    let why = format!("NOT TESTED: {} is missing (make install-test installs it)", path.display());
    assert!(std::env::var_os("CI").is_none(), "{why}");
    // Past the test harness, which keeps what passing tests print to itself.
    let _ = writeln!(std::io::stderr(), "\n{why}\n");
    None
}

/// Runs a tool to its end; gives standard output. It must succeed and have nothing to complain of.
pub async fn run<S: AsRef<OsStr>>(tool: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = S>) -> String {
    finished(start(tool, arguments)).await
}

/// Starts a tool, which dies with its handle.
pub fn start<S: AsRef<OsStr>>(tool: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = S>) -> Child {
    let mut command = Command::new(tool.as_ref());
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| {
        panic!("{}: {error} (scripts/install-packages test installs it)", tool.as_ref().display())
    })
}

/// Waits for a tool's end; gives standard output. It must succeed and have nothing to complain of.
pub async fn finished(tool: Child) -> String {
    let output = in_time("the tool's end", tool.wait_with_output()).await.expect("an exit status");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// ffprobe and a full decode of a recording report no error; gives ffprobe's `-show_streams` and `-show_packets`.
pub async fn probe_and_decode(recording: &[u8]) -> serde_json::Value {
    let file = file(recording, ".flv");
    let probe = ["-v", "error", "-show_streams", "-show_packets", "-of", "json"].map(OsStr::new);
    let probed = run("ffprobe", probe.into_iter().chain([file.path().as_os_str()])).await;
    decode(FFMPEG.as_ref(), file.path()).await;
    serde_json::from_str(&probed).expect("JSON")
}

/// A full decode with the newer ffmpeg reports no error, where it is installed.
pub async fn decode_enhanced(recording: &[u8]) {
    let Some(ffmpeg) = enhanced_ffmpeg() else { return };
    decode(&ffmpeg, file(recording, ".flv").path()).await;
}

/// A full decode of an MP4 file reports no error.
pub async fn decode_mp4(recording: &[u8]) {
    decode(FFMPEG.as_ref(), file(recording, ".mp4").path()).await;
}

async fn decode(ffmpeg: &Path, file: &Path) {
    let before = ["-nostdin", "-v", "error", "-xerror", "-i"].map(OsStr::new);
    let after = ["-f", "null", "-"].map(OsStr::new);
    run(ffmpeg, before.into_iter().chain([file.as_os_str()]).chain(after)).await;
}

fn file(recording: &[u8], suffix: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(suffix).tempfile().expect("a temporary file");
    file.write_all(recording).expect("room on the disk");
    file
}

/// What `ffmpeg -c copy -f framehash` says of an input: its packets, one line each.
pub fn framehash_arguments(input: &str) -> Vec<String> {
    let arguments =
        ["-nostdin", "-v", "error", "-i", input, "-c", "copy", "-f", "framehash", "-hash", "md5", "-"];
    arguments.map(str::to_owned).to_vec()
}
