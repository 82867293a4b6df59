//! Lip-sync of converted sound: what a subscriber to the Opus rendition hears, against what ffmpeg hears in the recording.

use std::sync::Arc;

use onair::av::audio::AudioConverter;
use onair::format::flv::file::TagKind;
use onair::format::flv::{Demuxer, Event, Limits};
use onair::hub::{Config, Hub, Item, Protocol, Rendition};
use onair::media::{Codec, Kind, MediaTime};
use onair::metrics::Metrics;
use tokio::process::Command;

use crate::support::{Fixture, in_time, tools};

/// A beep is louder than this, silence is not.
const LOUD: f32 = 0.05;

/// Samples of one channel with the time of each in seconds.
type Sound = Vec<(f64, f32)>;

/// The first channel, as ffmpeg decodes it; its first sample has the time of the first packet with sound.
async fn heard_by_ffmpeg(name: &str, sample_rate: u32) -> Sound {
    let mut command = Command::new(tools::FFMPEG);
    command.args(["-nostdin", "-v", "error", "-i"]).arg(Fixture::path(name));
    command.args(["-map", "0:a", "-af", "pan=mono|c0=c0", "-f", "f32le", "-"]);
    let output = in_time("ffmpeg's end", command.output()).await.expect("ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let samples = output.stdout.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    let first = Fixture::read(name).tags.into_iter().filter(|tag| tag.kind == TagKind::Audio).nth(1);
    // The tag before it has the configuration.
    let start = f64::from(first.expect("sound").timestamp_ms) / 1000.0;
    samples
        .enumerate()
        .map(|(index, sample)| (start + index as f64 / f64::from(sample_rate), sample))
        .collect()
}

/// The first channel of the Opus rendition of a broadcast that sends this recording, in media time.
async fn heard_as_opus(name: &str) -> Sound {
    let hub = Hub::new(Config::default(), Arc::default());
    hub.register(AudioConverter::new(&Metrics::new()));
    let channel = hub.create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    let mut demuxer = Demuxer::new(Limits::default());
    for tag in Fixture::read(name).tags {
        let time = MediaTime::from_millis(tag.timestamp_ms.into());
        let events = match tag.kind {
            TagKind::Audio => demuxer.audio(time, tag.body),
            _ => demuxer.video(time, tag.body),
        };
        for event in events.unwrap() {
            match event {
                Event::Track(track) => publisher.configure(track),
                Event::Frame(frame) => publisher.write(frame),
                _ => {}
            }
        }
    }
    let of = Box::new(Rendition::PROGRAM);
    let rendition = Rendition::Converted { of, video: None, audio: Some(Codec::Opus) };
    let mut subscriber = channel.subscribe_from(onair::hub::Start::Oldest, &rendition).unwrap();
    drop(publisher);

    let (mut sound, mut track, mut last) = (Sound::new(), None, MediaTime::from_nanos(i64::MIN));
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).unwrap();
    let mut buffer = [0.0; 2 * 960];
    loop {
        for item in in_time("items", subscriber.next_batch()).await {
            match item {
                Item::Track(new) if new.kind() == Kind::Audio => {
                    assert_eq!(new.codec, Codec::Opus);
                    track = Some(new.id);
                }
                Item::Frame(frame) if Some(frame.track) == track => {
                    assert!(frame.dts > last && frame.pts == frame.dts);
                    last = frame.dts;
                    assert_eq!(decoder.decode_float(&frame.payload, &mut buffer, false).unwrap(), 960);
                    let time = |index: usize| frame.pts.as_secs_f64() + index as f64 / 48_000.0;
                    sound.extend(buffer.chunks(2).enumerate().map(|(index, pair)| (time(index), pair[0])));
                }
                Item::Interrupted => return sound,
                _ => {}
            }
        }
    }
}

/// When the first beep after a time begins.
fn onset(sound: &Sound, after: f64) -> f64 {
    let loud = |&&(time, sample): &&(f64, f32)| time > after && sample.abs() > LOUD;
    sound.iter().find(loud).expect("a beep").0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beep_is_heard_as_opus_when_ffmpeg_hears_it_as_aac() {
    for (name, sample_rate) in [("h264-aac", 48_000), ("h264-bframes-aac", 48_000), ("aac-44100", 44_100)] {
        let (aac, opus) = (heard_by_ffmpeg(name, sample_rate).await, heard_as_opus(name).await);
        for second in 1..5 {
            let after = f64::from(second) - 0.2;
            let (expected, heard) = (onset(&aac, after), onset(&opus, after));
            let late = (heard - expected) * 1000.0;
            assert!(late.abs() < 1.0, "{name}: a beep is {late:.3} ms late after {second} s");
        }
    }
}
