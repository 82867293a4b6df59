//! Overlays with the real worker: into the splicer as fast as it goes, and live through the whole server.

mod live;
mod splicer;

use std::io::Write as _;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::support::{in_time, tools};
use crate::worker::material::Picture;

/// Number and brightness at the lower edge of each picture of a recording, decoded by ffmpeg in the order of display.
async fn decode(recording: &[u8], (width, height): (usize, usize)) -> Vec<(u16, u8)> {
    let mut file = tempfile::Builder::new().suffix(".flv").tempfile().expect("a temporary file");
    file.write_all(recording).expect("room on the disk");
    let mut ffmpeg = Command::new(tools::FFMPEG)
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(file.path())
        .args(["-map", "0:v", "-vsync", "0", "-pix_fmt", "gray", "-f", "rawvideo", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg (scripts/install-packages test)");
    let mut raw = ffmpeg.stdout.take().expect("a pipe");
    let mut seen = Vec::new();
    let mut luma = vec![0; width * height];
    while in_time("a picture", raw.read_exact(&mut luma)).await.is_ok() {
        let picture = Picture { width, height, luma };
        let lower_edge = picture.mean(8, height - height / 5, width - 16, height / 6);
        seen.push((picture.number(), lower_edge));
        luma = picture.luma;
    }
    let output = in_time("ffmpeg's end", ffmpeg.wait_with_output()).await.expect("an end");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    seen
}
