//! The fuzz targets' own functions over real recordings and mutations of them: the same inputs every time. `make fuzz`
//! looks further.
//!
//! With `ONAIR_FUZZ_CORPUS=fuzz/corpus` the recordings are also written there, for the fuzzer to begin with.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onair::format::flv::file::TagKind;
use onair::format::rtp::{Extension, Header, rtcp};
use onair::http::websocket::client_text;
use onair::media::{Codec, Frame, MediaTime, Track, TrackId};

use crate::support::webrtc::stun::Stun;
use crate::support::{Content, Fixture, Packet, Recording};
use targets::Target;

#[path = "../../fuzz/src/targets.rs"]
mod targets;

/// Mutations of each recording.
const ROUNDS: usize = 1_000;

/// Recordings with every codec and both forms of tags.
const RECORDINGS: [&str; 9] = [
    "h264-aac",
    "h264-bframes-aac",
    "resolution-2",
    "hevc-aac",
    "hevc-bframes-aac",
    "av1-aac",
    "av1-opus",
    "vp9-opus",
    "audio-only",
];

/// What the fuzzer has found: target and input, in hexadecimal.
const FOUND: [(&str, &str); 1] = [
    // An SPS of 16 bits a sample, which the record has no room for.
    (
        "hvcc",
        "0101600000109000000000003cf000fcfdf8f800000f04200001001840016000000301600000030290080003000003963c96\
         8090210001002b42010101600000030090000003000003003ca0080b2123790aa065241a35bfccbfdf66fe56fffffcfb8fff\
         ff0000000000000000000000482e32357475352f482d",
    ),
];

/// A small generator of reproducible numbers (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

/// One to four changes of the kinds that break readers.
fn mutated(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(7) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            2 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)],
            3 => bytes.insert(at, numbers.below(256) as u8),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            5 => {
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
            _ => {
                let end = (at + numbers.below(64)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len());
                bytes.splice(to..to, copy);
            }
        }
    }
    bytes
}

/// What a target is begun with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "flv_file" => RECORDINGS
            .map(|name| {
                let file = std::fs::read(Fixture::path(name)).unwrap();
                [&[0][..], &file[..4_000.min(file.len())]].concat()
            })
            .to_vec(),
        "flv" => RECORDINGS.map(messages).to_vec(),
        "avcc" => configurations(*b"avc1"),
        "hvcc" => configurations(*b"hvc1"),
        "bid_response" => bid_responses(),
        "macros" => vec![b"\"><script>${AUCTION_PRICE}\nhttps://d.example/?p=${AUCTION_PRICE:B64}&i=[ERRORCODE]%5BPAGEURL%5D".to_vec()],
        "vast" => vast(),
        "asc" => [configurations(*b"mp4a"), configurations(*b"Opus")].concat(),
        "sps" => parameter_sets(),
        "handshake" | "session" => wire().iter().map(|wire| [&[200][..], wire].concat()).collect(),
        // Behind the handshake.
        "chunks" => wire().iter().map(|wire| [&[100][..], &wire[3073..]].concat()).collect(),
        "amf0" => vectors("amf0_cues.json", "hex"),
        "amf3" => vec![
            [&[0x0a, 0x0b, 1, 3, b'k', 4, 5, 3, b's', 6, 3, b'v', 1][..], &[0x09, 5, 1, 4, 1, 4, 2]].concat(),
            [&[0x05][..], &1.5_f64.to_be_bytes(), &[0x0c, 7, 1, 2, 3, 6, 0, 8, 1], &0.0_f64.to_be_bytes()]
                .concat(),
        ],
        "cue_bus" | "cue_message" => vec![
            vectors("amf0_cues.json", "hex")
                .iter()
                .flat_map(|message| {
                    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
                })
                .collect(),
        ],
        #[cfg(feature = "worker")]
        "image" => images(),
        "ipc" => worker_messages(),
        "packetize" => access_units(),
        "received" => received(),
        "offer" => OFFERS.iter().flat_map(|offer| [0, 1].map(|role| [&[role][..], offer].concat())).collect(),
        "fragment" => vec![FRAGMENT.to_vec()],
        "stun" => stun(),
        "srtcp" => [0, 1, 2].map(|profile| [&[profile, 9, 1][..], &rtcp_compound()].concat()).to_vec(),
        "cursor" => vec![
            [0, 1, 1, 4, 0xf7, 1, 0xf7, 0x10, 0x11, 5, 0xf7, 0, 0xf7, 6, 4, 0xf7].repeat(20),
            [0x30, 0x31, 4, 0x27, 0x31, 0x31, 0x31, 5, 0x30, 0xf7, 0xf7, 1].repeat(30),
        ],
        "rtcp" => vec![rtcp_compound()],
        "rtp" => rtp_packets(),
        // Pictures, a slot as soon as it can be, its worker, the next keyframes; then the same with mishaps.
        "splice" => [&[][..], &[12, 0], &[12, 4, 9, 0], &[14, 1], &[14, 6, 13, 90]]
            .map(|mishap| {
                let (pictures, at_work) = ([0, 33].repeat(20), [0, 33, 7, 20, 10, 3].repeat(30));
                let gop = |rest: &[u8]| [&[5, 33][..], rest].concat();
                let begin = [gop(&pictures), vec![8, 3, 10, 7, 10, 7, 10, 7], at_work.clone()].concat();
                [begin, mishap.to_vec(), gop(&at_work), gop(&at_work), gop(&pictures)].concat()
            })
            .to_vec(),
        "scte35" => vectors("scte35.json", "base64"),
        "comment" => comments(),
        "token" => vec![vec![7; 40], vec![b'A'; 79]],
        "websocket" => vec![
            comments().iter().flat_map(|text| client_text(text, [1, 2, 3, 4]).to_vec()).collect(),
            vec![0, 0x89, 0x82, 0, 0, 0, 0, 1, 2, 0x01, 0x81, 0, 0, 0, 0, b'a', 0x80, 0x80, 0, 0, 0, 0],
        ],
        other => panic!("{other} has no seeds"),
    }
}

/// Two frames of 8 by 4 pixels, black and white: APNG and WebP, which nothing here writes.
#[cfg(feature = "worker")]
const ANIMATIONS: [&str; 2] = [
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAECAIAAAA8r+mnAAAACXBIWXMAAAABAAAAAQBPJcTWAAAACGFjVEwAAAACAAAAAPONk3AAAAAaZmNUTA\
     AAAAAAAAAIAAAABAAAAAAAAAAAAAEABQAAvOdUuwAAAAxJREFUeJxjYKA9AAAAZAABhmQ8NQAAABpmY1RMAAAAAQAAAAgAAAAEAAAAAAAAAAAA\
     AQAFAAAnlL5vAAAAE2ZkQVQAAAACeJxj+I8DMFBPAgCusl+hegprfgAAAABJRU5ErkJggg==",
    "UklGRoQAAABXRUJQVlA4WAoAAAACAAAABwAAAwAAQU5JTQYAAAD/////AABBTk1GJgAAAAAAAAAAAAcAAAMAAMgAAAJWUDhMDgAAAC8HwAAABx\
     AR/Q9ERP8DQU5NRioAAAAAAAAAAAAHAAADAADIAAAAVlA4TBEAAAAvB8AAAAfQ//73v/+BiOh/AAA=",
];

/// A small file of each kind.
#[cfg(feature = "worker")]
fn images() -> Vec<Vec<u8>> {
    use image::ImageFormat::{Gif, Jpeg, Png, WebP};
    let pixels = image::RgbImage::from_fn(9, 5, |x, y| image::Rgb([x as u8 * 28, y as u8 * 50, 90]));
    let still = |format| {
        let mut file = std::io::Cursor::new(Vec::new());
        pixels.write_to(&mut file, format).unwrap();
        file.into_inner()
    };
    let drawing = br##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><defs><linearGradient id="g"><stop
        offset="0" stop-color="red"/><stop offset="1" stop-opacity=".5"/></linearGradient><clipPath id="c"><circle r="2"/>
        </clipPath></defs><g clip-path="url(#c)" transform="rotate(9)"><path d="M0 0h4v3z" fill="url(#g)"/><use
        href="#x"/></g><rect id="x" width="2" height="1" style="fill:#00f"/></svg>"##;
    let stills = [Png, Gif, Jpeg, WebP].map(still);
    let animations = ANIMATIONS.map(|file| STANDARD.decode(file).unwrap());
    stills.into_iter().chain(animations).chain([drawing.to_vec()]).collect()
}

/// Requests to a room, and texts that are hard to read.
fn comments() -> Vec<Vec<u8>> {
    let texts = [
        r##"{"type":"comment","id":"a1","text":"hello @Ben #Küche","time_ns":1,"reply_to":2}"##,
        r#"{"type":"moderate","id":"b","act":{"do":"ban","user":"00000000000000ff","scope":"network"},"reason":"x"}"#,
        r#"{"type":"join","v":1,"last":50,"after":7,"epoch":9,"name":"Ann","token":"a.b.c"}"#,
        r#"{"type":"react","kind":"❤","count":3}"#,
        "z\u{335}\u{336}\u{337}\u{338}\u{202e}gnirts \u{200b}👩\u{200d}👧 m o r o n https://a.example/#x",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The messages of a recording as the target `flv` reads them.
fn messages(name: &str) -> Vec<u8> {
    let tags = Fixture::read(name).tags;
    let message = |tag: &onair::format::flv::file::Tag| {
        let length = u16::try_from(tag.body.len()).unwrap().to_be_bytes();
        [&[u8::from(tag.kind == TagKind::Audio)][..], &length, &tag.body].concat()
    };
    tags.iter().take(14).flat_map(message).collect()
}

fn configurations(wanted: [u8; 4]) -> Vec<Vec<u8>> {
    let tags = RECORDINGS.iter().flat_map(|name| Fixture::read(name).tags);
    let record = |tag| match Packet::parse(&tag) {
        Content::Config { codec, record } if codec == wanted => Some(record.to_vec()),
        _ => None,
    };
    tags.filter_map(record).collect()
}

/// For each branch of the target `sps`: parameter sets, records, payloads.
fn parameter_sets() -> Vec<Vec<u8>> {
    let with = |branch: u8, bytes: &[u8]| [&[branch], bytes].concat();
    let mut seeds = Vec::new();
    for record in configurations(*b"avc1") {
        seeds.push(with(0, &record[8..8 + usize::from(record[7])]));
    }
    for record in configurations(*b"hvc1") {
        // Behind the VPS array: type, count, length.
        let vps = usize::from(record[27]);
        let sps = 28 + vps + 5;
        seeds.push(with(1, &record[sps..sps + usize::from(record[sps - 1])]));
    }
    seeds.extend(configurations(*b"av01").iter().map(|record| with(2, record)));
    seeds.extend(configurations(*b"vp09").iter().map(|record| with(3, &record[4..])));
    for name in RECORDINGS {
        let packets = crate::support::fixture::packets(&Fixture::read(name).tags);
        for packet in packets.iter().filter(|packet| packet.is_video()).take(3) {
            let branch = match &packet.codec {
                b"avc1" => 4,
                b"hvc1" => 5,
                _ => 6,
            };
            seeds.push(with(branch, &packet.payload));
            seeds.push(with(7, &packet.payload));
        }
    }
    seeds
}

/// Configurations and the first frames of each recording, as the target `packetize` reads them.
fn access_units() -> Vec<Vec<u8>> {
    const CODECS: [(u8, [u8; 4]); 4] = [(0, *b"avc1"), (2, *b"vp09"), (3, *b"av01"), (4, *b"Opus")];
    let mut seeds = Vec::new();
    for (name, (number, wanted)) in RECORDINGS.iter().flat_map(|name| CODECS.map(|codec| (name, codec))) {
        let (mut seed, mut frames) = (Vec::new(), 0);
        for tag in Fixture::read(name).tags {
            match Packet::parse(&tag) {
                Content::Config { codec, record } if codec == wanted && seed.is_empty() => {
                    seed.extend([number, 10, u8::try_from(record.len()).unwrap()]);
                    seed.extend_from_slice(&record);
                }
                Content::Frame(packet) if packet.codec == wanted && frames < 3 => {
                    let payload = &packet.payload[..packet.payload.len().min(0x3fff)];
                    let keyframe = if packet.keyframe { 0x8000 } else { 0 };
                    seed.extend((keyframe | u16::try_from(payload.len()).unwrap()).to_be_bytes());
                    seed.extend_from_slice(payload);
                    frames += 1;
                }
                _ => {}
            }
        }
        seeds.extend((frames > 0).then_some(seed));
    }
    // No recording has VP8: a key frame and another.
    let vp8 = [&[0xf0, 2, 0, 0x9d, 1, 0x2a, 0x41, 1, 0xf1, 0x40][..], &[0xd1, 1, 0, 5]];
    seeds.push([&[1, 0, 0, 0x80, 10][..], vp8[0], &[0, 4], vp8[1]].concat());
    seeds
}

/// What Chromium, OBS and ffmpeg offer, shortened to what is read and some that is not.
const OFFERS: [&[u8]; 2] = [
    b"v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n\
      a=msid-semantic: WMS\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
      a=candidate:1 1 udp 2113937151 4b36cac1.local 50000 typ host generation 0 network-cost 999\r\na=ice-ufrag:abcd\r\n\
      a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=ice-options:trickle\r\na=fingerprint:sha-256 AB:CD:EF\r\na=setup:actpass\r\n\
      a=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=recvonly\r\na=rtcp-mux\r\n\
      a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
      m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n\
      a=fingerprint:sha-256 AB:CD:EF\r\na=setup:actpass\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 H264/90000\r\n\
      a=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n",
    b"v=0\r\no=rtc 1 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=group:LS 0 1\r\na=ice-ufrag:wxyz\r\n\
      a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbbbb\r\na=fingerprint:sha-256 01:23\r\na=setup:actpass\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
      a=mid:0\r\na=sendonly\r\na=ssrc:1 cname:x\r\na=rtcp-mux\r\na=rtpmap:111 OPUS/48000/2\r\n\
      m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=sendonly\r\na=rid:0 send\r\na=rid:1 send\r\na=simulcast:send 0;1\r\n\
      a=rtcp-mux\r\na=rtpmap:96 H264/90000\r\n",
];

/// A trickled candidate.
const FRAGMENT: &[u8] = b"a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n";

/// A check, and one datagram of each other kind.
fn stun() -> Vec<Vec<u8>> {
    let credentials = |name: &str| str0m::IceCreds { ufrag: name.to_owned(), pass: "p".repeat(24) };
    let check = Stun::check(1, &credentials("00server"), &credentials("browser"));
    let check = check.authentic("password").fingerprinted().bytes();
    vec![check, vec![22, 254, 253, 0], vec![0x80, 96, 0, 1], vec![0x81, 201, 0, 1]]
}

/// The first frames of each recording as RTP brings them, as the target `received` reads them.
fn received() -> Vec<Vec<u8>> {
    const CODECS: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];
    let mut seeds = Vec::new();
    for name in ["h264-opus", "vp8", "vp9-opus", "av1-opus"] {
        let units = Recording::read(name).units;
        for (number, codec) in CODECS.iter().enumerate() {
            let mut seed = vec![u8::try_from(number).unwrap()];
            for unit in units.iter().filter(|unit| unit.codec == *codec).take(4) {
                seed.extend(u16::try_from(unit.data.len()).unwrap().to_be_bytes());
                seed.extend_from_slice(&unit.data);
            }
            seeds.extend((seed.len() > 1).then_some(seed));
        }
    }
    seeds
}

/// Orders of each kind of job, and reports, behind the size of the pieces.
fn worker_messages() -> Vec<Vec<u8>> {
    use onair::av::worker::ipc::*;
    let time = MediaTime::from_millis(40);
    let track = |codec| {
        let record = configurations(if codec == Codec::H264 { *b"avc1" } else { *b"Opus" }).swap_remove(0);
        let description = onair::codec::describe(codec, &record).unwrap();
        let (config, params) = (description.config, description.params);
        Track { id: TrackId(1), group: 0, rank: 0, codec, config, params }
    };
    let frame = Frame {
        track: TrackId(1),
        pts: time,
        dts: time,
        keyframe: true,
        disposable: false,
        payload: vec![7; 30].into(),
    };
    let size = Size { width: 2, height: 1 };
    let pixels = SpriteFrame { duration: Duration::from_millis(50), rgba: vec![9; 8].into() };
    let sprite = Sprite { size, frames: vec![pixels; 2] };
    let place = Rect { x: 0, y: 0, width: 2, height: 1 };
    let squeeze = Some(Squeeze { picture: place, background: [1, 2, 3], transition: Duration::from_secs(1) });
    let (start, end) = (time, time + time);
    let overlay =
        Overlay { id: OverlayId(4), start, end, sprite: sprite.clone(), canvas: size, place, squeeze };
    let image = ImageJob {
        file: vec![1; 20].into(),
        fit: size,
        max_pixels: 10,
        max_frames: 2,
        max_time: Duration::from_secs(1),
    };
    let convert = Convert { video: Some(Encoding::default()), audio: Some(SoundTarget::Aac), after: time };
    let output = OutputId(3);
    let orders = [
        ToWorker::Start(Job::Convert(convert)),
        ToWorker::Start(Job::Image(image)),
        ToWorker::Track(track(Codec::H264)),
        ToWorker::Track(track(Codec::Opus)),
        ToWorker::Frame(frame.clone()),
        ToWorker::Open { output },
        ToWorker::Overlay { output, overlay },
        ToWorker::Cancel { output, id: OverlayId(4), at: time },
        ToWorker::Cut { output, dts: time, pts: time },
        ToWorker::StopOutput { output, before: time },
        ToWorker::CloseOutput { output },
        ToWorker::Keyframe,
        ToWorker::Stop { before: time },
    ];
    let hello = Hello { version: VERSION, confinement: Confinement::default(), libraries: "some".to_owned() };
    let reports = [
        FromWorker::Hello(hello),
        FromWorker::Frame(frame.clone()),
        FromWorker::OutputTrack { output, track: track(Codec::H264) },
        FromWorker::OutputFrame { output, frame },
        FromWorker::Stopped { output },
        FromWorker::Progress { dts: time },
        FromWorker::Sprite(sprite),
        FromWorker::Ended,
        FromWorker::Failed("why".to_owned()),
    ];
    let mut out = [bytes::BytesMut::from(&[0][..]), bytes::BytesMut::from(&[0][..])];
    orders.iter().for_each(|order| order.encode(&mut out[0]).unwrap());
    reports.iter().for_each(|report| report.encode(&mut out[1]).unwrap());
    out.map(|bytes| bytes.to_vec()).to_vec()
}

/// One packet of every kind that is read, and one that is not.
fn rtcp_compound() -> Vec<u8> {
    let block = |ssrc| rtcp::ReportBlock { ssrc, cumulative_lost: -1, ..rtcp::ReportBlock::default() };
    let info = rtcp::SenderInfo { ntp: 1 << 40, rtp_timestamp: 90_000, packets: 10, octets: 10_000 };
    let mut compound = Vec::new();
    rtcp::write_sender_report(1, &info, &[block(2), block(3)], "name", &mut compound);
    rtcp::write_receiver_report(4, &[block(5)], "another", &mut compound);
    rtcp::write_nack(1, 2, [1, 2, 3, 40, 41, 65_535, 0], &mut compound);
    rtcp::write_pli(1, 2, &mut compound);
    compound.extend(bytes_of("84ce00040000000100000000000000020500000085cc0002000000016e616d65"));
    compound.extend(bytes_of("8fce0005000000010000000052454d420103f00000000002"));
    compound.extend(bytes_of("8fcd0006000000010000000200010003000001020060000040800000"));
    rtcp::write_bye(&[1, 4], "gone", &mut compound);
    // An empty packet, padded.
    compound.extend(bytes_of("a0cf000100000004"));
    compound
}

/// With and without extensions, contributing sources and padding.
fn rtp_packets() -> Vec<Vec<u8>> {
    let header = Header { marker: true, payload_type: 96, sequence_number: 1, timestamp: 2, ssrc: 3 };
    let mut plain = Vec::new();
    header.write(&[], &mut plain);
    plain.extend_from_slice(b"payload");
    let mut extended = Vec::new();
    let extensions = [(1, &b"0"[..]), (3, &[1, 2, 3])];
    header.write(&extensions.map(|(id, data)| Extension::new(id, data).unwrap()), &mut extended);
    extended.extend_from_slice(b"payload\0\0\x03");
    extended[0] |= 0x22;
    extended.splice(12..12, [0, 0, 0, 1, 0, 0, 0, 2]);
    vec![plain, extended]
}

/// Published answers, read closely and not.
fn bid_responses() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures/vectors/openrtb/authored");
    let names = ["11-response-deal", "28-deal-wrong-seat", "38-linear-vast", "50-group-all-or-nothing"];
    let responses = names.iter().enumerate().map(|(number, name)| {
        let vector = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        let vector: serde_json::Value = serde_json::from_slice(&vector).unwrap();
        [&[number as u8][..], vector["payload"].to_string().as_bytes()].concat()
    });
    responses.collect()
}

/// Published documents.
fn vast() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures/vectors/vast");
    let names = [
        "authored/overlay-corner-two-variants.xml",
        "authored/wrapper-nonlinear.xml",
        "ctv/09-overlay.xml",
        "vast-client-js/sample.xml",
        "vast-client-js/wrapper-a.xml",
    ];
    names.iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect()
}

/// What real encoders sent.
fn wire() -> Vec<Vec<u8>> {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/protocol/rtmp/wire/testdata");
    let mut files: Vec<_> = std::fs::read_dir(recorded).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn vectors(file: &str, field: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures/vectors").join(file);
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = vectors.as_array().unwrap().iter().filter_map(|vector| vector[field].as_str());
    let bytes = |text: &str| match field {
        "hex" => bytes_of(text),
        _ => STANDARD.decode(text.trim()).unwrap_or_default(),
    };
    text.map(bytes).collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn survive((name, target): Target) {
    let seeds = seeds(name);
    assert!(!seeds.is_empty() && seeds.iter().any(|seed| !seed.is_empty()));
    if let Some(corpus) = std::env::var_os("ONAIR_FUZZ_CORPUS") {
        let directory = Path::new(&corpus).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(directory.join(format!("recorded-{number}")), seed).unwrap();
        }
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for seed in &seeds {
        target(seed);
        for cut in 0..seed.len().min(200) {
            target(&seed[..cut]);
        }
        for _ in 0..ROUNDS {
            target(&mutated(seed, &mut numbers));
        }
    }
}

#[test]
fn every_target_survives_mutated_recordings() {
    std::thread::scope(|scope| {
        for target in targets::ALL {
            scope.spawn(move || survive(*target));
        }
    });
}

#[test]
fn what_was_found_stays_mended() {
    for (name, input) in FOUND {
        let (_, target) = targets::ALL.iter().find(|(known, _)| *known == name).unwrap();
        target(&bytes_of(input));
    }
}

#[test]
fn every_target_is_a_program() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut names: Vec<String> = std::fs::read_dir(programs)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    // What the worker does with images is only there with the worker.
    names.retain(|name| cfg!(feature = "worker") || name != "image");
    assert_eq!(names, targets::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
