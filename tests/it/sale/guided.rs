//! Pages that draw overlays themselves: what each is told, what it watches, and what counts.

use onair::clock;
use serde_json::{Value, json};

use super::stage::Stage;
use super::{PRICE, nanos};
use crate::overlay::stage::{TURN, Wish, ask};
use crate::support::http::{Body, request};
use crate::support::{Viewer, in_time};

pub const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0";

/// A stage whose channel is for pages too.
async fn set() -> Stage {
    let stage = Stage::set(|_| {}).await;
    let both = json!({ "delivery": "guided_and_burned" });
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", both, 204).await;
    stage
}

/// A page that follows placements.
pub struct Page {
    body: Body,
    text: String,
    /// Its word, for the source.
    word: String,
}

impl Page {
    pub async fn open(stage: &Stage, query: &str) -> Self {
        Self::open_with(stage, query, &[]).await
    }

    async fn open_with(stage: &Stage, query: &str, headers: &[(&str, &str)]) -> Self {
        let path = format!("/events/kitchen{query}");
        let response = request(stage.server.http, "GET", &path, headers, b"").await;
        assert_eq!(response.status, 200);
        let mut page = Self { body: response.into_body(), text: String::new(), word: String::new() };
        let (name, session) = page.next().await;
        assert_eq!((name.as_str(), &session["delivery"]), ("session", &json!("guided")));
        page.word = session["token"].as_str().expect("a word").to_owned();
        page
    }

    /// The next event.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let Some(name) = event.strip_prefix("event: ") else { continue };
                let (name, data) = name.split_once("\ndata: ").expect("data");
                return (name.to_owned(), serde_json::from_str(data).expect("JSON"));
            }
            let chunk = in_time("an event", self.body.next()).await.expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    pub async fn placement(&mut self) -> Value {
        let (name, placement) = self.next().await;
        assert_eq!(name, "placement", "{placement}");
        placement
    }
}

/// Tells an event; gives the status.
pub async fn tell(stage: &Stage, method: &str, path: &str) -> u16 {
    request(stage.server.http, method, path, &[("user-agent", BROWSER)], b"").await.status
}

/// Waits until it is so late on the wall clock, as the viewer watches on.
pub async fn until(viewer: &mut Viewer, unix_millis: i64) {
    while clock::unix_now() < unix_millis {
        viewer.frame().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_and_the_programme_are_sold_in_one_and_each_viewer_counts_once() {
    let _turn = TURN.lock().await;
    let stage = set().await;
    let campaign = stage.campaign("5.00", "10.00", json!({})).await;
    let mut viewer = Viewer::rtmp(&stage.server, "kitchen").await;
    viewer.frames(50).await;
    let mut page = Page::open(&stage, "?lang=de-AT&device=phone&consent=1").await;
    let mut idle = Page::open(&stage, "").await;
    let start = stage.soon(&mut viewer).await;
    let cue = stage.cue(json!({ "duration_ms": 3000, "start_ns": start })).await;
    let placement = page.placement().await;
    assert_eq!((&placement["id"], &placement["format"]), (&json!(cue), &json!("lower_third")));
    assert_eq!(placement["advertiser"], "Soups & Co");
    let token = placement["token"].as_str().expect("a token").to_owned();
    assert_ne!(idle.placement().await["token"], token, "each page has its own");
    let image = placement["image"].as_str().expect("an image");
    assert_eq!(request(stage.server.http, "GET", image, &[], b"").await.status, 200);

    let starts_at = placement["began_at"].as_i64().expect("a time")
        + placement["start_ns"].as_i64().expect("a time") / 1_000_000;
    let display = format!("/i/{token}/display");
    assert_eq!(tell(&stage, "POST", &display).await, 403, "nothing was on screen yet");
    until(&mut viewer, starts_at + 1100).await;
    for _ in 0..3 {
        assert_eq!(tell(&stage, "POST", &display).await, 204);
    }
    assert_eq!(tell(&stage, "POST", &format!("/i/{token}/complete")).await, 403, "it is on still");
    assert_eq!(tell(&stage, "POST", &format!("/i/{token}/viewable")).await, 204);
    let forged = token.replace(&token[20..24], "AAAA");
    assert_eq!(tell(&stage, "POST", &format!("/i/{forged}/display")).await, 403);
    // Sooner than anybody clicks it would not count.
    until(&mut viewer, clock::unix_now() + 400).await;
    let click =
        request(stage.server.http, "GET", &format!("/c/{token}"), &[("user-agent", BROWSER)], b"").await;
    assert_eq!((click.status, click.header("location")), (302, Some("https://soup.example/")));

    let viewers = std::slice::from_mut(&mut viewer);
    let over = stage.over(&cue, viewers).await;
    assert_eq!(over["outcome"], json!({ "what": "completed" }), "{over}");
    assert_eq!(
        over["traces"].as_array().map(Vec::len),
        Some(2),
        "the programme, and pages too few to be told apart"
    );
    assert_eq!(over["traces"][1]["auction"]["cohort"]["language"], Value::Null);
    let settled = stage.settled(&cue, viewers).await;
    assert_eq!(settled["settled"]["spent"], 2 * PRICE, "one page and one viewer: {settled}");
    let money = stage.operator("GET", &format!("/api/v1/campaigns/{campaign}"), Value::Null, 200).await;
    assert_eq!(nanos(&money["budget"]), 10_000_000_000 - 2 * PRICE);
    assert_eq!(tell(&stage, "POST", &format!("/i/{token}/complete")).await, 403, "too late");
    let counted = stage.server.metrics().await.value("onair_sale_events_total{result=\"counted\"}");
    assert_eq!(counted, 3.0, "a display, that it was viewable, and a click");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_page_saw_counts_though_the_encoders_clock_is_ahead() {
    let _turn = TURN.lock().await;
    let stage = Stage::set_ahead(1500, |_| {}).await;
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", json!({ "delivery": "guided" }), 204).await;
    stage.campaign("5.00", "10.00", json!({})).await;
    let mut viewer = Viewer::rtmp(&stage.server, "kitchen").await;
    let mut page = Page::open(&stage, "").await;
    let start = viewer.frame().await.dts + 2500;
    let cue = stage.cue(json!({ "duration_ms": 3000, "start_ns": start * 1_000_000 })).await;
    let token = page.placement().await["token"].as_str().expect("a token").to_owned();
    while viewer.frame().await.dts < start + 500 {}
    assert_eq!(tell(&stage, "POST", &format!("/i/{token}/display")).await, 403, "not yet");
    for (event, after) in [("display", 1000), ("viewable", 1000), ("midpoint", 1500), ("complete", 3000)] {
        while viewer.frame().await.dts < start + after {}
        assert_eq!(tell(&stage, "POST", &format!("/i/{token}/{event}")).await, 204, "{event}");
    }
    let settled = stage.settled(&cue, std::slice::from_mut(&mut viewer)).await;
    assert_eq!(settled["settled"]["spent"], PRICE, "{settled}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_comes_late_is_told_and_one_that_has_seen_enough_is_not() {
    let _turn = TURN.lock().await;
    let stage = set().await;
    let once = json!({ "caps": [{ "scope": "viewer", "count": 1, "window_ms": 60_000 }] });
    stage.campaign("5.00", "10.00", once).await;
    let mut page = Page::open(&stage, "").await;
    let mut clock = Viewer::rtmp(&stage.server, "kitchen").await;
    // Nothing is burned in here, so that the programme sees nothing.
    let guided = json!({ "delivery": "guided" });
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", guided, 204).await;
    let first = stage.cue(json!({ "duration_ms": 20_000 })).await;
    let placement = page.placement().await;
    let mut late = Page::open(&stage, "").await;
    let of_late = late.placement().await;
    assert_eq!(of_late["id"], placement["id"]);

    // Who comes back is the same viewer.
    let mut back = Page::open(&stage, &format!("?session={}", late.word)).await;
    let again = back.placement().await;
    drop(late);
    assert_eq!(again["token"], of_late["token"]);

    // It ends earlier, then at once.
    clock.frames(50).await;
    let change = json!({ "duration_ms": 10_000 });
    stage.operator("PATCH", &format!("/api/v1/cues/{first}"), change, 204).await;
    let revised = page.placement().await;
    assert_eq!(revised["token"], placement["token"], "it is the same impression");
    assert!(revised["end_ns"].as_i64() < placement["end_ns"].as_i64());
    assert!(revised["revision"].as_i64() > placement["revision"].as_i64());
    stage.operator("DELETE", &format!("/api/v1/cues/{first}"), Value::Null, 204).await;
    assert_eq!(page.next().await, ("withdraw".to_owned(), json!({ "id": first })));
    let over = stage.over(&first, std::slice::from_mut(&mut clock)).await;
    assert_eq!(over["outcome"]["what"], "cut_short");

    // Who has seen it once is told nothing more; who has not is.
    let start = (clock.frame().await.dts + 2500) * 1_000_000;
    let second = stage.cue(json!({ "duration_ms": 1000, "start_ns": start })).await;
    let mut fresh = Page::open(&stage, "").await;
    let told = fresh.placement().await;
    assert_eq!(told["id"], json!(second));
    stage.operator("DELETE", &format!("/api/v1/cues/{second}"), Value::Null, 204).await;
    assert_eq!(page.next().await.0, "withdraw", "the placement before it did not come");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_for_one_country_is_sold_to_pages_whose_proxy_says_that_they_are_there() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| {
        config.http.trusted_proxies = vec!["127.0.0.1".to_owned()];
        config.http.country_header = "CF-IPCountry".to_owned();
        config.sale.k = 1;
    })
    .await;
    let guided = json!({ "delivery": "guided" });
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", guided, 204).await;
    stage.campaign("5.00", "10.00", json!({ "targeting": { "countries": ["DE"] } })).await;
    let from = async |country| Page::open_with(&stage, "?consent=1", &[("CF-IPCountry", country)]).await;
    let (mut german, mut french) = (from("DE").await, from("FR").await);
    // Without consent nothing is told of anybody.
    let mut silent = Page::open_with(&stage, "", &[("CF-IPCountry", "DE")]).await;
    let cue = stage.cue(json!({ "duration_ms": 20_000 })).await;
    assert_eq!(german.placement().await["id"], json!(cue));
    let shown = stage.show(&cue).await;
    let bids = shown["traces"].as_array().expect("traces").iter().map(|trace| {
        let bids = trace["offers"][0]["bids"].as_array().map(Vec::len);
        (trace["auction"]["cohort"]["country"].clone(), bids, trace["offers"][0]["passes"][0]["why"].clone())
    });
    let expected = [
        (Value::Null, Some(0), json!("country")),
        (json!("de"), Some(1), Value::Null),
        (json!("fr"), Some(0), json!("country")),
    ];
    assert_eq!(bids.collect::<Vec<_>>(), expected, "{shown}");
    stage.operator("DELETE", &format!("/api/v1/cues/{cue}"), Value::Null, 204).await;
    for page in [&mut german, &mut french, &mut silent] {
        assert_eq!(page.next().await.0, "withdraw", "nothing else came before");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_burned_in_by_hand_is_told_to_pages_too_and_nobody_pays() {
    let _turn = TURN.lock().await;
    let stage = set().await;
    let mut clock = Viewer::rtmp(&stage.server, "kitchen").await;
    let mut page = Page::open(&stage, "").await;
    let start = clock.frame().await.dts + 2500;
    let wish = Wish { start: (start * 1_000_000).to_string(), ..Wish::white(20_000) };
    let overlay = ask(&stage.server, &stage.channel, &wish).await;
    let placement = page.placement().await;
    let [from, to] = ["start_ns", "end_ns"].map(|key| placement[key].as_i64().expect("a time") / 1_000_000);
    assert_eq!((from, to), (start, start + 20_000));
    assert_eq!(placement["id"], format!("overlay-{overlay}"));
    assert_eq!([&placement["token"], &placement["click"]], [&Value::Null, &Value::Null]);
    let image = placement["image"].as_str().expect("an image");
    let image = request(stage.server.http, "GET", image, &[], b"").await;
    assert_eq!((image.status, image.header("content-type")), (200, Some("image/svg+xml")));
    let mut late = Page::open(&stage, "").await;
    assert_eq!(late.placement().await, placement);

    while clock.frame().await.dts < start + 500 {}
    let path = format!("/api/v1/overlays/{overlay}");
    assert_eq!(stage.server.operator("DELETE", &path, None).await.status, 202);
    let revised = page.placement().await;
    assert_eq!((&revised["id"], &revised["revision"]), (&placement["id"], &json!(2)));
    assert!(revised["end_ns"].as_i64() < placement["end_ns"].as_i64());

    // One that is withdrawn before it began is gone.
    let start = (clock.frame().await.dts + 10_000) * 1_000_000;
    let wish = Wish { start: start.to_string(), ..Wish::white(1000) };
    let overlay = ask(&stage.server, &stage.channel, &wish).await;
    assert_eq!(page.placement().await["id"], format!("overlay-{overlay}"));
    let path = format!("/api/v1/overlays/{overlay}");
    assert_eq!(stage.server.operator("DELETE", &path, None).await.status, 202);
    assert_eq!(page.next().await, ("withdraw".to_owned(), json!({ "id": format!("overlay-{overlay}") })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_watches_the_source_by_its_word_and_nobody_else_does() {
    let _turn = TURN.lock().await;
    let stage = set().await;
    let page = Page::open(&stage, "").await;
    let folder = async |query: &str| {
        let path = format!("/hls/kitchen/index.m3u8{query}");
        let response = request(stage.server.http, "GET", &path, &[], b"").await;
        assert_eq!(response.status, 200);
        let text = String::from_utf8(response.bytes().await).expect("UTF-8");
        let line = text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).expect("a rendition");
        line.split('/').next().expect("a folder").to_owned()
    };
    let program = folder("").await;
    let source = folder(&format!("?session={}", page.word)).await;
    assert_ne!(source, program);
    assert_eq!(folder(&format!("?session={}A", page.word)).await, program, "a word that is not ours");
    assert_eq!(folder("?session=").await, program);
    let burned = json!({ "delivery": "burned" });
    stage.operator("PUT", "/api/v1/channels/kitchen/sale", burned, 204).await;
    let response = request(stage.server.http, "GET", "/events/kitchen", &[], b"").await;
    let mut body = response.into_body();
    let chunk = in_time("an event", body.next()).await.expect("an event");
    let text = String::from_utf8(chunk.to_vec()).expect("UTF-8");
    assert!(text.contains("\"delivery\":\"program\""), "{text}");
    assert_eq!(request(stage.server.http, "GET", "/events/nowhere", &[], b"").await.status, 404);
}
