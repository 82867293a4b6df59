//! Recordings of what FFmpeg sends, as they are and damaged.

use super::*;

/// FFmpeg 5.1, H.264 and AAC, `rtmp://127.0.0.1:19350/live/golden?token=x`: everything it sent.
const FFMPEG_5: &[u8] = include_bytes!("../testdata/ffmpeg5_h264_aac_publish.bin");

/// FFmpeg 9, HEVC and Opus in Enhanced RTMP, `rtmp://127.0.0.1:19350/live/show?key=golden`: everything it sent.
const FFMPEG_9: &[u8] = include_bytes!("../testdata/ffmpeg9_hevc_opus_publish.bin");

/// What came of a recording.
#[derive(Debug, PartialEq)]
struct Replay {
    events: Vec<Event>,
    sent: usize,
    /// The most memory the server held in incomplete messages.
    buffered: usize,
    result: Result<(), SessionError>,
}

/// Sends a recording to a server that accepts every publisher.
fn replay(recording: &[u8], mut split: impl FnMut() -> usize) -> Replay {
    let now = crate::clock::monotonic();
    let mut server = server(now);
    let mut input = BytesMut::new();
    let mut replay = Replay { events: Vec::new(), sent: 0, buffered: 0, result: Ok(()) };
    let mut rest = recording;
    while !rest.is_empty() && replay.result.is_ok() {
        let (part, later) = rest.split_at(split().clamp(1, rest.len()));
        rest = later;
        input.extend_from_slice(part);
        loop {
            let intake = server.receive(&mut input, now);
            while let Some(output) = server.poll() {
                match output {
                    Output::Send(bytes) => replay.sent += bytes.len(),
                    Output::Event(event) => {
                        if let Event::Publish(_) = event {
                            server.accept_publish();
                        }
                        replay.events.push(event);
                    }
                }
            }
            replay.buffered = replay.buffered.max(server.buffered());
            match intake {
                Ok(Intake::Backlogged) => {}
                Ok(Intake::Drained) => break,
                Err(error) => {
                    replay.result = Err(error);
                    break;
                }
            }
        }
    }
    replay
}

fn count(replay: &Replay, matches: impl Fn(&Event) -> bool) -> usize {
    replay.events.iter().filter(|event| matches(event)).count()
}

/// The timestamps and first two bytes of the media of one kind.
fn headers<'a>(media: impl Iterator<Item = &'a MediaMessage>) -> Vec<(u32, [u8; 2])> {
    media.map(|message| (message.timestamp, *message.body.first_chunk().unwrap_or(&[0; 2]))).collect()
}

fn videos(replay: &Replay) -> impl Iterator<Item = &MediaMessage> {
    replay.events.iter().filter_map(|event| match event {
        Event::Video(message) => Some(message),
        _ => None,
    })
}

#[test]
fn a_recorded_session_of_ffmpeg_5_is_understood() {
    let replay = replay(FFMPEG_5, || usize::MAX);
    assert_eq!(replay.result, Ok(()));
    let Some(Event::Publish(request)) = replay.events.first() else { panic!("no request") };
    assert_eq!((request.address.app.as_str(), request.address.key()), ("live", Some("golden")));
    assert_eq!(request.address.parameter("token"), Some("x"));
    assert!(request.capabilities.is_empty());
    let Some(Event::Data { values, .. }) = replay.events.get(1) else { panic!("no metadata") };
    assert_eq!(values[0].as_str(), Some("onMetaData"));
    assert_eq!(values[1].property("width").and_then(Value::as_f64), Some(64.0));
    // The sequence header, three pictures at five a second behind the priming of AAC, and the end of sequence.
    let expected = [(0, [0x17, 0]), (23, [0x17, 1]), (223, [0x27, 1]), (423, [0x27, 1]), (423, [0x17, 2])];
    assert_eq!(headers(videos(&replay)), expected);
    assert_eq!(count(&replay, |event| matches!(event, Event::Audio(_))), 28);
    assert_eq!(replay.events.last(), Some(&Event::Unpublish));
}

#[test]
fn a_recorded_session_of_ffmpeg_9_tells_its_enhanced_codecs() {
    let replay = replay(FFMPEG_9, || usize::MAX);
    assert_eq!(replay.result, Ok(()));
    let Some(Event::Publish(request)) = replay.events.first() else { panic!("no request") };
    assert_eq!((request.address.stream.as_str(), request.address.key()), ("show", Some("golden")));
    assert_eq!(request.capabilities.fourcc_list, ["hvc1", "av01"]);
    assert!(videos(&replay).all(|video| video.body[0] & 0x80 != 0 && &video.body[1..5] == b"hvc1"));
    assert_eq!(videos(&replay).count(), 4);
    assert_eq!(count(&replay, |event| matches!(event, Event::Audio(_))), 23);
}

#[test]
fn a_recorded_session_is_the_same_however_the_bytes_are_split() {
    for recording in [FFMPEG_5, FFMPEG_9] {
        let whole = replay(recording, || usize::MAX).events;
        assert_eq!(replay(recording, || 1).events, whole);
        for seed in 0..20 {
            let mut numbers = Numbers::new(seed);
            assert_eq!(replay(recording, || numbers.below(3000)).events, whole);
        }
    }
}

#[test]
fn a_signed_handshake_of_ffmpeg_is_answered_with_a_signature() {
    use crate::protocol::rtmp::wire::handshake::{PACKET_LENGTH, ServerHandshake};
    let mut out = BytesMut::new();
    let mut input = BytesMut::from(&FFMPEG_5[..1 + PACKET_LENGTH]);
    ServerHandshake::new([7; RANDOM_LENGTH]).receive(&mut input, &mut out).unwrap();
    assert_ne!(&out[1 + PACKET_LENGTH..], &FFMPEG_5[1..1 + PACKET_LENGTH], "a plain server returns C1");
    assert_ne!(out[5..9], [0; 4]);
}

#[test]
fn damaged_recordings_never_panic_and_stay_within_bounds() {
    let handshake = 1 + 2 * handshake::PACKET_LENGTH;
    for recording in [FFMPEG_5, FFMPEG_9] {
        for seed in 0..12_500 {
            let mut numbers = Numbers::new(seed);
            let mut damaged = recording.to_vec();
            // Most of the damage goes where the structure is: the commands, not the pictures.
            let reach = [600, 1500, damaged.len() - handshake][numbers.below(3)];
            for _ in 0..=numbers.below(6) {
                let at = handshake + numbers.below(reach);
                let Some(byte) = damaged.get_mut(at) else { continue };
                match numbers.below(5) {
                    0 => *byte = numbers.below(256) as u8,
                    1 => *byte ^= 1 << numbers.below(8),
                    2 => *byte = [0, 0x7f, 0x80, 0xff][numbers.below(4)],
                    3 => {
                        damaged.drain(at..(at + 1 + numbers.below(8)).min(damaged.len())).for_each(drop);
                    }
                    _ => {
                        let copied: Vec<u8> =
                            damaged[at..].iter().take(1 + numbers.below(32)).copied().collect();
                        damaged.splice(at..at, copied);
                    }
                }
            }
            let length = damaged.len();
            let replay = replay(&damaged, || 1 + numbers.below(4096));
            let payload: usize = replay
                .events
                .iter()
                .map(|event| match event {
                    Event::Audio(message) | Event::Video(message) => message.body.len(),
                    _ => 1,
                })
                .sum();
            assert!(payload <= length, "seed {seed}: more came out than went in");
            assert!(replay.buffered <= 2 * length, "seed {seed}: {} bytes held", replay.buffered);
            assert!(replay.sent < 4 * length + 8192, "seed {seed}: {} bytes sent", replay.sent);
        }
    }
}
