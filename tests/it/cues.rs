//! A decided cue in what viewers get, at its place.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onair::format::amf::{Value, amf0};
use onair::format::cue_message::{self, Action};
use onair::format::flv::file::{MAX_BODY, Reader, TagKind};
use onair::format::scte35::slot;
use onair::media::{Cue, CueId, CueOrigin, CueState, MediaTime};
use onair::protocol::rtmp::wire::ClientEvent;

use crate::support::fixture::packets;
use crate::support::fmp4;
use crate::support::hls::Rendition;
use crate::support::http::request;
use crate::support::{Content, Encoder, Fixture, Packet, Player, Server, Viewer, tools};

fn cue() -> Cue {
    Cue {
        id: CueId::new("4711"),
        revision: 1,
        state: CueState::Announced,
        start: MediaTime::from_millis(9_000),
        duration: Some(MediaTime::from_millis(15_000)),
        origin: CueOrigin::Api,
        scte35: None,
    }
}

/// The values of a cue message are those of the cue.
fn is_told(values: &[Value]) {
    let announcement = cue_message::parse(values).expect("readable").expect("a cue");
    let Action::Section { bytes, .. } = announcement.action else { panic!("a section") };
    assert_eq!(STANDARD.encode(bytes), STANDARD.encode(slot::overlay_start(&cue())));
    assert_eq!(announcement.start, cue_message::Start::At(cue().start));
    assert_eq!(announcement.duration, cue().duration);
    assert_eq!(announcement.id.as_deref(), Some("4711"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_of_rtmp_and_flv_are_told_of_a_cue_and_others_play_on() {
    let server = Server::patient().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("short-bframes");
    let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
    let (before, after) = rest.split_at(rest.len() / 2);
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let inputs =
        [format!("rtmp://{}/live/kitchen", server.rtmp), format!("http://{}/live/kitchen.flv", server.http)];
    let players: Vec<_> =
        inputs.iter().map(|input| tools::start(tools::FFMPEG, tools::framehash_arguments(input))).collect();
    server.until_at("onair_viewers{protocol=\"rtmp\"}", 1.0).await;
    server.until_at("onair_viewers{protocol=\"http_flv\"}", 1.0).await;
    let mut rtmp = Player::join(server.rtmp, "kitchen").await;
    let mut flv = request(server.http, "GET", "/live/kitchen.flv", &[], b"").await.into_body();
    let mut witness = Viewer::of_each(&server, "kitchen").await;
    encoder.send(start).await;
    for viewer in &mut witness {
        viewer.frame().await;
    }
    encoder.send(before).await;
    let sent = packets(before).len();
    for viewer in &mut witness {
        viewer.frames(sent).await;
    }
    let on_hub = server.on_hub("kitchen");
    assert!(on_hub.announce(cue()));
    encoder.send(after).await;
    for viewer in &mut witness {
        viewer.frames(packets(after).len()).await;
    }
    // Who begins while it stands is told too.
    let mut late = Reader::new(MAX_BODY);
    let mut late_body = request(server.http, "GET", "/live/kitchen.flv", &[], b"").await.into_body();
    let told = loop {
        match late.next_tag().expect("FLV") {
            Some(tag) if tag.kind == TagKind::Script => {
                let values = amf0::decode_all(&tag.body).expect("AMF0");
                if values[0].as_str() == Some("onAdCue") {
                    break values;
                }
            }
            Some(_) => {}
            None => late.push(&late_body.next().await.expect("a stream")),
        }
    };
    is_told(&told);
    drop(late_body);
    encoder.stop().await;

    let frames_before = packets(start).len() + sent - fixture_lead(&fixture);
    let (mut frames, mut cues) = (0, Vec::new());
    let mut reader = Reader::new(MAX_BODY);
    while let Some(bytes) = flv.next().await {
        reader.push(&bytes);
        while let Some(tag) = reader.next_tag().expect("FLV") {
            match tag.kind {
                TagKind::Script => {
                    let values = amf0::decode_all(&tag.body).expect("AMF0");
                    if values[0].as_str() == Some("onAdCue") {
                        is_told(&values);
                        cues.push(frames);
                    }
                }
                _ if matches!(Packet::parse(&tag), Content::Frame(_)) => frames += 1,
                _ => {}
            }
        }
    }
    assert_eq!(cues, [frames_before], "once, at its place, over FLV");

    let (mut pictures, mut cues) = (0, Vec::new());
    loop {
        match rtmp.0.event().await {
            Ok(ClientEvent::Data { values, .. }) if values[0].as_str() == Some("onAdCue") => {
                is_told(&values);
                cues.push(pictures > 0);
            }
            Ok(ClientEvent::Video(_)) => pictures += 1,
            Ok(ClientEvent::Status { code, .. }) if code == "NetStream.Play.Stop" => break,
            Ok(_) => {}
            Err(ended) => panic!("cut off: {ended}"),
        }
    }
    assert_eq!(cues, [true], "once, among the pictures, over RTMP");

    let path = Fixture::path("short-bframes").display().to_string();
    let recording = tools::run(tools::FFMPEG, tools::framehash_arguments(&path)).await;
    let hashes = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(hashes(&recording) > 100);
    for player in players {
        assert_eq!(hashes(&tools::finished(player).await), hashes(&recording), "FFmpeg plays all of it");
    }
}

/// Frames that nobody is shown, as they come before the first keyframe.
fn fixture_lead(fixture: &Fixture) -> usize {
    packets(&fixture.tags).len() - fixture.expected().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cue_is_in_the_playlist_and_once_in_the_parts_and_ffmpeg_plays_on() {
    let server = Server::with(|config| {
        config.broadcast.window = Duration::from_secs(3600);
        config.broadcast.resume_window = Duration::from_millis(1);
        config.hls.window = Duration::from_secs(3600);
    })
    .await;
    let channel = server.channel("kitchen").await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let first = request(server.http, "GET", "/hls/kitchen/index.m3u8", &[], b"");
    let published = async {
        server.until_at("onair_hls_packaged", 1.0).await;
        let fixture = Fixture::read("h264-aac");
        let (before, after) = fixture.tags.split_at(fixture.tags.len() / 2);
        encoder.send(before).await;
        server.until_tracks("kitchen", 2).await;
        for _ in 0..2 {
            assert!(server.on_hub("kitchen").announce(cue()));
        }
        encoder.send(after).await;
        encoder.stop().await;
    };
    let (response, ()) = tokio::join!(first, published);
    let rendition = Rendition::of_ended(&server, response).await;
    let section = slot::overlay_start(&cue());
    let hex: String = section.iter().map(|byte| format!("{byte:02X}")).collect();
    let range = rendition.playlist.lines().find(|line| line.starts_with("#EXT-X-DATERANGE:ID=\"4711\""));
    let range = range.unwrap_or_else(|| panic!("no cue:\n{}", rendition.playlist));
    assert!(
        range.contains(",PLANNED-DURATION=15.000") && range.ends_with(&format!(",SCTE35-OUT=0x{hex}")),
        "{range}"
    );
    let file = rendition.file();
    let boxes = fmp4::boxes(&file);
    let kinds: Vec<_> = boxes.iter().map(|(kind, _)| kind.escape_ascii().to_string()).collect();
    let events: Vec<usize> = (0..kinds.len()).filter(|&place| kinds[place] == "emsg").collect();
    let [event] = events[..] else { panic!("{kinds:?}") };
    assert_eq!(kinds[event + 1], "moof");
    let content = boxes[event].1;
    assert!(content.ends_with(&[b"urn:scte:scte35:2013:bin\0\0", &section[..]].concat()));
    tools::decode_mp4(&file).await;
}
