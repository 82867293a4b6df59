//! The `segmentation_descriptor()` (SCTE 35 2022b §10.3.3).

use bytes::Bytes;

use super::bits::{BitReader, BitWriter};
use super::upid::Upid;
use super::{DecodeError, EncodeError};

/// A boundary of a programme, break, advertisement or slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentationDescriptor {
    /// Names the event: the start and the end of a segment carry the same one.
    pub event_id: u32,
    /// `segmentation_event_id_compliance_indicator`: zero promises that the event id is unique in the sense of the
    /// standard.
    pub event_id_compliance: bool,
    /// What becomes of the event; `None` cancels it.
    pub segmentation: Option<Segmentation>,
}

/// What a segmentation descriptor that is no cancellation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// The components it applies to; `None` for the whole programme.
    pub components: Option<Vec<SegmentationComponent>>,
    /// Where the segment may not go; `None` when it is unrestricted.
    pub restrictions: Option<Restrictions>,
    /// How long the segment lasts, in 90 kHz ticks (40 bits).
    pub duration: Option<u64>,
    /// What identifies the content.
    pub upid: Upid,
    /// What begins or ends: `segmentation_type_id` (Table 23).
    pub type_id: u8,
    /// Which segment of a collection this is.
    pub segment_num: u8,
    /// How many segments the collection has.
    pub segments_expected: u8,
    /// Place within the segment, where that is told.
    pub sub_segment: Option<SubSegment>,
    /// Bytes after the last field known for this `type_id`, as they are.
    pub trailing: Bytes,
}

/// A component of a programme in a segmentation descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentationComponent {
    /// `component_tag`.
    pub tag: u8,
    /// To be added to the `pts_time` of the command, in 90 kHz ticks (33 bits).
    pub pts_offset: u64,
}

/// Where a segment may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restrictions {
    /// `web_delivery_allowed_flag`.
    pub web_delivery_allowed: bool,
    /// `no_regional_blackout_flag`.
    pub no_regional_blackout: bool,
    /// `archive_allowed_flag`.
    pub archive_allowed: bool,
    /// `device_restrictions`, 2 bits: restricted group 0, 1, 2, or 3 for none.
    pub device_restrictions: u8,
}

/// Place of a part within its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubSegment {
    /// `sub_segment_num`.
    pub num: u8,
    /// `sub_segments_expected`.
    pub expected: u8,
}

impl SegmentationDescriptor {
    /// Decodes what follows the identifier.
    pub(super) fn decode(reader: &mut BitReader) -> Result<Self, DecodeError> {
        let event_id = reader.word()?;
        let cancel = reader.flag()?;
        let event_id_compliance = reader.flag()?;
        reader.reserved(6)?;
        if cancel {
            return Ok(Self { event_id, event_id_compliance, segmentation: None });
        }
        Ok(Self { event_id, event_id_compliance, segmentation: Some(Segmentation::decode(reader)?) })
    }

    pub(super) fn encode(&self, writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
        writer.word(self.event_id)?;
        writer.flag(self.segmentation.is_none())?;
        writer.flag(self.event_id_compliance)?;
        writer.reserved(6)?;
        self.segmentation.as_ref().map_or(Ok(()), |segmentation| segmentation.encode(writer))
    }
}

impl Segmentation {
    fn decode(reader: &mut BitReader) -> Result<Self, DecodeError> {
        let program = reader.flag()?;
        let has_duration = reader.flag()?;
        let unrestricted = reader.flag()?;
        let restrictions = if unrestricted {
            reader.reserved(5)?;
            None
        } else {
            Some(Restrictions {
                web_delivery_allowed: reader.flag()?,
                no_regional_blackout: reader.flag()?,
                archive_allowed: reader.flag()?,
                device_restrictions: reader.bits(2)? as u8,
            })
        };
        let components = if program { None } else { Some(decode_components(reader)?) };
        let duration = if has_duration { Some(reader.bits(40)?) } else { None };
        let upid_kind = reader.byte()?;
        let upid_length = reader.byte()?;
        let upid = Upid { kind: upid_kind, value: reader.take(upid_length.into())? };
        let type_id = reader.byte()?;
        let segment_num = reader.byte()?;
        let segments_expected = reader.byte()?;
        // Older editions end here, so the two bytes may be missing even where the type has them.
        let sub_segment = if has_sub_segments(type_id) && reader.remaining() >= 2 {
            Some(SubSegment { num: reader.byte()?, expected: reader.byte()? })
        } else {
            None
        };
        Ok(Self {
            components,
            restrictions,
            duration,
            upid,
            type_id,
            segment_num,
            segments_expected,
            sub_segment,
            trailing: reader.rest(),
        })
    }

    fn encode(&self, writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
        writer.flag(self.components.is_none())?;
        writer.flag(self.duration.is_some())?;
        writer.flag(self.restrictions.is_none())?;
        match self.restrictions {
            None => writer.reserved(5)?,
            Some(restrictions) => {
                writer.flag(restrictions.web_delivery_allowed)?;
                writer.flag(restrictions.no_regional_blackout)?;
                writer.flag(restrictions.archive_allowed)?;
                writer.bits(restrictions.device_restrictions.into(), 2, "device_restrictions")?;
            }
        }
        if let Some(components) = &self.components {
            writer.length(components.len(), 8, "component_count")?;
            for component in components {
                writer.byte(component.tag)?;
                writer.reserved(7)?;
                writer.bits(component.pts_offset, 33, "pts_offset")?;
            }
        }
        if let Some(duration) = self.duration {
            writer.bits(duration, 40, "segmentation_duration")?;
        }
        writer.byte(self.upid.kind)?;
        writer.length(self.upid.value.len(), 8, "segmentation_upid_length")?;
        writer.put(&self.upid.value);
        writer.byte(self.type_id)?;
        writer.byte(self.segment_num)?;
        writer.byte(self.segments_expected)?;
        if let Some(sub_segment) = self.sub_segment {
            writer.byte(sub_segment.num)?;
            writer.byte(sub_segment.expected)?;
        }
        writer.put(&self.trailing);
        Ok(())
    }
}

fn decode_components(reader: &mut BitReader) -> Result<Vec<SegmentationComponent>, DecodeError> {
    let count = reader.byte()?;
    (0..count)
        .map(|_| {
            let tag = reader.byte()?;
            reader.reserved(7)?;
            Ok(SegmentationComponent { tag, pts_offset: reader.bits(33)? })
        })
        .collect()
}

/// The types that may carry `sub_segment_num` and `sub_segments_expected`: placement opportunity starts of provider
/// and distributor, and their overlay kinds.
fn has_sub_segments(type_id: u8) -> bool {
    matches!(type_id, 0x34 | 0x36 | 0x38 | 0x3A)
}
