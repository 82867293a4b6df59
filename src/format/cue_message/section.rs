//! What a SCTE 35 section says about slots.

use super::CueError;
use crate::format::scte35::{
    Command, SegmentationDescriptor, SpliceInfoSection, SpliceInsert, TICKS_PER_SECOND,
};
use crate::media::MediaTime;

/// Which SCTE 35 messages mean a slot.
///
/// There is no guessing: publishers that announce overlays by another type, as the placement opportunity 0x34, have to
/// be configured for. Restrictions of delivery are not looked at here; they are in the section that the cue carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotTypes {
    /// `segmentation_type_id`s that begin a slot; the next higher number ends it.
    pub segmentation_starts: Vec<u8>,
    /// Whether `splice_insert` means a slot: out of the network begins it, back ends it.
    pub splice_insert: bool,
}

impl Default for SlotTypes {
    /// Provider and distributor overlay placement opportunities, and `splice_insert`.
    fn default() -> Self {
        Self { segmentation_starts: vec![0x38, 0x3A], splice_insert: true }
    }
}

/// What a section says of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SlotEvent {
    pub(super) id: String,
    pub(super) change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Out { duration: Option<MediaTime> },
    In,
    Cancel,
}

impl SlotTypes {
    /// What `section` says about slots, in its order. Where descriptors speak of slots, they do so for the
    /// `splice_insert` that carries them.
    pub(super) fn events(&self, section: &SpliceInfoSection) -> Result<Vec<SlotEvent>, CueError> {
        let mut events = Vec::new();
        for descriptor in section.segmentations() {
            events.extend(
                self.segmentation_change(descriptor)?.map(|change| event(descriptor.event_id, change)),
            );
        }
        if events.is_empty()
            && self.splice_insert
            && let Command::Insert(insert) = &section.command
        {
            events.push(event(insert.event_id, splice_insert_change(insert)?));
        }
        Ok(events)
    }

    fn segmentation_change(&self, descriptor: &SegmentationDescriptor) -> Result<Option<Change>, CueError> {
        let Some(segmentation) = &descriptor.segmentation else { return Ok(Some(Change::Cancel)) };
        let type_id = segmentation.type_id;
        if self.segmentation_starts.contains(&type_id) {
            return Ok(Some(Change::Out {
                duration: segmentation.duration.map(duration).transpose()?.flatten(),
            }));
        }
        let ends = type_id.checked_sub(1).is_some_and(|start| self.segmentation_starts.contains(&start));
        Ok(ends.then_some(Change::In))
    }
}

fn splice_insert_change(insert: &SpliceInsert) -> Result<Change, CueError> {
    let Some(splice) = &insert.splice else { return Ok(Change::Cancel) };
    if !splice.out_of_network {
        return Ok(Change::In);
    }
    let duration = splice.duration.map(|of_break| duration(of_break.ticks)).transpose()?.flatten();
    Ok(Change::Out { duration })
}

fn event(id: u32, change: Change) -> SlotEvent {
    SlotEvent { id: id.to_string(), change }
}

/// A duration in ticks; zero is none.
fn duration(ticks: u64) -> Result<Option<MediaTime>, CueError> {
    let max = super::MAX_SPAN_SECONDS as u64 * u64::from(TICKS_PER_SECOND);
    if ticks > max {
        return Err(CueError::OutOfRange("duration"));
    }
    Ok((ticks > 0).then(|| MediaTime::from_ticks(ticks as i64, TICKS_PER_SECOND)))
}
