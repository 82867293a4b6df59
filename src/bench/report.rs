//! The figures of a measurement, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::machine::CpuTime;
use super::samples::{Samples, Sorted};

/// A generator busier than this measures itself.
const BUSY_GENERATOR: f64 = 90.0;
/// Other programs that take more than this of the two processors spoil the figures.
const BUSY_OTHERS: f64 = 5.0;
/// A publisher later than this makes viewers' stalls his own.
const LATE_PUBLISHER: Duration = Duration::from_millis(100);

/// Everything that one run has found out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the servers were loaded with.
    pub load: &'static str,
    /// The machine's own cost of writing the stream to as many sockets, in µs per Mbit.
    pub machine_us_per_mbit: Option<f64>,
    /// One server each.
    pub servers: Vec<Figures>,
    /// What to know before believing the figures.
    pub warnings: Vec<String>,
}

/// How one server did.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Its name.
    pub server: String,
    /// Viewers or publishers there were.
    pub clients: usize,
    /// Those who got, or could send, everything without a stall.
    pub ok: usize,
    /// Why others were not.
    pub failures: Vec<String>,
    /// Mbit that arrived a second.
    pub mbit_per_second: f64,
    /// The server's processor time, as far as its process is known.
    pub cpu: Option<Cpu>,
    /// Growth of the server's anonymous memory, in bytes a client.
    pub memory_per_client: Option<f64>,
    /// From the connection to the first keyframe.
    pub join: Option<Spread>,
    /// Age of the newest picture a second after the join.
    pub edge: Option<Spread>,
    /// From sent to received: of a picture, or of a part's last picture.
    pub delay: Option<Spread>,
    /// Pictures that did not arrive, in percent, at the viewers whose every picture is looked at.
    pub lost_percent: Option<f64>,
    /// The longest that a message was sent after it was due, in ms.
    pub publisher_late_ms: f64,
    /// Processor time of publisher and viewers, in percent of one processor.
    pub generator_percent: f64,
    /// What other programs used of the two processors meanwhile, in percent of one.
    pub others_percent: f64,
}

/// A server's processor time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cpu {
    /// In percent of one processor.
    pub percent: f64,
    /// µs in the program, per Mbit that arrived.
    pub user_us_per_mbit: f64,
    /// µs in the kernel.
    pub system_us_per_mbit: f64,
    /// Both.
    pub us_per_mbit: f64,
}

/// Percentiles, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Half are not above it.
    pub p50_ms: f64,
    /// 99 % are not above it.
    pub p99_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

/// The name of a figure, and its text for a server.
type Row = (&'static str, fn(&Report, &Figures) -> String);

impl Cpu {
    /// From the time used while `bits` arrived within `interval`.
    pub fn new(used: CpuTime, bits: f64, interval: Duration) -> Self {
        let per_mbit = |time: Duration| if bits > 0.0 { time.as_secs_f64() * 1e12 / bits } else { 0.0 };
        Self {
            percent: percent(used.total(), interval),
            user_us_per_mbit: per_mbit(used.user),
            system_us_per_mbit: per_mbit(used.system),
            us_per_mbit: per_mbit(used.total()),
        }
    }
}

impl Spread {
    /// Of measured durations; `None` without any.
    pub fn of(samples: Samples) -> Option<Self> {
        let sorted: Sorted = samples.sorted();
        Some(Self {
            p50_ms: millis(sorted.percentile(50.0)?),
            p99_ms: millis(sorted.percentile(99.0)?),
            max_ms: millis(sorted.max()?),
        })
    }
}

impl Figures {
    /// What to know before believing these figures.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let server = &self.server;
        if self.generator_percent > BUSY_GENERATOR {
            warnings.push(format!(
                "{server}: publisher and viewers used {:.0} % of their processor: these are their limits, not the server's",
                self.generator_percent
            ));
        }
        if self.others_percent > BUSY_OTHERS {
            warnings.push(format!(
                "{server}: other programs used {:.0} % of a processor meanwhile: delays are too high, and processor \
                 time may be",
                self.others_percent
            ));
        }
        if self.publisher_late_ms > millis(LATE_PUBLISHER) {
            warnings.push(format!(
                "{server}: the publisher was up to {:.0} ms late: stalls may be its own",
                self.publisher_late_ms
            ));
        }
        warnings
    }
}

impl Report {
    /// As JSON.
    pub fn json(&self) -> String {
        // Numbers and strings only: there is nothing that JSON cannot say.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As a table, with one column a server.
    pub fn table(&self) -> String {
        let rows: [Row; 13] = [
            ("ok", |_, server| format!("{} of {}", server.ok, server.clients)),
            ("delivered", |_, server| format!("{:.0} Mbit/s", server.mbit_per_second)),
            ("server CPU", |_, server| optional(server.cpu, |cpu| format!("{:.1} % of a core", cpu.percent))),
            ("per Mbit", |_, server| optional(server.cpu, |cpu| format!("{:.1} us", cpu.us_per_mbit))),
            ("  user + system", |_, server| {
                optional(server.cpu, |cpu| {
                    format!("{:.1} + {:.1} us", cpu.user_us_per_mbit, cpu.system_us_per_mbit)
                })
            }),
            ("  times the machine's limit", |report, server| {
                let ratio =
                    server.cpu.zip(report.machine_us_per_mbit).map(|(cpu, limit)| cpu.us_per_mbit / limit);
                optional(ratio, |ratio| format!("{ratio:.2}"))
            }),
            ("memory per client", |_, server| {
                optional(server.memory_per_client, |bytes| format!("{:.1} kB", bytes / 1000.0))
            }),
            ("join p50 / p99 / max", |_, server| optional(server.join, spread)),
            ("  a second later", |_, server| optional(server.edge, spread)),
            ("delay p50 / p99 / max", |_, server| optional(server.delay, spread)),
            ("pictures lost", |_, server| optional(server.lost_percent, |lost| format!("{lost:.2} %"))),
            ("generator CPU", |_, server| format!("{:.0} % of a core", server.generator_percent)),
            ("others' CPU", |_, server| format!("{:.0} % of a core", server.others_percent)),
        ];
        let mut text = format!("{:<28}", self.load);
        for server in &self.servers {
            let _ = write!(text, "{:>26}", server.server);
        }
        for (name, value) in rows {
            let _ = write!(text, "\n{name:<28}");
            for server in &self.servers {
                let _ = write!(text, "{:>26}", value(self, server));
            }
        }
        if let Some(limit) = self.machine_us_per_mbit {
            let _ = write!(text, "\n{:<28}{:>26}", "the machine's limit", format!("{limit:.1} us per Mbit"));
        }
        for server in &self.servers {
            for failure in &server.failures {
                let _ = write!(text, "\n{}: {failure}", server.server);
            }
        }
        for warning in &self.warnings {
            let _ = write!(text, "\nwarning: {warning}");
        }
        text
    }
}

/// A time as a share of an interval.
pub fn percent(time: Duration, interval: Duration) -> f64 {
    if interval.is_zero() { 0.0 } else { 100.0 * time.as_secs_f64() / interval.as_secs_f64() }
}

/// A duration in ms.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn spread(spread: Spread) -> String {
    format!("{:.1} / {:.1} / {:.1} ms", spread.p50_ms, spread.p99_ms, spread.max_ms)
}

fn optional<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let used = CpuTime { user: Duration::from_millis(200), system: Duration::from_millis(600) };
        let mut delays = Samples::default();
        (1..=100).for_each(|ms| delays.push(Duration::from_millis(ms)));
        Figures {
            server: "onair".to_owned(),
            clients: 1000,
            ok: 999,
            failures: vec!["1 x the server has closed the connection".to_owned()],
            mbit_per_second: 1600.0,
            cpu: Some(Cpu::new(used, 16e9, Duration::from_secs(10))),
            memory_per_client: Some(9_216.0),
            join: None,
            edge: None,
            delay: Spread::of(delays),
            lost_percent: Some(0.0),
            publisher_late_ms: 1.0,
            generator_percent: 30.0,
            others_percent: 1.0,
        }
    }

    #[test]
    fn processor_time_is_told_per_mbit_and_as_a_share() {
        let cpu = figures().cpu.unwrap();
        assert_eq!((cpu.percent, cpu.user_us_per_mbit, cpu.system_us_per_mbit), (8.0, 12.5, 37.5));
        assert_eq!(cpu.us_per_mbit, 50.0);
        let nothing = Cpu::new(CpuTime::default(), 0.0, Duration::ZERO);
        assert_eq!((nothing.percent, nothing.us_per_mbit), (0.0, 0.0));
    }

    #[test]
    fn the_table_has_what_json_has() {
        let report = Report {
            load: "rtmp",
            machine_us_per_mbit: Some(40.0),
            servers: vec![figures()],
            warnings: Vec::new(),
        };
        let table = report.table();
        for text in [
            "999 of 1000",
            "50.0 us",
            "12.5 + 37.5 us",
            "1.25",
            "9.2 kB",
            "50.0 / 99.0 / 100.0 ms",
            "1 x the",
        ] {
            assert!(table.contains(text), "{text} is not in\n{table}");
        }
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["servers"][0]["delay"]["p99_ms"], 99.0);
        assert!(json["servers"][0]["join"].is_null());
    }

    #[test]
    fn spoiled_figures_say_so() {
        assert!(figures().warnings().is_empty());
        let spoiled =
            Figures { generator_percent: 95.0, others_percent: 30.0, publisher_late_ms: 500.0, ..figures() };
        assert_eq!(spoiled.warnings().len(), 3);
    }
}
