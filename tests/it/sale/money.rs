//! Slots that are sold twice at once: burned in to a campaign, drawn by pages to a bidder outside. Every nano is somebody's.

use serde_json::{Value, json};

use super::bidder::{self, Dsp};
use super::guided::{Page, tell, until};
use super::{PRICE, nanos};
use crate::overlay::stage::{TURN, count};
use crate::support::{Viewer, in_time};

/// Slots that the bidder wins in an ordinary run; `ONAIR_MONEY_SLOTS` for more.
const SLOTS: usize = 1;
/// What is paid into the campaign, in units and in nanos.
const BUDGET: (&str, i64) = ("1000.00", 1_000_000_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programme_and_pages_are_sold_to_different_buyers_and_each_pays_for_what_was_seen() {
    let _turn = TURN.lock().await;
    let slots = count("ONAIR_MONEY_SLOTS", SLOTS);
    let dsp = Dsp::open().await;
    // What the server counts it does not take: pages are all that it buys.
    let stage = dsp.stage(false).await;
    let both = json!({ "delivery": "guided_and_burned" });
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", both, 204).await;
    let campaign = stage.campaign("5.00", BUDGET.0, json!({})).await;
    let mut viewers = Viewer::of_each(&stage.server, "kitchen").await;
    let mut pages = Vec::new();
    for _ in 0..3 {
        pages.push(Page::open(&stage, "").await);
    }
    let (mut burned, mut drawn, mut bought) = (0, 0, 0);
    // In the first the bidder's creative is not at hand yet, and the campaign has all of it.
    for slot in 0..=slots {
        let start = stage.soon(&mut viewers[0]).await;
        let cue = stage.cue(json!({ "duration_ms": 2500, "start_ns": start })).await;
        let (mut tokens, mut seen_at) = (Vec::new(), 0);
        for page in &mut pages {
            let placement = page.placement().await;
            assert_eq!(placement["id"], json!(cue));
            tokens.push(placement["token"].as_str().expect("a token").to_owned());
            seen_at = placement["began_at"].as_i64().expect("a time") + start / 1_000_000 + 1100;
        }
        until(&mut viewers[0], seen_at).await;
        // Not all of them see it; those who do tell it more than once, and not in the order in which they came.
        let seen_by = 1 + slot % tokens.len();
        for token in tokens.iter().take(seen_by).rev().chain(tokens.iter().take(seen_by)) {
            assert_eq!(tell(&stage, "POST", &format!("/i/{token}/display")).await, 204);
        }
        let settled = stage.settled(&cue, &mut viewers).await;
        let [program, of_pages] = [0, 1].map(|trace| buyer(&settled["traces"][trace]));
        let is_bidders = slot > 0;
        assert_eq!((program, of_pages), ("house", if is_bidders { "dsp" } else { "house" }), "{settled}");
        let seen_by = seen_by as i64;
        let price = if is_bidders { bidder::PRICE } else { PRICE };
        let spent = viewers.len() as i64 * PRICE + seen_by * price;
        assert_eq!(settled["settled"]["spent"], spent, "{settled}");
        burned += viewers.len() as i64;
        // Nobody falls behind: who does misses pictures, and is not paid for.
        let newest = viewers[0].frame().await.dts;
        for viewer in &mut viewers[1..] {
            while viewer.frame().await.dts < newest {}
        }
        if is_bidders {
            bought += seen_by;
        } else {
            drawn += seen_by;
            let ready = r#"onair_bidder_creatives_total{bidder="dsp",result="ready"}"#;
            stage.server.until_counted(ready, 1.0).await;
        }
    }

    let money = stage.operator("GET", &format!("/api/v1/campaigns/{campaign}"), Value::Null, 200).await;
    assert_eq!(nanos(&money["budget"]), BUDGET.1 - (burned + drawn) * PRICE);
    let bills =
        || dsp.calls().iter().filter_map(|call| call.strip_prefix("/bill?m=")?.parse::<i64>().ok()).collect();
    let bills: Vec<i64> = in_time("all bills", async {
        loop {
            let bills: Vec<i64> = bills();
            if bills.len() == slots {
                return bills;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(bills.iter().sum::<i64>(), bought, "{bills:?}");
    let requests = dsp.requests.lock().expect("no panic").clone();
    assert!(
        requests.iter().all(|request| request["imp"][0]["ssai"] == 1),
        "of the programme it is told nothing"
    );

    let report = stage.operator("GET", "/api/v1/reports?channel=kitchen", Value::Null, 200).await;
    let [client, server] = ["client", "server"].map(|class| &report["total"][class]);
    assert_eq!((&client["charged"], &server["charged"]), (&json!(drawn + bought), &json!(burned)));
    assert_eq!((&client["free"], &server["free"]), (&json!(0), &json!(0)), "{report}");
    assert_eq!(nanos(&client["spent"]), drawn * PRICE + bought * bidder::PRICE);
    assert_eq!(nanos(&server["spent"]), burned * PRICE);
}

/// Who has won an auction.
fn buyer(trace: &Value) -> &str {
    let place = &trace["decision"]["winner"];
    let offer = place["offer"].as_u64().expect("somebody has won");
    trace["offers"][offer as usize]["bidder"].as_str().expect("a name")
}
