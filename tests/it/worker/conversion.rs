//! Conversions: each picture once and in order, each sound when it was.

use onair::av::worker::ipc::{Convert, Encoding, Job, SoundTarget, ToWorker};
use onair::codec::opus::packet_samples;
use onair::media::{Codec, Kind, MediaTime};

use super::material::{
    Given, Material, assert_is_h264, begin, collect, decode, decode_aac, has_no_b_frames, onsets,
};

async fn convert_picture(material: &Material) -> Given {
    let job = Convert { video: Some(Encoding::default()), audio: None, after: Convert::ALL };
    let session = begin(Job::Convert(job));
    material.feed(&session.orders);
    assert!(session.orders.send(ToWorker::Stop { before: MediaTime::MAX }));
    collect(session.reports).await.expect("a conversion")
}

/// Each source picture comes once, in the order of display, at its time, with its number in it.
async fn assert_same_pictures(name: &str) {
    let material = Material::read(name, Kind::Video);
    let given = convert_picture(&material).await;
    assert_eq!(given.tracks.len(), 1, "{name}");
    assert_is_h264(&given.tracks[0], 320, 180);
    let times: Vec<MediaTime> = given.frames.iter().map(|frame| frame.pts).collect();
    assert_eq!(times, material.times(), "{name}: times");
    assert!(given.frames.iter().all(|frame| frame.dts == frame.pts), "{name}: nothing is reordered");
    assert!(has_no_b_frames(&given.frames), "{name}");
    let keyframes = |frames: &[onair::media::Frame]| -> Vec<MediaTime> {
        frames.iter().filter(|frame| frame.keyframe).map(|frame| frame.pts).collect()
    };
    assert_eq!(keyframes(&given.frames), keyframes(&material.frames), "{name}: keyframes");
    let decoded = decode(&given.frames, 320, 180).await;
    let numbers: Vec<u16> = decoded.iter().map(|picture| picture.number()).collect();
    assert_eq!(numbers, (0..180).collect::<Vec<u16>>(), "{name}: numbers");
    let last = material.frames.last().expect("frames").dts;
    assert_eq!(given.progress.last(), Some(&last), "{name}: progress");
}

#[tokio::test]
async fn b_frames_go_and_every_picture_stays() {
    assert_same_pictures("h264-bframes-aac").await;
}

#[tokio::test]
async fn open_gops_become_closed_ones() {
    assert_same_pictures("h264-open-gop-aac").await;
}

#[tokio::test]
async fn hevc_becomes_h264() {
    assert_same_pictures("hevc-aac").await;
    assert_same_pictures("hevc-bframes-aac").await;
}

#[tokio::test]
async fn av1_becomes_h264() {
    assert_same_pictures("av1-aac").await;
}

#[tokio::test]
async fn vp9_becomes_h264() {
    assert_same_pictures("vp9-opus").await;
}

#[tokio::test]
async fn another_resolution_is_another_track() {
    let small = Material::read("resolution-1", Kind::Video);
    let large = Material::read("resolution-2", Kind::Video).later(MediaTime::from_millis(4_000));
    let job = Convert { video: Some(Encoding::default()), audio: None, after: Convert::ALL };
    let session = begin(Job::Convert(job));
    small.feed(&session.orders);
    large.feed(&session.orders);
    session.orders.send(ToWorker::Stop { before: MediaTime::MAX });
    let given = collect(session.reports).await.expect("a conversion");
    assert_eq!(given.tracks.len(), 2);
    assert_is_h264(&given.tracks[0], 320, 180);
    assert_is_h264(&given.tracks[1], 480, 270);
    assert_eq!(given.frames.len(), small.frames.len() + large.frames.len());
    let (first, second) = given.frames.split_at(small.frames.len());
    assert!(second[0].keyframe);
    let numbers = |pictures: Vec<super::material::Picture>| -> Vec<u16> {
        pictures.iter().map(|picture| picture.number()).collect()
    };
    assert_eq!(numbers(decode(first, 320, 180).await), (0..120).collect::<Vec<u16>>());
    assert_eq!(numbers(decode(second, 480, 270).await), (120..240).collect::<Vec<u16>>());
}

#[tokio::test]
async fn a_keyframe_comes_when_it_is_asked_for() {
    let material = Material::read("gop-endless", Kind::Video);
    let job = Convert { video: Some(Encoding::default()), audio: None, after: Convert::ALL };
    let session = begin(Job::Convert(job));
    session.orders.send(ToWorker::Track(material.track.clone()));
    for (index, frame) in material.frames.iter().take(60).enumerate() {
        if index == 30 {
            session.orders.send(ToWorker::Keyframe);
        }
        session.orders.send(ToWorker::Frame(frame.clone()));
    }
    session.orders.send(ToWorker::Stop { before: material.frames[50].pts });
    let given = collect(session.reports).await.expect("a conversion");
    let keyframes: Vec<usize> =
        given.frames.iter().enumerate().filter(|(_, frame)| frame.keyframe).map(|(index, _)| index).collect();
    assert_eq!(keyframes, [0, 30]);
    // What was given before the stop was said is given; `before` limits what was still inside, which is nothing.
    assert_eq!(given.frames.len(), 60);
}

pub(super) async fn convert_sound(material: &Material, target: SoundTarget) -> Given {
    let session = begin(Job::Convert(Convert { video: None, audio: Some(target), after: Convert::ALL }));
    material.feed(&session.orders);
    session.orders.send(ToWorker::Stop { before: MediaTime::MAX });
    collect(session.reports).await.expect("a conversion")
}

/// Both channels of Opus, by libopus: samples from the first packet on.
pub(super) fn decode_opus(material: &[onair::media::Frame]) -> [Vec<f32>; 2] {
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("a decoder");
    let mut samples = [Vec::new(), Vec::new()];
    for frame in material {
        let mut buffer = vec![0.0; 2 * packet_samples(&frame.payload).expect("a packet") as usize];
        decoder.decode_float(&frame.payload, &mut buffer, false).expect("a packet");
        for (channel, samples) in samples.iter_mut().enumerate() {
            samples.extend(buffer.iter().skip(channel).step_by(2));
        }
    }
    samples
}

/// When beeps begin, in media time.
pub(super) fn onset_times(samples: &[f32], start: MediaTime) -> Vec<MediaTime> {
    onsets(samples).into_iter().map(|sample| start + MediaTime::from_ticks(sample as i64, 48_000)).collect()
}

pub(super) fn assert_same_times(got: &[MediaTime], wanted: &[MediaTime]) {
    assert_eq!(got.len(), wanted.len(), "{got:?} instead of {wanted:?}");
    for (got, wanted) in got.iter().zip(wanted) {
        assert!((*got - *wanted).abs() < MediaTime::from_millis(2), "{got:?} instead of {wanted:?}");
    }
}

#[tokio::test]
async fn opus_becomes_aac_without_the_encoders_priming() {
    let material = Material::read("h264-opus", Kind::Audio);
    let given = convert_sound(&material, SoundTarget::Aac).await;
    assert_eq!((given.tracks.len(), given.tracks[0].codec), (1, Codec::Aac));
    let start = material.frames[0].pts;
    for (index, frame) in given.frames.iter().enumerate() {
        assert_eq!(frame.pts, start + MediaTime::from_ticks(index as i64 * 1024, 48_000), "unit {index}");
    }
    let channels = given.tracks[0].audio().expect("sound").channels;
    let heard = onset_times(&decode_aac(&given.frames, channels).await, given.frames[0].pts);
    let wanted = onset_times(&decode_opus(&material.frames)[0], start);
    assert!(wanted.len() >= 5, "{wanted:?}");
    // The fade-in of the first unit hides a beep that begins with it.
    assert_same_times(&heard[heard.len() - 5..], &wanted[wanted.len() - 5..]);
    let end = given.frames.last().expect("units").pts;
    assert!(
        (end - material.frames.last().expect("packets").pts).abs() < MediaTime::from_millis(50),
        "{end:?}"
    );
}

#[tokio::test]
async fn aac_becomes_opus_at_the_same_time() {
    let material = Material::read("aac-44100", Kind::Audio);
    let given = convert_sound(&material, SoundTarget::Opus).await;
    assert_eq!((given.tracks.len(), given.tracks[0].codec), (1, Codec::Opus));
    let heard = onset_times(&decode_opus(&given.frames)[0], given.frames[0].pts);
    // The recording's beeps are on whole seconds of the picture, whose first is one encoder delay after the sound's.
    let picture = Material::read("aac-44100", Kind::Video).frames[0].pts;
    let wanted: Vec<MediaTime> =
        (0..6).map(|second| picture + MediaTime::from_millis(1_000 * second)).collect();
    assert_same_times(&heard[heard.len() - 5..], &wanted[1..]);
}

#[tokio::test]
async fn nothing_is_given_for_what_cannot_be_decoded() {
    let mut material = Material::read("h264-aac", Kind::Video);
    for frame in &mut material.frames {
        let mut payload = frame.payload.to_vec();
        let middle = payload.len() / 2;
        payload[5..middle].fill(0x55);
        frame.payload = payload.into();
    }
    let given = convert_picture(&material).await;
    assert!(given.frames.len() <= material.frames.len());
    assert_eq!(given.progress.len(), material.frames.len(), "it goes on");
}
