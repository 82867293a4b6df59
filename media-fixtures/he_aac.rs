//! Makes `he-aac.flv` and `he-aac-v2.flv`: `cargo run -- 1 > he-aac.flv`, in a project with the crate `fdk-aac`, whose licence
//! lets nobody build it into onair.

use std::io::{Write, stdout};

use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};

const RATE: usize = 48_000;
const SECONDS: usize = 6;

/// A tag of FLV: 8 is sound.
fn tag(millis: usize, body: &[u8]) -> Vec<u8> {
    let (length, time) = (body.len() as u32, millis as u32);
    let mut tag = vec![8];
    tag.extend(&length.to_be_bytes()[1..]);
    tag.extend(&time.to_be_bytes()[1..]);
    tag.extend([0; 4]);
    tag.extend(body);
    tag.extend((length + 11).to_be_bytes());
    tag
}

/// A beep of 0.1 s begins on each whole second: 880 Hz left, 660 Hz right.
fn sample(index: usize) -> [i16; 2] {
    let time = index as f64 / RATE as f64;
    let tone = |hertz: f64| (9830.0 * (std::f64::consts::TAU * hertz * time).sin()) as i16;
    if index % RATE < RATE / 10 { [tone(880.0), tone(660.0)] } else { [0, 0] }
}

fn main() {
    let audio_object_type = match std::env::args().nth(1).as_deref() {
        Some("1") => AudioObjectType::Mpeg4HeAac,
        Some("2") => AudioObjectType::Mpeg4HeAacV2,
        _ => panic!("1 or 2: the version of HE-AAC"),
    };
    let encoder = Encoder::new(EncoderParams {
        bit_rate: BitRate::Cbr(48_000),
        sample_rate: RATE as u32,
        transport: Transport::Raw,
        channels: ChannelMode::Stereo,
        audio_object_type,
    })
    .unwrap();
    let info = encoder.info().unwrap();
    let config = &info.confBuf[..info.confSize as usize];
    eprintln!("AudioSpecificConfig {config:02x?}, {} samples a frame, delay {}", info.frameLength, info.nDelay);
    let mut flv = b"FLV\x01\x04\0\0\0\x09\0\0\0\0".to_vec();
    flv.extend(tag(0, &[&[0xaf, 0][..], config].concat()));
    let samples: Vec<i16> = (0..RATE * SECONDS).flat_map(sample).collect();
    let frame = info.frameLength as usize;
    for (index, samples) in samples.chunks_exact(frame * 2).enumerate() {
        let mut output = [0; 4096];
        let encoded = encoder.encode(samples, &mut output).unwrap();
        assert_eq!(encoded.input_consumed, frame * 2);
        if encoded.output_size > 0 {
            let body = [&[0xaf, 1][..], &output[..encoded.output_size]].concat();
            flv.extend(tag(index * frame * 1000 / RATE, &body));
        }
    }
    stdout().write_all(&flv).unwrap();
}
