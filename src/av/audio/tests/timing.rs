//! Every sample in its time, and none that clicks.

use super::*;
use crate::av::audio::decoder::silence;

/// The beeps' frequency in the first channel.
const BEEP: f64 = 880.0;

/// Compares a beep after `from` seconds in both: its onset, and by its phase the time to a fraction of a sample.
fn assert_same_beep(what: &str, source: &Heard, converted: &Heard, from: f64) {
    let (onset, expected) = (converted.onset(from), source.onset(from));
    assert!((onset - expected).abs() < 0.001, "{what}: the beep at {expected} s is at {onset} s");
    let ((phase, loudness), (expected_phase, expected_loudness)) =
        (converted.tone(BEEP, expected + 0.02), source.tone(BEEP, expected + 0.02));
    let turn = (phase - expected_phase + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
    let samples = turn / (TAU * BEEP) * 48_000.0;
    // libopus's speech mode, which it chooses for these, is two and a half samples early; its music mode is exact.
    assert!(samples.abs() < 3.0, "{what}: {samples} samples late at {expected} s");
    assert!((loudness / expected_loudness - 1.0).abs() < 0.05, "{what}: {loudness}, {expected_loudness}");
}

#[test]
fn beeps_are_where_they_were_and_with_the_picture() {
    for name in ["h264-aac", "h264-bframes-aac", "aac-44100", "audio-only"] {
        let recording = Recording::read(name);
        let source = recording.decoded();
        let converted =
            Heard::new(&recording.converted(), &AacToOpus::new(&recording.track).unwrap().track());
        for second in 1..5 {
            let picture = recording.picture.unwrap_or(MediaTime::from_millis(21)).as_secs_f64();
            let flash = picture + f64::from(second);
            assert_same_beep(name, &source, &converted, flash - 0.1);
            let onset = converted.onset(flash - 0.1);
            assert!((onset - flash).abs() < 0.005, "{name}: flash at {flash}, beep at {onset}");
        }
    }
}

#[test]
fn an_hour_does_not_drift() {
    let recording = Recording::read("aac-44100");
    // Six seconds, as many times as an hour takes: silence, which is quick, and the beeps in the end.
    let turn = recording.frames.len();
    let turns = 3600 * 44_100 / FRAME / turn;
    let silence = Bytes::from(silence(2));
    let mut converter = AacToOpus::new(&recording.track).unwrap();
    let (mut packets, mut last, mut made) = (Vec::new(), Vec::new(), 0);
    for index in 0..turns * turn {
        let pts = MediaTime::from_millis(recording.exact(index).as_millis());
        let ending = index / turn == turns - 1;
        let frame = &recording.frames[index % turn];
        let payload = if ending { &frame.payload } else { &silence }.clone();
        converter.convert(&Frame { pts, dts: pts, payload, ..frame.clone() }, &mut packets);
        // All but a packet, and what the resampler holds back, is out.
        let behind = recording.exact(index + 1) - converter.end().max(MediaTime::ZERO);
        assert!((MediaTime::ZERO..MediaTime::from_millis(50)).contains(&behind), "{behind:?} at {pts:?}");
        for packet in packets.drain(..) {
            let expected = MediaTime::from_ticks(made * 960 - 312, SAMPLE_RATE);
            assert!(
                (packet.pts - expected).abs() < MediaTime::from_nanos(2),
                "{:?} {expected:?}",
                packet.pts
            );
            made += 1;
            last.extend(Some(packet).filter(|_| ending));
        }
    }
    // What is heard in the end is still in its place.
    let start = recording.exact((turns - 1) * turn);
    let source = Heard { start, ..recording.decoded() };
    let converted = Heard::new(&last, &converter.track());
    for second in 1..5 {
        let before = start.as_secs_f64() + f64::from(second) - 0.05;
        assert_same_beep("after an hour", &source, &converted, before);
    }
}

#[test]
fn a_note_has_no_clicks() {
    for name in ["tone", "tone-44100"] {
        let recording = Recording::read(name);
        let track = AacToOpus::new(&recording.track).unwrap().track();
        let source = recording.decoded().roughness(1000.0, 0.1, 1.9);
        for parts_per_million in [0_i64, 400, -400] {
            let mut converter = AacToOpus::new(&recording.track).unwrap();
            let mut packets = Vec::new();
            for (index, frame) in recording.frames.iter().enumerate() {
                let exact = recording.exact(index).as_nanos();
                // An offset that the clock has to catch up with, beside the other crystal.
                let offset = if index == 0 { 0 } else { parts_per_million.signum() * 5_000_000 };
                let pts = MediaTime::from_nanos(exact + exact / 1_000_000 * parts_per_million + offset);
                let pts = MediaTime::from_millis(pts.as_millis());
                converter.convert(&Frame { pts, dts: pts, ..frame.clone() }, &mut packets);
            }
            let heard = Heard::new(&packets, &track);
            let roughness = heard.roughness(1000.0, 0.1, 1.9);
            assert!(roughness < 0.01, "{name}, {parts_per_million} ppm: {roughness} (source {source})");
        }
    }
}

#[test]
fn the_clock_follows_another_crystal_to_the_end() {
    let recording = Recording::read("tone-44100");
    let mut converter = AacToOpus::new(&recording.track).unwrap();
    let mut packets = Vec::new();
    for index in 0..3_000 {
        let exact = recording.exact(index).as_nanos();
        let pts = MediaTime::from_nanos(exact + exact / 1_000_000 * 300);
        let frame = Frame { pts, dts: pts, ..recording.frames[index % 80].clone() };
        converter.convert(&frame, &mut packets);
        let behind = pts - converter.end().max(MediaTime::ZERO);
        assert!(behind < MediaTime::from_millis(30), "{behind:?} at {pts:?}");
    }
    // 300 ppm of 70 s are a whole packet.
    let last = MediaTime::from_ticks((packets.len() as i64 - 1) * 960 - 312, SAMPLE_RATE);
    assert!(
        (packets[packets.len() - 1].pts - last).abs() < MediaTime::from_nanos(2),
        "all packets last 20 ms"
    );
}
