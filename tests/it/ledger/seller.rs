//! A process that sells slots, tells displays, twice and in the wrong order, and says what it was promised.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onair::ledger::event::Receipt;
use onair::ledger::store::LedgerStore as _;
use onair::ledger::{
    CampaignId, DisplayClass, Event, Ledger, LedgerError, Lot, Refusal, Reservation, SessionId, SlotId,
    SlotName, SqliteLedger, wall_clock,
};
use onair::media::CueId;
use onair::money::{Money, Share};
use onair::random::Random;
use onair::store::{self, Store};

/// Says to the test program which directory the seller's database is in.
pub const DIRECTORY: &str = "ONAIR_TEST_LEDGER_DIRECTORY";
/// Says how many sellers there were before; this one is another broadcast.
pub const ROUND: &str = "ONAIR_TEST_LEDGER_ROUND";
/// The seller's name among the tests.
pub const TEST: &str = "ledger::seller::sells_until_it_is_killed";

/// Says what each campaign is paid in a round, in nanos.
pub const PAYMENT: &str = "ONAIR_TEST_LEDGER_PAYMENT";

/// Campaigns, whose budgets do not last.
const CAMPAIGNS: usize = 8;
/// Auctions at one time.
const AT_ONCE: u64 = 400;

/// The database of a seller.
pub async fn open(directory: &Path) -> Store {
    Store::open(&store::Config::default(), directory).await.expect("a database")
}

/// Is a seller, if it is told where.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the crash test runs it in a process of its own"]
async fn sells_until_it_is_killed() {
    let variable = |name| std::env::var(name).expect("the crash test sets it");
    let directory = PathBuf::from(variable(DIRECTORY));
    let round: u64 = variable(ROUND).parse().expect("a number");
    let payment: i64 = variable(PAYMENT).parse().expect("a number");
    let store = open(&directory).await;
    let store = Arc::new(SqliteLedger::open(store.pool()).await.expect("a durable database"));
    let book = store.restore().await.expect("a log that follows its rules");
    let (ledger, _) = Ledger::start(store, wall_clock()).await.expect("a ledger");
    println!("started");
    for campaign in 0..CAMPAIGNS as u64 {
        let amount = Money::from_nanos(payment);
        let event = Event::Fund { campaign: CampaignId(campaign), number: round + 1, amount };
        for _ in 0..2 {
            // A round that was killed before its payments left a gap, which the next one fills.
            while let Err(LedgerError::Refused(Refusal::OutOfOrder)) = ledger.submit(event.clone()).await {
                for number in 1..=round {
                    let campaign = CampaignId(campaign);
                    drop(ledger.submit(Event::Fund { campaign, number, amount }).await);
                }
            }
        }
    }
    // What the one before may or may not have told is told again.
    let again: Vec<SlotId> = book.open_slots().map(|(slot, ..)| slot).collect();
    for slot in again {
        tell(&ledger, slot, 0, &mut Random::new(slot.0)).await;
    }
    let sellers = (0..AT_ONCE).map(|seller| {
        let ledger = ledger.clone();
        tokio::spawn(async move { sell(ledger, round, seller).await })
    });
    for seller in sellers.collect::<Vec<_>>() {
        seller.await.expect("it goes on until it is killed");
    }
}

/// Sells one slot after the other.
async fn sell(ledger: Ledger, round: u64, seller: u64) {
    let mut random = Random::new(round << 32 | seller);
    let clock = wall_clock();
    for cue in 0_u64.. {
        let lots: Vec<Lot> = (0..=random.below(2)).map(|_| lot(&mut random)).collect();
        let reservation = Reservation {
            slot: SlotName {
                channel: format!("channel-{seller}").parse().expect("a name"),
                broadcast: round,
                cue: CueId::new(&cue.to_string()),
            },
            share: Share::percent(55),
            deadline: clock() + 200 + random.below(2000) as i64,
            lots,
        };
        let count = reservation.lots.len();
        // Twice: the answer to the first may have been lost.
        let event = Event::Reserve(reservation);
        let (first, second) = tokio::join!(ledger.submit(event.clone()), ledger.submit(event));
        match first {
            Ok(Receipt::Reserved { slot, units }) => {
                // Between the two the slot may have ended.
                if let Ok(Receipt::Reserved { slot: again, .. }) = second {
                    assert_eq!(slot, again, "a slot is sold twice");
                }
                promise(&format!("sold {}", slot.0));
                for place in (0..count).filter(|place| units[*place] > 0) {
                    tell(&ledger, slot, place as u16, &mut random).await;
                }
                if random.below(4) == 0 {
                    drop(ledger.submit(Event::Release { slot }).await);
                }
            }
            // No money, or the writer came to it too late.
            Err(LedgerError::Refused(Refusal::Exhausted | Refusal::Expired)) => promise("unsold"),
            other => panic!("{other:?}"),
        }
    }
}

fn lot(random: &mut Random) -> Lot {
    Lot {
        campaign: CampaignId(random.below(CAMPAIGNS) as u64),
        creative: 1,
        price: Money::from_nanos(1 + random.below(40) as i64),
        audience: 1 + random.below(2) as u32,
        cohort: "*".to_owned(),
    }
}

/// Tells displays of a few sessions at once, some twice.
async fn tell(ledger: &Ledger, slot: SlotId, lot: u16, random: &mut Random) {
    let told = (0..1 + random.below(3)).map(|_| {
        let session = SessionId(random.below(4) as u64);
        let event = Event::Display { slot, lot, session, class: DisplayClass::Client };
        let ledger = ledger.clone();
        tokio::spawn(async move { (session, ledger.submit(event).await) })
    });
    for told in told.collect::<Vec<_>>() {
        let (session, receipt) = told.await.expect("an answer");
        if let Ok(Receipt::Charged(price)) = receipt {
            promise(&format!("charged {} {} {}", slot.0, session.0, price.as_nanos()));
        }
    }
}

/// Says what was promised, at once and in one piece.
fn promise(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).expect("somebody reads it");
}
