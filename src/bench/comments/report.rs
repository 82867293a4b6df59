//! The figures of rooms under load, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::bench::report::Spread;

/// What was found out.
#[derive(Clone, Debug, Serialize)]
pub(in crate::bench) struct Report {
    pub(super) viewers: u32,
    pub(super) rooms: u32,
    pub(super) slow_percent: u32,
    /// Of the crowd.
    pub(super) ok: usize,
    pub(super) gone: usize,
    pub(super) stalled: usize,
    pub(super) short: usize,
    /// Sent and acknowledged, of which so many a second.
    pub(super) comments_sent: u64,
    pub(super) comments_acknowledged: u64,
    pub(super) comments_per_second: f64,
    /// Comments that a talker should have got and did not, in percent.
    pub(super) lost_percent: f64,
    /// From said to read, by all talkers.
    pub(super) delivery: Option<Spread>,
    /// From said to acknowledged: kept in the database.
    pub(super) acknowledged: Option<Spread>,
    /// From the connection to the welcome.
    pub(super) join: Option<Spread>,
    /// Events that the server wrote to viewers, a second.
    pub(super) delivered_per_second: f64,
    pub(super) mbit_per_second: f64,
    pub(super) server_percent: f64,
    /// The server's processor time for each event that it wrote to a viewer.
    pub(super) cpu_ns_per_delivered: f64,
    /// Growth of its anonymous memory, before anybody talks and at the end.
    pub(super) memory_per_viewer: f64,
    pub(super) memory_per_viewer_at_end: f64,
    pub(super) generator_percent: f64,
    pub(super) others_percent: f64,
    pub(super) failures: Vec<String>,
}

impl Report {
    pub fn text(&self, json: bool) -> String {
        if json {
            // All fields are plain numbers and texts.
            return serde_json::to_string_pretty(self).unwrap_or_default();
        }
        let spread = |spread: Option<Spread>| {
            spread.map_or_else(
                || "–".to_owned(),
                |s| format!("{:.1} / {:.1} / {:.1} ms", s.p50_ms, s.p99_ms, s.max_ms),
            )
        };
        let crowd =
            format!("{} ok, {} gone, {} stalled, {} short", self.ok, self.gone, self.stalled, self.short);
        let rows = [
            ("viewers, rooms, slow", format!("{}, {}, {} %", self.viewers, self.rooms, self.slow_percent)),
            ("the crowd", crowd),
            (
                "comments sent, acknowledged",
                format!("{}, {}", self.comments_sent, self.comments_acknowledged),
            ),
            ("comments a second", format!("{:.1}", self.comments_per_second)),
            ("lost", format!("{:.3} %", self.lost_percent)),
            ("delivery p50 / p99 / max", spread(self.delivery)),
            ("acknowledged p50 / p99 / max", spread(self.acknowledged)),
            ("join p50 / p99 / max", spread(self.join)),
            ("events delivered a second", format!("{:.0}", self.delivered_per_second)),
            ("Mbit a second", format!("{:.1}", self.mbit_per_second)),
            ("server", format!("{:.1} % of a processor", self.server_percent)),
            ("processor time per delivered event", format!("{:.0} ns", self.cpu_ns_per_delivered)),
            (
                "memory per viewer, quiet / at the end",
                format!(
                    "{:.1} / {:.1} kB",
                    self.memory_per_viewer / 1e3,
                    self.memory_per_viewer_at_end / 1e3
                ),
            ),
            ("generator, others", format!("{:.0} %, {:.0} %", self.generator_percent, self.others_percent)),
        ];
        let mut text = String::from("comments\n");
        for (name, value) in rows {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<38} {value}");
        }
        for failure in &self.failures {
            let _ = writeln!(text, "  ! {failure}");
        }
        text
    }
}
