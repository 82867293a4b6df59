//! Splice commands (SCTE 35 2022b §9.7).

use bytes::Bytes;

use super::bits::{BitReader, BitWriter};
use super::{DecodeError, EncodeError};

const SPLICE_NULL: u8 = 0x00;
const SPLICE_SCHEDULE: u8 = 0x04;
const SPLICE_INSERT: u8 = 0x05;
const TIME_SIGNAL: u8 = 0x06;
const BANDWIDTH_RESERVATION: u8 = 0x07;
const PRIVATE_COMMAND: u8 = 0xFF;

/// What a section asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing: a heartbeat, or a carrier of descriptors.
    Null,
    /// Splices at wall-clock times to come.
    Schedule(Vec<ScheduledEvent>),
    /// A splice.
    Insert(SpliceInsert),
    /// A moment; the descriptors say what happens at it.
    TimeSignal(SpliceTime),
    /// Nothing: it keeps the bitrate of the message stream.
    BandwidthReservation,
    /// A command of someone's own.
    Private {
        /// Whose it is.
        identifier: [u8; 4],
        /// Its content.
        data: Bytes,
    },
}

/// A time in 90 kHz ticks (33 bits), before `pts_adjustment`; `None` is "as soon as possible".
pub type SpliceTime = Option<u64>;

/// `splice_insert()` (§9.7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpliceInsert {
    /// Names the event.
    pub event_id: u32,
    /// What becomes of the event; `None` cancels it.
    pub splice: Option<SplicePoint>,
}

/// What a `splice_insert()` that is no cancellation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplicePoint {
    /// From the network feed into the break (`true`), or back (`false`).
    pub out_of_network: bool,
    /// `event_id_compliance_flag`: zero promises that the event id is unique in the sense of the standard.
    pub event_id_compliance: bool,
    /// Where and when.
    pub mode: SpliceMode,
    /// How long the break lasts.
    pub duration: Option<BreakDuration>,
    /// Names the programme.
    pub unique_program_id: u16,
    /// Which avail of the programme this is.
    pub avail_num: u8,
    /// How many avails the programme has.
    pub avails_expected: u8,
}

/// Where a `splice_insert()` applies, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpliceMode {
    /// The whole programme, at the nearest opportunity.
    ProgramImmediate,
    /// The whole programme, at a time.
    Program(SpliceTime),
    /// These components, at the nearest opportunity.
    ComponentsImmediate(Vec<u8>),
    /// These components, each at its time.
    Components(Vec<ComponentTime>),
}

/// A component of a programme and when it is spliced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentTime {
    /// `component_tag`.
    pub tag: u8,
    /// When.
    pub time: SpliceTime,
}

/// `break_duration()` (§9.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakDuration {
    /// The break ends by itself when the duration is over.
    pub auto_return: bool,
    /// How long, in 90 kHz ticks (33 bits).
    pub ticks: u64,
}

/// An event of a `splice_schedule()` (§9.7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledEvent {
    /// Names the event.
    pub event_id: u32,
    /// `event_id_compliance_flag`.
    pub event_id_compliance: bool,
    /// What becomes of the event; `None` cancels it.
    pub splice: Option<ScheduledSplice>,
}

/// What a scheduled event that is no cancellation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledSplice {
    /// From the network feed into the break (`true`), or back (`false`).
    pub out_of_network: bool,
    /// Where and when.
    pub mode: ScheduledMode,
    /// How long the break lasts.
    pub duration: Option<BreakDuration>,
    /// Names the programme.
    pub unique_program_id: u16,
    /// Which avail of the programme this is.
    pub avail_num: u8,
    /// How many avails the programme has.
    pub avails_expected: u8,
}

/// Where a scheduled event applies, and when, in GPS seconds (since 1980-01-06 00:00 UTC, leap seconds counted).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduledMode {
    /// The whole programme.
    Program(u32),
    /// These components: `component_tag` and time.
    Components(Vec<(u8, u32)>),
}

impl Command {
    /// `splice_command_type`.
    pub fn type_id(&self) -> u8 {
        match self {
            Self::Null => SPLICE_NULL,
            Self::Schedule(_) => SPLICE_SCHEDULE,
            Self::Insert(_) => SPLICE_INSERT,
            Self::TimeSignal(_) => TIME_SIGNAL,
            Self::BandwidthReservation => BANDWIDTH_RESERVATION,
            Self::Private { .. } => PRIVATE_COMMAND,
        }
    }

    /// Decodes a command that takes up all that the reader has.
    pub(super) fn decode(type_id: u8, reader: &mut BitReader) -> Result<Self, DecodeError> {
        if type_id == PRIVATE_COMMAND {
            let identifier = reader.word()?.to_be_bytes();
            return Ok(Self::Private { identifier, data: reader.rest() });
        }
        Self::decode_undelimited(type_id, reader)
    }

    /// Decodes a command that delimits itself.
    pub(super) fn decode_undelimited(type_id: u8, reader: &mut BitReader) -> Result<Self, DecodeError> {
        match type_id {
            SPLICE_NULL => Ok(Self::Null),
            SPLICE_SCHEDULE => decode_schedule(reader).map(Self::Schedule),
            SPLICE_INSERT => decode_insert(reader).map(Self::Insert),
            TIME_SIGNAL => decode_time(reader).map(Self::TimeSignal),
            BANDWIDTH_RESERVATION => Ok(Self::BandwidthReservation),
            PRIVATE_COMMAND => Err(DecodeError::UnboundedPrivateCommand),
            reserved => Err(DecodeError::ReservedCommand(reserved)),
        }
    }

    pub(super) fn encode(&self, writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Null | Self::BandwidthReservation => Ok(()),
            Self::Schedule(events) => encode_schedule(events, writer),
            Self::Insert(insert) => encode_insert(insert, writer),
            Self::TimeSignal(time) => encode_time(*time, writer),
            Self::Private { identifier, data } => {
                writer.put(identifier);
                writer.put(data);
                Ok(())
            }
        }
    }
}

fn decode_time(reader: &mut BitReader) -> Result<SpliceTime, DecodeError> {
    if reader.flag()? {
        reader.reserved(6)?;
        reader.bits(33).map(Some)
    } else {
        reader.reserved(7)?;
        Ok(None)
    }
}

fn encode_time(time: SpliceTime, writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
    writer.flag(time.is_some())?;
    match time {
        Some(ticks) => {
            writer.reserved(6)?;
            writer.bits(ticks, 33, "pts_time")
        }
        None => writer.reserved(7),
    }
}

fn decode_duration(reader: &mut BitReader) -> Result<BreakDuration, DecodeError> {
    let auto_return = reader.flag()?;
    reader.reserved(6)?;
    Ok(BreakDuration { auto_return, ticks: reader.bits(33)? })
}

fn encode_duration(duration: BreakDuration, writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
    writer.flag(duration.auto_return)?;
    writer.reserved(6)?;
    writer.bits(duration.ticks, 33, "break_duration")
}

fn decode_insert(reader: &mut BitReader) -> Result<SpliceInsert, DecodeError> {
    let event_id = reader.word()?;
    let cancel = reader.flag()?;
    reader.reserved(7)?;
    if cancel {
        return Ok(SpliceInsert { event_id, splice: None });
    }
    let out_of_network = reader.flag()?;
    let program = reader.flag()?;
    let has_duration = reader.flag()?;
    let immediate = reader.flag()?;
    let event_id_compliance = reader.flag()?;
    reader.reserved(3)?;
    let mode = match (program, immediate) {
        (true, true) => SpliceMode::ProgramImmediate,
        (true, false) => SpliceMode::Program(decode_time(reader)?),
        (false, true) => {
            let count = reader.byte()?;
            SpliceMode::ComponentsImmediate(reader.take(count.into())?.to_vec())
        }
        (false, false) => {
            let count = reader.byte()?;
            let component = |_| Ok(ComponentTime { tag: reader.byte()?, time: decode_time(reader)? });
            SpliceMode::Components((0..count).map(component).collect::<Result<_, _>>()?)
        }
    };
    let duration = if has_duration { Some(decode_duration(reader)?) } else { None };
    let splice = SplicePoint {
        out_of_network,
        event_id_compliance,
        mode,
        duration,
        unique_program_id: reader.short()?,
        avail_num: reader.byte()?,
        avails_expected: reader.byte()?,
    };
    Ok(SpliceInsert { event_id, splice: Some(splice) })
}

fn encode_insert(insert: &SpliceInsert, writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
    writer.word(insert.event_id)?;
    writer.flag(insert.splice.is_none())?;
    writer.reserved(7)?;
    let Some(splice) = &insert.splice else { return Ok(()) };
    writer.flag(splice.out_of_network)?;
    writer.flag(matches!(splice.mode, SpliceMode::ProgramImmediate | SpliceMode::Program(_)))?;
    writer.flag(splice.duration.is_some())?;
    writer.flag(matches!(splice.mode, SpliceMode::ProgramImmediate | SpliceMode::ComponentsImmediate(_)))?;
    writer.flag(splice.event_id_compliance)?;
    writer.reserved(3)?;
    match &splice.mode {
        SpliceMode::ProgramImmediate => {}
        SpliceMode::Program(time) => encode_time(*time, writer)?,
        SpliceMode::ComponentsImmediate(tags) => {
            writer.length(tags.len(), 8, "component_count")?;
            writer.put(tags);
        }
        SpliceMode::Components(components) => {
            writer.length(components.len(), 8, "component_count")?;
            for component in components {
                writer.byte(component.tag)?;
                encode_time(component.time, writer)?;
            }
        }
    }
    if let Some(duration) = splice.duration {
        encode_duration(duration, writer)?;
    }
    writer.short(splice.unique_program_id)?;
    writer.byte(splice.avail_num)?;
    writer.byte(splice.avails_expected)
}

fn decode_schedule(reader: &mut BitReader) -> Result<Vec<ScheduledEvent>, DecodeError> {
    let count = reader.byte()?;
    (0..count).map(|_| decode_scheduled(reader)).collect()
}

fn decode_scheduled(reader: &mut BitReader) -> Result<ScheduledEvent, DecodeError> {
    let event_id = reader.word()?;
    let cancel = reader.flag()?;
    let event_id_compliance = reader.flag()?;
    reader.reserved(6)?;
    if cancel {
        return Ok(ScheduledEvent { event_id, event_id_compliance, splice: None });
    }
    let out_of_network = reader.flag()?;
    let program = reader.flag()?;
    let has_duration = reader.flag()?;
    reader.reserved(5)?;
    let mode = if program {
        ScheduledMode::Program(reader.word()?)
    } else {
        let count = reader.byte()?;
        let component = |_| Ok((reader.byte()?, reader.word()?));
        ScheduledMode::Components((0..count).map(component).collect::<Result<_, _>>()?)
    };
    let duration = if has_duration { Some(decode_duration(reader)?) } else { None };
    let splice = ScheduledSplice {
        out_of_network,
        mode,
        duration,
        unique_program_id: reader.short()?,
        avail_num: reader.byte()?,
        avails_expected: reader.byte()?,
    };
    Ok(ScheduledEvent { event_id, event_id_compliance, splice: Some(splice) })
}

fn encode_schedule(events: &[ScheduledEvent], writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
    writer.length(events.len(), 8, "splice_count")?;
    for event in events {
        writer.word(event.event_id)?;
        writer.flag(event.splice.is_none())?;
        writer.flag(event.event_id_compliance)?;
        writer.reserved(6)?;
        let Some(splice) = &event.splice else { continue };
        writer.flag(splice.out_of_network)?;
        writer.flag(matches!(splice.mode, ScheduledMode::Program(_)))?;
        writer.flag(splice.duration.is_some())?;
        writer.reserved(5)?;
        match &splice.mode {
            ScheduledMode::Program(time) => writer.word(*time)?,
            ScheduledMode::Components(components) => {
                writer.length(components.len(), 8, "component_count")?;
                for (tag, time) in components {
                    writer.byte(*tag)?;
                    writer.word(*time)?;
                }
            }
        }
        if let Some(duration) = splice.duration {
            encode_duration(duration, writer)?;
        }
        writer.short(splice.unique_program_id)?;
        writer.byte(splice.avail_num)?;
        writer.byte(splice.avails_expected)?;
    }
    Ok(())
}
