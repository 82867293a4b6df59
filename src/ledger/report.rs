//! Reports: what was shown and what it cost. Whatever leaves the server is of groups, never of single viewers.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::account::CampaignId;
use super::attention::{Attention, AttentionKind};
use super::event::UnixMillis;
use crate::clock;
use crate::media::ChannelName;
use crate::money::Money;

/// The length of an interval of reports.
pub const HOUR_MILLIS: i64 = 3_600_000;

/// The most lines of a report: a year of one campaign in one channel and ten cohorts.
pub const MAX_ROWS: usize = 100_000;

/// Which displays a report is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportFilter {
    /// Of this campaign only.
    pub campaign: Option<CampaignId>,
    /// In this channel only.
    pub channel: Option<ChannelName>,
    /// From this moment on.
    pub from: UnixMillis,
    /// Up to, but not at, this one.
    pub to: UnixMillis,
}

/// Displays of one kind and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Displays {
    /// That were paid for.
    pub charged: u64,
    /// Beyond what was reserved.
    pub free: u64,
    /// What the campaign paid.
    pub spent: Money,
    /// What of that the broadcaster earned; the rest is the platform's.
    pub earned: Money,
}

impl Displays {
    /// All of them.
    pub const fn count(&self) -> u64 {
        self.charged.saturating_add(self.free)
    }

    fn add(&mut self, other: Self) {
        self.charged = self.charged.saturating_add(other.charged);
        self.free = self.free.saturating_add(other.free);
        self.spent = Money::from_nanos(self.spent.as_nanos().saturating_add(other.spent.as_nanos()));
        self.earned = Money::from_nanos(self.earned.as_nanos().saturating_add(other.earned.as_nanos()));
    }
}

/// A line of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// Who paid.
    pub campaign: CampaignId,
    /// Where.
    pub channel: ChannelName,
    /// To whom; `None` for cohorts that are too small to be told apart.
    pub cohort: Option<String>,
    /// The beginning of the hour.
    pub hour: UnixMillis,
    /// Told by viewers' pages.
    pub client: Displays,
    /// Counted by the server.
    pub server: Displays,
    /// Paid to those that pages told.
    pub attention: Attention,
}

/// Folds lines of fewer than `k` displays into one of their campaign, channel and hour that names no cohort. A line that
/// would be told by subtraction goes with them: sums stay equal to the ledger's.
pub fn without_small_groups(rows: Vec<ReportRow>, k: u64) -> Vec<ReportRow> {
    let count = |row: &ReportRow| row.client.count().saturating_add(row.server.count());
    let mut rows = rows;
    rows.sort_by(|a, b| place(a).cmp(&place(b)).then(count(a).cmp(&count(b))));
    let mut told: Vec<ReportRow> = Vec::new();
    for row in rows {
        // The smallest of a place come first: they are gathered until they are enough.
        match told.last_mut() {
            Some(last) if place(last) == place(&row) && last.cohort.is_none() && count(last) < k => {
                last.client.add(row.client);
                last.server.add(row.server);
                last.attention.add(&row.attention);
            }
            _ if count(&row) < k => told.push(ReportRow { cohort: None, ..row }),
            _ => told.push(row),
        }
    }
    told
}

/// All of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Told by viewers' pages.
    pub client: Displays,
    /// Counted by the server.
    pub server: Displays,
    /// Paid to those that pages told.
    pub attention: Attention,
}

/// All displays of a report, and the attention paid to them.
pub fn totals(rows: &[ReportRow]) -> Totals {
    let mut totals = Totals::default();
    for row in rows {
        totals.client.add(row.client);
        totals.server.add(row.server);
        totals.attention.add(&row.attention);
    }
    totals
}

/// Which amounts a report's reader is told: a broadcaster's share is no business of the advertiser's, nor is the price of the
/// broadcaster's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// What campaigns paid.
    pub spent: bool,
    /// What broadcasters earned.
    pub earned: bool,
}

impl Amounts {
    /// Both.
    pub const ALL: Self = Self { spent: true, earned: true };
}

/// A report as comma-separated values (RFC 4180), with a line of names. Amounts are exact decimals of the currency's unit, hours
/// are RFC 3339.
pub fn csv(rows: &[ReportRow], amounts: Amounts) -> String {
    let mut text = "campaign,channel,cohort,hour".to_owned();
    let is_told = [("charged", true), ("free", true), ("spent", amounts.spent), ("earned", amounts.earned)];
    // Writing into a text does not fail.
    for class in ["client", "server"] {
        for (name, _) in is_told.iter().filter(|(_, is_told)| *is_told) {
            let _ = write!(text, ",{class}_{name}");
        }
    }
    for kind in AttentionKind::ALL {
        let _ = write!(text, ",client_{}", kind.name());
    }
    text.push_str("\r\n");
    for row in rows {
        let cohort = field(row.cohort.as_deref().unwrap_or_default());
        let _ = write!(text, "{},{},{cohort},{}", row.campaign, row.channel, hour(row));
        for Displays { charged, free, spent, earned } in [row.client, row.server] {
            let _ = write!(text, ",{charged},{free}");
            let told = [(spent, amounts.spent), (earned, amounts.earned)];
            for (amount, _) in told.iter().filter(|(_, is_told)| *is_told) {
                let _ = write!(text, ",{amount}");
            }
        }
        for kind in AttentionKind::ALL {
            let _ = write!(text, ",{}", row.attention.of(kind));
        }
        text.push_str("\r\n");
    }
    text
}

/// The beginning of a line's hour, RFC 3339.
pub fn hour(row: &ReportRow) -> String {
    clock::rfc3339_millis(row.hour)
}

/// A text that came from outside, for a spreadsheet: quoted, and never a formula.
fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn place(row: &ReportRow) -> (CampaignId, &ChannelName, UnixMillis) {
    (row.campaign, &row.channel, row.hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hour: i64, cohort: &str, charged: u64) -> ReportRow {
        let spent = Money::from_nanos(charged.cast_signed() * 3);
        ReportRow {
            campaign: CampaignId(1),
            channel: "kitchen".parse().unwrap(),
            cohort: Some(cohort.to_owned()),
            hour,
            client: Displays { charged, free: 0, spent, earned: Money::ZERO },
            server: Displays::default(),
            attention: Attention::default(),
        }
    }

    #[test]
    fn small_groups_are_hidden_and_sums_stay() {
        let rows = vec![row(0, "de", 400), row(0, "at", 30), row(0, "ch", 60), row(1, "de", 70)];
        let told = without_small_groups(rows.clone(), 50);
        let of = |rows: &[ReportRow]| -> i64 { rows.iter().map(|row| row.client.spent.as_nanos()).sum() };
        assert_eq!(of(&told), of(&rows));
        let seen: Vec<(Option<&str>, u64)> =
            told.iter().map(|row| (row.cohort.as_deref(), row.client.count())).collect();
        assert_eq!(seen, [(None, 90), (Some("de"), 400), (Some("de"), 70)], "30 would be 90 less 60");
    }

    #[test]
    fn spreadsheets_get_exact_amounts_and_no_formulas() {
        let mut rows = [row(0, "=cmd(\"x\"),1", 70), ReportRow { cohort: None, ..row(3_600_000, "", 1) }];
        rows[0].attention.count(AttentionKind::Click, 4);
        let lines =
            |amounts: Amounts| -> Vec<String> { csv(&rows, amounts).lines().map(str::to_owned).collect() };
        let zero = "0.000000000";
        let (first, second) = ("1970-01-01T00:00:00.000Z", "1970-01-01T01:00:00.000Z");
        let expected = [
            format!(
                "1,kitchen,\"'=cmd(\"\"x\"\"),1\",{first},70,0,0.000000210,{zero},0,0,{zero},{zero},0,0,0,0,0,0,4"
            ),
            format!("1,kitchen,\"\",{second},1,0,0.000000003,{zero},0,0,{zero},{zero},0,0,0,0,0,0,0"),
        ];
        assert_eq!(lines(Amounts::ALL)[1..], expected);
        let told = lines(Amounts { spent: false, earned: true });
        assert_eq!(
            told[0],
            "campaign,channel,cohort,hour,client_charged,client_free,client_earned,server_charged,server_free,server_earned,\
             client_viewable,client_first_quartile,client_midpoint,client_third_quartile,client_complete,client_close,client_click"
        );
        assert_eq!(told[2], format!("1,kitchen,\"\",{second},1,0,{zero},0,0,{zero},0,0,0,0,0,0,0"));
    }
}
