//! The sale on a live stream: whoever opens the slot, the right overlay is on the exact frames, and the money is right.

mod bidder;
mod guided;
mod money;
mod stage;
mod tracking;
mod variants;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onair::format::amf::Value as Amf;
use onair::format::scte35::slot;
use onair::media::{Cue, CueId, CueOrigin, CueState, MediaTime};
use serde_json::{Value, json};

use crate::overlay::stage::TURN;
use crate::overlay::{decode, number_and_overlay};
use crate::support::{Fixture, Viewer, http};
use stage::{RECORDING, Stage};

/// 5.00 for a thousand impressions, in nanos for one.
const PRICE: i64 = 5_000_000;
const SIZE: (usize, usize) = (320, 180);

/// The overlay is on exactly the frames that the cue tells, the first of them the first at or after its start, and every
/// picture is there once.
async fn check_pictures(viewer: &Viewer, cues: &[Value]) {
    let mut times: Vec<i64> =
        viewer.packets().iter().filter(|packet| packet.is_video()).map(|p| p.dts).collect();
    let decoded = decode(&viewer.recording(), ".flv", SIZE, number_and_overlay).await;
    assert_eq!(decoded.len(), times.len(), "{}: every picture is decoded", viewer.protocol);
    times.sort_unstable();
    let count = Fixture::read(RECORDING).expected().iter().filter(|packet| packet.is_video()).count();
    let ns = |cue: &Value, field: &str| cue["shown"][field].as_i64().expect("it was shown") / 1_000_000;
    for (place, (time, (number, overlaid))) in times.iter().zip(&decoded).enumerate() {
        let on = cues.iter().any(|cue| (ns(cue, "first_pts_ns")..=ns(cue, "last_pts_ns")).contains(time));
        assert_eq!(*overlaid, on, "{}: at {time} ms", viewer.protocol);
        let begins = usize::from(decoded[0].0);
        assert_eq!(usize::from(*number), (begins + place) % count, "{}: in order", viewer.protocol);
    }
    for cue in cues {
        let start = cue["start_ns"].as_i64().expect("a start") as f64 / 1e6;
        let first = times.iter().find(|time| **time as f64 >= start - 0.5).expect("a picture");
        assert_eq!(ns(cue, "first_pts_ns"), *first, "{}: on the exact frame: {cue}", viewer.protocol);
    }
}

fn nanos(units: &Value) -> i64 {
    units.as_str().expect("an amount").replace('.', "").parse().expect("an amount with nine places")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cue_over_the_api_is_sold_shown_charged_settled_and_reported() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|_| {}).await;
    let campaign = stage.campaign("5.00", "10.00", json!({})).await;
    let outbid = stage.campaign("4.00", "10.00", json!({})).await;
    let elsewhere = json!({ "targeting": { "channels": ["garden"] } });
    let passed = stage.campaign("9.00", "10.00", elsewhere).await;
    let mut viewers = Viewer::of_each(&stage.server, "kitchen").await;
    for viewer in &mut viewers {
        viewer.frames(100).await;
    }
    let start = stage.soon(&mut viewers[0]).await;
    let cue = stage.cue(json!({ "duration_ms": 2000, "format": "lower_third", "start_ns": start })).await;
    let over = stage.over(&cue, &mut viewers).await;
    assert_eq!(over["outcome"], json!({ "what": "completed" }), "{over}");
    assert_eq!(over["sold"]["units"], json!([3]), "two viewers, and a fifth more that may join: {over}");

    let trace = &over["traces"][0];
    assert_eq!(
        (&trace["auction"]["audience"], &trace["auction"]["context"]["class"]),
        (&json!(2), &json!("server"))
    );
    let bids = trace["offers"][0]["bids"].as_array().expect("bids");
    let verdicts = trace["decision"]["verdicts"].as_array().expect("verdicts");
    let of = |campaign: u64| {
        let place = bids.iter().position(|bid| bid["campaign"] == campaign).expect("a bid");
        verdicts.iter().find(|verdict| verdict["bid"]["bid"] == place).expect("a verdict")["why_not"].clone()
    };
    assert_eq!((of(campaign), of(outbid)), (Value::Null, json!("outbid")));
    let pass = json!([{ "campaign": passed, "why": "channel" }]);
    assert_eq!(trace["offers"][0]["passes"], pass);

    let settled = stage.settled(&cue, &mut viewers).await;
    assert_eq!(settled["settled"], json!({ "reserved": 3 * PRICE, "spent": 2 * PRICE }), "{settled}");
    let path = format!("/api/v1/campaigns/{campaign}");
    let money = stage.operator("GET", &path, Value::Null, 200).await;
    assert_eq!(nanos(&money["budget"]), 10_000_000_000 - 2 * PRICE);
    assert_eq!(nanos(&money["reserved"]), 0);
    let metrics = stage.server.metrics().await;
    assert_eq!(metrics.value("onair_sale_displays_total{result=\"charged\"}"), 2.0);
    assert_eq!(metrics.value("onair_sale_slots_total{outcome=\"completed\"}"), 1.0);
    for viewer in &viewers {
        check_pictures(viewer, std::slice::from_ref(&settled)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schedule_and_every_dialect_of_the_stream_lead_to_the_right_overlay() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| {
        config.cues.publisher_cues = true;
        config.cues.schedule_after = Duration::from_secs(28);
        config.cues.schedule_every = Duration::from_secs(600);
        config.cues.default_duration = Duration::from_millis(1500);
    })
    .await;
    stage.campaign("5.00", "10.00", json!({})).await;
    let mut viewers = Viewer::of_each(&stage.server, "kitchen").await;
    for viewer in &mut viewers {
        viewer.frames(50).await;
    }
    let mut cues = Vec::new();
    let mut ids = Vec::new();
    let youtube = Amf::object([
        ("type", "com.youtube.cuepoint".into()),
        ("version", "0.1".into()),
        ("pre_roll_time_sec", 2.5.into()),
        ("cue_point_start", true.into()),
        ("break_duration_sec", 1.5.into()),
        ("splice_event_id", 71.0.into()),
    ]);
    let elemental = |at: f64| {
        let parameters = Amf::object([("duration", "1.5".into()), ("id", "e-1".into())]);
        Amf::object([
            ("name", "scte35".into()),
            ("time", at.into()),
            ("type", "event".into()),
            ("parameters", parameters),
        ])
    };
    let primetime = |at: MediaTime| {
        let cue = Cue {
            id: CueId::new("p-1"),
            revision: 1,
            state: CueState::Announced,
            start: at,
            duration: Some(MediaTime::from_millis(1500)),
            origin: CueOrigin::Publisher,
            scte35: None,
        };
        let section = STANDARD.encode(slot::overlay_start(&cue));
        Amf::object([
            ("cue", section.as_str().into()),
            ("type", "scte35".into()),
            ("id", "p-1".into()),
            ("duration", 1.5.into()),
            ("elapsed", 0.0.into()),
            ("time", (at.as_millis() as f64 / 1000.0).into()),
        ])
    };
    for dialect in ["youtube", "elemental", "primetime", "schedule"] {
        let newest = viewers[0].frame().await.dts;
        let soon = newest + 2500;
        match dialect {
            "youtube" => stage.say(&["onCuePoint".into(), youtube.clone()]).await,
            "elemental" => stage.say(&["onCuePoint".into(), elemental(soon as f64 / 1000.0)]).await,
            "primetime" => stage.say(&["onAdCue".into(), primetime(MediaTime::from_millis(soon))]).await,
            _ => {}
        }
        let id = stage.next_cue(&ids, &mut viewers).await;
        let cue = stage.over(&id, &mut viewers).await;
        let origin = if dialect == "schedule" { "schedule" } else { "publisher" };
        assert_eq!(cue["origin"], origin, "{dialect}: {cue}");
        assert_eq!(cue["outcome"], json!({ "what": "completed" }), "{dialect}: {cue}");
        ids.push(id);
        cues.push(cue);
    }
    let settled = stage.settled(&ids[3], &mut viewers).await;
    assert_eq!(settled["settled"]["spent"], 2 * PRICE, "{settled}");
    for viewer in &viewers {
        check_pictures(viewer, &cues).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_buys_leaves_the_stream_as_it_is() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|_| {}).await;
    let cue = stage.cue(json!({ "duration_ms": 1000 })).await;
    let nobody = stage.over(&cue, &mut []).await;
    assert_eq!(nobody["outcome"], json!({ "what": "no_audience" }));
    // Below the floor, without money, and not to be counted by the server.
    let below = stage.campaign("0.90", "10.00", json!({})).await;
    let poor = stage.campaign("5.00", "0", json!({})).await;
    let guided = stage.campaign("5.00", "10.00", json!({ "accepts_server_counts": false })).await;
    let mut viewers = Viewer::of_each(&stage.server, "kitchen").await;
    for viewer in &mut viewers {
        viewer.frames(50).await;
    }
    let start = stage.soon(&mut viewers[0]).await;
    let cue = stage.cue(json!({ "duration_ms": 1000, "start_ns": start })).await;
    let over = stage.over(&cue, &mut viewers).await;
    assert_eq!(over["outcome"], json!({ "what": "no_bid" }), "{over}");
    let offer = &over["traces"][0]["offers"][0];
    let passes =
        json!([{ "campaign": poor, "why": "budget" }, { "campaign": guided, "why": "server_counts" }]);
    assert_eq!(offer["passes"], passes);
    assert_eq!(offer["bids"][0]["campaign"], below);
    assert_eq!(over["traces"][0]["decision"]["verdicts"][0]["why_not"], "below_floor");
    for viewer in &mut viewers {
        viewer.frames(100).await;
        let sent: Vec<_> = Fixture::read(RECORDING).expected().into_iter().filter(|p| p.is_video()).collect();
        let got: Vec<_> = viewer.packets().into_iter().filter(|packet| packet.is_video()).collect();
        let begins =
            sent.iter().position(|packet| packet.payload == got[0].payload).expect("its first picture");
        for (place, packet) in got.iter().enumerate() {
            assert_eq!(packet.payload, sent[(begins + place) % sent.len()].payload, "picture {place}");
        }
    }
    assert_eq!(stage.server.metrics().await.value("onair_overlay_frames_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_ends_early_is_charged_for_what_was_shown_and_a_withdrawn_one_for_nothing() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|_| {}).await;
    let campaign = stage.campaign("5.00", "10.00", json!({})).await;
    let mut viewers = Viewer::of_each(&stage.server, "kitchen").await;
    let newest = viewers[0].frames(100).await.last().expect("frames").dts;
    let withdrawn =
        stage.cue(json!({ "duration_ms": 2000, "start_ns": (newest + 20_000) * 1_000_000 })).await;
    let start = stage.soon(&mut viewers[0]).await;
    let cut = stage.cue(json!({ "duration_ms": 10_000, "start_ns": start })).await;
    let delete = |cue: &str| format!("/api/v1/cues/{cue}");
    stage.operator("DELETE", &delete(&withdrawn), Value::Null, 204).await;
    loop {
        for viewer in &mut viewers {
            viewer.frames(20).await;
        }
        let metrics = stage.server.metrics().await;
        if metrics.value("onair_sale_displays_total{result=\"charged\"}") == 2.0 {
            break;
        }
    }
    // The broadcaster ends it a while later; it is cut off there.
    let newest = viewers[0].frame().await.dts;
    let start = stage.show(&cut).await["start_ns"].as_i64().expect("a start") / 1_000_000;
    stage.operator("PATCH", &delete(&cut), json!({ "duration_ms": 12_000 }), 409).await;
    let change = json!({ "duration_ms": newest + 1000 - start });
    stage.operator("PATCH", &delete(&cut), change, 204).await;
    let over = stage.over(&cut, &mut viewers).await;
    assert_eq!(over["outcome"]["what"], "cut_short", "{over}");
    let last = over["shown"]["last_pts_ns"].as_i64().expect("shown") / 1_000_000;
    assert!(
        (newest + 1000 - 50..newest + 1000).contains(&last),
        "{last} is the last frame before {}",
        newest + 1000
    );
    assert_eq!(stage.show(&withdrawn).await["outcome"]["what"], "withdrawn");
    let settled = stage.settled(&cut, &mut viewers).await;
    assert_eq!(settled["settled"]["spent"], 2 * PRICE);
    let money = stage.operator("GET", &format!("/api/v1/campaigns/{campaign}"), Value::Null, 200).await;
    assert_eq!(nanos(&money["budget"]), 10_000_000_000 - 2 * PRICE);
    for viewer in &viewers {
        check_pictures(viewer, std::slice::from_ref(&settled)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b34_nobody_makes_money_who_is_not_allowed_to() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| config.cues.publisher_slots_per_hour = 1).await;
    let campaign = stage.campaign("5.00", "10.00", json!({})).await;
    let other = stage.server.channel("garden").await;
    let request = async |key: &str, method: &str, path: &str, body: &str| {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        http::request(stage.server.http, method, path, &headers, body.as_bytes()).await.status
    };
    let cues = "/api/v1/channels/kitchen/cues";
    let forged = "a".repeat(79);
    for key in ["", "wrong", &other.key] {
        for (method, path, body) in [
            ("POST", cues, "{}"),
            ("GET", cues, ""),
            ("GET", "/api/v1/cues/1", ""),
            ("DELETE", "/api/v1/cues/1", ""),
            ("POST", "/api/v1/cues/1/veto", ""),
            ("PUT", "/api/v1/channels/kitchen/hold-off", "{\"seconds\":9}"),
            ("PUT", "/api/v1/channels/kitchen/sale", "{}"),
            ("GET", "/api/v1/channels/kitchen/sale", ""),
        ] {
            assert_eq!(request(key, method, path, body).await, 401, "{method} {path} with {key:?}");
        }
    }
    // The stream has no permission, and the broadcaster a budget.
    let cue = Amf::object([
        ("cue", "SpliceOut".into()),
        ("id", "1".into()),
        ("duration", 5.0.into()),
        ("time", 0.0.into()),
    ]);
    stage.say(&["onAdCue".into(), cue]).await;
    stage.server.until_counted("onair_sale_cues_refused_total", 1.0).await;
    let key = &stage.channel.key;
    assert_eq!(request(key, "POST", cues, "{\"duration_ms\":1000}").await, 202);
    let later = "{\"duration_ms\":1000,\"start_ns\":60000000000}";
    assert_eq!(request(key, "POST", cues, later).await, 429);
    assert_eq!(request(key, "PUT", "/api/v1/channels/kitchen/sale", "{}").await, 401, "the operator's");
    // Tokens that nobody has signed.
    for path in [format!("/i/{forged}/display"), format!("/i/{forged}/nothing"), "/i/x/display".to_owned()] {
        let status = request("", "POST", &path, "").await;
        assert!(matches!(status, 403 | 404), "{path}: {status}");
    }
    assert_eq!(request("", "GET", &format!("/c/{forged}"), "").await, 404);
    let money = stage.operator("GET", &format!("/api/v1/campaigns/{campaign}"), Value::Null, 200).await;
    assert_eq!(nanos(&money["budget"]), 10_000_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b38_cues_that_make_no_sense_and_storms_of_them_harm_nobody() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| config.cues.publisher_cues = true).await;
    stage.campaign("5.00", "10.00", json!({})).await;
    let [mut viewer, _other] = Viewer::of_each(&stage.server, "kitchen").await;
    viewer.frames(50).await;
    let path = "/api/v1/channels/kitchen/cues";
    let newest = viewer.frame().await.dts * 1_000_000;
    for (cue, status) in [
        (json!({ "duration_ms": 0 }), 422),
        (json!({ "duration_ms": -5 }), 422),
        (json!({ "duration_ms": 4_000_000_000_u32 }), 422),
        (json!({ "start_ns": newest - 60_000_000_000 }), 422),
        (json!({ "start_ns": i64::MAX }), 422),
        (json!({ "format": "full_screen" }), 422),
        (json!({ "surprise": 1 }), 422),
    ] {
        let response = stage.server.operator("POST", path, Some(cue.clone())).await;
        assert!(response.status == status || response.status == 400, "{cue}: {}", response.status);
    }
    let offline = stage.server.channel("garden").await;
    let garden = format!("/api/v1/channels/{}/cues", offline.name);
    stage.operator("POST", &garden, json!({}), 409).await;
    stage.operator("POST", "/api/v1/channels/nowhere/cues", json!({}), 404).await;

    let slot = json!({ "duration_ms": 1500, "start_ns": stage.soon(&mut viewer).await });
    let first = stage.cue(slot.clone()).await;
    for _ in 0..50 {
        stage.operator("POST", path, slot.clone(), 409).await;
    }
    let storm = |number: i32| {
        Amf::object([
            ("cue", "SpliceOut".into()),
            ("id", format!("{number}").as_str().into()),
            ("duration", 5.0.into()),
            ("time", f64::from(number % 7).into()),
        ])
    };
    for number in 0..300 {
        stage.say(&["onAdCue".into(), storm(number)]).await;
    }
    let over = stage.over(&first, std::slice::from_mut(&mut viewer)).await;
    assert_eq!(over["outcome"]["what"], "completed", "{over}");
    assert!(viewer.frames(100).await.len() == 100, "the broadcast goes on");
}
