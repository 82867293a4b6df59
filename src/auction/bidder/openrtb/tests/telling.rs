//! Who is told what, and that nothing that is put into a text gets out of its place.

use proptest::prelude::*;

use super::macros::{Encoding, Values};
use super::notices::{Displayed, Notice, NoticeKind, Told, Won};
use super::*;
use crate::auction::Trace;
use crate::auction::bid::LossReason;
use crate::auction::external::{Links, Markup};
use crate::format::vast::Overlay;
use crate::ledger::{Attention, AttentionKind};

fn told(agreed: &BTreeSet<Encoding>) -> Told<'_> {
    Told { auction: "a-1", currency: "USD", agreed }
}

fn trace(bids: &[Value]) -> Trace {
    let key = creative_key("one", "cr", Some("https://c.example/a.png"));
    let mut one = bidder(settings());
    one.creatives = Arc::new([(key, Standing::Ready)].into());
    let offer = one.bids(&auction(), &[respond(&answer(bids))]).unwrap();
    Trace::of(auction(), vec![Offer::default(), offer])
}

fn links(notices: &[Notice]) -> Vec<(NoticeKind, &str)> {
    notices.iter().map(|notice| (notice.kind, notice.link.as_str())).collect()
}

#[test]
fn each_bid_is_told_what_became_of_it() {
    let notice = "https://d.example/n?i=${AUCTION_ID}&b=${AUCTION_BID_ID}&m=${AUCTION_IMP_ID}&s=${AUCTION_SEAT_ID}&\
        p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&l=${AUCTION_LOSS}&w=${AUCTION_MIN_TO_WIN}&a=${AUCTION_AD_ID}";
    let with = |id: &str, price: f64| {
        changed(|bid| {
            bid["id"] = json!(id);
            bid["price"] = json!(price);
            bid["nurl"] = json!(notice);
            bid["lurl"] = json!(notice);
        })
    };
    let low = changed(|bid| {
        bid["id"] = json!("b3");
        bid["price"] = json!(1);
    });
    let linear = changed(|bid| {
        bid["id"] = json!("b4");
        bid["adm"] = json!(VAST.replace("NonLinearAds", "Linear"));
    });
    let decided = trace(&[with("b1", 6.5), with("b2", 5.25), low, linear]);
    let agreed = BTreeSet::new();
    assert_eq!(
        links(&told(&agreed).decided(&decided, 1, None)),
        [
            (NoticeKind::Won, "https://d.example/n?i=a-1&b=r1&m=1&s=s&p=6.5&c=USD&l=0&w=5.25&a="),
            (NoticeKind::Lost, "https://d.example/n?i=a-1&b=r1&m=1&s=s&p=&c=USD&l=102&w=6.5&a="),
            (NoticeKind::Lost, "https://d.example/lost?r=100"),
            (NoticeKind::Lost, "https://d.example/lost?r=204"),
            (NoticeKind::VastError, "https://t.example/e?c=201&p="),
        ]
    );
    assert_eq!(told(&agreed).decided(&decided, 0, None), []);
    assert_eq!(told(&agreed).decided(&decided, 9, None), []);
    let unsold = told(&agreed).decided(&decided, 1, Some(LossReason::Expired));
    assert_eq!(
        links(&unsold)[..3],
        [
            (NoticeKind::Lost, "https://d.example/n?i=a-1&b=r1&m=1&s=s&p=&c=USD&l=2&w=&a="),
            (NoticeKind::Lost, "https://d.example/n?i=a-1&b=r1&m=1&s=s&p=&c=USD&l=102&w=&a="),
            (NoticeKind::Lost, "https://d.example/lost?r=100"),
        ],
        "nobody has won what came to nothing"
    );
}

#[test]
fn a_bill_has_the_same_key_each_time_and_another_for_each_part() {
    let bill = changed(|bid| {
        bid["burl"] =
            json!("https://d.example/b?n=${AUCTION_MULTIPLIER}&t=${AUCTION_IMP_TS}&p=${AUCTION_PRICE}")
    });
    let decided = trace(&[bill]);
    let (bid, external) = (&decided.offers[1].bids[0], &decided.offers[1].external[0]);
    let agreed = BTreeSet::new();
    let billed = |part| {
        let displayed = Displayed { count: 987, at: 1_764_090_001_000, told_at: 1_764_090_060_000, part };
        let (links, min_to_win, class) =
            (Links::default(), decided.decision.min_to_win, DisplayClass::Client);
        told(&agreed).billed(&Won { bid, external, min_to_win, class, links: &links }, displayed)
    };
    assert_eq!(billed(0)[0].link.as_str(), "https://d.example/b?n=987&t=1764090001000&p=6.5");
    assert_eq!(billed(0), billed(0));
    assert_eq!(billed(0)[0].idempotency_key.as_deref(), Some("a-1/b1/0"));
    assert_ne!(billed(0)[0].idempotency_key, billed(1)[0].idempotency_key);
}

#[test]
fn who_has_no_bill_is_told_of_impressions_until_that_is_taken() {
    let impression = "https://t.example/i?n=${AUCTION_MULTIPLIER}&s=[SERVERSIDE]&a=[DEVICEIP]";
    let vast = VAST.replace("https://t.example/i", &impression.replace('&', "&amp;"));
    let shown = |with_bill: bool| {
        let decided = trace(&[changed(|bid| {
            bid["adm"] = json!(vast);
            if !with_bill {
                bid.as_object_mut().unwrap().remove("burl");
            }
        })]);
        let (bid, external) = (&decided.offers[1].bids[0], &decided.offers[1].external[0]);
        let displayed = Displayed { count: 987, at: 1_764_090_001_000, told_at: 1_764_090_060_000, part: 0 };
        let links = external.markup.links(None);
        let (agreed, to_win) = (BTreeSet::new(), decided.decision.min_to_win);
        let won = Won { bid, external, min_to_win: to_win, class: DisplayClass::Client, links: &links };
        told(&agreed).shown(&won, displayed)
    };
    let [with, without] = [true, false].map(shown);
    // No address leaves the server.
    assert_eq!(with[0].link.as_str(), "https://t.example/i?n=987&s=1&a=-2");
    assert_eq!((with.len(), with[0].kind, &with[0].idempotency_key), (1, NoticeKind::Shown, &None));
    assert_eq!(without[0].link, with[0].link);
    assert_eq!(without[0].idempotency_key.as_deref(), Some("a-1/b1/0/0"));
}

#[test]
fn what_viewers_made_of_an_overlay_is_told_once_with_how_many() {
    let event = |name: &str| {
        format!("<Tracking event='{name}'>https://t.example/{name}?n=${{AUCTION_MULTIPLIER}}</Tracking>")
    };
    let events: String =
        ["start", "creativeView", "midpoint", "complete", "close", "skip"].map(event).concat();
    let vast = VAST
        .replace("<Creatives>", "<ViewableImpression><Viewable>https://t.example/seen?n=${AUCTION_MULTIPLIER}\
            </Viewable></ViewableImpression><Creatives>")
        .replace("<NonLinearAds>", &format!("<NonLinearAds><TrackingEvents>{events}</TrackingEvents>"))
        .replace("</NonLinear>", "<NonLinearClickThrough>https://brand.example/?b=${AUCTION_BID_ID}&amp;p=${AUCTION_PRICE}\
            </NonLinearClickThrough><NonLinearClickTracking>https://t.example/click?n=${AUCTION_MULTIPLIER}&amp;p=${AUCTION_PRICE}\
            </NonLinearClickTracking></NonLinear>");
    let decided = trace(&[changed(|bid| bid["adm"] = json!(vast))]);
    let (bid, external) = (&decided.offers[1].bids[0], &decided.offers[1].external[0]);
    let named = external.markup.links(None);
    let displayed = Displayed { count: 987, at: 1_764_090_001_000, told_at: 1_764_090_060_000, part: 0 };
    let (agreed, to_win) = (BTreeSet::new(), decided.decision.min_to_win);
    let told = |counts: &[(AttentionKind, u64)]| {
        let mut attention = Attention::default();
        counts.iter().for_each(|(kind, count)| attention.count(*kind, *count));
        let class = DisplayClass::Client;
        let notices = told(&agreed).attended(
            &Won { bid, external, min_to_win: to_win, class, links: &named },
            displayed,
            &attention,
        );
        assert!(notices.iter().all(|notice| notice.idempotency_key.is_none()), "it means no money");
        notices.into_iter().map(|notice| notice.link.to_string()).collect::<Vec<_>>()
    };
    let seen = [
        (AttentionKind::Viewable, 9000),
        (AttentionKind::Midpoint, 500),
        (AttentionKind::Close, 3),
        (AttentionKind::Click, 2),
    ];
    let expected =
        ["seen?n=987", "click?n=2&p=6.5", "start?n=987", "creativeView?n=987", "midpoint?n=500", "close?n=3"];
    assert_eq!(told(&seen), expected.map(|link| format!("https://t.example/{link}")));
    let expected = ["start?n=987", "creativeView?n=987"].map(|link| format!("https://t.example/{link}"));
    assert_eq!(told(&[]), expected, "and what never was is not told");
    let leads = self::told(&agreed).click_through(external, 0, &named).unwrap();
    assert_eq!(leads.as_str(), "https://brand.example/?b=r1&p=", "a viewer is told no price");
}

#[test]
fn of_several_ads_the_one_that_is_shown_is_told_however_its_link_is_signed() {
    let ad = |name: &str, resource: &str| {
        format!(
            "<Ad><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle><Impression>https://t.example/{name}</Impression>\
             <Creatives><Creative><NonLinearAds><NonLinear width='1920' height='324'>{resource}<NonLinearClickThrough>\
             https://{name}.example/</NonLinearClickThrough></NonLinear></NonLinearAds></Creative></Creatives></InLine></Ad>"
        )
    };
    let image = |query: &str| {
        format!("<StaticResource creativeType='image/png'>https://c.example/a.png{query}</StaticResource>")
    };
    let document = |query: &str| {
        let framed = ad("framed", "<IFrameResource>https://c.example/</IFrameResource>");
        Markup::Vast(format!("<VAST version='4.2'>{framed}{}</VAST>", ad("shown", &image(query))).into())
    };
    let resource = crate::format::link::Link::parse("https://c.example/a.png?sig=1").unwrap();
    let found = Overlay { resource: Some(resource), ..Overlay::default() };
    let links = document("?sig=2").links(Some(&found));
    assert_eq!(links.impressions[0].as_str(), "https://t.example/shown");
    assert_eq!(links.click_through.unwrap().as_str(), "https://shown.example/");
}

#[test]
fn what_is_written_down_has_the_markup_of_the_winner_alone_and_comes_to_the_same() {
    let low = changed(|bid| {
        bid["id"] = json!("b2");
        bid["price"] = json!(5);
    });
    let decided = trace(&[bid(), low]);
    let kept = decided.to_keep();
    let markups: Vec<bool> =
        kept.offers[1].external.iter().map(|of| of.markup == Markup::Vast(VAST.into())).collect();
    assert_eq!(markups, [true, false]);
    assert!(kept.is_reproducible() && kept.decision == decided.decision);
}

#[test]
fn links_into_the_inside_are_not_called() {
    for link in ["http://127.0.0.1/", "javascript:x", "https://${AUCTION_SEAT_ID}.example/", "x", ""] {
        let decided = trace(&[changed(|bid| bid["nurl"] = json!(link))]);
        assert_eq!(
            decided.decision.winner.map(|place| place.offer),
            Some(1),
            "that is no reason to refuse the bid"
        );
        assert_eq!(decided.offers[1].external[0].notices.won, None, "{link}");
    }
}

#[test]
fn macros_are_replaced_once_and_what_is_unknown_is_nothing() {
    let values = Values {
        seat: "\"><script>${AUCTION_PRICE}".into(),
        price: Some(Money::per_impression(4_350_000)),
        ..Values::default()
    };
    let cases = [
        ("p=${AUCTION_PRICE}", "p=4.35"),
        ("${AUCTION_SEAT_ID}", "%22%3E%3Cscript%3E%24%7BAUCTION_PRICE%7D"),
        ("${AUCTION_LOSS}${AUCTION_MBR}${AUCTION_ID}|", "|"),
        ("${AUCTION_PRICE:B64}", ""),
        ("${AUCTION_PRICE:XOR}", ""),
        ("${OTHER} ${AUCTION_PRICE ${AUCTION_PRICE} ${", "${OTHER} ${AUCTION_PRICE 4.35 ${"),
        ("${${AUCTION_PRICE}}", "${4.35}"),
    ];
    for (text, expected) in cases {
        assert_eq!(values.apply(text, &BTreeSet::new()), expected, "{text}");
    }
    let agreed = BTreeSet::from([Encoding::Base64]);
    assert_eq!(values.apply("${AUCTION_PRICE:B64}", &agreed), "NC4zNQ%3D%3D");
    let audit = Values { is_audit: true, ..values };
    assert_eq!(audit.apply("${AUCTION_PRICE}${AUCTION_MBR}${X}", &agreed), "AUDITAUDIT${X}");
}

proptest! {
    #[test]
    fn nothing_that_is_put_in_gets_out(name in ".{0,40}", text in ".{0,40}") {
        let values = Values { seat: name.clone(), ad: name.clone(), auction: name, ..Values::default() };
        let agreed = BTreeSet::from([Encoding::Base64]);
        for of in ["${AUCTION_SEAT_ID}", "${AUCTION_AD_ID:B64}", "${AUCTION_ID}"] {
            let put = values.apply(of, &agreed);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
            prop_assert!(put.bytes().all(is_plain), "{put}");
        }
        // What is around stays as it is.
        if !text.contains("${") && !text.ends_with('$') {
            prop_assert_eq!(values.apply(&format!("{text}${{AUCTION_MBR}}{text}"), &agreed), format!("{text}{text}"));
        }
    }
}
