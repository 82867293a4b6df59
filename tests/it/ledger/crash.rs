//! `kill -9` at random points: nothing is overspent, charged twice, stranded, or lost that was promised.
//!
//! The long form: `ONAIR_LEDGER_AUCTIONS=1000000 ONAIR_LEDGER_KILLS=200 cargo test --release --test it ledger::crash --
//! --nocapture`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use onair::ledger::store::LedgerStore as _;
use onair::ledger::{CampaignId, Event, Ledger, SqliteLedger};
use onair::money::Money;
use onair::random::Random;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::auditor::audit;
use super::seller::{self, open};
use crate::support::in_time;

/// What sellers said before they were killed.
#[derive(Default)]
struct Promised {
    auctions: u64,
    sold: u64,
    charged: HashMap<(u64, u64), i64>,
}

/// Lets a seller sell until it has promised something for so many auctions, and kills it.
async fn round(directory: &Path, number: u64, payment: u64, auctions: u64, promised: &mut Promised) {
    let program = std::env::current_exe().expect("this program");
    let mut seller = Command::new(program)
        .args([seller::TEST, "--exact", "--ignored", "--nocapture"])
        .env(seller::DIRECTORY, directory)
        .env(seller::ROUND, number.to_string())
        .env(seller::PAYMENT, payment.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a seller");
    let mut lines = BufReader::new(seller.stdout.take().expect("a pipe")).split(b'\n');
    let (enough, mut is_killed) = (promised.auctions + auctions, false);
    // What it said until it died counts, but for a line that it could not finish.
    while let Some(line) = in_time("a promise", lines.next_segment()).await.expect("a pipe") {
        let line = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["sold", _] => (promised.auctions, promised.sold) = (promised.auctions + 1, promised.sold + 1),
            ["unsold"] => promised.auctions += 1,
            ["charged", slot, session, price] => {
                let Ok(price) = price.parse() else { continue };
                let key = (slot.parse().expect("a number"), session.parse().expect("a number"));
                assert_eq!(promised.charged.insert(key, price), None, "a session is charged twice");
            }
            _ => {}
        }
        if promised.auctions >= enough && !is_killed {
            seller.start_kill().expect("it runs");
            is_killed = true;
        }
    }
    let status = seller.wait().await.expect("its end");
    assert!(is_killed && !status.success(), "it ended by itself: {status}");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test]
async fn kill_9_amid_auctions_overspends_doubles_and_strands_nothing() {
    let (auctions, kills) = (setting("ONAIR_LEDGER_AUCTIONS", 2000), setting("ONAIR_LEDGER_KILLS", 5));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut promised, mut random) = (Promised::default(), Random::new(11));
    // Not enough for half of the auctions.
    let payment = 2 * auctions / kills;
    let mut kill = 0;
    while kill < kills || promised.auctions < auctions {
        // Anywhere from the first promise on.
        let enough = 1 + random.below(2 * (auctions / kills) as usize) as u64;
        round(directory.path(), kill, payment, enough, &mut promised).await;
        kill += 1;
    }
    let store = open(directory.path()).await;
    let store = Arc::new(SqliteLedger::open(store.pool()).await.expect("a durable database"));
    // Long after the last deadline.
    let (ledger, _) = Ledger::start(store.clone(), Arc::new(|| i64::MAX)).await.expect("a ledger");
    while store.restore().await.expect("a readable log").next_timeout().is_some() {
        let nothing = Event::Fund { campaign: CampaignId(0), number: 0, amount: Money::ZERO };
        ledger.submit(nothing).await.expect_err("payments are numbered from 1");
    }
    let audit = audit(&store).await;
    assert_eq!(audit.reserved, 0, "nothing is stranded");
    for (display, price) in &promised.charged {
        assert_eq!(audit.charged.get(display), Some(price), "a promise is broken");
    }
    assert!(audit.sold >= promised.sold);
    println!(
        "{} auctions, {kill} kills: {} slots sold, {} displays charged ({} promised), {} free, {} nanos spent; overspent 0, \
         double 0, stranded 0",
        promised.auctions,
        audit.sold,
        audit.charged.len(),
        promised.charged.len(),
        audit.free,
        audit.spent
    );
}
