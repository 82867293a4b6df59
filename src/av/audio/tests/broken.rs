//! What is missing, too much, or broken.

use super::*;
use crate::av::audio::decoder::silence;

/// Mutations of each access unit.
const MUTATIONS: u64 = 40;

fn converter(recording: &Recording) -> (AacToOpus, Vec<Frame>) {
    (AacToOpus::new(&recording.track).unwrap(), Vec::new())
}

#[test]
fn a_broken_access_unit_is_a_short_gap_with_soft_edges() {
    for name in ["tone", "tone-44100"] {
        let recording = Recording::read(name);
        let (mut converter, mut packets) = converter(&recording);
        for (index, frame) in recording.frames.iter().enumerate() {
            let broken = Frame { payload: Bytes::from_static(&[0xff; 40]), ..frame.clone() };
            converter.convert(if index == 40 { &broken } else { frame }, &mut packets);
        }
        assert_eq!(converter.concealed(), 1);
        let heard = Heard::new(&packets, &converter.track());
        let gap = recording.frames[40].pts.as_secs_f64();
        let loudness = |at: f64| heard.tone(1000.0, at).1 / heard.tone(1000.0, gap - 0.3).1;
        assert!(loudness(gap - 0.07) > 0.95 && loudness(gap + 0.07) > 0.95);
        assert!(loudness(gap) < 0.85, "something is missing");
        let roughness = heard.roughness(1000.0, 0.1, 1.9);
        assert!(roughness < 0.03, "{roughness}");
    }
}

#[test]
fn broken_from_the_start_recovers() {
    let recording = Recording::read("h264-aac");
    let (mut converter, mut packets) = converter(&recording);
    for (index, frame) in recording.frames.iter().enumerate() {
        // A single channel where there is a pair, which must not fix the decoder's idea of the stream.
        let broken = Frame { payload: silence(1).into(), ..frame.clone() };
        converter.convert(if index < 5 { &broken } else { frame }, &mut packets);
    }
    assert!(converter.concealed() >= 5);
    assert!(Heard::new(&packets, &converter.track()).onset(0.9) < 1.1);
}

#[test]
fn mutated_access_units_stop_nothing() {
    let recording = Recording::read("short");
    let (mut converter, mut packets) = converter(&recording);
    let (mut state, mut index) = (1_u64, 0);
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % limit
    };
    for frame in &recording.frames {
        for _ in 0..MUTATIONS {
            let mut payload = frame.payload.to_vec();
            for _ in 0..=random(3) {
                let at = random(payload.len());
                match random(3) {
                    0 => payload[at] ^= 1 << random(8),
                    1 => payload[at] = random(256) as u8,
                    _ => payload.truncate(at.max(1)),
                }
            }
            let pts = recording.exact(index);
            index += 1;
            converter
                .convert(&Frame { pts, dts: pts, payload: payload.into(), ..frame.clone() }, &mut packets);
        }
    }
    assert!(converter.concealed() > 100);
    let heard = Heard::new(&packets, &converter.track());
    assert!(heard.samples.iter().all(|sample| sample.is_finite()));
    assert!(converter.end() > recording.exact(index) - MediaTime::from_millis(40));
}

#[test]
fn a_short_gap_is_filled_and_a_long_one_left_open() {
    for (name, missing, filled) in [("tone", 3, true), ("tone-44100", 3, true), ("tone-44100", 10, false)] {
        let recording = Recording::read(name);
        let (mut converter, mut packets) = converter(&recording);
        for (index, frame) in recording.frames.iter().enumerate() {
            if !(40..40 + missing).contains(&index) {
                converter.convert(frame, &mut packets);
            }
        }
        converter.flush(&mut packets);
        let step = |pair: &[Frame]| pair[1].pts - pair[0].pts > MediaTime::from_millis(21);
        let open = packets.windows(2).position(step);
        assert_eq!(open.is_none(), filled, "{name}");
        let pieces = open.map_or((&packets[..], &[][..]), |at| packets.split_at(at + 1));
        let before = Heard::new(pieces.0, &converter.track());
        let roughness = before.roughness(1000.0, 0.1, 1.9);
        assert!(roughness < 0.03, "{roughness}");
        let behind = recording.frames[40 + missing].pts.as_secs_f64() + 0.06;
        let expected = recording.decoded().tone(1000.0, behind).0;
        let after = if filled { before } else { Heard::new(pieces.1, &converter.track()) };
        let late = (after.tone(1000.0, behind).0 - expected + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
        // The first time after a long gap is taken as it is, in milliseconds.
        let tolerance = if filled { 0.1 } else { TAU / 2.0 };
        assert!(late.abs() < tolerance, "{name}: {late} rad late behind the gap");
    }
}

#[test]
fn too_much_sound_is_left_out_without_a_click() {
    let recording = Recording::read("tone");
    let (mut converter, mut packets) = converter(&recording);
    for (index, frame) in recording.frames.iter().enumerate() {
        // For half a second, five frames come in the time of three.
        let early = (index.clamp(20, 45) - 20) * 2 / 5;
        let pts = recording.exact(index - early);
        converter.convert(&Frame { pts, dts: pts, ..frame.clone() }, &mut packets);
    }
    let end = recording.exact(recording.frames.len() - 10);
    assert!((converter.end() - end).abs() < MediaTime::from_millis(70), "{:?} {end:?}", converter.end());
    let heard = Heard::new(&packets, &converter.track());
    let roughness = heard.roughness(1000.0, 0.1, end.as_secs_f64() - 0.1);
    assert!(roughness < 0.03, "{roughness}");
}

#[test]
fn times_rise_whatever_comes() {
    let recording = Recording::read("short");
    let (mut converter, mut packets) = converter(&recording);
    // A takeover at once, a jump ahead, time that hardly goes by, an absurd time.
    let times = [0, 21, 43, 43, 44, 45, 46, 47, 48, 49, 50, 5_000, 5_021, 5_022, i64::MAX / 1_000_000];
    for (round, millis) in times.iter().cycle().take(60).enumerate() {
        let pts = MediaTime::from_millis(*millis);
        converter.convert(&Frame { pts, dts: pts, ..recording.frames[round].clone() }, &mut packets);
        if round % 7 == 6 {
            converter.flush(&mut packets);
        }
    }
    let rising = |pair: &[Frame]| pair[0].dts < pair[1].dts || pair[1].dts > MediaTime::from_millis(1 << 40);
    assert!(
        packets.windows(2).all(rising),
        "{:?}",
        packets.iter().map(|packet| packet.dts).collect::<Vec<_>>()
    );
}
