//! Real streams, made on the spot by ffmpeg.

use std::path::PathBuf;
use std::process::Command;

use bytes::BytesMut;

use super::demuxer;
use crate::format::flv::file::{Reader, Tag, TagKind, header, write_tag};
use crate::format::flv::{Event, mux};
use crate::media::{Frame, MediaTime, Track};

const MAX_BODY: usize = 1 << 20;

/// A directory that goes when the test ends.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("onair-flv-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Two seconds of H.264 with B-frames and AAC.
fn recorded(dir: &TempDir) -> Vec<u8> {
    let path = dir.0.join("in.flv");
    let arguments = "-v error -y -f lavfi -i testsrc2=size=160x120:rate=25 -f lavfi -i sine=sample_rate=44100 -t 2 \
                     -c:v libx264 -bf 3 -b_strategy 0 -g 25 -threads 1 -c:a aac -b:a 48k";
    let status = Command::new("ffmpeg").args(arguments.split_whitespace()).arg(&path).status();
    assert!(status.expect("ffmpeg must be installed").success());
    std::fs::read(path).unwrap()
}

fn tags(bytes: &[u8]) -> Vec<Tag> {
    let mut reader = Reader::new(MAX_BODY);
    reader.push(bytes);
    std::iter::from_fn(|| reader.next_tag().unwrap()).collect()
}

fn demuxed(tags: &[Tag]) -> (Vec<Track>, Vec<Frame>) {
    let mut demuxer = demuxer();
    let (mut tracks, mut frames) = (Vec::new(), Vec::new());
    for tag in tags {
        let time = MediaTime::from_millis(tag.timestamp_ms.into());
        let events = match tag.kind {
            TagKind::Video => demuxer.video(time, tag.body.clone()),
            TagKind::Audio => demuxer.audio(time, tag.body.clone()),
            TagKind::Script => continue,
        };
        for event in events.unwrap() {
            match event {
                Event::Track(track) => tracks.push(track),
                Event::Frame(frame) => frames.push(frame),
            }
        }
    }
    (tracks, frames)
}

fn written(tracks: &[Track], frames: &[Frame]) -> BytesMut {
    let kind_of = |track: &Track| if track.video().is_some() { TagKind::Video } else { TagKind::Audio };
    let mut out = BytesMut::from(&header(true, true)[..]);
    write_tag(&mut out, TagKind::Script, 0, &[&mux::on_metadata(tracks, &[])]);
    for track in tracks {
        write_tag(&mut out, kind_of(track), 0, &[&mux::sequence_header(track).unwrap()]);
    }
    for frame in frames {
        let track = tracks.iter().find(|track| track.id == frame.track).unwrap();
        let prefix = mux::frame_prefix(track, frame);
        let timestamp = u32::try_from(frame.dts.as_millis()).unwrap();
        write_tag(&mut out, kind_of(track), timestamp, &[prefix.as_ref(), &frame.payload]);
    }
    out
}

/// What ffmpeg makes of a file: a checksum and the times of every packet.
fn packets(dir: &TempDir, bytes: &[u8]) -> String {
    let path = dir.0.join("probe.flv");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args("-map 0 -c copy -f framemd5 -".split_whitespace())
        .output()
        .expect("ffmpeg must be installed");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_stream_with_b_frames_goes_through_unchanged() {
    let dir = TempDir::new("through");
    let bytes = recorded(&dir);
    let tags_in = tags(&bytes);
    let (tracks, frames) = demuxed(&tags_in);
    assert_eq!(tracks.len(), 2);
    let video: Vec<_> = frames.iter().filter(|frame| frame.track == tracks[0].id).collect();
    assert_eq!(video.len(), 50);
    assert_eq!(video.iter().filter(|frame| frame.keyframe).count(), 2);
    assert!(video.iter().any(|frame| frame.disposable) && video.iter().any(|frame| frame.pts > frame.dts));
    assert!(frames.len() - video.len() > 80, "two seconds of AAC are 86 access units");

    let out = written(&tracks, &frames);
    let media = |tags: &[Tag]| -> Vec<Tag> {
        let is_end = |tag: &Tag| tag.kind == TagKind::Video && tag.body.get(1) == Some(&2);
        tags.iter().filter(|tag| tag.kind != TagKind::Script && !is_end(tag)).cloned().collect()
    };
    assert_eq!(media(&tags(&out)), media(&tags_in), "every tag is as ffmpeg wrote it");
    assert_eq!(packets(&dir, &out), packets(&dir, &bytes));
}
