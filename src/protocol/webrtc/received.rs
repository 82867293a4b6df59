//! From frames as RTP brings them to tracks and canonical frames: nothing but the stream itself says what it is.

use bytes::Bytes;

use crate::codec::{self, Malformed, av1, h264, inspect, nal, opus, vp9};
use crate::media::{Codec, Frame, MediaTime, Params, Track, TrackId};

/// One track of a publisher.
#[derive(Debug)]
pub struct Received {
    id: TrackId,
    codec: Codec,
    told: Option<Track>,
}

/// What came of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// The track, if it is new or has changed.
    pub track: Option<Track>,
    /// The frame; `None` when it cannot be decoded yet, or is no frame.
    pub frame: Option<Frame>,
}

impl Received {
    /// A track that has sent nothing yet.
    pub const fn new(id: TrackId, codec: Codec) -> Self {
        Self { id, codec, told: None }
    }

    /// The codec it carries.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether the next frame is of no use unless it is a keyframe.
    pub const fn needs_keyframe(&self) -> bool {
        self.told.is_none()
    }

    /// The track of a publisher's Opus, which is known before its first packet (RFC 7587: always 48 kHz stereo).
    pub fn announce_opus(&mut self) -> Result<Option<Track>, Malformed> {
        let head = opus::OpusHead {
            channels: 2,
            pre_skip: 0,
            input_sample_rate: opus::SAMPLE_RATE,
            output_gain: 0,
            mapping: None,
        };
        self.tell(&head.encode(), None)
    }

    /// Takes a complete frame as RTP payloads give it: Annex B for H.264, OBUs for AV1, else the frame itself.
    ///
    /// # Errors
    /// When it is malformed; the frame is to be dropped, and the next usable one is a keyframe.
    pub fn take(&mut self, data: &[u8], pts: MediaTime) -> Result<Arrived, Malformed> {
        let payload = match self.codec {
            Codec::H264 => nal::from_annex_b(data)?,
            Codec::Av1 => av1::to_canonical(Bytes::copy_from_slice(data))?,
            _ => Bytes::copy_from_slice(data),
        };
        if payload.is_empty() {
            return Ok(Arrived::default());
        }
        if self.codec == Codec::H264 && !h264::AccessUnit::inspect(&payload)?.has_picture {
            return Ok(Arrived::default());
        }
        let facts = inspect(self.codec, &payload)?;
        let track = match self.codec {
            Codec::Opus => self.announce_opus()?,
            _ if facts.keyframe => match self.config(&payload)? {
                Some(config) => self.tell(&config, facts.size)?,
                None => None,
            },
            _ => None,
        };
        if self.told.is_none() {
            return Ok(Arrived::default());
        }
        // RTP carries no B-frames from a live sender: frames come in the order in which they are shown.
        let frame = Frame {
            track: self.id,
            pts,
            dts: pts,
            keyframe: facts.keyframe,
            disposable: facts.disposable,
            payload,
        };
        Ok(Arrived { track, frame: Some(frame) })
    }

    /// The configuration record that a keyframe makes; `None` when it brings no parameter sets.
    fn config(&self, keyframe: &[u8]) -> Result<Option<Bytes>, Malformed> {
        match self.codec {
            Codec::H264 => {
                let (mut sps, mut pps) = (Vec::new(), Vec::new());
                for unit in nal::units(keyframe) {
                    let unit = unit?;
                    match h264::unit_type(unit) {
                        h264::nal_type::SPS => sps.push(Bytes::copy_from_slice(unit)),
                        h264::nal_type::PPS => pps.push(Bytes::copy_from_slice(unit)),
                        _ => {}
                    }
                }
                if sps.is_empty() || pps.is_empty() {
                    return Ok(None);
                }
                h264::ConfigRecord::from_parameter_sets(sps, pps).map(|record| Some(record.encode()))
            }
            Codec::Av1 => {
                for obu in av1::obus(keyframe) {
                    let obu = obu?;
                    if obu.kind == av1::obu_type::SEQUENCE_HEADER {
                        return av1::ConfigRecord::from_sequence_header(obu.payload)
                            .map(|record| Some(record.encode()));
                    }
                }
                Ok(None)
            }
            Codec::Vp9 => {
                let header = vp9::FrameHeader::parse(keyframe)?;
                let bit_depth = header.key_frame.map_or(8, |key| key.bit_depth);
                Ok(Some(vp9::ConfigRecord::of_stream(header.profile, bit_depth).encode()))
            }
            _ => Ok(Some(Bytes::new())),
        }
    }

    fn tell(&mut self, config: &[u8], size: Option<(u32, u32)>) -> Result<Option<Track>, Malformed> {
        let description = codec::describe(self.codec, config)?;
        let mut track = Track {
            id: self.id,
            group: self.id.0,
            rank: 0,
            codec: self.codec,
            config: description.config,
            params: description.params,
        };
        if let (Some((width, height)), Params::Video(video)) = (size, &mut track.params) {
            (video.width, video.height) = (width, height);
        }
        if self.told.as_ref() == Some(&track) {
            return Ok(None);
        }
        self.told = Some(track.clone());
        Ok(Some(track))
    }
}
