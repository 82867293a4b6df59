//! Sections for slots: what says on the wire what a [`Cue`] says here, whether or not it came with a section.
//!
//! A slot is a Provider Overlay Placement Opportunity (SCTE 35 2022b Table 23) at a `time_signal()`. Its times are media time
//! on the 90 kHz clock; its `segmentation_event_id` is the cue's id where that is such a number, else a hash of it.

use bytes::Bytes;

use super::{
    Command, Descriptor, Segmentation, SegmentationDescriptor, SpliceInfoSection, SpliceInsert, SpliceMode,
    SplicePoint, TICKS_PER_SECOND, Upid,
};
use crate::media::{Cue, CueState, MediaTime};

/// `segmentation_type_id` of a Provider Overlay Placement Opportunity Start.
const START: u8 = 0x38;
/// The same, End.
const END: u8 = 0x39;
/// Times have 33 bits.
const CLOCK: i64 = 1 << 33;
/// Durations have 40 bits.
const LONGEST: i64 = (1 << 40) - 1;
/// Durations that differ by less are the same: frames, not clocks, decide when a slot ends.
const TOLERANCE: MediaTime = MediaTime::from_millis(100);

/// What is to be sent of a cue at `now`: the section that it came with as long as that is right, else its own start; its end
/// when it is over; its cancellation when it is withdrawn.
pub fn of_cue(cue: &Cue, now: MediaTime) -> Bytes {
    match cue.state {
        CueState::Cancelled => overlay_cancel(cue),
        CueState::Announced if cue.end().is_some_and(|end| end <= now) => end_of_slot(cue),
        CueState::Announced => of_slot(cue),
    }
}

/// What announces the slot of a cue: the section that it came with, unless the cue has got another duration since.
pub fn of_slot(cue: &Cue) -> Bytes {
    match &cue.scte35 {
        Some(section) if is_of(section, cue.duration) => section.clone(),
        _ => overlay_start(cue),
    }
}

/// What ends the slot of a cue: the counterpart of the section that it came with, else an overlay's end.
pub fn end_of_slot(cue: &Cue) -> Bytes {
    let counterpart = cue.scte35.as_deref().and_then(|section| counterpart(cue, section));
    counterpart.unwrap_or_else(|| overlay_end(cue))
}

/// What a section says of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// It begins.
    Start,
    /// It ends.
    End,
}

/// What a section says of the slot of a cue, as far as it can be read: a `splice_insert()` out of the programme or back, or a
/// `time_signal()` at which a segment begins or ends (§10.3.3.1).
pub fn boundary_of(cue: &Cue, section: &[u8]) -> Option<Boundary> {
    let section = SpliceInfoSection::decode(section).ok()?;
    let is_start = match &section.command {
        Command::Insert(insert) => insert.splice.as_ref()?.out_of_network,
        Command::TimeSignal(_) => is_start(segment_of(cue, &section)?.1)?,
        _ => return None,
    };
    Some(if is_start { Boundary::Start } else { Boundary::End })
}

/// The slot begins.
pub fn overlay_start(cue: &Cue) -> Bytes {
    boundary(cue, START, cue.start, cue.duration)
}

/// The slot ends when its duration is over, or with its start where none is known.
pub fn overlay_end(cue: &Cue) -> Bytes {
    boundary(cue, END, cue.end().unwrap_or(cue.start), None)
}

/// The slot is withdrawn.
pub fn overlay_cancel(cue: &Cue) -> Bytes {
    section(cue, cue.start, None)
}

/// The number by which sections name a cue's slot.
pub fn event_id(cue: &Cue) -> u32 {
    let id = cue.id.as_str();
    match id.parse::<u32>() {
        // Only as it is written here: "7" and "007" are two cues.
        Ok(number) if number.to_string() == id => number,
        // FNV-1a.
        _ => id.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)),
    }
}

/// The section that ends what another has begun, at the end of the cue's slot.
fn counterpart(cue: &Cue, section: &[u8]) -> Option<Bytes> {
    let section = SpliceInfoSection::decode(section).ok()?;
    let time = ticks(cue.end().unwrap_or(cue.start));
    let counterpart = match &section.command {
        Command::Insert(insert) => {
            let out = insert.splice.as_ref().filter(|point| point.out_of_network)?;
            let mode = SpliceMode::Program(Some(time));
            let back = SplicePoint { out_of_network: false, mode, duration: None, ..out.clone() };
            let insert = SpliceInsert { event_id: insert.event_id, splice: Some(back) };
            SpliceInfoSection::new(Command::Insert(insert), Vec::new())
        }
        Command::TimeSignal(_) => {
            let (descriptor, start) = segment_of(cue, &section)?;
            is_start(start).filter(|is_start| *is_start)?;
            let (type_id, trailing) = (start.type_id | 1, Bytes::new());
            let end = Segmentation { type_id, duration: None, sub_segment: None, trailing, ..start.clone() };
            let end = SegmentationDescriptor { segmentation: Some(end), ..descriptor.clone() };
            SpliceInfoSection::new(Command::TimeSignal(Some(time)), vec![Descriptor::Segmentation(end)])
        }
        _ => return None,
    };
    counterpart.encode().ok()
}

/// The segment of a section that is a cue's slot: the one that is named as it is, else the first.
fn segment_of<'a>(
    cue: &Cue,
    section: &'a SpliceInfoSection,
) -> Option<(&'a SegmentationDescriptor, &'a Segmentation)> {
    let segment =
        |descriptor: &'a SegmentationDescriptor| Some((descriptor, descriptor.segmentation.as_ref()?));
    let own =
        section.segmentations().filter(|descriptor| descriptor.event_id == event_id(cue)).find_map(segment);
    own.or_else(|| section.segmentations().find_map(segment))
}

/// Whether a segment's type is a start or an end; of those from chapters to networks each start is even, and the end is the number
/// after it (Table 23).
fn is_start(segmentation: &Segmentation) -> Option<bool> {
    (0x20..=0x51).contains(&segmentation.type_id).then_some(segmentation.type_id.is_multiple_of(2))
}

fn ticks(time: MediaTime) -> u64 {
    time.to_ticks(TICKS_PER_SECOND).rem_euclid(CLOCK) as u64
}

fn boundary(cue: &Cue, type_id: u8, time: MediaTime, duration: Option<MediaTime>) -> Bytes {
    let ticks = duration.map(|duration| duration.to_ticks(TICKS_PER_SECOND).clamp(0, LONGEST) as u64);
    let segmentation = Segmentation {
        components: None,
        restrictions: None,
        duration: ticks.filter(|ticks| *ticks > 0),
        upid: Upid::NONE,
        type_id,
        segment_num: 1,
        segments_expected: 1,
        sub_segment: None,
        trailing: Bytes::new(),
    };
    section(cue, time, Some(segmentation))
}

fn section(cue: &Cue, time: MediaTime, segmentation: Option<Segmentation>) -> Bytes {
    let pts = ticks(time);
    let descriptor =
        SegmentationDescriptor { event_id: event_id(cue), event_id_compliance: true, segmentation };
    let descriptors = vec![Descriptor::Segmentation(descriptor)];
    let encoded = SpliceInfoSection::new(Command::TimeSignal(Some(pts)), descriptors).encode();
    debug_assert!(encoded.is_ok(), "every number was brought into its field above");
    encoded.unwrap_or_default()
}

/// Whether a section speaks of a slot that lasts so long, as far as it says. What cannot be read is taken as it came.
fn is_of(section: &[u8], duration: Option<MediaTime>) -> bool {
    let (Ok(section), Some(duration)) = (SpliceInfoSection::decode(section), duration) else { return true };
    let of_segments =
        section.segmentations().filter_map(|descriptor| descriptor.segmentation.as_ref()?.duration);
    let of_break = match &section.command {
        Command::Insert(insert) => insert.splice.as_ref().and_then(|splice| splice.duration),
        _ => None,
    };
    let mut told = of_segments.chain(of_break.map(|of_break| of_break.ticks)).peekable();
    let is_same = |ticks: u64| {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        (MediaTime::from_ticks(ticks, TICKS_PER_SECOND) - duration).abs() < TOLERANCE
    };
    told.peek().is_none() || told.any(is_same)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{CueId, CueOrigin};

    fn cue(id: &str, start: MediaTime, duration: Option<MediaTime>) -> Cue {
        Cue {
            id: CueId::new(id),
            revision: 1,
            state: CueState::Announced,
            start,
            duration,
            origin: CueOrigin::Api,
            scte35: None,
        }
    }

    fn seconds(seconds: i64) -> MediaTime {
        MediaTime::from_millis(seconds * 1_000)
    }

    /// The time, and the one descriptor.
    fn read(bytes: &[u8]) -> (u64, SegmentationDescriptor) {
        let section = SpliceInfoSection::decode(bytes).unwrap();
        let Command::TimeSignal(Some(pts)) = section.command else { panic!("{:?}", section.command) };
        let [Descriptor::Segmentation(descriptor)] = &section.descriptors[..] else { panic!("one") };
        (pts, descriptor.clone())
    }

    #[test]
    fn an_overlay_is_the_very_bytes_of_the_standard() {
        let cue = cue("1207959694", seconds(1), Some(seconds(30)));
        let hex: String = overlay_start(&cue).iter().map(|byte| format!("{byte:02x}")).collect();
        // The checksum was computed by another program.
        let expected = [
            "fc302c",
            "00000000000000fff00506",
            "fe00015f90",
            "0016021443554549",
            "4800008e7fff",
            "00002932e0",
            "0000380101",
            "d8c655ca",
        ];
        assert_eq!(hex, expected.concat());
    }

    #[test]
    fn start_and_end_are_of_one_event_and_a_withdrawn_slot_is_cancelled() {
        let mut cue = cue("halftime", seconds(40), Some(seconds(15)));
        let (start, begins) = read(&of_cue(&cue, seconds(10)));
        let of = |descriptor: &SegmentationDescriptor| {
            descriptor.segmentation.as_ref().map(|segmentation| (segmentation.type_id, segmentation.duration))
        };
        assert_eq!((start, of(&begins)), (40 * 90_000, Some((0x38, Some(15 * 90_000)))));
        let (end, ends) = read(&of_cue(&cue, seconds(55)));
        assert_eq!((end, of(&ends)), (55 * 90_000, Some((0x39, None))));
        cue.state = CueState::Cancelled;
        let (_, cancelled) = read(&of_cue(&cue, seconds(10)));
        assert_eq!(of(&cancelled), None);
        assert!([ends.event_id, cancelled.event_id].iter().all(|id| *id == begins.event_id));
    }

    #[test]
    fn numbers_name_themselves_and_other_ids_are_told_apart() {
        let id = |id: &str| event_id(&cue(id, MediaTime::ZERO, None));
        assert_eq!((id("0"), id("4294967295")), (0, u32::MAX));
        let others = ["007", "4294967296", "7@1000", "", "halftime", "half-time", "-1", "+7"].map(id);
        let distinct: std::collections::HashSet<u32> = others.into_iter().chain([7]).collect();
        assert_eq!(distinct.len(), 9);
    }

    #[test]
    fn the_section_that_a_cue_came_with_is_kept_while_it_is_right() {
        let original = overlay_start(&cue("7", seconds(900), Some(seconds(30))));
        let with = |duration: Option<MediaTime>, section: &Bytes| Cue {
            scte35: Some(section.clone()),
            ..cue("7", seconds(5), duration)
        };
        assert_eq!(of_slot(&with(Some(seconds(30)), &original)), original);
        assert_eq!(of_slot(&with(None, &original)), original);
        let shorter = with(Some(seconds(20)), &original);
        assert_eq!(of_slot(&shorter), overlay_start(&shorter));
        let strange = Bytes::from_static(b"no section");
        assert_eq!(of_slot(&with(Some(seconds(20)), &strange)), strange);
        let endless = overlay_start(&cue("7", seconds(900), None));
        assert_eq!(of_slot(&with(Some(seconds(20)), &endless)), endless, "it says nothing of that");
    }

    #[test]
    fn the_end_is_the_counterpart_of_the_start_that_the_encoder_sent() {
        let plain = cue("7", seconds(40), Some(seconds(15)));
        let with = |section: Bytes| Cue { scte35: Some(section), ..plain.clone() };
        // Somebody's placement opportunity, behind one of another's that ends there.
        let segment = |event_id, type_id| {
            let (_, mut descriptor) = read(&overlay_start(&plain));
            descriptor.event_id = event_id;
            descriptor.segmentation.as_mut().unwrap().type_id = type_id;
            Descriptor::Segmentation(descriptor)
        };
        let section =
            |segments| SpliceInfoSection::new(Command::TimeSignal(Some(9)), segments).encode().unwrap();
        let placement = with(section(vec![segment(6, 0x35), segment(7, 0x34)]));
        assert_eq!(boundary_of(&placement, placement.scte35.as_ref().unwrap()), Some(Boundary::Start));
        let end = end_of_slot(&placement);
        let (pts, descriptor) = read(&end);
        let segmentation = descriptor.segmentation.as_ref().unwrap();
        assert_eq!((pts, descriptor.event_id, segmentation.type_id), (55 * 90_000, 7, 0x35));
        assert_eq!(boundary_of(&placement, &end), Some(Boundary::End));

        let splice = SplicePoint {
            out_of_network: true,
            event_id_compliance: true,
            mode: SpliceMode::ProgramImmediate,
            duration: None,
            unique_program_id: 3,
            avail_num: 1,
            avails_expected: 2,
        };
        let insert = |splice| Command::Insert(SpliceInsert { event_id: 1000, splice });
        let encode = |splice| SpliceInfoSection::new(insert(splice), Vec::new()).encode().unwrap();
        let out = with(encode(Some(splice.clone())));
        assert_eq!(boundary_of(&out, out.scte35.as_ref().unwrap()), Some(Boundary::Start));
        let mode = SpliceMode::Program(Some(55 * 90_000));
        let back = encode(Some(SplicePoint { out_of_network: false, mode, ..splice }));
        assert_eq!(of_cue(&out, seconds(55)), back);
        assert_eq!(boundary_of(&out, &back), Some(Boundary::End));

        // What is no start has an overlay's end, and what is cancelled is no boundary.
        for section in [section(vec![segment(7, 0x10)]), encode(None), Bytes::from_static(b"no section")] {
            assert_eq!(boundary_of(&plain, &section), None);
            assert_eq!(end_of_slot(&with(section)), overlay_end(&plain));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_cue_says_the_strict_decoder_reads(
            id in ".{0,40}", start in any::<i64>(), duration in proptest::option::of(any::<i64>()), now in any::<i64>(),
            cancelled in any::<bool>(),
        ) {
            let mut cue = cue(&id, MediaTime::from_nanos(start), duration.map(MediaTime::from_nanos));
            if cancelled {
                cue.state = CueState::Cancelled;
            }
            for bytes in [of_cue(&cue, MediaTime::from_nanos(now)), overlay_start(&cue), overlay_end(&cue)] {
                let (pts, descriptor) = read(&bytes);
                prop_assert!(pts < 1 << 33);
                prop_assert_eq!(descriptor.event_id, event_id(&cue));
                prop_assert_eq!(SpliceInfoSection::decode(&bytes).unwrap().encode().unwrap(), bytes);
            }
            let (pts, descriptor) = read(&overlay_start(&cue));
            let ticks = cue.start.to_ticks(TICKS_PER_SECOND);
            prop_assert_eq!((i128::from(pts) - i128::from(ticks)).rem_euclid(1 << 33), 0);
            let told = descriptor.segmentation.unwrap().duration;
            let expected = cue.duration.map(|duration| duration.to_ticks(TICKS_PER_SECOND)).filter(|ticks| *ticks > 0);
            prop_assert_eq!(told, expected.map(|ticks| ticks.min((1 << 40) - 1) as u64));
        }
    }
}
