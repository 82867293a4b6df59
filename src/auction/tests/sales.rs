//! A slot from audience to settlement, without a server.

use std::time::Duration;

use super::*;
use crate::auction::bidder::house::{Candidate, House};
use crate::auction::bidder::offer;
use crate::auction::sale::{Sale, deadline};
use crate::ledger::{Account, Book, Event, Receipt, SessionId, SettledLot};
use crate::money::Share;

fn viewer(country: &str) -> Cohort {
    Cohort { country: country.parse().ok(), ..cohort() }
}

fn budget(book: &Book, campaign: u64) -> i64 {
    book.balance(&Account::Budget(CampaignId(campaign))).as_nanos()
}

#[test]
fn a_slot_is_sold_to_each_cohort_shown_charged_and_settled() {
    let mut book = Book::default();
    for (campaign, amount) in [(1, 1_000_000), (2, 7_000)] {
        let amount = Money::from_nanos(amount);
        book.apply(Event::Fund { campaign: CampaignId(campaign), number: 1, amount }, 0).unwrap();
    }
    // The second pays more, in Germany only, and has money for 70 impressions.
    let mut german = campaign(2, 100);
    german.targeting.countries = BTreeSet::from(["de".parse().unwrap()]);
    let house = |book: &Book| House {
        candidates: [campaign(1, 90), german.clone()]
            .into_iter()
            .map(|campaign| Candidate {
                budget: Money::from_nanos(budget(book, campaign.id.0)),
                campaign: Arc::new(campaign),
                hold: None,
            })
            .collect(),
    };
    let audience: Vec<Cohort> = [("at", 60), ("de", 80), ("ch", 100)]
        .into_iter()
        .flat_map(|(country, count)| std::iter::repeat_n(viewer(country), count))
        .collect();
    let cohorts = Cohorts::group(audience.iter().cloned(), 50, 256);
    let traces: Vec<Trace> = cohorts
        .groups()
        .map(|(cohort, audience)| {
            let auction =
                Auction { cohort: cohort.clone(), audience, floor: Money::from_nanos(50), ..auction(1) };
            let offers = vec![offer(&house(&book), &auction, &[])];
            Trace::of(auction, offers)
        })
        .collect();
    let deadline = deadline(HOUR, Duration::from_secs(15), Duration::from_secs(30));
    assert_eq!(deadline, HOUR + 50_000);
    let sale = Sale::of(&traces, Share::percent(50), deadline).unwrap();
    assert_eq!(sale.traces, [0, 1, 2]);
    let Receipt::Reserved { slot, units } =
        book.apply(Event::Reserve(sale.reservation), HOUR).unwrap().receipt
    else {
        panic!("it is sold");
    };
    assert_eq!(units, [72, 120, 70], "a fifth more than watch, and what the second can pay");

    for (number, viewer) in audience.iter().enumerate() {
        let lot = cohorts.place(viewer).unwrap() as u16;
        let event =
            Event::Display { slot, lot, session: SessionId(number as u64), class: DisplayClass::Client };
        book.apply(event, HOUR + 2000).unwrap();
    }
    let Receipt::Released(settlement) = book.expire(deadline).unwrap().receipt else {
        panic!("its time is over")
    };
    let lots = [(1, 72 * 90, 60 * 90), (1, 120 * 90, 100 * 90), (2, 7000, 7000)];
    let lots = lots.map(|(campaign, reserved, spent)| SettledLot {
        campaign: CampaignId(campaign),
        reserved: Money::from_nanos(reserved),
        spent: Money::from_nanos(spent),
    });
    assert_eq!(settlement.lots, lots);
    assert_eq!((budget(&book, 1), budget(&book, 2)), (1_000_000 - 160 * 90, 0));
    let earned = book.balance(&Account::Broadcaster("kitchen".parse().unwrap()));
    assert_eq!(earned.as_nanos(), (160 * 90 + 7000) / 2);
}

#[test]
fn what_nobody_wants_is_not_sold() {
    let unsold = Trace::of(auction(1), Vec::new());
    assert_eq!(Sale::of(&[unsold], Share::percent(50), 1), None);
    assert_eq!(Sale::of(&[], Share::percent(50), 1), None);
}
