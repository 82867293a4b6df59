//! Who is told that a bid has won, lost, or is owed for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;

use super::stage::{Answer, Asked, LONG, Lab, PNG, auction, bid, reply};
use crate::auction::{Offer, Trace};
use crate::clock;
use crate::ledger::{SettledLot, Settlement, SlotId};
use crate::sale::exchange::Exchange;
use crate::sale::exchange::account::account;

fn answer(bills: &Arc<AtomicUsize>, asked: Asked) -> Answer {
    let bills = Arc::clone(bills);
    Box::pin(async move {
        match asked.host.as_str() {
            "good.lab" => bid(&asked, 5.0),
            "better.lab" => bid(&asked, 6.5),
            "cdn.lab" => reply(200, PNG),
            // The first two are lost.
            "tag.lab" if asked.path.contains("/bill") && bills.fetch_add(1, Ordering::Relaxed) < 2 => {
                reply(503, Body::empty())
            }
            _ => reply(204, Body::empty()),
        }
    })
}

async fn offers(exchange: &Exchange) -> Vec<Offer> {
    loop {
        let offers = exchange.offers(&[auction()], clock::monotonic() + LONG).await.remove(0);
        if offers.iter().all(|offer| offer.bids.iter().any(|bid| bid.is_ready)) {
            return offers;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bidders_are_told_and_billed_once_for_what_was_displayed() {
    let bills = Arc::new(AtomicUsize::new(0));
    let lab = Lab::open(move |asked| answer(&bills, asked)).await;
    let (exchange, _) = lab.exchange(["good", "better"].map(|name| lab.bidder(name)).into()).await;
    let trace = Trace::of(auction(), offers(&exchange).await);
    let price = trace.decision.price;
    assert_eq!(price.as_nanos(), 6_500_000);
    let key = trace.bid(trace.decision.winner.unwrap()).unwrap().creative;
    assert_eq!(
        exchange.creative(account("better"), key).map(|creative| creative.file.clone()),
        Some(PNG.into())
    );
    assert!(exchange.creative(account("good"), key).is_none(), "a creative is one bidder's alone");

    let traces = [trace];
    exchange.sold(SlotId(9), &traces, &[0]);
    exchange.tell(&traces, |_| None);
    let told = lab.until_asked("tag", 2).await;
    let mut paths: Vec<&str> = told.iter().map(|told| told.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/better.lab/won?p=6.5", "/good.lab/lost?r=102"]);

    let spent = price.checked_times(7).unwrap();
    let lot = SettledLot { campaign: account("better"), reserved: price.checked_times(120).unwrap(), spent };
    let settlement = Settlement { slot: SlotId(9), lots: vec![lot] };
    exchange.settle(&settlement, &[]);
    exchange.settle(&settlement, &[]);
    let told = lab.until_asked("tag", 5).await;
    let bills: Vec<_> = told.iter().filter(|told| told.path.contains("/bill")).collect();
    assert_eq!(bills.len(), 3, "two were lost");
    for bill in &bills {
        assert_eq!(bill.path, "/better.lab/bill?m=7&p=6.5");
        assert_eq!(bill.header("idempotency-key"), bills[0].header("idempotency-key"));
        assert!(bill.header("idempotency-key").is_some_and(|key| key.ends_with("/b1/0")));
    }

    // Nothing was displayed, or it was not theirs: nothing is owed. What is told next shows that nothing was told before.
    exchange.sold(SlotId(10), &traces, &[0]);
    let nothing = SettledLot { spent: Default::default(), ..lot };
    exchange.settle(&Settlement { slot: SlotId(10), lots: vec![nothing] }, &[]);
    exchange.settle(&Settlement { slot: SlotId(11), lots: vec![lot] }, &[]);
    exchange.tell(&traces, |_| None);
    let told = lab.until_asked("tag", 7).await;
    assert_eq!(told.iter().filter(|told| told.path.contains("/bill")).count(), 3);
}
