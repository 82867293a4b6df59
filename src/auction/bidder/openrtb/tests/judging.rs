//! Each way in which a bid is wrong, and the code that it is told.

use proptest::prelude::*;

use super::*;
use crate::auction::external::Markup;

fn offer_of(settings: Settings, body: &Value) -> Result<Offer, Malformed> {
    bidder(settings).bids(&auction(), &[respond(body)])
}

/// What a bid comes to: its price, or the code of its loss.
fn outcome(settings: Settings, bid: Value) -> Result<i64, u16> {
    let offer = offer_of(settings, &answer(&[bid])).unwrap();
    assert_eq!((offer.bids.len(), offer.refused.len()), (offer.external.len(), 1 - offer.bids.len()));
    offer
        .refused
        .first()
        .map_or_else(|| Ok(offer.bids[0].price.as_nanos()), |refused| Err(refused.why.code()))
}

/// What one change to a bid that is right comes to.
type Case = (&'static str, Value, Result<i64, u16>);

fn assert_outcomes(settings: &Settings, cases: &[Case]) {
    for (field, value, expected) in cases {
        let bid = changed(|bid| bid[*field] = value.clone());
        assert_eq!(outcome(settings.clone(), bid), *expected, "{field}: {value}");
    }
}

#[test]
fn a_bid_that_does_not_hold_until_the_slot_begins_has_expired() {
    let mut sale = auction();
    let at = sale.context.at;
    sale.context = Arc::new(Context { starts_at: at + 1_001, ..context() });
    let why = |expires: Value| {
        let bid = changed(|bid| bid["exp"] = expires);
        let offer = bidder(settings()).bids(&sale, &[respond(&answer(&[bid]))]).unwrap();
        offer.refused.first().map(|refused| refused.why.code())
    };
    assert_eq!([json!(1), json!(2), Value::Null].map(why), [Some(2), None, None]);
}

#[test]
fn each_fault_has_its_code() {
    let deal = DealSettings {
        id: "D-1".into(),
        seats: BTreeSet::from(["s".to_owned()]),
        advertisers: BTreeSet::new(),
        fixed_price: true,
    };
    let settings = Settings {
        blocked_categories: BTreeSet::from(["IAB25".to_owned()]),
        blocked_advertisers: BTreeSet::from(["blocked.example".to_owned()]),
        deals: vec![deal],
        ..settings()
    };
    let right = Ok(6_500_000);
    let linear = VAST.replace("NonLinearAds", "Linear");
    let insecure = VAST.replace("https://c.example", "http://c.example");
    let inside = VAST.replace("https://c.example", "https://10.0.0.1");
    let wide = VAST.replace("1920", "2500");
    let (long, many) = ("x".repeat(300), vec!["a.example"; 300]);
    assert_outcomes(
        &settings,
        &[
            ("ext", json!({ "anything": 1 }), right),
            ("id", json!(""), Err(3)),
            ("id", json!(7), Err(3)),
            ("id", json!(long), Err(3)),
            ("impid", json!("2"), Err(3)),
            ("price", Value::Null, Err(9)),
            ("price", json!(0), Err(9)),
            ("price", json!(-1.5), Err(3)),
            ("price", json!("6.5"), Err(3)),
            ("price", json!([6.5]), Err(3)),
            ("price", json!(1e300), Err(3)),
            ("price", json!(4.349_999), Err(100)),
            ("price", json!(4.35), Ok(4_350_000)),
            ("adomain", json!([]), Err(6)),
            ("adomain", json!("brand.example"), Err(3)),
            ("adomain", json!(["https://brand.example/"]), Err(6)),
            ("adomain", json!(many), Err(3)),
            ("adomain", json!(["brand.example", "a.BLOCKED.example"]), Err(205)),
            ("adomain", json!(["notblocked.example"]), right),
            ("crid", Value::Null, Err(8)),
            ("cat", json!(["IAB25-3"]), Err(209)),
            ("cat", json!(["IAB255"]), right),
            ("attr", json!([21, 6]), Err(210)),
            ("attr", json!(6), Err(3)),
            ("w", json!(1921), Err(203)),
            ("w", json!(-1), Err(3)),
            ("dur", json!(16), Err(212)),
            ("dur", json!(9), Err(204)),
            ("protocol", json!(1), Err(204)),
            ("mtype", json!(4), Err(204)),
            ("mtype", json!(1), Err(204)),
            ("mtype", Value::Null, right),
            ("adm", Value::Null, Err(7)),
            ("adm", json!({ "native": {} }), Err(204)),
            ("adm", json!("<VAST"), Err(3)),
            ("adm", json!("<VAST version='4.2'/>"), Err(7)),
            ("adm", json!(linear), Err(204)),
            ("adm", json!(insecure), Err(207)),
            ("adm", json!(inside), Err(3)),
            ("adm", json!(wide), Err(203)),
            ("adm", json!("https://c.example/a.png"), Err(204)),
            ("dealid", json!("D-2"), Err(4)),
            ("dealid", json!("D-1"), Err(101)),
        ],
    );
    let under_deal = changed(|bid| {
        bid["dealid"] = json!("D-1");
        bid["price"] = json!(12);
    });
    assert_eq!(outcome(settings.clone(), under_deal.clone()), Ok(9_000_000), "the price is fixed");
    let mut other = settings.clone();
    other.deals[0].seats = BTreeSet::from(["another".to_owned()]);
    assert_eq!(outcome(other, under_deal.clone()), Err(104));
    let mut other = settings;
    other.deals[0].advertisers = BTreeSet::from(["another.example".to_owned()]);
    assert_eq!(outcome(other, under_deal), Err(6));
}

#[test]
fn what_the_channel_does_not_show_is_asked_for_and_held_to() {
    let mut sale = auction();
    sale.context = Arc::new(Context { blocked_categories: words(["IAB8"]), ..context() });
    assert_eq!(bidder(settings()).request(&sale).unwrap()["bcat"], json!(["IAB8"]));
    let offer = bidder(settings()).bids(&sale, &[respond(&answer(&[bid()]))]).unwrap();
    assert_eq!(offer.refused[0].why, LossReason::BlockedCategory, "IAB8-1 is below it");
}

#[test]
fn seats_and_floors_by_the_second_hold() {
    let one = || BTreeSet::from(["s".to_owned()]);
    let blocked = Settings { blocked_seats: one(), ..settings() };
    assert_eq!(outcome(blocked, bid()), Err(104));
    let others = Settings { allowed_seats: BTreeSet::from(["t".to_owned()]), ..settings() };
    assert_eq!(outcome(others, bid()), Err(104));
    assert_eq!(outcome(Settings { allowed_seats: one(), ..settings() }, bid()), Ok(6_500_000));
    // Ten seconds; the floor by duration stands instead of the offer's own.
    for (micros, expected) in [(650_000, Ok(6_500_000)), (650_001, Err(100))] {
        assert_eq!(outcome(Settings { min_cpm_per_second: micros, ..settings() }, bid()), expected);
    }
    let low = changed(|bid| bid["price"] = json!(1));
    let by_second = Settings { min_cpm_per_second: 100_000, ..settings() };
    assert_eq!(outcome(by_second.clone(), low.clone()), Ok(1_000_000));
    // The decision holds to what was told, too.
    let mut bidder = bidder(by_second);
    let key = creative_key("one", "cr", Some("https://c.example/a.png"));
    bidder.creatives = Arc::new([(key, Standing::Ready)].into());
    let offer = bidder.bids(&auction(), &[respond(&answer(&[low]))]).unwrap();
    let decision = crate::auction::Trace::of(auction(), vec![offer]).decision;
    assert_eq!((decision.price.as_nanos(), decision.min_to_win.as_nanos()), (1_000_000, 1_000_000));
}

#[test]
fn banners_are_one_image_and_nothing_that_runs() {
    let image = "<img src=\"https://c.example/a.png?x=1&amp;y=2\" width=\"1920\" height=324 alt='a'/>";
    let clickable = format!(
        "<div style='x'><a href='https://brand.example/' target=_blank>{image}</a>\n\
         <img src='https://t.example/i' width=1 height=1></div>"
    );
    let cases = [
        (image.to_owned(), Ok(())),
        (clickable.clone(), Ok(())),
        ("https://c.example/a.jpg?x=1".to_owned(), Ok(())),
        ("https://c.example/a.js".to_owned(), Err(211)),
        ("http://c.example/a.png".to_owned(), Err(207)),
        (image.replace("https", "http"), Err(207)),
        ("javascript:alert(1)".to_owned(), Err(7)),
        (format!("{image}<script>x</script>"), Err(211)),
        (format!("{image}{image}"), Err(211)),
        (format!("{image}text"), Err(211)),
        (format!("<a href='javascript:x'>{image}</a>"), Err(211)),
        (image.replace("alt", "onload"), Err(211)),
        (image.replace("https://c.example", "data:"), Err(211)),
        ("<iframe src='https://c.example/'></iframe>".to_owned(), Err(211)),
        ("<img src='https://c.example/a.png'".to_owned(), Err(211)),
        ("<!-- x --><img src='https://c.example/a.png'>".to_owned(), Err(211)),
        (format!("<div>{image}"), Err(211)),
        (VAST.to_owned(), Err(204)),
    ];
    for (adm, expected) in cases {
        let bid = changed(|bid| {
            bid["mtype"] = json!(1);
            bid["adm"] = json!(adm);
        });
        assert_eq!(outcome(settings(), bid).map(|_| ()), expected, "{adm}");
    }
    let offer = offer_of(
        settings(),
        &answer(&[changed(|bid| {
            bid["mtype"] = json!(1);
            bid["adm"] = json!(clickable);
        })]),
    );
    let Markup::Image(read) = &offer.unwrap().external[0].markup else { panic!("an image") };
    assert_eq!(read.link.as_str(), "https://c.example/a.png?x=1&y=2");
    assert_eq!(read.click_through.as_ref().unwrap().as_str(), "https://brand.example/");
    assert_eq!(read.impressions[0].as_str(), "https://t.example/i");
}

#[test]
fn all_ways_not_to_bid_are_understood_and_nonsense_is_told() {
    let id = request::auction_id(&auction());
    for body in [
        "{}",
        "",
        "{\"seatbid\":[]}",
        "{\"seatbid\":null}",
        &format!("{{\"id\":\"{id}\",\"seatbid\":[],\"nbr\":2}}"),
    ] {
        let response = Response { status: 200, body: body.to_owned().into() };
        let offer = bidder(settings()).bids(&auction(), &[response]).unwrap();
        assert_eq!((offer.bids.len(), offer.refused.len(), offer.failure), (0, 0, None), "{body}");
    }
    let no_content = Response { status: 204, body: "anything".into() };
    assert_eq!(bidder(settings()).bids(&auction(), &[no_content]).unwrap().bids, []);
    assert_eq!(bidder(settings()).bids(&auction(), &[]).unwrap().bids, []);
    let garbage = [
        "[]",
        "null",
        "{",
        "{\"seatbid\":{}}",
        "{\"seatbid\":[{}]}",
        "{\"id\":1}",
        "\u{feff}{}",
        "{\"id\":\"a\",\"id\":\"a\"}",
    ];
    let deep = format!("{{\"seatbid\":{}", "[".repeat(100_000));
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(response::MAX_RESPONSE));
    for body in garbage.into_iter().chain([deep.as_str(), &large]) {
        let response = Response { status: 200, body: body.to_owned().into() };
        let offer = crate::auction::bidder::offer(&bidder(settings()), &auction(), &[response]);
        assert!(offer.failure.is_some() && offer.bids.is_empty(), "{:.40}", body);
    }
    for status in [301, 400, 500] {
        let response = Response { status, ..respond(&answer(&[bid()])) };
        assert!(bidder(settings()).bids(&auction(), &[response]).is_err());
    }
    let many = vec![json!({}); crate::auction::bid::MAX_BIDS + 1];
    assert!(offer_of(settings(), &answer(&many)).is_err());
}

#[test]
fn one_bad_bid_takes_only_its_group_along() {
    let second = changed(|bid| bid["id"] = json!("b2"));
    let bids = [bid(), second, bid(), json!("nonsense")];
    let offer = offer_of(settings(), &answer(&bids)).unwrap();
    let ids: Vec<&str> = offer.bids.iter().map(|bid| &*bid.id).collect();
    assert_eq!((ids, offer.refused.len()), (vec!["b1", "b2"], 2), "one id twice, and one that is no bid");
    let mut group = answer(&bids);
    group["seatbid"][0]["group"] = json!(1);
    let offer = offer_of(settings(), &group).unwrap();
    assert_eq!((offer.bids.len(), offer.refused.len()), (0, 4));
    let mut elsewhere = answer(&[bid()]);
    elsewhere["id"] = json!("another");
    assert_eq!(offer_of(settings(), &elsewhere).unwrap().refused[0].why, LossReason::AuctionId);
    elsewhere["id"] = answer(&[])["id"].clone();
    elsewhere["cur"] = json!("EUR");
    assert_eq!(offer_of(settings(), &elsewhere).unwrap().refused[0].why.code(), 3);
}

#[test]
fn a_version_that_is_not_read_is_told_to_whom_the_document_names() {
    let strange = changed(|bid| bid["adm"] = json!(VAST.replace("4.2", "9")));
    let offer = offer_of(settings(), &answer(&[strange])).unwrap();
    let (code, errors) = offer.refused[0].vast.clone().unwrap();
    assert_eq!((code, errors), (102, vec![link("https://t.example/e?c=[ERRORCODE]&p=${AUCTION_PRICE}")]));
}

#[test]
fn lenient_mode_takes_what_it_says() {
    let lenient = || Settings { lenient: true, ..settings() };
    let unversioned = VAST.replace(" version='4.2'", "");
    let cases: [(&'static str, Value); 7] = [
        ("id", json!(7)),
        ("price", json!("6.5")),
        ("adomain", json!("brand.example")),
        ("attr", json!(21)),
        ("dur", json!(-1)),
        ("protocol", json!("13")),
        ("adm", json!(unversioned)),
    ];
    for (field, value) in cases {
        let bid = changed(|bid| bid[field] = value.clone());
        assert_eq!(outcome(lenient(), bid.clone()), Ok(6_500_000), "{field}");
        assert_eq!(outcome(settings(), bid), Err(3), "{field}");
    }
    let by_ad = changed(|bid| {
        bid["crid"] = Value::Null;
        bid["adid"] = json!("ad");
    });
    assert_eq!((outcome(lenient(), by_ad.clone()), outcome(settings(), by_ad)), (Ok(6_500_000), Err(8)));
}

#[test]
fn only_creatives_that_are_at_hand_have_a_chance() {
    let key = creative_key("one", "cr", Some("https://c.example/a.png"));
    let trace = |known: &[(u64, Standing)]| {
        let mut one = bidder(settings());
        one.creatives = Arc::new(known.iter().cloned().collect());
        let offer = one.bids(&auction(), &[respond(&answer(&[bid()]))]).unwrap();
        crate::auction::Trace::of(auction(), vec![offer])
    };
    let unseen = trace(&[]);
    assert_eq!(unseen.decision.verdicts[0].why_not, Some(LossReason::Creative));
    let ready = trace(&[(key, Standing::Ready)]);
    assert_eq!(ready.lot().map(|lot| (lot.campaign, lot.creative)), Some((CampaignId(77), key)));
    assert!(ready.is_reproducible());
    let kept: crate::auction::Trace = serde_json::from_str(&serde_json::to_string(&ready).unwrap()).unwrap();
    assert_eq!(kept, ready, "what is to be done is kept with the decision");
    let disapproved = trace(&[(key, Standing::Disapproved)]);
    assert_eq!(disapproved.offers[0].refused[0].why.code(), 202);
    let about = |category: &str| {
        Standing::ReadyAs(Arc::new(Found { categories: [category.into()].into(), ..Found::default() }))
    };
    let fair = trace(&[(key, about("IAB1"))]);
    assert_eq!(fair.lot().map(|lot| lot.creative), Some(key));
    let mut of_beer = auction();
    Arc::make_mut(&mut of_beer.context).blocked_categories.insert("IAB7-39".into());
    let mut one = bidder(settings());
    one.creatives = Arc::new([(key, about("IAB7-39"))].into());
    let offer = one.bids(&of_beer, &[respond(&answer(&[bid()]))]).unwrap();
    let blocked = crate::auction::Trace::of(of_beer, vec![offer]);
    assert_eq!(blocked.decision.verdicts[0].why_not, Some(LossReason::BlockedCategory));
    let other = trace(&[(creative_key("one", "cr", Some("https://c.example/b.png")), Standing::Ready)]);
    assert_eq!(other.lot(), None, "another image is another creative");
}

#[test]
fn what_is_behind_a_wrapper_is_held_against_the_slot_of_each_bid() {
    let wrapper = "<VAST version='4.2'><Ad><Wrapper><AdSystem>s</AdSystem><VASTAdTagURI>https://t.example/v</VASTAdTagURI>\
        <Impression>https://t.example/i</Impression></Wrapper></Ad></VAST>";
    let outcome = |adm: &str, key, slot_ms| {
        let mut one = bidder(settings());
        one.creatives = Arc::new([(key, Standing::ReadyAs(Arc::new(found(15_000))))].into());
        let mut sale = auction();
        Arc::make_mut(&mut sale.context).duration_ms = slot_ms;
        let bid = changed(|bid| bid["adm"] = json!(adm));
        let offer = one.bids(&sale, &[respond(&answer(&[bid]))]).unwrap();
        offer.refused.first().map_or_else(|| Ok(offer.bids[0].is_ready), |refused| Err(refused.why.code()))
    };
    let wrapped = creative_key("one", "cr", None);
    assert_eq!(
        [14_999, 15_000, 60_000].map(|ms| outcome(wrapper, wrapped, ms)),
        [Err(212), Ok(true), Ok(true)]
    );
    let inline = creative_key("one", "cr", Some("https://c.example/a.png"));
    assert_eq!(outcome(VAST, inline, 14_999), Ok(true), "its own document says how long it takes now");
}

fn found(shortest_ms: u32) -> Found {
    Found { shortest_ms, ..Found::default() }
}

#[test]
fn a_signed_link_is_the_same_creative_each_time() {
    let key = creative_key("one", "cr", Some("https://c.example/a.png"));
    let mut one = bidder(settings());
    one.creatives = Arc::new([(key, Standing::Ready)].into());
    for signature in ["?sig=1&amp;cb=77", "?sig=2#x", "#y"] {
        let signed = VAST.replace("/a.png", &format!("/a.png{signature}"));
        let bid = changed(|bid| bid["adm"] = json!(signed));
        let offer = one.bids(&auction(), &[respond(&answer(&[bid]))]).unwrap();
        assert_eq!((offer.bids[0].creative, offer.bids[0].is_ready), (key, true), "{signature}");
    }
    assert_ne!(creative_key("one", "cr", Some("https://c.example/b.png?sig=1")), key);
    assert_ne!(creative_key("one", "cr-2", Some("https://c.example/a.png?sig=1")), key);
}

proptest! {
    #[test]
    fn mutated_answers_never_panic(
        edits in prop::collection::vec((0..4096_usize, 0..24_usize, "[\\[\\]{}\":,0-9a-zé<>/$.-]{0,4}"), 0..6),
        is_lenient: bool,
    ) {
        let mut text = answer(&[bid(), changed(|bid| bid["mtype"] = json!(1))]).to_string();
        for (at, length, with) in edits {
            let at = text.floor_char_boundary(at % text.len().max(1));
            let end = text.floor_char_boundary((at + length).min(text.len())).max(at);
            text.replace_range(at..end, &with);
        }
        let response = Response { status: 200, body: text.into() };
        let one = bidder(Settings { lenient: is_lenient, ..settings() });
        let offer = crate::auction::bidder::offer(&one, &auction(), &[response]);
        prop_assert_eq!(offer.bids.len(), offer.external.len());
        prop_assert!(offer.bids.iter().all(|bid| bid.price >= auction().floor));
    }
}
