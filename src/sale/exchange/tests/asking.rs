//! Who is asked, until when, and what bad bidders change for the others: nothing.

use std::future::pending;
use std::io::Read as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use flate2::read::GzDecoder;
use http::Version;

use super::stage::{Answer, Asked, LONG, Lab, PNG, auction, bid, broken_off, endless, redirect, reply};
use crate::auction::bidder::openrtb::Settings;
use crate::auction::{Auction, Offer, Trace};
use crate::clock;
use crate::ledger::{Event, Lot, Receipt, Reservation};
use crate::metrics::Metrics;
use crate::money::{Money, Share};
use crate::sale::exchange::Exchange;
use crate::sale::exchange::account::account;

/// Those that never help.
const BAD: [&str; 8] = ["hung", "late", "huge", "endless", "garbage", "moved", "broken", "hostile"];

fn answer(asked: Asked) -> Answer {
    Box::pin(async move {
        match asked.host.as_str() {
            "good.lab" => bid(&asked, 5.0),
            "better.lab" => bid(&asked, 6.5),
            "cdn.lab" => reply(200, PNG),
            "tag.lab" => reply(204, Body::empty()),
            "hung.lab" => pending().await,
            // Longer than anybody waits, and an answer all the same.
            "late.lab" => {
                tokio::time::sleep(2 * LONG).await;
                bid(&asked, 900.0)
            }
            "huge.lab" => reply(200, vec![b'['; 10 << 20]),
            "endless.lab" => reply(200, endless()),
            "garbage.lab" => reply(200, &b"\x1f\x8b{\"id\":\xff\xfe[[[[["[..]),
            "moved.lab" => redirect("http://169.254.169.254/latest/meta-data"),
            "broken.lab" => reply(500, "sorry"),
            "cut.lab" => reply(200, broken_off()),
            // Deeper than any reader goes.
            "hostile.lab" => reply(200, "[".repeat(200_000)),
            host => panic!("nobody is asked at {host}"),
        }
    })
}

fn good(lab: &Lab) -> Vec<Settings> {
    ["good", "better"].map(|name| lab.bidder(name)).into()
}

fn bad(lab: &Lab) -> impl Iterator<Item = Settings> {
    BAD.into_iter().map(|name| Settings { timeout: Duration::from_millis(200), ..lab.bidder(name) })
}

async fn ask(exchange: &Exchange, auctions: &[Auction]) -> Vec<Vec<Offer>> {
    exchange.offers(auctions, clock::monotonic() + LONG).await
}

/// Asks until the creatives are at hand.
async fn ask_until_ready(exchange: &Exchange) -> Vec<Offer> {
    loop {
        let offers = ask(exchange, &[auction()]).await.remove(0);
        let is_ready = |name: &str| {
            let offer = offers.iter().find(|offer| &*offer.bidder == name);
            offer.is_some_and(|offer| offer.bids.iter().any(|bid| bid.is_ready))
        };
        if is_ready("good") && is_ready("better") {
            return offers;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b33_bad_bidders_change_nothing_for_good_ones() {
    let lab = Lab::open(answer).await;
    let (alone, _) = lab.exchange(good(&lab)).await;
    let [first, last] = <[Settings; 2]>::try_from(good(&lab)).unwrap();
    let all: Vec<Settings> = std::iter::once(first).chain(bad(&lab)).chain([last]).collect();
    let (crowded, _) = lab.exchange(all).await;
    let expected = ask_until_ready(&alone).await;
    let mut wins = 0;
    for round in 0..12 {
        let offers = if round == 0 {
            ask_until_ready(&crowded).await
        } else {
            ask(&crowded, &[auction()]).await.remove(0)
        };
        assert_eq!(offers.len(), 2 + BAD.len());
        for name in ["good", "better"] {
            let of = |offers: &[Offer]| offers.iter().find(|offer| &*offer.bidder == name).cloned();
            assert_eq!(of(&offers), of(&expected), "round {round}");
        }
        for offer in offers.iter().filter(|offer| BAD.contains(&&*offer.bidder)) {
            assert!(offer.bids.is_empty() && offer.failure.is_some(), "{offer:?}");
        }
        let [alone, crowded] = [&expected, &offers].map(|offers| Trace::of(auction(), offers.clone()));
        let winner = |trace: &Trace| {
            let place = trace.decision.winner.expect("somebody bids");
            (trace.offers[place.offer].bidder.clone(), trace.decision.price, trace.decision.min_to_win)
        };
        assert_eq!(winner(&alone), winner(&crowded));
        wins += usize::from(&*winner(&crowded).0 == "better");
    }
    assert_eq!(wins, 12);
    // Each was spared after five failures in a row, at the latest.
    for name in BAD {
        let count = lab.asked(name).len();
        assert!((1..=10).contains(&count), "{name} was asked {count} times");
        let offers = ask(&crowded, &[auction()]).await.remove(0);
        let offer = offers.iter().find(|offer| &*offer.bidder == name).unwrap();
        assert!(offer.failure.as_deref().is_some_and(|why| why.starts_with("not asked")), "{offer:?}");
        assert_eq!(lab.asked(name).len(), count, "{name} is spared");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b33_who_hangs_is_not_waited_for_after_the_deadline() {
    let lab = Lab::open(answer).await;
    let names = ["hung", "late"];
    let (exchange, _) = lab.exchange(names.map(|name| lab.bidder(name)).into()).await;
    // They are waited for as long as a minute, each; the deadline is what ends it. It holds for all cohorts together.
    let deadline = clock::monotonic() + Duration::from_millis(300);
    let offers = exchange.offers(&[auction(), auction(), auction()], deadline).await;
    assert_eq!(offers.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
    for offer in offers.iter().flatten() {
        assert_eq!(offer.failure.as_deref(), Some("no answer in time"), "{offer:?}");
    }
    // A deadline that is over asks nobody for anything that is waited for.
    let offers = exchange.offers(&[auction()], clock::monotonic()).await;
    assert!(offers[0].iter().all(|offer| offer.failure.is_some()));
}

/// How far beyond the deadline the offers come: `ONAIR_DEADLINE_ROUNDS=1000 cargo test half_of_them -- --nocapture` for figures.
#[tokio::test(flavor = "multi_thread")]
async fn half_of_them_hang_and_nobody_waits_for_them() {
    let rounds = std::env::var("ONAIR_DEADLINE_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let lab = Lab::open(answer).await;
    let named = |name: String, host: &str| Settings { url: lab.link(host, "/rtb"), ..lab.bidder(&name) };
    let (mut beyond, mut heard, mut asked) = (Vec::new(), 0, 0);
    for round in 1..=rounds {
        let good = (0..5).map(|number| named(format!("good-{number}"), "good"));
        let hung = (0..5).map(|number| named(format!("hung-{number}"), "hung"));
        let (exchange, _) = lab.exchange(good.chain(hung).collect()).await;
        // Connections first; a fifth failure in a row would have the hung ones spared.
        exchange.offers(&[auction()], clock::monotonic()).await;
        lab.until_asked("good", round * 20 - 15).await;
        for _ in 0..3 {
            let deadline = clock::monotonic() + Duration::from_millis(150);
            let offers = exchange.offers(&[auction()], deadline).await.remove(0);
            beyond.push(clock::monotonic().saturating_duration_since(deadline));
            let (good, hung) = offers.split_at(5);
            assert!(
                hung.iter().all(|offer| offer.failure.as_deref() == Some("no answer in time")),
                "{hung:?}"
            );
            heard += good.iter().filter(|offer| offer.bids.len() == 1).count();
            asked += good.len();
        }
        lab.until_asked("good", round * 20).await;
    }
    beyond.sort();
    let at = |share: f64| beyond[((beyond.len() - 1) as f64 * share).round() as usize];
    println!(
        "{} decisions, {heard} of {asked} offers of those that answer; beyond the deadline p50 {:?}, p99 {:?}, p99.9 {:?}",
        beyond.len(),
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_longer_to_be_reached_than_to_answer_is_reached_all_the_same() {
    let lab = Lab::open(answer).await;
    let (exchange, _) = lab.exchange(vec![lab.bidder("good")]).await;
    // There is no time at all for it, and the connection comes about.
    let offers = exchange.offers(&[auction()], clock::monotonic()).await;
    assert!(offers[0][0].failure.is_some());
    lab.until_asked("good", 1).await;
    let connections = lab.connections.load(Ordering::Relaxed);
    assert_eq!(connections, 1);
    let offers = ask(&exchange, &[auction()]).await;
    assert_eq!(offers[0][0].bids.len(), 1);
    lab.until_asked("cdn", 1).await;
    assert_eq!(lab.connections.load(Ordering::Relaxed), connections + 1, "only the image needed another");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cohort_is_asked_for_and_nobody_is_mixed_up() {
    let lab = Lab::open(answer).await;
    let (exchange, _) = lab.exchange(good(&lab)).await;
    let auctions: Vec<Auction> = (0..8).map(|seed| Auction { seed, ..auction() }).collect();
    let offers = ask(&exchange, &auctions).await;
    for offers in &offers {
        let prices: Vec<_> =
            offers.iter().map(|offer| (offer.bidder.to_string(), offer.bids[0].price.as_nanos())).collect();
        // An answer to another auction would have been refused.
        assert_eq!(prices, [("good".to_owned(), 5_000_000), ("better".to_owned(), 6_500_000)]);
    }
    let (nobody, _) = lab.exchange(Vec::new()).await;
    assert_eq!(ask(&nobody, &auctions).await, vec![Vec::new(); 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_a_connection_and_are_compressed_where_that_is_wanted() {
    let lab = Lab::open(answer).await;
    let settings = Settings { gzip: true, ..lab.bidder("good") };
    let (exchange, _) = lab.exchange(vec![settings]).await;
    for _ in 0..5 {
        let offers = ask(&exchange, &[auction()]).await;
        // Our host reads no gzip: to it this is nonsense that it does not answer.
        assert!(offers[0][0].failure.is_some());
    }
    let asked = lab.asked("good");
    let mut text = String::new();
    GzDecoder::new(&asked[0].body[..]).read_to_string(&mut text).unwrap();
    let request: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(request["tmax"], 60_000);
    assert_eq!((asked[0].header("content-encoding"), asked[0].version), (Some("gzip"), Version::HTTP_2));
    assert_eq!(asked[0].header("x-openrtb-version"), Some("2.6"));
    let (exchange, _) = lab.exchange(good(&lab)).await;
    let before = lab.connections.load(Ordering::Relaxed);
    for _ in 0..5 {
        ask(&exchange, &[auction()]).await;
    }
    lab.until_asked("cdn", 1).await;
    // One for each bidder, and one for each bidder's image.
    assert!(lab.connections.load(Ordering::Relaxed) - before <= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_off_is_not_taken_for_somebody_who_says_too_much() {
    let lab = Lab::speaking(&["http/1.1"], answer).await;
    let metrics = Metrics::new();
    let bidders = ["cut", "endless"].map(|name| lab.bidder(name)).into();
    let (exchange, _) = lab.counted(bidders, &metrics).await;
    ask(&exchange, &[auction()]).await;
    let text = metrics.text();
    for counted in ["{bidder=\"cut\",result=\"unreachable\"} 1", "{bidder=\"endless\",result=\"too_long\"} 1"]
    {
        assert!(text.contains(counted), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_credit_left_is_not_asked() {
    let lab = Lab::open(answer).await;
    let (exchange, ledger) = lab.exchange(good(&lab)).await;
    let campaign = account("good");
    let price = Money::from_nanos(100_000_000_000);
    let lot = Lot { campaign, creative: 1, price, audience: 1, cohort: "all".to_owned() };
    let slot = auction().context.slot.clone();
    let reservation = Reservation { slot, share: Share::percent(55), deadline: i64::MAX, lots: vec![lot] };
    let receipt = ledger.submit(Event::Reserve(reservation)).await.unwrap();
    assert!(matches!(receipt, Receipt::Reserved { .. }));
    let offers = ask(&exchange, &[auction()]).await.remove(0);
    assert_eq!(offers[0].failure.as_deref(), Some("not asked: its credit is used up"));
    assert!(!offers[1].bids.is_empty());
    assert!(lab.asked("good").is_empty());
}
