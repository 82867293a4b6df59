//! The recordings in `media-fixtures/`, as frames for RTP, and what of a frame must come through.

use bytes::{BufMut as _, Bytes, BytesMut};
use onair::format::flv::file::Tag;
use onair::media::{Codec, Kind};

use crate::support::{Content, Fixture, Packet};

/// A frame: Annex B for H.264, OBUs with sizes for AV1, else as it is.
#[derive(Clone, Debug)]
pub struct Unit {
    /// What it is in.
    pub codec: Codec,
    /// Its time.
    pub millis: u32,
    /// A decoder can start here. Sound always can.
    pub keyframe: bool,
    /// The bytes.
    pub data: Bytes,
}

/// A recording as a WHIP publisher sends it.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Sound and picture by time.
    pub units: Vec<Unit>,
}

impl Unit {
    /// Sound or picture.
    pub fn is_picture(&self) -> bool {
        self.codec.kind() == Kind::Video
    }

    /// What of it must come through.
    pub fn essence(&self) -> Vec<Vec<u8>> {
        essence(self.codec, &self.data)
    }
}

impl Recording {
    /// The recording of this name; `vp8` has the sound of `vp9-opus`.
    pub fn read(name: &str) -> Self {
        match name {
            "vp8" => Self::new(ivf("vp8"), sounds(&Fixture::read("vp9-opus").tags)),
            _ => {
                let tags = Fixture::read(name).tags;
                Self::new(pictures(&tags), sounds(&tags))
            }
        }
    }

    fn new(pictures: Vec<Unit>, sounds: Vec<Unit>) -> Self {
        let last = pictures.last().map_or(u32::MAX, |picture| picture.millis);
        let mut units = [pictures, sounds].concat();
        // Sound after the last picture would wait for another on its way to viewers.
        units.retain(|unit| unit.millis <= last);
        // Sound before the picture of the same time.
        units.sort_by_key(|unit| (unit.millis, unit.is_picture()));
        Self { units }
    }

    /// The same later.
    pub fn later(mut self, millis: u32) -> Self {
        self.units.iter_mut().for_each(|unit| unit.millis += millis);
        self
    }

    /// The codecs in it.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = Vec::new();
        for unit in &self.units {
            if !codecs.contains(&unit.codec) {
                codecs.push(unit.codec);
            }
        }
        codecs
    }

    /// The frames of one kind.
    pub fn of(&self, kind: Kind) -> Vec<&Unit> {
        self.units.iter().filter(|unit| unit.codec.kind() == kind).collect()
    }

    /// Stretches that end with a picture each.
    pub fn steps(&self) -> impl Iterator<Item = &[Unit]> {
        self.units.split_inclusive(Unit::is_picture)
    }
}

fn pictures(tags: &[Tag]) -> Vec<Unit> {
    let mut parameter_sets = Vec::new();
    let mut units = Vec::new();
    for tag in tags {
        match Packet::parse(tag) {
            Content::Config { codec, record } if codec == *b"avc1" => parameter_sets = of_record(&record),
            Content::Frame(packet) if packet.is_video() => {
                let (codec, data) = match &packet.codec {
                    b"avc1" => (Codec::H264, annex_b(&packet, &parameter_sets)),
                    b"av01" => (Codec::Av1, packet.payload.clone()),
                    b"vp09" => (Codec::Vp9, packet.payload.clone()),
                    other => panic!("{} does not go over WebRTC", other.escape_ascii()),
                };
                units.push(Unit { codec, millis: tag.timestamp_ms, keyframe: packet.keyframe, data });
            }
            _ => {}
        }
    }
    units
}

/// Opus packets of 20 ms, which follow one another exactly.
fn sounds(tags: &[Tag]) -> Vec<Unit> {
    let packets = crate::support::fixture::packets(tags).into_iter();
    let unit = |(index, packet): (usize, Packet)| {
        let millis = u32::try_from(index * 20).expect("a short recording");
        Unit { codec: Codec::Opus, millis, keyframe: true, data: packet.payload }
    };
    packets.filter(|packet| packet.codec == *b"Opus").enumerate().map(unit).collect()
}

/// The frames of an IVF file of 30 a second.
fn ivf(name: &str) -> Vec<Unit> {
    let bytes = std::fs::read(Fixture::path(name).with_extension("ivf")).expect("a fixture");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut units) = (32, Vec::new());
    while at < bytes.len() {
        let (length, number) = (word(at) as usize, word(at + 4));
        let data = Bytes::copy_from_slice(&bytes[at + 12..at + 12 + length]);
        // RFC 6386 §9.1: the lowest bit is clear in a key frame.
        let keyframe = data[0] & 1 == 0;
        units.push(Unit { codec: Codec::Vp8, millis: number * 1000 / 30, keyframe, data });
        at += 12 + length;
    }
    units
}

/// The parameter sets of a decoder configuration, one of each.
fn of_record(record: &[u8]) -> Vec<Vec<u8>> {
    let sps = usize::from(u16::from_be_bytes([record[6], record[7]]));
    let pps_at = 8 + sps + 3;
    let pps = usize::from(u16::from_be_bytes([record[pps_at - 2], record[pps_at - 1]]));
    vec![record[8..8 + sps].to_vec(), record[pps_at..pps_at + pps].to_vec()]
}

fn annex_b(packet: &Packet, parameter_sets: &[Vec<u8>]) -> Bytes {
    let mut out = BytesMut::new();
    let mut put = |unit: &[u8]| {
        out.put_u32(1);
        out.put_slice(unit);
    };
    if packet.keyframe {
        parameter_sets.iter().for_each(|unit| put(unit));
    }
    by_length(&packet.payload).iter().for_each(|unit| put(unit));
    out.freeze()
}

/// NAL units behind their lengths.
fn by_length(mut payload: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let Some((length, rest)) = payload.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        units.push(unit);
        payload = rest;
    }
    units
}

/// NAL units between start codes.
fn by_start_code(data: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = data
        .windows(3)
        .enumerate()
        .filter(|(_, window)| *window == [0, 0, 1])
        .map(|(at, _)| at + 3)
        .collect();
    starts.push(data.len() + 3);
    let unit = |pair: &[usize]| {
        let unit = &data[pair[0]..pair[1] - 3];
        // A start code of four bytes has one that is nobody's.
        unit.strip_suffix(&[0]).filter(|_| pair[1] - 3 < data.len()).unwrap_or(unit)
    };
    starts.windows(2).map(unit).collect()
}

/// What of a frame must come through, however it is packed: NAL units but parameter sets, delimiters and filler, OBUs but
/// temporal delimiters, everything of the others. H.264 in Annex B.
pub fn essence(codec: Codec, data: &[u8]) -> Vec<Vec<u8>> {
    match codec {
        Codec::H264 => pictures_of(by_start_code(data)),
        Codec::Av1 => vec![data.strip_prefix(&[0x12, 0]).unwrap_or(data).to_vec()],
        _ => vec![data.to_vec()],
    }
}

/// The same of a frame as RTMP, HTTP-FLV and HLS carry it: NAL units behind their lengths.
pub fn essence_of_payload(codec: Codec, payload: &[u8]) -> Vec<Vec<u8>> {
    match codec {
        Codec::H264 => pictures_of(by_length(payload)),
        _ => essence(codec, payload),
    }
}

fn pictures_of(units: Vec<&[u8]>) -> Vec<Vec<u8>> {
    let kept =
        units.into_iter().filter(|unit| !matches!(unit.first().map(|first| first & 0x1f), Some(7..=9 | 12)));
    kept.map(<[u8]>::to_vec).collect()
}
