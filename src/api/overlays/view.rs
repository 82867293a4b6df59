//! How an overlay looks in JSON.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::media::MediaTime;
use crate::overlay::placement::Format;
use crate::overlay::slots::{Slot, State};
use crate::overlay::splice::Why;

/// An overlay that was taken on.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AcceptedView {
    /// Its name, for `/api/v1/overlays/ID`.
    pub(super) id: String,
}

/// An overlay and its trace. Times in nanoseconds are media time.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct OverlayView {
    /// Its name.
    id: String,
    /// The channel's.
    channel: String,
    format: Format,
    /// `waiting`, `ready`, `on_air` or `over`.
    state: &'static str,
    /// The first moment that was asked for; `null` for as soon as possible.
    start_ns: Option<i64>,
    /// How long it was to be on, in milliseconds.
    duration_ms: u64,
    /// When it was asked for, RFC 3339.
    asked_at: String,
    /// The newest frame of the source then.
    asked_ns: i64,
    /// When a worker was ready for it, RFC 3339.
    ready_at: Option<String>,
    /// When the first picture with it was sent, RFC 3339.
    began_at: Option<String>,
    /// The first picture that was sent with it.
    first_pts_ns: Option<i64>,
    /// The last one, when it is over.
    last_pts_ns: Option<i64>,
    /// How many they were, when it is over.
    frames: Option<u64>,
    /// By how much the programme was late while it was on.
    delay_ns: Option<u64>,
    /// When it was over, RFC 3339.
    ended_at: Option<String>,
    /// Why: `completed`, `cancelled`, `late`, `interrupted`, `source_changed`, `worker_lost` or `broadcast_ended`.
    ended: Option<&'static str>,
    /// The same in words.
    reason: Option<&'static str>,
}

impl OverlayView {
    pub(super) fn of(slot: &Slot) -> Self {
        let over = slot.over;
        Self {
            id: slot.id.0.to_string(),
            channel: slot.asked.channel.to_string(),
            format: slot.asked.format,
            state: match slot.state() {
                State::Waiting => "waiting",
                State::Ready => "ready",
                State::OnAir => "on_air",
                State::Over => "over",
            },
            start_ns: slot.asked.start.map(MediaTime::as_nanos),
            duration_ms: u64::try_from(slot.asked.duration.as_millis()).unwrap_or(u64::MAX),
            asked_at: clock::rfc3339(slot.asked_at),
            asked_ns: slot.asked_pts.as_nanos(),
            ready_at: slot.ready_at.map(clock::rfc3339),
            began_at: slot.began_at.map(clock::rfc3339),
            first_pts_ns: slot.shown.first_pts.map(MediaTime::as_nanos),
            last_pts_ns: slot.shown.last_pts.map(MediaTime::as_nanos),
            frames: over.map(|_| slot.shown.frames),
            delay_ns: slot.delay.map(|delay| u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)),
            ended_at: over.map(|(_, at)| clock::rfc3339(at)),
            ended: over.map(|(why, _)| why.label()),
            reason: over.map(|(why, _)| reason(why)),
        }
    }
}

const fn reason(why: Why) -> &'static str {
    match why {
        Why::Completed => "it was shown up to its end",
        Why::Cancelled => "it was withdrawn",
        Why::Late => "its time went by before a worker was ready",
        Why::Interrupted => "the publisher was away at its end",
        Why::SourceChanged => "the picture changed, and could not be drawn on again before its end",
        Why::WorkerLost => "the media worker failed, and no other could take over before its end",
        Why::BroadcastEnded => "the broadcast ended",
    }
}
