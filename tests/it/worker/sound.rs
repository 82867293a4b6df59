//! Kinds of AAC that only the worker makes Opus of: HE-AAC in both versions, and five channels with one for the depths.

use onair::av::worker::ipc::SoundTarget;
use onair::codec::opus::packet_samples;
use onair::media::{Codec, Frame, Kind, MediaTime};

use super::conversion::{assert_same_times, convert_sound, decode_opus, onset_times};
use super::material::{Material, decoded};
use crate::support::Fixture;

/// How often a wave begins in a second, between 20 and 80 ms after this moment: within a beep.
fn hertz(samples: &[f32], start: MediaTime, beep: MediaTime) -> f64 {
    let at = |millis: i64| {
        usize::try_from((beep + MediaTime::from_millis(millis) - start).to_ticks(48_000)).expect("later")
    };
    let within = &samples[at(20)..at(80)];
    let begin = |pair: &&[f32]| pair[0] < 0.0 && pair[1] >= 0.0;
    within.windows(2).filter(begin).count() as f64 / 0.06
}

/// What ffmpeg makes of a recording: its left channel at 48 kHz, mixed down to two if there are more.
async fn reference(name: &str) -> Vec<f32> {
    let mix = ["-af", "aresample=48000,aformat=channel_layouts=stereo,pan=mono|c0=c0", "-f", "f32le", "-"];
    let raw = decoded(["-f", "flv", "-i"], Fixture::path(name).as_os_str(), mix).await;
    raw.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

/// `unit` is the samples of an access unit at 48 kHz, `left` and `right` the notes at even and odd seconds.
async fn becomes_opus(name: &str, unit: i64, left: [f64; 2], right: [Option<f64>; 2]) {
    let material = Material::read(name, Kind::Audio);
    let given = convert_sound(&material, SoundTarget::Opus).await;
    assert_eq!((given.tracks.len(), given.tracks[0].codec), (1, Codec::Opus), "{name}");
    assert_eq!(given.tracks[0].audio().expect("sound").channels, 2, "{name}");
    // Each packet begins where the one before it ends, and together they are as long as what went in.
    let samples = |frame: &Frame| i64::from(packet_samples(&frame.payload).expect("a packet"));
    let start = given.frames[0].pts;
    let mut at = 0;
    for frame in &given.frames {
        let expected = start + MediaTime::from_ticks(at, 48_000);
        assert!((frame.pts - expected).abs() < MediaTime::from_millis(1), "{name}: {:?}", frame.pts);
        at += samples(frame);
    }
    let wanted = material.frames.len() as i64 * unit;
    assert!((at - wanted).abs() <= 2 * 2_048, "{name}: {at} samples of {wanted}");

    let [ours, other] = decode_opus(&given.frames);
    let wanted = onset_times(&reference(name).await, material.frames[0].pts);
    let heard = onset_times(&ours, start);
    assert!(wanted.len() >= 5, "{name}: {wanted:?}");
    assert_same_times(&heard[heard.len() - 5..], &wanted[wanted.len() - 5..]);
    for (second, beep) in heard.iter().enumerate().skip(heard.len() - 5) {
        // Six beeps in six seconds, the first at 0.
        let parity = (second + 6 - heard.len()) % 2;
        let notes = [(&ours, Some(left[parity])), (&other, right[parity])];
        for (samples, note) in notes.into_iter().filter_map(|(samples, note)| Some((samples, note?))) {
            let heard = hertz(samples, start, *beep);
            assert!((heard - note).abs() < 40.0, "{name}: {heard} Hz instead of {note} in second {second}");
        }
    }
}

#[tokio::test]
async fn he_aac_is_heard_at_its_full_rate() {
    becomes_opus("he-aac", 2_048, [880.0; 2], [Some(660.0); 2]).await;
}

#[tokio::test]
async fn b22_parametric_stereo_becomes_two_channels() {
    // One channel is sent, and how it differs between left and right.
    becomes_opus("he-aac-v2", 2_048, [880.0; 2], [Some(660.0); 2]).await;
}

#[tokio::test]
async fn b22_five_channels_and_one_are_mixed_into_two() {
    // The left speaker beeps at even seconds, the one in the middle at odd ones, the right one at all.
    becomes_opus("aac-51", 1_024, [880.0, 1_000.0], [Some(660.0), None]).await;
}
