//! `onair bench auction`: what a decision costs beside what the bidders take, and what the ledger's commit adds.
//!
//! Auctions come at a fixed rate, whether the ones before are done or not. The time of a decision begins when its auction
//! is due, so that one that waits for another counts its waiting; it ends with the trace as the text that is stored. The
//! reservation then goes to a ledger on a disk; how long that takes is told apart, beside what the disk's own `fdatasync`
//! takes, once before and once after.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::runtime::Builder;

use super::machine::CpuTime;
use super::report::Spread;
use super::samples::Samples;
use crate::auction::bidder::house::{Candidate, House};
use crate::auction::bidder::offer;
use crate::auction::campaign::{Approval, Creative, Targeting};
use crate::auction::schedule::{DayParts, Schedule};
use crate::auction::{Auction, Campaign, Context, Trace};
use crate::clock;
use crate::ledger::{
    CampaignId, DisplayClass, Event, Ledger, Reservation, SlotName, SqliteLedger, wall_clock,
};
use crate::media::{Cohort, CueId, OverlayFormat};
use crate::money::{Money, Share};
use crate::store::{self, Store};

/// Decisions whose processor time is measured.
const DECISIONS: u32 = 5000;
/// Times that the disk is asked for a `fdatasync`.
const SYNCS: usize = 200;
/// What is written before each: a page of the database.
const PAGE: [u8; 4096] = [1; 4096];
/// A sleep may end so much too late: the last of the way is waited for awake.
const AWAKE: Duration = Duration::from_micros(300);

/// How many auctions, and what they are made of.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Auctions a second
    #[arg(long, default_value_t = 1000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Bidders
    #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub bidders: u32,
    /// Campaigns of each bidder
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub campaigns: u32,
    /// For how many seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub duration: u32,
    /// Where the ledger is; a directory on the disk that is meant
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// What was found out.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    rate: u32,
    bidders: u32,
    auctions: usize,
    sold: usize,
    /// From due to decided.
    decision: Option<Spread>,
    /// What a decision takes of the processor, whatever else the machine does.
    cpu_us_per_decision: f64,
    /// From decided to durable.
    commit: Option<Spread>,
    /// The disk's own, before and after.
    sync_before: Option<Spread>,
    sync_after: Option<Spread>,
    failures: usize,
}

/// Measures what the options ask for.
pub(super) fn run(options: &Options) -> io::Result<Report> {
    let named = || std::env::temp_dir().join(format!("onair-bench-auction-{}", std::process::id()));
    let directory = options.data.clone().map_or_else(named, |data| data.join("onair-bench-auction"));
    std::fs::create_dir_all(&directory)?;
    let report = measure(options, &directory);
    std::fs::remove_dir_all(&directory)?;
    report
}

fn measure(options: &Options, directory: &Path) -> io::Result<Report> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let sync_before = syncs(directory)?;
    let ledger = runtime.block_on(open(options, directory)).map_err(io::Error::other)?;
    let houses: Vec<House> = (0..options.bidders).map(|bidder| house(options, bidder)).collect();
    let cpu_us_per_decision = cpu_per_decision(&houses)?.as_secs_f64() * 1e6;
    let commits: Arc<Mutex<(Samples, usize)>> = Arc::default();
    let mut decisions = Samples::default();
    let auctions = (options.rate * options.duration) as usize;
    let (mut sold, mut waiting) = (0, Vec::new());
    let start = clock::monotonic();
    for number in 0..auctions {
        let due = start + Duration::from_secs_f64(number as f64 / f64::from(options.rate));
        wait_until(due);
        let trace = decide_and_write(number as u64, &houses)?;
        decisions.push(clock::monotonic().saturating_duration_since(due));
        let Some(lot) = trace.lot() else { continue };
        sold += 1;
        let event = Event::Reserve(Reservation {
            slot: trace.auction.context.slot.clone(),
            share: Share::percent(55),
            deadline: i64::MAX,
            lots: vec![lot],
        });
        let (ledger, commits) = (ledger.clone(), Arc::clone(&commits));
        waiting.push(runtime.spawn(async move {
            let asked = clock::monotonic();
            let receipt = ledger.submit(event).await;
            let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
            commits.0.push(clock::monotonic().saturating_duration_since(asked));
            commits.1 += usize::from(receipt.is_err());
        }));
    }
    for commit in waiting {
        runtime.block_on(commit).map_err(io::Error::other)?;
    }
    let sync_after = syncs(directory)?;
    let (commits, failures) = commits.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Report {
        rate: options.rate,
        bidders: options.bidders,
        auctions,
        sold,
        decision: Spread::of(decisions),
        cpu_us_per_decision,
        commit: Spread::of(commits),
        sync_before,
        sync_after,
        failures,
    })
}

/// A ledger with money for all campaigns.
async fn open(
    options: &Options,
    directory: &Path,
) -> Result<Ledger, Box<dyn std::error::Error + Send + Sync>> {
    let store = Store::open(&store::Config::default(), directory).await?;
    let (ledger, _) = Ledger::start(Arc::new(SqliteLedger::open(store.pool()).await?), wall_clock()).await?;
    for campaign in 0..u64::from(options.bidders * options.campaigns) {
        let amount = Money::from_nanos(1_000_000_000_000_000);
        ledger.submit(Event::Fund { campaign: CampaignId(campaign), number: 1, amount }).await?;
    }
    Ok(ledger)
}

fn house(options: &Options, bidder: u32) -> House {
    let candidate = |number: u32| Candidate {
        campaign: Arc::new(campaign(u64::from(bidder * options.campaigns + number))),
        budget: Money::from_nanos(1_000_000_000_000),
        hold: None,
    };
    House { candidates: (0..options.campaigns).map(candidate).collect() }
}

fn campaign(id: u64) -> Campaign {
    Campaign {
        id: CampaignId(id),
        is_paused: false,
        bid: Money::per_impression(3_000_000 + (id % 17) as i64 * 100_000),
        priority: 10,
        deal: None,
        schedule: Schedule { start: 0, end: i64::MAX, hours: DayParts::default() },
        pacing: crate::auction::campaign::Pacing::Even,
        targeting: Targeting {
            tags: BTreeSet::from(["live".into(), "music".into()]),
            ..Targeting::default()
        },
        caps: Vec::new(),
        separation: None,
        creatives: vec![Creative {
            id,
            format: OverlayFormat::LowerThird,
            approval: Approval::Approved,
            is_ready: true,
            categories: BTreeSet::from(["drinks".into()]),
        }],
        accepts_server_counts: false,
    }
}

fn decide(number: u64, houses: &[House]) -> Trace {
    let context = Context {
        // The name is within the rules.
        slot: SlotName {
            channel: "bench".parse().unwrap_or_else(|_| unreachable!("a name of five letters")),
            broadcast: 1 + number / 50_000,
            cue: CueId::new(&number.to_string()),
        },
        at: 1,
        starts_at: 0,
        counts_until: 60_000,
        format: OverlayFormat::LowerThird,
        duration_ms: 15_000,
        class: DisplayClass::Client,
        title: "A bench".to_owned(),
        category: None,
        tags: BTreeSet::from(["live".into()]),
        hashtags: BTreeSet::new(),
        language: None,
        engagement: 0,
        viewers: 1000,
        blocked_categories: BTreeSet::new(),
    };
    let auction = Auction {
        context: Arc::new(context),
        cohort: Cohort::everybody(),
        audience: 1000,
        floor: Money::per_impression(1_000_000),
        deals: Vec::new(),
        seed: number,
    };
    let offers = houses.iter().map(|house| offer(house, &auction, &[])).collect();
    Trace::of(auction, offers)
}

/// The trace is stored as text: making that belongs to a decision.
fn decide_and_write(number: u64, houses: &[House]) -> io::Result<Trace> {
    let trace = decide(number, houses);
    std::hint::black_box(serde_json::to_string(&trace).map_err(io::Error::other)?);
    Ok(trace)
}

/// The processor time of a decision, of many without a pause: the system counts it in hundredths of a second.
fn cpu_per_decision(houses: &[House]) -> io::Result<Duration> {
    let before = CpuTime::of_this_thread()?;
    for number in 0..DECISIONS {
        decide_and_write(u64::from(number), houses)?;
    }
    Ok(CpuTime::of_this_thread()?.since(before).total() / DECISIONS)
}

fn wait_until(due: std::time::Instant) {
    let left = due.saturating_duration_since(clock::monotonic());
    std::thread::sleep(left.saturating_sub(AWAKE));
    while clock::monotonic() < due {
        std::hint::spin_loop();
    }
}

/// How long the disk takes to make a page durable.
fn syncs(directory: &Path) -> io::Result<Option<Spread>> {
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let mut samples = Samples::default();
    for _ in 0..SYNCS {
        file.write_all(&PAGE)?;
        let asked = clock::monotonic();
        file.sync_data()?;
        samples.push(clock::monotonic().saturating_duration_since(asked));
    }
    std::fs::remove_file(path)?;
    Ok(Spread::of(samples))
}

impl Report {
    /// For people, or for programs.
    pub fn text(&self, json: bool) -> String {
        if json {
            // All fields are plain numbers.
            return serde_json::to_string_pretty(self).unwrap_or_default();
        }
        let mut text = format!(
            "{} auctions a second, {} bidders, {} sold of {}; {:.1} µs of a processor for each decision\n",
            self.rate, self.bidders, self.sold, self.auctions, self.cpu_us_per_decision
        );
        let rows = [
            ("decision", &self.decision),
            ("commit", &self.commit),
            ("fdatasync before", &self.sync_before),
            ("fdatasync after", &self.sync_after),
        ];
        for (name, spread) in rows {
            if let Some(spread) = spread {
                // Writing into a text does not fail.
                let _ = writeln!(
                    text,
                    "{name:<17} p50 {:8.3} ms   p99 {:8.3} ms   max {:8.3} ms",
                    spread.p50_ms, spread.p99_ms, spread.max_ms
                );
            }
        }
        if self.failures > 0 {
            let _ = writeln!(text, "{} reservations failed", self.failures);
        }
        text
    }
}
