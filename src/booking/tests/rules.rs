//! What may be booked.

use super::super::rules::{self, MAX_WORDS};
use super::*;
use crate::auction::campaign::{Cap, CapScope, Separation};

#[test]
fn a_click_leads_to_the_advertisers_own_hosts() {
    let shop = hosts(&["shop.example"]);
    for good in ["https://shop.example", "http://www.Shop.example:8443/a?b=c#d", "https://shop.example/@x"] {
        assert_eq!(rules::click_url(good, &shop).as_deref(), Ok(good));
    }
    let long = format!("https://shop.example/{}", "x".repeat(2000));
    for bad in [
        "https://evilshop.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://user:pw@shop.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "//shop.example/",
        "/path",
        "shop.example",
        "ftp://shop.example/",
        "https://",
        "https://shop.example/ space",
        "",
        long.as_str(),
    ] {
        let (field, allowed) = rules::click_url(bad, &shop).unwrap_err();
        assert!(field == "click_url" && allowed.contains("shop.example"), "{bad}: {allowed}");
    }
    assert!(rules::click_url("https://anywhere.example/", &BTreeSet::new()).is_ok());
    assert!(rules::click_url("javascript:alert(1)", &BTreeSet::new()).is_err());
}

#[test]
fn domains_are_names_of_hosts() {
    assert_eq!(rules::domains(&hosts(&[" Shop.Example "])), Ok(hosts(&["shop.example"])));
    for bad in ["shop", "https://shop.example", "a..b", "-a.example", "käse.example", "a.example/x", ""] {
        assert!(rules::domains(&hosts(&[bad])).is_err(), "{bad}");
    }
    let many: BTreeSet<String> = (0..21).map(|n| format!("a{n}.example")).collect();
    assert!(rules::domains(&many).is_err());
}

#[test]
fn words_are_kept_as_the_moments_words_are_compared() {
    let mut given = terms();
    given.targeting.hashtags = words(&["#Live", "ＣＯＯＫＩＮＧ", "＃live"]);
    given.targeting.categories = words(&[" Food "]);
    given.separation = Some(Separation { categories: words(&["CARS"]), window_ms: 1000 });
    let kept = rules::terms(given).unwrap();
    assert_eq!(kept.targeting.hashtags, words(&["live", "cooking"]));
    assert_eq!(kept.targeting.categories, words(&["food"]));
    assert_eq!(kept.separation.unwrap().categories, words(&["cars"]));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_what_is_allowed() {
    let mut bad = terms();
    bad.bid = Money::ZERO;
    bad.schedule.end = bad.schedule.start;
    bad.schedule.hours.offset_minutes = 900;
    bad.deal = Some("a deal".into());
    bad.caps = vec![Cap { scope: CapScope::Viewer, count: 1, window_ms: 1000 }; 5];
    bad.targeting.tags = (0..=MAX_WORDS).map(|n| Arc::from(n.to_string())).collect();
    bad.targeting.hashtags = words(&["#"]);
    bad.targeting.channels = (0..=MAX_WORDS).map(|n| format!("channel-{n}").parse().unwrap()).collect();
    bad.separation = Some(Separation { categories: BTreeSet::new(), window_ms: 1000 });
    let problems = rules::terms(bad).unwrap_err();
    let fields: BTreeSet<&str> = problems.iter().map(|(field, _)| *field).collect();
    let expected = [
        "bid",
        "caps",
        "day_parts.offset_minutes",
        "deal",
        "schedule",
        "separation.categories",
        "targeting.channels",
        "targeting.hashtags",
        "targeting.tags",
    ];
    assert_eq!(fields, BTreeSet::from(expected), "{problems:?}");
    assert!(rules::terms(terms()).is_ok());
}
