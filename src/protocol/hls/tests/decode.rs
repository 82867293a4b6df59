//! ffmpeg plays what is packaged, from the playlist, in full and without a complaint.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::packager::Packager;
use super::super::playlist::{Form, multivariant};
use super::super::resource::Resource;
use super::support::*;
use crate::format::fmp4::tests::reader::{encode, tempfile};
use crate::media::{Frame, MediaTime, Track};

/// Writes everything a server would serve into a folder that goes away with this.
struct Folder(PathBuf);

impl Folder {
    fn of(packager: &Packager, name: &str) -> Self {
        let folder = Self(tempfile(&format!("hls-{name}")));
        for playlist in packager.playlists() {
            let to = folder.0.join("s").join(playlist.name());
            std::fs::create_dir_all(&to).unwrap();
            std::fs::write(to.join("index.m3u8"), text_of(packager, playlist, Form::Full)).unwrap();
            for number in 0.. {
                let Some(init) = playlist.init(number) else { break };
                std::fs::write(to.join(Resource::Init(number).to_string()), init).unwrap();
            }
            for segment in playlist.segments() {
                let bytes: Vec<u8> = segment.parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
                std::fs::write(to.join(Resource::Segment(segment.msn).to_string()), bytes).unwrap();
            }
        }
        std::fs::write(folder.0.join("index.m3u8"), multivariant(packager, "s").unwrap()).unwrap();
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What ffmpeg complains about, and the frames it decodes.
fn decode(folder: &Path) -> (String, usize) {
    let output = Command::new("ffmpeg")
        .args("-nostdin -hide_banner -loglevel warning -live_start_index 0 -i".split(' '))
        .arg(folder.join("index.m3u8"))
        .args("-map 0:v? -f framemd5 - -map 0:a? -f null -".split(' '))
        .output()
        .unwrap();
    let frames =
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count();
    (String::from_utf8_lossy(&output.stderr).into_owned(), frames)
}

fn ffmpeg_plays(name: &str, args: &str) {
    let Some((tracks, frames)) = encode(args) else {
        eprintln!("{name}: this ffmpeg has no such encoder");
        return;
    };
    let pictures =
        frames.iter().filter(|frame| tracks[0].id == frame.track && tracks[0].video().is_some()).count();
    let packager = broadcast(tracks, &frames);
    let folder = Folder::of(&packager, name);
    let (complaints, decoded) = decode(&folder.0);
    assert_eq!(complaints, "", "{name}");
    assert!(pictures == 0 || decoded == pictures, "{name}: {decoded} of {pictures} frames");
}

#[test]
fn every_codec_plays_from_its_playlist() {
    let x264 = "-t 6 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 30 -c:a aac";
    ffmpeg_plays("h264", &format!("{x264} -bf 0"));
    ffmpeg_plays("h264-b", &format!("{x264} -bf 3"));
    ffmpeg_plays("aac", "-map 1 -t 6 -c:a aac");
    let x265 = "-t 4 -c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30 -tag:v hvc1";
    ffmpeg_plays("hevc-opus", &format!("{x265} -c:a libopus"));
    ffmpeg_plays("av1", "-t 3 -c:v libsvtav1 -preset 12 -g 30 -an");
    ffmpeg_plays("vp9-opus", "-t 3 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30 -c:a libopus");
}

/// `frames` from `at` on.
fn shifted(frames: &[Frame], at: MediaTime) -> impl Iterator<Item = Frame> {
    frames.iter().cloned().map(move |mut frame| {
        frame.dts += at;
        frame.pts += at;
        frame
    })
}

fn spliced(
    packager: &mut Packager,
    first: &(Vec<Track>, Vec<Frame>),
    second: &(Vec<Track>, Vec<Frame>),
    at: i64,
) {
    for (tracks, frames, at) in [(&first.0, &first.1, 0), (&second.0, &second.1, at)] {
        tracks.iter().for_each(|track| packager.track(track.clone().into()));
        shifted(frames, MediaTime::from_millis(at)).for_each(|frame| packager.frame(frame));
    }
    packager.ended();
}

#[test]
fn picture_that_changes_size_in_band_loses_no_frame() {
    let common = "-t 4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 30 -an";
    let small = encode(common).unwrap();
    let large = encode(&format!("-s 384x216 {common}")).unwrap();
    let mut packager = packager(endless(), []);
    spliced(&mut packager, &small, &large, 4000);
    assert!(packager.main().unwrap().segments().iter().all(|segment| segment.init == 0));
    let (complaints, decoded) = decode(&Folder::of(&packager, "size").0);
    assert_eq!((complaints.as_str(), decoded), ("", 240));
}

#[test]
fn publisher_that_comes_back_after_a_gap_plays_on() {
    let source = encode("-t 4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 30 -c:a aac").unwrap();
    let mut packager = packager(endless(), []);
    source.0.iter().for_each(|track| packager.track(track.clone().into()));
    source.1.iter().cloned().for_each(|frame| packager.frame(frame));
    packager.interrupted();
    shifted(&source.1, MediaTime::from_millis(9500)).for_each(|frame| packager.frame(frame));
    packager.ended();
    let folder = Folder::of(&packager, "gap");
    let probe = Command::new("ffprobe")
        .args(
            "-loglevel error -select_streams v -show_entries packet=pts_time -of csv=p=0 -live_start_index 0"
                .split(' '),
        )
        .arg(folder.0.join("index.m3u8"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&probe.stderr), "");
    assert_eq!(String::from_utf8_lossy(&probe.stdout).lines().count(), 240);
}
