//! Who is told that a bid has won, lost, or is owed for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use serde_json::{Value, json};
use tokio::time::timeout;

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

/// Bids with a wrapper whose image is gone.
fn answer_in_vain(asked: Asked) -> Answer {
    Box::pin(async move {
        if asked.host != "good.lab" {
            return match asked.path.split_once('/').unwrap_or_default().1.split_once('/') {
                Some(("inline", port)) => reply(200, inline(port)),
                _ => reply(404, Body::empty()),
            };
        }
        let request: Value = serde_json::from_slice(&asked.body).unwrap();
        let port = asked.header("x-port").unwrap();
        let adm = format!(
            "<VAST version='4.2'><Ad><Wrapper><AdSystem>s</AdSystem><VASTAdTagURI>https://tag.lab:{port}/inline/{port}\
             </VASTAdTagURI><Error>https://tag.lab:{port}/wrapper?c=[ERRORCODE]&amp;s=${{AUCTION_SEAT_ID}}</Error>\
             <Impression>about:blank</Impression></Wrapper></Ad></VAST>"
        );
        let bid = json!({
            "id": "b1", "impid": "1", "price": 6.5, "crid": "cr", "adomain": ["brand.example"], "mtype": 2, "adm": adm,
        });
        let seats = json!([{ "seat": "s7", "bid": [bid] }]);
        reply(200, json!({ "id": request["id"], "cur": "USD", "seatbid": seats }).to_string())
    })
}

fn inline(port: &str) -> String {
    format!(
        "<VAST version='4.2'><Ad><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle><Impression>about:blank</Impression>\
         <Error>https://tag.lab:{port}/inline?c=[ERRORCODE]</Error><Creatives><Creative><NonLinearAds>\
         <NonLinear width='1920' height='324'><StaticResource creativeType='image/png'>https://cdn.lab:{port}/a.png\
         </StaticResource></NonLinear></NonLinearAds></Creative></Creatives></InLine></Ad></VAST>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_document_names_is_told_that_its_image_cannot_be_had() {
    let lab = Lab::open(answer_in_vain).await;
    let (exchange, _) = lab.exchange(vec![lab.bidder("good")]).await;
    exchange.offers(&[auction()], clock::monotonic() + LONG).await;
    let told = timeout(LONG, lab.until_asked("tag", 3)).await.expect("three calls");
    let mut paths: Vec<String> = told.iter().map(|told| told.path.clone()).collect();
    paths.sort_unstable();
    let document = format!("/inline/{}", lab.port);
    assert_eq!(paths, [document.as_str(), "/inline?c=502", "/wrapper?c=502&s=s7"]);
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
