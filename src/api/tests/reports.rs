//! Reports over the API: whose they are, of what, and in which form.

use super::booking::message;
use super::*;
use crate::clock;
use crate::ledger::{
    Account, AttentionKind, CampaignId, DisplayClass, Event, Lot, Receipt, Reservation, SessionId, SlotName,
};
use crate::media::CueId;
use crate::money::{Money, Share};

/// What reports have of the attention that displays got.
const ATTENTION: [&str; 7] =
    ["viewable", "first_quartile", "midpoint", "third_quartile", "complete", "close", "click"];

/// Sells a slot in the kitchen, and shows it: three to Germans whose pages tell, one to an Austrian, one to a Swiss, two that the server counts.
async fn sell(server: &Server, id: u64) {
    let lot = |cohort: &str, audience| Lot {
        campaign: CampaignId(id),
        creative: 1,
        price: Money::from_nanos(333),
        audience,
        cohort: cohort.to_owned(),
    };
    let name = SlotName { channel: "kitchen".parse().unwrap(), broadcast: 1, cue: CueId::new("a") };
    let lots = vec![lot("de/*/phone", 10), lot("at/*/phone", 1), lot("ch/*/phone", 1)];
    let deadline = clock::unix_now() + 60_000;
    let sale = Reservation { slot: name, share: Share::percent(55), deadline, lots };
    let Receipt::Reserved { slot, .. } = server.api.ledger.submit(Event::Reserve(sale)).await.unwrap() else {
        panic!("no slot")
    };
    for (session, lot, class) in [
        (1, 0, DisplayClass::Client),
        (2, 0, DisplayClass::Client),
        (3, 0, DisplayClass::Client),
        (4, 1, DisplayClass::Client),
        (7, 2, DisplayClass::Client),
        (5, 0, DisplayClass::Server),
        (6, 0, DisplayClass::Server),
    ] {
        let event = Event::Display { slot, lot, session: SessionId(session), class };
        server.api.ledger.submit(event).await.unwrap();
    }
    let now = clock::unix_now();
    for (lot, kind, count) in
        [(0, AttentionKind::Viewable, 3), (0, AttentionKind::Click, 2), (1, AttentionKind::Click, 1)]
    {
        (0..count).for_each(|_| server.api.ledger.attend(slot, lot, kind, now));
    }
    // It waits a moment for more.
    while server.api.ledger.attention(slot).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn reports_are_the_ledgers_and_tell_each_what_is_theirs() {
    let server = Server::start().await;
    let stream_key = server.create("kitchen").await;
    let (shop, key) = server.advertiser("Shop").await;
    let id = server.campaign(shop).await;
    let payment = Some(json!({"number": 1, "amount": "1"}));
    server.operator("POST", &format!("/api/v1/campaigns/{id}/payments"), payment).await;
    let path = format!("/api/v1/reports/campaigns/{id}");
    let (status, empty) = server.ask("GET", &path, Some(&key), None).await;
    assert_eq!((status, &empty["rows"]), (StatusCode::OK, &json!([])), "{empty}");
    sell(&server, id).await;

    let (_, report) = server.ask("GET", &path, Some(&key), None).await;
    let nothing = json!({"charged": 0, "free": 0, "spent": "0.000000000"});
    let mut client = json!({"charged": 3, "free": 0, "spent": "0.000000999"});
    for (name, count) in ATTENTION.iter().zip([3, 0, 0, 0, 0, 0, 2]) {
        client[*name] = json!(count);
    }
    let server_counted = json!({"charged": 2, "free": 0, "spent": "0.000000666"});
    let rows = report["rows"].as_array().unwrap();
    let row = |cohort: Value| rows.iter().find(|row| row["cohort"] == cohort).unwrap();
    assert_eq!(
        (&row(json!("de/*/phone"))["client"], &row(json!("de/*/phone"))["server"]),
        (&client, &server_counted)
    );
    let hidden = row(Value::Null);
    assert_eq!((rows.len(), &hidden["client"]["charged"], &hidden["server"]), (2, &json!(2), &nothing));
    assert!(!report.to_string().contains("at/*"), "one Austrian could be told apart: {report}");
    assert_eq!(report["total"]["client"]["spent"], "0.000001665");
    assert!(!report.to_string().contains("earned"), "no business of the advertiser's");

    let (_, all) =
        server.operator("GET", &format!("/api/v1/reports?campaign={id}&channel=kitchen"), None).await;
    let of_all = &all["total"]["client"];
    let figures = ["charged", "free", "spent", "earned", "viewable", "click"].map(|name| &of_all[name]);
    let expected = [json!(5), json!(0), json!("0.000001665"), json!("0.000000915"), json!(3), json!(3)];
    assert_eq!(figures, expected.each_ref(), "{all}");
    let (_, none) = server.operator("GET", "/api/v1/reports?channel=garden", None).await;
    assert_eq!(none["rows"], json!([]));

    let path = "/api/v1/reports/channels/kitchen";
    let (status, statement) = server.ask("GET", path, Some(&stream_key), None).await;
    assert_eq!(status, StatusCode::OK, "{statement}");
    let earned = server.api.ledger.balance(&Account::Broadcaster("kitchen".parse().unwrap()));
    assert_eq!(statement["earned_in_all"], json!(earned.to_string()));
    assert_eq!(earned, Money::from_nanos(7 * 183), "55 % of 333, rounded down, for each");
    assert_eq!(statement["total"]["server"], json!({"charged": 2, "free": 0, "earned": "0.000000366"}));
    assert!(!statement.to_string().contains("spent"));
    for token in [None, Some(key.as_str()), Some("wrong")] {
        assert_eq!(server.ask("GET", path, token, None).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn reports_are_of_whole_hours_in_two_forms() {
    let server = Server::start().await;
    server.create("kitchen").await;
    let (shop, _) = server.advertiser("Shop").await;
    let id = server.campaign(shop).await;
    let payment = Some(json!({"number": 1, "amount": "1"}));
    server.operator("POST", &format!("/api/v1/campaigns/{id}/payments"), payment).await;
    sell(&server, id).await;
    let query = "from=2026-03-01T00:59:59.999Z&to=2026-03-01T03:00:00.001%2B01:00";
    let (_, report) = server.operator("GET", &format!("/api/v1/reports?{query}"), None).await;
    let hours = (&report["from"], &report["to"]);
    assert_eq!(hours, (&json!("2026-03-01T00:00:00.000Z"), &json!("2026-03-01T03:00:00.000Z")));

    let csv = Request::builder().uri("/api/v1/reports").header("accept", "text/csv");
    let csv = csv.header(AUTHORIZATION, format!("Bearer {}", server.token)).body(Body::empty()).unwrap();
    let (_, by_header) = server.send_raw(csv).await;
    let (_, by_query) = server.operator("GET", "/api/v1/reports?format=csv", None).await;
    assert_eq!(json!(by_header), by_query);
    let lines: Vec<&str> = by_header.lines().collect();
    assert!(lines[0].starts_with("campaign,channel,cohort,hour,client_charged"), "{by_header}");
    let of_germans = lines.iter().find(|line| line.contains("de/*/phone")).unwrap();
    let figures = ",3,0,0.000000999,0.000000549,2,0,0.000000666,0.000000366,3,0,0,0,0,0,2";
    assert!(of_germans.ends_with(figures), "{of_germans}");
    assert!(lines.len() == 3 && lines.iter().any(|line| line.contains(",\"\",")));

    for (query, hint) in [
        ("from=yesterday", "from: a moment"),
        ("from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from: before to"),
        ("format=xml", "csv"),
        ("channel=API", "channel: "),
        ("until=now", "until"),
    ] {
        let (status, error) = server.operator("GET", &format!("/api/v1/reports?{query}"), None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(message(&error).contains(hint), "{query}: {error}");
    }
}
