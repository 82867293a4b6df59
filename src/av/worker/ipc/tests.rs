//! Messages there and back, and what is no message.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::codec::{self, samples};
use crate::media::{Codec, TrackId};

fn time() -> impl Strategy<Value = MediaTime> {
    any::<i64>().prop_map(MediaTime::from_nanos)
}

fn millis() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|millis| Duration::from_millis(millis.into()))
}

fn track() -> impl Strategy<Value = Track> {
    let codec = prop_oneof![
        Just(Codec::H264),
        Just(Codec::H265),
        Just(Codec::Av1),
        Just(Codec::Vp8),
        Just(Codec::Vp9),
        Just(Codec::Aac),
        Just(Codec::Opus)
    ];
    (any::<[u8; 3]>(), codec).prop_map(|([id, group, rank], codec)| {
        let record = if codec == Codec::Vp8 { Vec::new() } else { samples::of(codec) };
        let description = codec::describe(codec, &record).unwrap();
        Track { id: TrackId(id), group, rank, codec, config: description.config, params: description.params }
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    (any::<u8>(), time(), time(), any::<bool>(), any::<bool>(), vec(any::<u8>(), 1..300)).prop_map(
        |(track, pts, dts, keyframe, disposable, payload)| Frame {
            track: TrackId(track),
            pts,
            dts,
            keyframe,
            disposable,
            payload: payload.into(),
        },
    )
}

fn encoding() -> impl Strategy<Value = Encoding> {
    (prop_oneof![Just(Speed::Superfast), Just(Speed::Ultrafast)], any::<u32>())
        .prop_map(|(speed, max_bitrate)| Encoding { speed, max_bitrate })
}

fn size(most: u32) -> impl Strategy<Value = Size> {
    (1..=most, 1..=most).prop_map(|(width, height)| Size { width, height })
}

fn sprite() -> impl Strategy<Value = Sprite> {
    (size(8), vec(millis(), 1..5)).prop_flat_map(|(size, durations)| {
        let bytes = (size.width * size.height * 4) as usize;
        vec(any::<u8>(), bytes * durations.len()).prop_map(move |pixels| {
            let pixels = Bytes::from(pixels);
            let frames = durations.iter().enumerate().map(|(index, &duration)| SpriteFrame {
                duration,
                rgba: pixels.slice(index * bytes..(index + 1) * bytes),
            });
            Sprite { size, frames: frames.collect() }
        })
    })
}

fn rect(canvas: Size) -> impl Strategy<Value = Rect> {
    (0..canvas.width, 0..canvas.height).prop_flat_map(move |(x, y)| {
        (1..=canvas.width - x, 1..=canvas.height - y).prop_map(move |(width, height)| Rect {
            x,
            y,
            width,
            height,
        })
    })
}

fn overlay() -> impl Strategy<Value = Overlay> {
    size(4_000).prop_flat_map(|canvas| {
        let squeeze = (rect(canvas), any::<[u8; 3]>(), millis())
            .prop_map(|(picture, background, transition)| Squeeze { picture, background, transition });
        (any::<u64>(), time(), time(), sprite(), rect(canvas), option::of(squeeze)).prop_map(
            move |(id, start, end, sprite, place, squeeze)| Overlay {
                id: OverlayId(id),
                start,
                end,
                sprite,
                canvas,
                place,
                squeeze,
            },
        )
    })
}

fn job() -> impl Strategy<Value = Job> {
    let sound = prop_oneof![Just(SoundTarget::Opus), Just(SoundTarget::Aac)];
    let convert = (option::of(encoding()), option::of(sound), time())
        .prop_map(|(video, audio, after)| Job::Convert(Convert { video, audio, after }));
    let image = (vec(any::<u8>(), 0..300), size(MAX_SPRITE_SIDE), any::<u32>(), any::<u16>(), millis())
        .prop_map(|(file, fit, max_pixels, max_frames, max_time)| {
            Job::Image(ImageJob { file: file.into(), fit, max_pixels, max_frames, max_time })
        });
    prop_oneof![convert, encoding().prop_map(|encoding| Job::BurnIn(BurnIn { encoding })), image]
}

fn output() -> impl Strategy<Value = OutputId> {
    any::<u32>().prop_map(OutputId)
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    prop_oneof![
        job().prop_map(ToWorker::Start),
        track().prop_map(ToWorker::Track),
        frame().prop_map(ToWorker::Frame),
        output().prop_map(|output| ToWorker::Open { output }),
        (output(), overlay()).prop_map(|(output, overlay)| ToWorker::Overlay { output, overlay }),
        (output(), any::<u64>(), time()).prop_map(|(output, id, at)| ToWorker::Cancel {
            output,
            id: OverlayId(id),
            at
        }),
        (output(), time(), time()).prop_map(|(output, dts, pts)| ToWorker::Cut { output, dts, pts }),
        (output(), time()).prop_map(|(output, before)| ToWorker::StopOutput { output, before }),
        output().prop_map(|output| ToWorker::CloseOutput { output }),
        Just(ToWorker::Keyframe),
        time().prop_map(|before| ToWorker::Stop { before }),
    ]
}

fn from_worker() -> impl Strategy<Value = FromWorker> {
    let confinement = (any::<u8>(), any::<bool>(), any::<bool>(), any::<u64>()).prop_map(
        |(landlock, seccomp, no_new_privileges, memory)| Confinement {
            landlock,
            seccomp,
            no_new_privileges,
            memory,
        },
    );
    let hello = (any::<u16>(), confinement, ".{0,40}").prop_map(|(version, confinement, libraries)| {
        FromWorker::Hello(Hello { version, confinement, libraries })
    });
    prop_oneof![
        hello,
        track().prop_map(FromWorker::Track),
        frame().prop_map(FromWorker::Frame),
        (output(), track()).prop_map(|(output, track)| FromWorker::OutputTrack { output, track }),
        (output(), frame()).prop_map(|(output, frame)| FromWorker::OutputFrame { output, frame }),
        output().prop_map(|output| FromWorker::Stopped { output }),
        time().prop_map(|dts| FromWorker::Progress { dts }),
        sprite().prop_map(FromWorker::Sprite),
        Just(FromWorker::Ended),
        ".{0,40}".prop_map(FromWorker::Failed),
    ]
}

/// Writes all messages, and reads them from pieces of a few bytes.
fn there_and_back<M: Message + PartialEq + std::fmt::Debug>(messages: &[M], piece: usize) {
    let mut written = BytesMut::new();
    messages.iter().for_each(|message| message.encode(&mut written).unwrap());
    let (mut decoder, mut input, mut read) = (Decoder::<M>::default(), BytesMut::new(), Vec::<M>::new());
    for piece in written.chunks(piece) {
        input.extend_from_slice(piece);
        while let Some(message) = decoder.next(&mut input).unwrap() {
            read.push(message);
        }
    }
    assert_eq!(read, messages);
    assert!(input.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn orders_go_there_and_back(messages in vec(to_worker(), 1..6), piece in 1_usize..200) {
        there_and_back(&messages, piece);
    }

    #[test]
    fn reports_go_there_and_back(messages in vec(from_worker(), 1..6), piece in 1_usize..200) {
        there_and_back(&messages, piece);
    }

    #[test]
    fn nonsense_is_an_error_or_waits(nonsense in vec(any::<u8>(), 0..200), kind in 0_u8..24, len in 0_u32..200) {
        let mut input = BytesMut::from(&nonsense[..]);
        while let Ok(Some(_)) = Decoder::<ToWorker>::default().next(&mut input) {}
        let mut input = BytesMut::new();
        input.put_u8(kind);
        input.put_u32(len);
        input.extend_from_slice(&nonsense);
        let mut again = input.clone();
        while let Ok(Some(_)) = Decoder::<ToWorker>::default().next(&mut input) {}
        while let Ok(Some(_)) = Decoder::<FromWorker>::default().next(&mut again) {}
    }

    #[test]
    fn a_body_cut_short_or_too_long_is_an_error(
        order in to_worker(),
        report in from_worker(),
        cut in any::<prop::sample::Index>(),
    ) {
        is_whole_or_an_error(&order, cut);
        is_whole_or_an_error(&report, cut);
    }
}

/// Neither a byte less nor a byte more makes another message of it.
fn is_whole_or_an_error<M: Message + std::fmt::Debug>(message: &M, cut: prop::sample::Index) {
    let mut written = BytesMut::new();
    message.encode(&mut written).unwrap();
    let (kind, body) = (written[0], written.split_off(5).freeze());
    if !body.is_empty() {
        let short = M::decode(kind, body.slice(..cut.index(body.len())));
        assert!(short.is_err(), "{short:?} of {message:?}");
    }
    let longer = Bytes::from([&body[..], &[0]].concat());
    assert!(M::decode(kind, longer).is_err(), "{message:?}");
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_anything_is_gathered() {
    for kind in 0..=255 {
        let mut input = BytesMut::new();
        input.put_u8(kind);
        input.put_u32(u32::MAX);
        assert!(Decoder::<ToWorker>::default().next(&mut input.clone()).is_err(), "order {kind}");
        assert!(Decoder::<FromWorker>::default().next(&mut input).is_err(), "report {kind}");
        assert!(input.capacity() < 1 << 16);
    }
}

#[test]
fn counts_and_sides_have_limits() {
    let pixels = |count: usize| Bytes::from(vec![0; count]);
    let frame = |bytes| SpriteFrame { duration: Duration::ZERO, rgba: pixels(bytes) };
    let size = Size { width: 1, height: 1 };
    let mut out = BytesMut::new();
    let many = Sprite { size, frames: vec![frame(4); MAX_SPRITE_FRAMES + 1] };
    assert!(FromWorker::Sprite(many).encode(&mut out).is_err());
    let wide = Sprite { size: Size { width: MAX_SPRITE_SIDE + 1, height: 1 }, frames: vec![frame(4)] };
    assert!(FromWorker::Sprite(wide).encode(&mut out).is_err());
    let heavy = Sprite { size, frames: vec![frame(MAX_SPRITE_BYTES + 4)] };
    assert!(FromWorker::Sprite(heavy).encode(&mut out).is_err());
    assert!(out.is_empty(), "what is refused leaves nothing behind");
    // The same, as a liar would write it: 4096 times 4096 pixels in five frames of which there is nothing.
    let mut body = BytesMut::new();
    body.put_u32(MAX_SPRITE_SIDE);
    body.put_u32(MAX_SPRITE_SIDE);
    body.put_u16(5);
    let sprite = (0..=255).find(|&kind| FromWorker::max_body(kind) > Some(MAX_FRAME + 4096)).unwrap();
    assert!(matches!(FromWorker::decode(sprite, body.freeze()), Err(Unreadable::TooLarge(_))));
}

#[test]
fn rectangles_outside_of_the_canvas_are_refused() {
    let canvas = Size { width: 100, height: 50 };
    let good = Overlay {
        id: OverlayId(1),
        start: MediaTime::ZERO,
        end: MediaTime::from_millis(1),
        sprite: Sprite {
            size: Size { width: 1, height: 1 },
            frames: vec![SpriteFrame { duration: Duration::ZERO, rgba: Bytes::from_static(&[0; 4]) }],
        },
        canvas,
        place: Rect { x: 60, y: 20, width: 40, height: 30 },
        squeeze: None,
    };
    let read = |overlay: &Overlay| {
        let mut out = BytesMut::new();
        ToWorker::Overlay { output: OutputId(0), overlay: overlay.clone() }.encode(&mut out).unwrap();
        Decoder::<ToWorker>::default().next(&mut out)
    };
    assert!(read(&good).is_ok());
    for place in [
        Rect { x: 61, ..good.place },
        Rect { y: u32::MAX, ..good.place },
        Rect { width: 0, ..good.place },
        Rect { height: 31, ..good.place },
    ] {
        assert!(read(&Overlay { place, ..good.clone() }).is_err(), "{place:?}");
    }
}

#[test]
fn what_is_said_of_an_output_names_it_and_is_said_by_the_right_end() {
    let output = OutputId(0x0102_0304);
    let orders = [
        ToWorker::Open { output },
        ToWorker::Cut { output, dts: MediaTime::ZERO, pts: MediaTime::ZERO },
        ToWorker::StopOutput { output, before: MediaTime::MAX },
        ToWorker::CloseOutput { output },
    ];
    for order in orders {
        let mut out = BytesMut::new();
        order.encode(&mut out).unwrap();
        assert_eq!(out[5..9], [1, 2, 3, 4], "{order:?}");
        assert!(Decoder::<FromWorker>::default().next(&mut out.clone()).is_err(), "{order:?} is no report");
        let short = ToWorker::decode(out[0], Bytes::copy_from_slice(&out[5..8]));
        assert_eq!(short, Err(Unreadable::Truncated { element: "output" }), "{order:?}");
    }
    let mut out = BytesMut::new();
    FromWorker::Stopped { output }.encode(&mut out).unwrap();
    assert_eq!(out[5..], [1, 2, 3, 4]);
    assert!(Decoder::<ToWorker>::default().next(&mut out.clone()).is_err(), "a report is no order");
    out[4] = 5;
    assert!(Decoder::<FromWorker>::default().next(&mut out).is_err(), "longer than it may be");
}
