//! Damaged input of every kind: errors are wanted, panics are not.

use bytes::BytesMut;

use super::samples::{AV1, H264, H264_LARGER, H265, METADATA, OPUS, TWO_AAC, VP8, VP9};
use super::{demuxer, hex, ms};
use crate::format::flv::file::{Reader, TagKind, header, write_tag};
use crate::format::flv::{Event, mux};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let place = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, self.below(256) as u8),
                2 => drop(bytes.drain(place..).take(self.below(4)).count()),
                3 => bytes.extend_from_within(place..),
                _ if bytes.is_empty() => {}
                _ => bytes[place] ^= 1 << self.below(8),
            }
        }
    }
}

#[test]
fn damaged_bodies_never_panic_and_frames_that_come_out_can_be_muxed() {
    let many = "9510 6d703461 05 000005 118856e500 06 000005 118856e500".to_owned();
    let chain = OPUS[2].replacen("91", "97 02 07a120 01", 1);
    let video: [&[&str]; 6] = [&H264, &H264_LARGER, &H265, &AV1, &VP8, &VP9];
    let audio: [&[&str]; 4] = [&OPUS, &TWO_AAC, &[&many], &[&chain, METADATA]];
    let mut random = Random(0xF1A5);
    let (mut frames, mut errors) = (0, 0);
    for _ in 0..1_500 {
        let mut demuxer = demuxer();
        let mut tracks = Vec::new();
        let mut streams = [video[random.below(video.len())], audio[random.below(2)]];
        for step in 0..20 {
            let is_video = step % 2 == 0;
            match random.below(20) {
                0 => streams[0] = video[random.below(video.len())],
                1 => streams[1] = audio[random.below(audio.len())],
                _ => {}
            }
            let bodies = streams[usize::from(!is_video)];
            let index = if step < 2 { 0 } else { random.below(bodies.len()) };
            let mut body = hex(bodies[index]).to_vec();
            if step > 1 && random.below(2) == 0 {
                random.damage(&mut body);
            }
            let time = ms(step * 40);
            let result =
                if is_video { demuxer.video(time, body.into()) } else { demuxer.audio(time, body.into()) };
            errors += usize::from(result.is_err());
            for event in result.unwrap_or_default() {
                match event {
                    Event::Track(track) => {
                        mux::sequence_header(&track);
                        tracks.retain(|known: &crate::media::Track| known.id != track.id);
                        tracks.push(track);
                        mux::on_metadata(&tracks, &[]);
                    }
                    Event::Frame(frame) => {
                        let track = tracks.iter().find(|track| track.id == frame.track).unwrap();
                        assert!(!frame.payload.is_empty());
                        mux::frame_prefix(track, &frame);
                        frames += 1;
                    }
                }
            }
        }
    }
    assert!(frames > 3_000 && errors > 3_000, "{frames} frames, {errors} errors");
}

#[test]
fn damaged_files_never_panic() {
    let mut file = BytesMut::from(&header(true, true)[..]);
    for (index, body) in H264.iter().chain(&H265).enumerate() {
        write_tag(&mut file, TagKind::Video, 40 * index as u32, &[&hex(body)]);
    }
    let mut random = Random(0xF11E);
    let mut tags = 0;
    for _ in 0..20_000 {
        let mut bytes = file.to_vec();
        random.damage(&mut bytes);
        let mut reader = Reader::new(4096);
        'file: for chunk in bytes.chunks(1 + random.below(200)) {
            reader.push(chunk);
            loop {
                match reader.next_tag() {
                    Ok(Some(_)) => tags += 1,
                    Ok(None) => break,
                    Err(_) => break 'file,
                }
            }
        }
    }
    assert!(tags > 20_000, "only {tags} tags");
}
