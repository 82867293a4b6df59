//! One function a target: bytes from a stranger in, nothing but panics out. Beside not panicking, each holds what must be
//! true of its reader whatever the bytes are.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use onair::auction::bidder::openrtb::macros::{Encoding, Values};
use onair::auction::bidder::openrtb::response::Answer;
use onair::auction::bidder::openrtb::{Terms, judge};
use onair::auction::bidder::{Response, openrtb};
use onair::av::worker::ipc::{Decoder, FromWorker, Message, ToWorker};
use onair::chat::message::{MAX_ID_LEN, Request};
use onair::chat::names::Names;
use onair::chat::person::{self, UserId};
use onair::chat::words::BlockedWords;
use onair::chat::{tags, text};
use onair::codec::aac::AudioSpecificConfig;
use onair::codec::opus::OpusHead;
use onair::codec::{self, aac, av1, h264, h265, nal, vp9};
use onair::cue::{CueBus, Policy};
use onair::format::amf::{Value, amf0, amf3};
use onair::format::cue_message::{self, Cues, Moment};
use onair::format::flv::file::Reader;
use onair::format::flv::{self, Demuxer, mux};
use onair::format::rtp::{self, Packetizer, rtcp};
use onair::format::scte35::SpliceInfoSection;
use onair::format::vast::{Chain, Document, Macros, Mode, Step, VastError, Wanted};
use onair::http::websocket::{self, Incoming};
use onair::impression::{Impression, Tokens};
use onair::ledger::{SessionId, SlotId};
use onair::media::{AudioParams, Codec, Frame, Kind, MediaTime, Params, Track, TrackId, VideoParams};
use onair::protocol::rtmp::wire::handshake::{
    ClientHandshake, PACKET_LENGTH, RANDOM_LENGTH, ServerHandshake,
};
use onair::protocol::rtmp::wire::{
    Capabilities, ClientSession, ClientSettings, Event, Intake, Limits, Output, Purpose, ServerSession,
};
use onair::protocol::webrtc::demux::{self, Check};
use onair::protocol::webrtc::fragment::{self as sdp_fragment, Fragment};
use onair::protocol::webrtc::history::{History, Limits as HistoryLimits};
use onair::protocol::webrtc::offer::{Offer, Role};
use onair::protocol::webrtc::received::Received;
use onair::protocol::webrtc::send::Cursor;
use onair::protocol::webrtc::srtp::{MasterKey, OpenError, Opener, Profile, Sealer};

#[cfg(feature = "worker")]
#[path = "image.rs"]
mod image_intake;
#[path = "splice.rs"]
mod splicer;

#[cfg(feature = "worker")]
pub use image_intake::image;
pub use splicer::splice;

/// A target: its name, as its program and its corpus are called, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: &[Target] = &[
    ("amf0", amf0),
    ("amf3", amf3),
    ("asc", asc),
    ("avcc", avcc),
    ("bid_response", bid_response),
    ("chunks", chunks),
    ("comment", comment),
    ("cue_bus", cue_bus),
    ("cue_message", cue_message),
    ("cursor", cursor),
    ("flv", flv),
    ("flv_file", flv_file),
    ("fragment", fragment),
    ("handshake", handshake),
    ("hvcc", hvcc),
    #[cfg(feature = "worker")]
    ("image", image),
    ("ipc", ipc),
    ("macros", macros),
    ("offer", offer),
    ("packetize", packetize),
    ("received", received),
    ("rtcp", rtcp),
    ("rtp", rtp),
    ("scte35", scte35),
    ("session", session),
    ("splice", splice),
    ("sps", sps),
    ("srtcp", srtcp),
    ("stun", stun),
    ("token", token),
    ("vast", vast),
    ("websocket", websocket),
];

/// The first byte says how the rest is cut into pieces.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (size, rest) = match data.split_first() {
        Some((0, rest)) | Some((255, rest)) => (rest.len().max(1), rest),
        Some((size, rest)) => (usize::from(*size), rest),
        None => (1, data),
    };
    rest.chunks(size)
}

/// Both ends of the handshake.
pub fn handshake(data: &[u8]) {
    let mut out = BytesMut::new();
    let mut server = ServerHandshake::new([7; RANDOM_LENGTH]);
    let mut client = ClientHandshake::new(&[9; RANDOM_LENGTH], &mut out);
    out.clear();
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    for piece in pieces(data) {
        to_server.extend_from_slice(piece);
        if !matches!(server.receive(&mut to_server, &mut out), Ok(false)) {
            break;
        }
    }
    // S0, S1 and S2 at most, whatever comes.
    assert!(out.len() <= 1 + 2 * PACKET_LENGTH);
    for piece in pieces(data) {
        to_client.extend_from_slice(piece);
        if !matches!(client.receive(&mut to_client, &mut out), Ok(false)) {
            break;
        }
    }
}

/// Limits that small inputs can reach.
fn limits() -> Limits {
    Limits {
        max_message: 4 << 10,
        max_buffered: 8 << 10,
        max_setup_buffered: 2 << 10,
        max_chunk_streams: 8,
        ..Limits::default()
    }
}

/// Feeds a server session piece by piece, and answers its requests. It must always come to rest, and hold no more than it
/// may.
fn feed(session: &mut ServerSession, pieces: impl Iterator<Item = Bytes>, start: Instant) {
    let mut input = BytesMut::new();
    let mut now = start;
    for piece in pieces {
        input.extend_from_slice(&piece);
        now += Duration::from_millis(1);
        loop {
            let intake = session.receive(&mut input, now);
            while let Some(output) = session.poll() {
                match output {
                    Output::Event(Event::Publish(_)) => _ = session.accept_publish(),
                    Output::Event(Event::Play(_)) => _ = session.accept_play(),
                    Output::Event(_) | Output::Send(_) => {}
                }
            }
            assert!(session.buffered() <= limits().max_buffered, "more is held than allowed");
            match intake {
                Ok(Intake::Backlogged) => {}
                Ok(Intake::Drained) => break,
                Err(_) => return,
            }
        }
        // What stays is an incomplete header, or a handshake's packet.
        assert!(input.len() <= PACKET_LENGTH + 1, "{} bytes are left", input.len());
    }
}

/// An instant to begin with: the sessions take the time as a parameter.
fn some_instant() -> Instant {
    onair::clock::monotonic()
}

/// A server session from the first byte.
pub fn session(data: &[u8]) {
    let now = some_instant();
    let capabilities = Capabilities::forwarding(&["avc1"], &["mp4a"], 0);
    let mut server = ServerSession::new(limits(), capabilities, [7; RANDOM_LENGTH], now);
    feed(&mut server, pieces(data).map(Bytes::copy_from_slice), now);

    let settings =
        ClientSettings { limits: limits(), ..ClientSettings::new("host", "live", Purpose::Play("a".into())) };
    let mut client = ClientSession::new(settings, &[9; RANDOM_LENGTH], now);
    let mut input = BytesMut::new();
    for piece in pieces(data) {
        input.extend_from_slice(piece);
        loop {
            let intake = client.receive(&mut input, now);
            while client.poll().is_some() {}
            match intake {
                Ok(Intake::Backlogged) => {}
                Ok(Intake::Drained) => break,
                Err(_) => return,
            }
        }
    }
}

/// The chunks of a publisher whom the server has accepted.
pub fn chunks(data: &[u8]) {
    let now = some_instant();
    let capabilities = Capabilities::forwarding(&["avc1"], &["mp4a"], 0);
    let mut server = ServerSession::new(limits(), capabilities, [7; RANDOM_LENGTH], now);
    let publishing = publishing();
    feed(&mut server, std::iter::once(publishing).chain(pieces(data).map(Bytes::copy_from_slice)), now);
}

/// What a publisher sends before its media.
fn publishing() -> Bytes {
    use onair::protocol::rtmp::wire::command::Command;
    let mut out = BytesMut::zeroed(1 + 2 * PACKET_LENGTH);
    out[0] = 3;
    let app = Value::object([("app", "live".into())]);
    for (name, object, arguments) in [
        ("connect", app, vec![]),
        ("createStream", Value::Null, vec![]),
        ("publish", Value::Null, vec!["key".into(), "live".into()]),
    ] {
        let command = Command { name: name.to_owned(), transaction: 1.0, object, arguments };
        command.write(1, 128, &mut out).expect("short");
    }
    out.freeze()
}

/// AMF0, and that what is written of it is read again.
pub fn amf0(data: &[u8]) {
    let Ok(values) = amf0::decode_all(data) else { return };
    let mut written = BytesMut::new();
    for value in &values {
        amf0::encode(value, &mut written);
    }
    let again = amf0::decode_all(&written).expect("what is written can be read");
    // NaN is not equal to itself, so that values are compared by what is written of them.
    let mut twice = BytesMut::new();
    for value in &again {
        amf0::encode(value, &mut twice);
    }
    assert_eq!(written, twice);
}

/// AMF3.
pub fn amf3(data: &[u8]) {
    let mut rest = data;
    while !rest.is_empty() {
        let before = rest.len();
        if amf3::decode(&mut rest).is_err() {
            assert_eq!(rest.len(), before, "an error takes nothing");
            return;
        }
        assert!(rest.len() < before, "a value has bytes");
    }
}

/// The bodies of a publisher's messages: each behind a byte for its kind and two for its length. What the demuxer makes
/// of them is canonical, and can be muxed and demuxed again.
pub fn flv(data: &[u8]) {
    let mut demuxer = Demuxer::new(flv::Limits::default());
    let mut tracks: Vec<Track> = Vec::new();
    let mut rest = data;
    let mut time = 0;
    while let Some((&[kind, high, low], after)) = rest.split_first_chunk() {
        let (body, after) = after.split_at(after.len().min(usize::from(u16::from_be_bytes([high, low]))));
        rest = after;
        time += 20;
        let body = Bytes::copy_from_slice(body);
        let events = match kind & 1 {
            0 => demuxer.video(MediaTime::from_millis(time), body),
            _ => demuxer.audio(MediaTime::from_millis(time), body),
        };
        for event in events.unwrap_or_default() {
            match event {
                flv::Event::Track(track) => {
                    let description =
                        codec::describe(track.codec, &track.config).expect("a canonical record");
                    assert_eq!(description.config, track.config, "a canonical record stays as it is");
                    let _ = mux::sequence_header(&track);
                    let _ = codec::mime(&track, true);
                    tracks.retain(|known| known.id != track.id);
                    tracks.push(track);
                }
                flv::Event::Frame(frame) => {
                    let track = tracks.iter().find(|track| track.id == frame.track).expect("told before");
                    assert!(!frame.payload.is_empty());
                    codec::inspect(track.codec, &frame.payload).expect("a canonical payload");
                    let prefix = mux::frame_prefix(track, &frame);
                    let body = [prefix.as_ref(), &frame.payload].concat();
                    assert!(body.len() > frame.payload.len());
                }
                _ => {}
            }
        }
        assert!(tracks.len() <= usize::from(flv::Limits::default().max_tracks));
    }
}

/// An FLV file, in pieces.
pub fn flv_file(data: &[u8]) {
    const MOST: usize = 64 << 10;
    let mut reader = Reader::new(MOST);
    let mut length = 0;
    for piece in pieces(data) {
        reader.push(piece);
        loop {
            match reader.next_tag() {
                Ok(Some(tag)) => length += tag.body.len(),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(length <= data.len());
}

/// `AVCDecoderConfigurationRecord`: what is read of it can be written and is read the same.
pub fn avcc(data: &[u8]) {
    let _ = codec::describe(Codec::H264, data);
    let Ok(record) = h264::ConfigRecord::parse(data) else { return };
    let _ = record.active_sps();
    let Ok(record) = record.canonical() else { return };
    let written = record.encode();
    assert_eq!(h264::ConfigRecord::parse(&written).expect("what is written can be read"), record);
    let frame = h264::with_parameter_sets(Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]), &record);
    assert!(nal::units(&frame).all(|unit| unit.is_ok()));
}

/// `HEVCDecoderConfigurationRecord`, the same.
pub fn hvcc(data: &[u8]) {
    let _ = codec::describe(Codec::H265, data);
    let Ok(record) = h265::ConfigRecord::parse(data) else { return };
    let _ = record.active_sps();
    let Ok(record) = record.canonical() else { return };
    let written = record.encode();
    assert_eq!(h265::ConfigRecord::parse(&written).expect("what is written can be read"), record);
    let frame = h265::with_parameter_sets(Bytes::from_static(&[0, 0, 0, 3, 0x26, 1, 0xaf]), &record);
    assert!(nal::units(&frame).all(|unit| unit.is_ok()));
}

/// What server and worker say to each other, in both directions: what is read can be written, and is read the same.
pub fn ipc(data: &[u8]) {
    fn read<M: Message + PartialEq + std::fmt::Debug>(data: &[u8]) {
        let (mut input, mut decoder) = (BytesMut::new(), Decoder::<M>::default());
        for piece in pieces(data) {
            input.extend_from_slice(piece);
            loop {
                match decoder.next(&mut input) {
                    Ok(Some(message)) => {
                        let mut written = BytesMut::new();
                        message.encode(&mut written).expect("what is read can be written");
                        assert_eq!(decoder.next(&mut written), Ok(Some(message)));
                    }
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    }
    read::<ToWorker>(data);
    read::<FromWorker>(data);
}

/// Parameter sets and payloads of all codecs, whichever the first byte says.
pub fn sps(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else { return };
    match which % 8 {
        0 => _ = h264::Sps::parse(data),
        1 => _ = h265::Sps::parse(data),
        2 => _ = av1::ConfigRecord::parse(data).map(|record| record.canonical()),
        3 => _ = vp9::ConfigRecord::parse(data),
        4 => _ = h264::AccessUnit::inspect(data),
        5 => _ = h265::AccessUnit::inspect(data),
        6 => {
            for codec in [Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::Opus, Codec::Aac] {
                let _ = codec::inspect(codec, data);
            }
        }
        _ => {
            for length_size in [1, 2, 4] {
                let Ok(payload) = nal::to_canonical(Bytes::copy_from_slice(data), length_size) else {
                    continue;
                };
                assert!(nal::units(&payload).all(|unit| unit.is_ok()), "canonical payloads can be read");
                let stream = nal::to_annex_b(&payload).expect("a canonical payload");
                let _ = nal::from_annex_b(&stream);
            }
            if let Ok(payload) = av1::to_canonical(Bytes::copy_from_slice(data)) {
                assert!(av1::obus(&payload).all(|obu| obu.is_ok()), "canonical payloads can be read");
            }
        }
    }
}

/// `AudioSpecificConfig`, `OpusHead` and ADTS.
pub fn asc(data: &[u8]) {
    if let Ok(config) = AudioSpecificConfig::parse(data) {
        assert!(config.sample_rate() > 0 && config.channels() > 0, "{config:?}");
    }
    if let Ok(head) = OpusHead::parse(data) {
        assert!(head.channels > 0);
        assert!(OpusHead::parse(&head.encode()).is_ok(), "what is written can be read");
    }
    let _ = codec::describe(Codec::Aac, data);
    assert!(aac::strip_adts(Bytes::copy_from_slice(data)).len() <= data.len());
    let _ = onair::codec::opus::packet_samples(data);
}

/// A SCTE 35 section: what is read of it can be written and is read the same.
pub fn scte35(data: &[u8]) {
    let Ok(section) = SpliceInfoSection::decode(data) else { return };
    let Ok(written) = section.encode() else { return };
    assert_eq!(SpliceInfoSection::decode(&written).expect("what is written can be read"), section);
    for segmentation in section.segmentations() {
        let _ = format!("{segmentation:?}");
    }
}

/// Cue messages, one after the other, each behind two bytes for its length.
pub fn cue_message(data: &[u8]) {
    let mut cues = Cues::default();
    let mut rest = data;
    let mut now = MediaTime::ZERO;
    while let Some((&length, after)) = rest.split_first_chunk() {
        let (message, after) = after.split_at(after.len().min(usize::from(u16::from_be_bytes(length))));
        rest = after;
        now += MediaTime::from_millis(500);
        let Ok(values) = amf0::decode_all(message) else { continue };
        if let Ok(Some(announcement)) = cue_message::parse(&values) {
            let _ = cues.announce(announcement, Moment { publisher: now, media: now });
        }
    }
}

/// An RTP packet: what is read of it can be written and is read the same.
pub fn rtp(data: &[u8]) {
    let Ok(packet) = rtp::Packet::parse(data) else { return };
    let extensions: Vec<_> = packet.extensions().collect();
    let mut written = Vec::new();
    packet.header.write(&extensions, &mut written);
    assert_eq!(written.len(), rtp::Header::len(&extensions));
    written.extend_from_slice(packet.payload);
    let again = rtp::Packet::parse(&written).expect("what is written can be read");
    assert_eq!((again.header, again.payload), (packet.header, packet.payload));
    assert_eq!(again.extensions().collect::<Vec<_>>(), extensions);
    assert!(packet.csrcs().count() <= 15);
}

/// An RTCP compound. Reports and lists of missing packets can be written and are read the same; nothing names more than
/// its bytes can.
pub fn rtcp(data: &[u8]) {
    let mut count = 0;
    for packet in rtcp::packets(data) {
        count += 1;
        let mut written = Vec::new();
        match packet {
            Ok(rtcp::Packet::SenderReport { ssrc, info, blocks }) => {
                let before: Vec<_> = blocks.iter().collect();
                rtcp::write_sender_report(ssrc, &info, &before, "name", &mut written);
                match rtcp::packets(&written).next() {
                    Some(Ok(rtcp::Packet::SenderReport { blocks, .. })) => {
                        assert_eq!(blocks.iter().collect::<Vec<_>>(), before);
                    }
                    other => panic!("{other:?}"),
                }
                for block in before {
                    let _ = block.round_trip(info.ntp);
                }
            }
            Ok(rtcp::Packet::Nack { sender_ssrc, media_ssrc, lost }) => {
                let mut before: Vec<u16> = lost.iter().collect();
                assert!(before.len() <= 17 * data.len() / 4);
                rtcp::write_nack(sender_ssrc, media_ssrc, before.iter().copied(), &mut written);
                let mut again = Vec::new();
                for packet in rtcp::packets(&written) {
                    let Ok(rtcp::Packet::Nack { lost, .. }) = packet else { panic!("{packet:?}") };
                    again.extend(lost.iter());
                }
                for numbers in [&mut before, &mut again] {
                    numbers.sort_unstable();
                    numbers.dedup();
                }
                assert_eq!(before, again);
            }
            Ok(rtcp::Packet::Bye { ssrcs, reason }) => {
                let reason = reason.map(String::from_utf8_lossy).unwrap_or_default();
                rtcp::write_bye(&ssrcs.iter().collect::<Vec<_>>(), &reason, &mut written);
                assert!(rtcp::packets(&written).all(|packet| packet.is_ok()));
            }
            Ok(rtcp::Packet::Sdes(chunks)) => assert!(chunks.iter().count() <= 31),
            Ok(rtcp::Packet::Fir { requests, .. }) => assert!(requests.iter().count() <= data.len() / 8),
            Ok(rtcp::Packet::Remb { ssrcs, .. }) => assert!(ssrcs.iter().count() <= 255),
            _ => {}
        }
    }
    assert!(count <= data.len().div_ceil(4));
}

/// Frames of any bytes as payloads. The first byte says the codec, the second how large payloads may be, the third how
/// long the configuration behind it is; the frames stand behind two bytes each, for keyframe, disposable and length.
pub fn packetize(data: &[u8]) {
    const CODECS: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];
    let Some((&[codec, size, config_len], rest)) = data.split_first_chunk() else { return };
    let codec = CODECS[usize::from(codec) % CODECS.len()];
    let max_payload = rtp::MIN_PAYLOAD + usize::from(size) * 8;
    let params = match codec.kind() {
        Kind::Video => Params::Video(VideoParams { width: 64, height: 64, reorder_depth: None }),
        Kind::Audio => Params::Audio(AudioParams { sample_rate: 48_000, channels: 2, frame_samples: None }),
    };
    let (config, mut rest) = rest.split_at(rest.len().min(usize::from(config_len)));
    let config = Bytes::copy_from_slice(config);
    let track = Track { id: TrackId(0), group: 0, rank: 0, codec, config, params };
    let Ok(mut packetizer) = Packetizer::new(&track, max_payload) else { return };
    let mut payloads = Vec::new();
    while let Some((&head, after)) = rest.split_first_chunk() {
        let head = u16::from_be_bytes(head);
        let (payload, after) = after.split_at(after.len().min(usize::from(head & 0x3fff)));
        rest = after;
        let frame = Frame {
            track: track.id,
            pts: MediaTime::ZERO,
            dts: MediaTime::ZERO,
            keyframe: head & 0x8000 != 0,
            disposable: head & 0x4000 != 0,
            payload: Bytes::copy_from_slice(payload),
        };
        payloads.clear();
        if packetizer.packetize(&frame, &mut payloads).is_err() {
            assert!(payloads.is_empty(), "a malformed frame makes no packet");
        }
        for (index, payload) in payloads.iter().enumerate() {
            assert!((1..=max_payload).contains(&payload.bytes.len()), "{} bytes", payload.bytes.len());
            let is_last = index + 1 == payloads.len();
            assert_eq!(payload.marker, is_last && codec.kind() == Kind::Video);
        }
    }
}

/// SDP offers; the first byte says who sends it.
pub fn offer(data: &[u8]) {
    let Some((&first, text)) = data.split_first() else { return };
    let role = if first & 1 == 0 { Role::Publisher } else { Role::Viewer };
    let text = String::from_utf8_lossy(text);
    let Ok(offer) = Offer::parse(&text, role) else { return };
    assert!((1..=2).contains(&offer.sections.len()));
    assert!(offer.sections.len() == 1 || offer.sections[0].mid != offer.sections[1].mid);
    assert!(!offer.text.lines().any(|line| line.starts_with("a=candidate:")));
    assert!(!offer.ufrag.is_empty());
    assert_eq!(Offer::parse(&offer.text, role).map(|again| again.sections), Ok(offer.sections));
}

/// Bodies of a PATCH.
pub fn fragment(data: &[u8]) {
    let Ok(fragment) = Fragment::parse(&String::from_utf8_lossy(data)) else { return };
    let candidates = ["candidate:1 1 udp 1 192.0.2.1 9 typ host".to_owned()];
    let written = sdp_fragment::write("0", &fragment.credentials, &candidates);
    let again = Fragment::parse(&written).map(|again| again.credentials);
    assert!(again.is_ok_and(|credentials| credentials == fragment.credentials));
}

/// Datagrams of whoever knows the port.
pub fn stun(data: &[u8]) {
    let kind = demux::kind(data);
    if let Some(check) = Check::parse(data) {
        assert!(check.ufrag.len() <= data.len());
        assert!(kind.is_none() || kind == Some(demux::Kind::Stun), "{kind:?}");
    }
}

/// SRTCP: what comes is opened if it is sealed with the right key, once, and unchanged, and not otherwise.
pub fn srtcp(data: &[u8]) {
    let Some((&[profile, at, bits], compound)) = data.split_first_chunk() else { return };
    let profile = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmHmacSha1_80]
        [usize::from(profile % 3)];
    let (key, salt) = (vec![1; profile.key_length()], vec![2; profile.salt_length()]);
    let master = MasterKey::new(profile, &key, &salt).expect("lengths that fit");
    let (mut sealer, mut opener) = (Sealer::new(&master).expect("keys"), Opener::new(&master).expect("keys"));
    let mut out = b"before".to_vec();
    assert!(opener.open_rtcp(compound, &mut out).is_err(), "nobody finds the tag by chance");
    assert_eq!(out, b"before");
    let mut sealed = Vec::new();
    if sealer.seal_rtcp(compound, &mut sealed).is_err() {
        assert!(sealed.is_empty());
        return;
    }
    if bits != 0 {
        let mut changed = sealed.clone();
        let at = usize::from(at) % changed.len();
        changed[at] ^= bits;
        assert!(opener.open_rtcp(&changed, &mut out).is_err());
        assert!(opener.open_rtcp(&sealed[..at], &mut out).is_err());
        assert_eq!(out, b"before");
    }
    out.clear();
    assert_eq!(opener.open_rtcp(&sealed, &mut out), Ok(()));
    assert_eq!(out, compound);
    assert_eq!(opener.open_rtcp(&sealed, &mut out), Err(OpenError::Replayed));
}

/// Frames as RTP brings them, each behind two bytes of length; the first byte says in which codec.
pub fn received(data: &[u8]) {
    const CODECS: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];
    let Some((&codec, mut rest)) = data.split_first() else { return };
    let codec = CODECS[usize::from(codec) % CODECS.len()];
    let mut track = Received::new(TrackId(0), codec);
    while let Some((&length, after)) = rest.split_first_chunk() {
        let (frame, after) = after.split_at(after.len().min(usize::from(u16::from_be_bytes(length))));
        rest = after;
        let Ok(arrived) = track.take(frame, MediaTime::ZERO) else { continue };
        if let Some(track) = &arrived.track {
            assert_eq!(track.codec, codec);
        }
        if let Some(frame) = arrived.frame {
            assert!(!track.needs_keyframe() && !frame.payload.is_empty());
            assert!(codec::inspect(codec, &frame.payload).is_ok(), "a frame that nobody can read");
        }
    }
}

/// A viewer's way through a history, whatever happens to both: his numbers rise by one, his time never goes back, and what is
/// sent again is what was sent.
pub fn cursor(data: &[u8]) {
    const FRAME: i64 = 3_000;
    let mut history = History::new(HistoryLimits { retransmit: 8, bytes: 4_096 });
    let mut cursor = Cursor::default();
    let (mut ticks, mut sent) = (0, Vec::new());
    for operation in data {
        match operation % 8 {
            0..=3 => {
                let count = usize::from(operation >> 4) + 1;
                let payload = |n| rtp::Payload { bytes: Bytes::from(vec![0; 100]), marker: n + 1 == count };
                ticks += FRAME;
                history.push((0..count).map(payload), ticks, operation % 8 == 0);
            }
            4 => drop(cursor.begin(&history, FRAME)),
            5 => cursor.skip(&history, FRAME),
            6 => {
                let wire = u64::from(operation >> 4);
                let _ = cursor.sent(wire, &history);
                let _ = cursor.unwrap(u16::from(*operation));
            }
            _ => {
                for _ in 0..operation >> 4 {
                    let Some(outgoing) = cursor.next(&history) else { break };
                    sent.push((outgoing.wire, outgoing.packet.frame, outgoing.ticks));
                }
            }
        }
        assert!(cursor.lag(&history) >= 0);
    }
    assert!(sent.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1 && pair[1].2 >= pair[0].2), "{sent:?}");
    for &(wire, frame, ticks) in &sent {
        assert_eq!(cursor.unwrap(wire as u16), Some(wire));
        if let Some(again) = cursor.sent(wire, &history) {
            assert_eq!((again.wire, again.packet.frame, again.ticks), (wire, frame, ticks));
        }
    }
}

/// What a viewer says to a room, and all that reads its text.
pub fn comment(data: &[u8]) {
    const MAX_CHARS: usize = 300;
    let Ok(message) = std::str::from_utf8(data) else { return };
    if let Ok(request) = Request::parse(message) {
        assert!(request.id().is_none_or(|id| !id.is_empty() && id.len() <= MAX_ID_LEN));
    }
    if let Ok(cleaned) = text::clean(message, MAX_CHARS) {
        assert!(cleaned.chars().count() <= MAX_CHARS && !cleaned.contains(char::is_control));
        text::links(&cleaned);
        BlockedWords::new(&["moron".to_owned(), "spam*".to_owned()]).are_in(&cleaned);
        assert!(tags::hashtags(&cleaned).iter().all(|tag| !tag.is_empty() && !tag.contains(' ')));
        let mut names = Names::default();
        if names.take(UserId(1), person::Role::Guest, message).is_ok() {
            assert!(names.take(UserId(2), person::Role::Guest, message).is_err(), "a name has one owner");
        }
        for rest in tags::mentions(&cleaned) {
            names.at_beginning_of(rest);
        }
    }
}

/// A client's frames.
pub fn websocket(data: &[u8]) {
    const MAX_MESSAGE: usize = 300;
    let mut decoder = websocket::Decoder::new(MAX_MESSAGE);
    for piece in pieces(data) {
        decoder.receive(piece);
        loop {
            match decoder.poll() {
                Ok(Some(Incoming::Text(text))) => assert!(text.len() <= MAX_MESSAGE),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// A token that a page sends back, and one that was changed on its way.
pub fn token(data: &[u8]) {
    let tokens = Tokens::new(b"a secret for the fuzzer");
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(tokens.verify(text, 0).is_err(), "nobody else can make a token");
    }
    let number = |at: usize| {
        let bytes = data.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_be_bytes(bytes.unwrap_or_default())
    };
    let impression = Impression {
        slot: SlotId(number(0)),
        lot: number(8) as u16,
        session: SessionId(number(10)),
        creative: number(18),
        start: 0,
        duration_ms: number(26) as u32,
        deadline: i64::MAX,
    };
    let token = tokens.sign(&impression);
    assert_eq!(tokens.verify(&token, 1), Ok(impression));
    let mut changed = token.clone().into_bytes();
    for (at, byte) in data.iter().enumerate() {
        let length = changed.len();
        changed[(at * 7 + usize::from(*byte)) % length] ^= byte & 0x1f;
    }
    if let Ok(changed) = String::from_utf8(changed)
        && changed != token
    {
        assert!(tokens.verify(&changed, 1).is_err(), "a changed token is none");
    }
}

/// The data messages of a publisher's stream, up to the slots that they open.
pub fn cue_bus(data: &[u8]) {
    let mut bus = CueBus::new(Policy { publisher_cues: true, ..Policy::default() }, []);
    bus.begin();
    let (mut cues, mut rest, mut millis) = (Cues::default(), data, 0);
    while let Some((&length, after)) = rest.split_first_chunk() {
        let (message, after) = after.split_at(after.len().min(usize::from(u16::from_be_bytes(length))));
        rest = after;
        millis += 1 + message.len() as i64 * 40;
        let now = MediaTime::from_millis(millis);
        let Ok(values) = amf0::decode_all(message) else { continue };
        let Ok(Some(announcement)) = cue_message::parse(&values) else { continue };
        let heard = cues.announce(announcement, Moment { publisher: now, media: now }).unwrap_or_default();
        let moment = onair::cue::Moment { media: now, unix_millis: millis };
        for cue in heard {
            let _ = bus.hear(cue, moment);
        }
        let slots: Vec<_> = bus.slots(moment).collect();
        for (place, slot) in slots.iter().enumerate() {
            assert!(
                slot.end() > slot.cue.start && slot.end() - slot.cue.start <= MediaTime::from_millis(120_000)
            );
            let apart =
                |other: &&onair::cue::Slot| other.cue.start >= slot.end() || slot.cue.start >= other.end();
            assert!(slots[..place].iter().all(apart), "slots overlap");
        }
        while let Some(slot) = bus.poll() {
            assert!(slot.cue.revision > 0);
        }
    }
}

/// A bid response behind a byte that says how closely it is read: what passes is within what was asked.
pub fn bid_response(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let is_lenient = first & 1 == 1;
    let request = serde_json::json!({
        "id": "a-7f3c", "cur": ["USD"], "bcat": ["IAB25"],
        "imp": [{
            "id": "1", "bidfloor": 4.0, "secure": 1,
            "video": { "linearity": 2, "w": 1280, "h": 720, "minduration": 10, "maxduration": 15, "battr": [8] },
            "banner": { "format": [{ "w": 300, "h": 250 }] },
            "pmp": { "deals": [{ "id": "D-1", "bidfloor": 9.0, "at": 3, "wseat": ["seat-a"] }] },
        }],
    });
    let response = Response { status: 200, body: Bytes::copy_from_slice(body) };
    let Ok(answer) = Answer::read(&response, is_lenient) else { return };
    let judged = judge::judge(&answer, &Terms::of(&request), is_lenient);
    for fair in &judged.fair {
        assert!(fair.price.as_nanos() >= 4_000_000 && fair.price <= openrtb::price::MAX_PRICE);
        assert!(fair.resource.as_ref().is_none_or(|link| link.is_secure()));
        assert!(!fair.external.advertiser_domains.is_empty());
    }
    let bids: usize = answer.seats.iter().map(|seat| seat.bids.len()).sum();
    assert_eq!(judged.fair.len() + judged.refused.len(), bids, "each bid is judged");
}

/// What stands for macros, up to a line's end, and the text that they are in.
pub fn macros(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (value, text) = text.split_once('\n').unwrap_or((&text, "${AUCTION_ID}[PAGEURL]"));
    let values = Values { auction: value.to_owned(), seat: value.to_owned(), ..Values::default() };
    let agreed = [Encoding::Base64].into();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    assert!(values.apply("${AUCTION_ID}${AUCTION_SEAT_ID:B64}", &agreed).bytes().all(is_plain));
    let _ = values.apply(text, &agreed);
    let mut vast = Macros::new(0, 0);
    vast.set("PAGEURL", value);
    assert!(vast.apply("[PAGEURL]%5BPAGEURL%5D").bytes().all(is_plain));
    let _ = vast.apply(text);
}

/// A VAST document that, if it wraps something, wraps itself.
pub fn vast(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for mode in [Mode::Strict, Mode::Lenient] {
        let wanted = Wanted {
            canvas: (1920, 1080),
            media_types: &["image/png", "image/jpeg"],
            slot_ms: 15_000,
            blocked_categories: &["IAB25"],
            mode,
        };
        let Ok(document) = Document::read(&text, mode) else { continue };
        let mut chain = Chain::new(document);
        let mut fetched = 0;
        while let Step::Fetch(_) = chain.step(&wanted) {
            fetched += 1;
            assert!(fetched <= 10, "a chain comes to an end");
            match fetched % 3 {
                0 => chain.failed(VastError::WrapperTimeout),
                _ => chain.received(&text, &wanted),
            }
        }
        if let Step::Done(overlay) = chain.step(&wanted) {
            assert!(overlay.resource.is_some() && overlay.size.0 <= 4096 && overlay.size.1 <= 4096);
        }
    }
}
