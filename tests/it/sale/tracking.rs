//! Players that ask for their overlays as they would ask MediaTailor: a session, what stands, and what was seen.

use serde_json::{Value, json};

use super::PRICE;
use super::stage::Stage;
use crate::overlay::stage::TURN;
use crate::support::Viewer;
use crate::support::http::request;

const PLAYER: &str = "Mozilla/5.0 (Linux; Android 14) ExoPlayer";

async fn ask(stage: &Stage, method: &str, path: &str, body: &str) -> (u16, Value) {
    let headers = [("user-agent", PLAYER), ("content-type", "application/json")];
    let response = request(stage.server.http, method, path, &headers, body.as_bytes()).await;
    let status = response.status;
    let body = response.bytes().await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// A session: where to watch, and where to ask.
async fn session(stage: &Stage, body: &str) -> (String, String) {
    let (status, told) = ask(stage, "POST", "/v1/session/kitchen", body).await;
    assert_eq!(status, 200, "{told}");
    let link = |name: &str| told[name].as_str().expect("a link").to_owned();
    (link("manifestUrl"), link("trackingUrl"))
}

/// The path of a link to this server.
fn path<'a>(stage: &Stage, link: &'a Value) -> &'a str {
    let link = link.as_str().expect("a link");
    link.strip_prefix(&format!("http://{}", stage.server.http)).expect("a link to this server")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_is_told_what_stands_and_pays_once_for_what_was_seen() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| {
        config.sale.k = 1;
        // As long as a slow machine needs.
        config.sale.player_timeout = std::time::Duration::from_secs(600);
    })
    .await;
    let burned = session(&stage, "").await;
    assert_eq!(burned.0, "/hls/kitchen/index.m3u8", "who draws nothing watches the programme");
    let german = session(&stage, r#"{"lang":"de","consent":"1","tags":"tea & cake"}"#).await;
    assert_eq!(german.0, "/hls/kitchen/index.m3u8?lang=de&consent=1&tags=tea+%26+cake", "in his variant");
    let guided = json!({ "delivery": "guided" });
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", guided, 204).await;
    stage.campaign("5.00", "10.00", json!({ "targeting": { "devices": ["tv"] } })).await;
    let mut viewer = Viewer::rtmp(&stage.server, "kitchen").await;
    let (_, phone) = session(&stage, r#"{"device":"phone","consent":"1"}"#).await;
    let (manifest, tracking) = session(&stage, r#"{"adsParams":{"device":"tv","consent":"1"}}"#).await;
    let (status, _) = ask(&stage, "GET", &manifest, "").await;
    assert_eq!(status, 200);
    let nothing = json!({ "avails": [], "nonLinearAvails": [], "nextToken": null });
    assert_eq!(ask(&stage, "GET", &tracking, "").await, (200, nothing.clone()));

    let start = stage.soon(&mut viewer).await;
    let cue = stage.cue(json!({ "duration_ms": 4000, "start_ns": start })).await;
    let avail = loop {
        viewer.frames(5).await;
        let (_, told) = ask(&stage, "GET", &tracking, "").await;
        if let Some(avail) = told["avails"].get(0) {
            break avail.clone();
        }
    };
    let seconds = start as f64 / 1e9;
    assert_eq!((&avail["startTimeInSeconds"], &avail["durationInSeconds"]), (&json!(seconds), &json!(4.0)));
    let overlay = &avail["nonLinearAdsList"][0];
    assert_eq!((&avail["availId"], &overlay["adTitle"]), (&json!(cue), &json!("Soups & Co")));
    assert_eq!(ask(&stage, "GET", &phone, "").await.1, nothing, "its cohort was not sold");

    let image = &overlay["nonLinearAdList"][0];
    let (status, resource) = ask(&stage, "GET", path(&stage, &image["staticResource"]), "").await;
    assert_eq!((status, &resource["apps"][0]["placeholder"]), (200, &json!({ "left": 0.0, "top": 70.0 })));
    let picture = path(&stage, &resource["apps"][0]["data"]["source"][0]["url"]).to_owned();
    assert_eq!(request(stage.server.http, "GET", &picture, &[], b"").await.status, 200);

    let beacons: Vec<(&str, &Vec<Value>)> = overlay["trackingEvents"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            (event["eventType"].as_str().expect("a name"), event["beaconUrls"].as_array().expect("links"))
        })
        .collect();
    let names: Vec<&str> = beacons.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["firstQuartile", "midpoint", "thirdQuartile", "complete"]);
    let first = path(&stage, &beacons[0].1[0]).to_owned();
    assert_eq!(ask(&stage, "POST", &first, "").await.0, 403, "nothing was on the screen yet");
    for (quarter, (name, links)) in (1..).zip(&beacons) {
        // A moment later than it may be told.
        let due = start / 1_000_000 + quarter * 1000 + 200;
        while viewer.frame().await.dts < due {}
        for link in *links {
            let status = ask(&stage, "POST", path(&stage, link), "").await.0;
            assert_eq!(status, 204, "{name} at {quarter}");
        }
    }
    let viewers = std::slice::from_mut(&mut viewer);
    let settled = stage.settled(&cue, viewers).await;
    assert_eq!(settled["settled"]["spent"], PRICE, "told four times, and displayed once: {settled}");
    let (status, _) = ask(&stage, "GET", &format!("{tracking}x"), "").await;
    assert_eq!(status, 404, "a word that is not ours");
    assert_eq!(ask(&stage, "POST", "/v1/session/nowhere", "").await.0, 404);
    assert_eq!(ask(&stage, "POST", "/v1/session/kitchen", "{").await.0, 400);

    // Nobody makes an audience of one address: two are there.
    for more in 0..98 {
        assert_eq!(ask(&stage, "POST", "/v1/session/kitchen", "").await.0, 200, "{more}");
    }
    assert_eq!(ask(&stage, "POST", "/v1/session/kitchen", "").await.0, 503);
    assert_eq!(ask(&stage, "GET", &tracking, "").await.0, 200, "who is there stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sold_for_a_player_that_asks_no_more() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| config.sale.player_timeout = std::time::Duration::from_millis(500)).await;
    let guided = json!({ "delivery": "guided" });
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", guided, 204).await;
    stage.campaign("5.00", "10.00", json!({})).await;
    let mut viewer = Viewer::rtmp(&stage.server, "kitchen").await;
    let (_, tracking) = session(&stage, "").await;
    let sold = async |viewer: &mut Viewer, is_there: bool| {
        if !is_there {
            let forgotten = viewer.frame().await.dts + 2000;
            while viewer.frame().await.dts < forgotten {}
        }
        let start = stage.soon(viewer).await;
        let cue = stage.cue(json!({ "duration_ms": 1000, "start_ns": start })).await;
        loop {
            viewer.frames(5).await;
            if is_there {
                assert_eq!(ask(&stage, "GET", &tracking, "").await.0, 200);
            }
            let shown = stage.show(&cue).await;
            if shown["stage"] == "over" {
                return shown["outcome"]["what"].as_str().expect("an outcome").to_owned();
            }
        }
    };
    assert_eq!(sold(&mut viewer, true).await, "completed");
    assert_eq!(sold(&mut viewer, false).await, "no_audience");
    // Who comes back is an audience again.
    assert_eq!(sold(&mut viewer, true).await, "completed");
}
