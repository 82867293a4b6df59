//! Tests of the FLV module, by what they are about.

mod configuration;
mod enhanced;
mod file;
mod legacy;
mod mutation;
mod mux;
mod real;
mod samples;

use bytes::Bytes;

use super::{Demuxer, Event, Events, FlvError, Limits};
use crate::media::{Frame, MediaTime, Track};

fn demuxer() -> Demuxer {
    Demuxer::new(Limits::default())
}

fn hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn track(result: Result<Events, FlvError>) -> Track {
    match result.unwrap().as_slice() {
        [Event::Track(track)] => track.clone(),
        other => panic!("one track expected, not {other:?}"),
    }
}

fn frame(result: Result<Events, FlvError>) -> Frame {
    match result.unwrap().as_slice() {
        [Event::Frame(frame)] => frame.clone(),
        other => panic!("one frame expected, not {other:?}"),
    }
}
