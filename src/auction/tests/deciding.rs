//! The ranking, the reasons, and that a trace decides the same again.

use super::*;
use crate::auction::bid::{FILL_IN, MAX_BIDS};
use crate::auction::decide::BidPlace;
use crate::ledger::DisplayClass;
use crate::random::Random;

fn bid(id: &str, price: i64) -> Bid {
    Bid {
        id: id.into(),
        campaign: CampaignId(id.len() as u64),
        creative: 1,
        format: OverlayFormat::LowerThird,
        is_ready: true,
        categories: words([]),
        accepts_server_counts: false,
        price: Money::from_nanos(price),
        deal: None,
        floor: None,
        priority: 10,
    }
}

fn under_deal(id: &str, price: i64, deal: &str) -> Bid {
    Bid { deal: Some(deal.into()), ..bid(id, price) }
}

fn trace(auction: Auction, bids: Vec<Bid>) -> Trace {
    Trace::of(auction, vec![Offer { bidder: "one".into(), bids, ..Offer::default() }])
}

fn reasons(trace: &Trace) -> Vec<Option<LossReason>> {
    trace.decision.verdicts.iter().map(|verdict| verdict.why_not).collect()
}

#[test]
fn priority_then_deals_then_price_and_the_first_price_is_paid() {
    let first = Bid { priority: 1, ..bid("first", 110) };
    let deal = under_deal("deal", 160, "deal");
    let bids = vec![bid("dear", 900), deal.clone(), first, bid("cheap", 120)];
    let decided = trace(auction(1), bids.clone());
    let decision = &decided.decision;
    assert_eq!((decision.winner, decision.price.as_nanos()), (Some(BidPlace { offer: 0, bid: 2 }), 110));
    assert_eq!(
        (decision.runner_up, decision.min_to_win.as_nanos()),
        (Some(BidPlace { offer: 0, bid: 1 }), 100)
    );
    let behind = Some(LossReason::Priority);
    assert_eq!(reasons(&decided), [behind, behind, None, behind]);

    let decided = trace(auction(1), vec![bids[0].clone(), deal, bid("cheap", 120)]);
    assert_eq!(reasons(&decided), [Some(LossReason::LostToDeal), None, Some(LossReason::LostToDeal)]);
    assert_eq!(decided.decision.min_to_win.as_nanos(), 150, "the deal's floor");

    let decided = trace(auction(1), vec![bid("cheap", 120), bid("dear", 900)]);
    assert_eq!(reasons(&decided), [Some(LossReason::Outbid), None]);
    assert_eq!(decided.decision.min_to_win.as_nanos(), 120);
    let lot = decided.lot().unwrap();
    assert_eq!((lot.price.as_nanos(), lot.audience, lot.cohort.as_str()), (900, 1000, "at/en/phone"));
}

#[test]
fn every_bid_has_its_reason() {
    let blocked = Bid { categories: words(["betting"]), ..bid("blocked", 500) };
    let cases = [
        (bid("free", 0), LossReason::Price),
        (bid("negative", -5), LossReason::Price),
        (Bid { format: OverlayFormat::Corner, ..bid("corner", 500) }, LossReason::Format),
        (Bid { is_ready: false, ..bid("unready", 500) }, LossReason::Creative),
        (blocked, LossReason::BlockedCategory),
        (under_deal("foreign", 500, "another"), LossReason::UnknownDeal),
        (under_deal("low deal", 149, "deal"), LossReason::BelowDealFloor),
        (bid("low", 99), LossReason::BelowFloor),
    ];
    let mut sale = auction(1);
    let mut blocking = context();
    blocking.blocked_categories = words(["betting"]);
    sale.context = Arc::new(blocking);
    let bids: Vec<Bid> = cases.iter().map(|(bid, _)| bid.clone()).collect();
    let decided = trace(sale.clone(), bids);
    let expected: Vec<_> = cases.iter().map(|(_, why)| Some(*why)).collect();
    assert_eq!((reasons(&decided), decided.decision.winner, decided.lot()), (expected, None, None));

    let server = Context { class: DisplayClass::Server, ..context() };
    sale.context = Arc::new(server);
    let accepting = Bid { accepts_server_counts: true, ..bid("accepting", 100) };
    let decided = trace(sale, vec![bid("page only", 500), accepting]);
    assert_eq!(reasons(&decided), [Some(LossReason::ServerCounts), None]);

    let decided = trace(auction(1), (0..=MAX_BIDS).map(|n| bid(&n.to_string(), 100 + n as i64)).collect());
    assert_eq!(decided.decision.winner, Some(BidPlace { offer: 0, bid: MAX_BIDS - 1 }));
    assert_eq!(reasons(&decided)[MAX_BIDS], Some(LossReason::TooMany));
}

#[test]
fn fill_ins_need_no_floor_and_come_last() {
    let fill_in = Bid { priority: FILL_IN, ..bid("house", 0) };
    let decided = trace(auction(1), vec![fill_in.clone(), bid("low", 99)]);
    assert_eq!(reasons(&decided), [None, Some(LossReason::BelowFloor)]);
    let decided = trace(auction(1), vec![fill_in, bid("paying", 100)]);
    assert_eq!(reasons(&decided), [Some(LossReason::Priority), None]);
}

#[test]
fn equals_win_equally_often_whoever_else_there_is() {
    let mut wins = [0, 0];
    for seed in 0..4000 {
        let both = trace(auction(seed), vec![bid("a", 200), bid("b", 200)]);
        let winner = both.decision.winner.unwrap().bid;
        wins[winner] += 1;
        assert_eq!(reasons(&both)[1 - winner], Some(LossReason::Tie));
        let swapped = trace(auction(seed), vec![bid("b", 200), bid("a", 200)]);
        assert_eq!(swapped.decision.winner.unwrap().bid, 1 - winner, "their order means nothing");
        let nonsense = Offer { bidder: "zero".into(), failure: Some("garbage".into()), ..Offer::default() };
        let poor = Offer { bidder: "poor".into(), bids: vec![bid("a", 150)], ..Offer::default() };
        let more = Trace::of(auction(seed), vec![nonsense, poor, both.offers[0].clone()]);
        assert_eq!(more.decision.winner, Some(BidPlace { offer: 2, bid: winner }));
    }
    assert!(wins.iter().all(|wins| (1850..2150).contains(wins)), "{wins:?}");
}

#[test]
fn a_trace_decides_the_same_again() {
    let mut random = Random::new(5);
    let mut won = 0;
    for seed in 0..500 {
        let offers: Vec<Offer> = (0..random.below(4))
            .map(|bidder| {
                let bids = (0..random.below(6)).map(|number| Bid {
                    priority: [1, 10, FILL_IN][random.below(3)],
                    deal: [None, None, Some("deal".into()), Some("another".into())][random.below(4)].clone(),
                    is_ready: random.below(5) > 0,
                    ..bid(&number.to_string(), 90 + random.below(4) as i64 * 30)
                });
                Offer { bidder: bidder.to_string().into(), bids: bids.collect(), ..Offer::default() }
            })
            .collect();
        let decided = Trace::of(auction(seed), offers);
        won += usize::from(decided.decision.winner.is_some());
        let kept: Trace = serde_json::from_str(&serde_json::to_string(&decided).unwrap()).unwrap();
        assert_eq!(kept, decided);
        assert!(kept.is_reproducible());
        let bids: usize = kept.offers.iter().map(|offer| offer.bids.len()).sum();
        assert_eq!(kept.decision.verdicts.len(), bids, "each has its verdict");
        let winners = kept.decision.verdicts.iter().filter(|verdict| verdict.why_not.is_none()).count();
        assert_eq!(winners, usize::from(kept.decision.winner.is_some()));
        if let Some(winner) = kept.decision.winner {
            let mut forged = kept;
            forged.offers[winner.offer].bids[winner.bid].is_ready = false;
            assert!(!forged.is_reproducible(), "a trace that was tampered with is not");
        }
    }
    assert!(won > 200, "{won}");
}
