//! Overlays with the real worker: into the splicer as fast as it goes, and live through the whole server.

mod bad_sound;
mod figures;
mod harm;
pub mod live;
mod looks;
mod source;
mod splicer;
pub mod stage;

use std::io::Write as _;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::support::{in_time, tools};
use crate::worker::material::Picture;

/// What is to be seen in each picture of a recording, decoded by ffmpeg in the order of display. `suffix` is the file's, as
/// `.flv`.
pub async fn decode<T>(
    recording: &[u8],
    suffix: &str,
    (width, height): (usize, usize),
    look: impl Fn(&Picture) -> T,
) -> Vec<T> {
    let mut file = tempfile::Builder::new().suffix(suffix).tempfile().expect("a temporary file");
    file.write_all(recording).expect("room on the disk");
    let mut ffmpeg = Command::new(tools::FFMPEG)
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(file.path())
        .args([
            "-map",
            "0:v",
            "-vsync",
            "0",
            "-enc_time_base",
            "-1",
            "-pix_fmt",
            "gray",
            "-f",
            "rawvideo",
            "-",
        ])
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
        seen.push(look(&picture));
        luma = picture.luma;
    }
    let output = in_time("ffmpeg's end", ffmpeg.wait_with_output()).await.expect("an end");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    seen
}

/// The number of a picture, and whether its lower third is white all over.
pub fn number_and_overlay(picture: &Picture) -> (u16, bool) {
    let (number, lower_third) = number_and_lower_third(picture);
    (number, lower_third > 250)
}

/// The number of a picture, and how bright its lower third is.
pub fn number_and_lower_third(picture: &Picture) -> (u16, u8) {
    let Picture { width, height, .. } = *picture;
    (picture.number(), picture.mean(8, height - height / 5, width - 16, height / 6))
}
