//! What is asked, and that it tells of nobody.

use proptest::prelude::*;

use super::*;

fn ask(auction: &Auction, settings: Settings, seller: Seller) -> Value {
    let one = OpenRtb { seller: Arc::new(seller), ..bidder(settings) };
    let [request] = &one.requests(auction)[..] else { panic!("one request") };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(validate::request(&body), Ok(()));
    body
}

fn regulated() -> Seller {
    Seller {
        regulations: Regulations {
            coppa: false,
            gdpr: Some(true),
            tcf: Some("CPXx".into()),
            us_privacy: Some("1YNN".into()),
            gpp: Some("DBAB~X".into()),
            gpp_sections: vec![2],
        },
        ..Seller::default()
    }
}

#[test]
fn prices_are_exact_and_the_cohort_is_one_impression_many_times() {
    let body = ask(&auction(), settings(), Seller::default());
    let imp = &body["imp"][0];
    assert_eq!(imp["bidfloor"].to_string(), "4.35");
    assert_eq!((&imp["qty"]["multiplier"], &imp["ssai"], &body["at"]), (&json!(1000), &json!(1), &json!(1)));
    assert_eq!((&imp["video"]["linearity"], &imp["video"]["maxduration"]), (&json!(2), &json!(15)));
    assert_eq!(imp["pmp"], Value::Null, "a deal that is not agreed with this bidder is none of its business");
    assert_eq!(body["site"]["content"]["kwarray"], json!(["#soup", "german"]));
    let mut soon = auction();
    Arc::make_mut(&mut soon.context).starts_at += 2000;
    let shown_at = &ask(&soon, settings(), Seller::default())["imp"][0]["dt"];
    assert_eq!(shown_at, &json!(soon.context.at + 2000), "when it is shown, not when it is asked");
    let counts_for = (soon.context.counts_until - soon.context.at) as u64;
    assert_eq!(imp["exp"], json!(counts_for.div_ceil(1000)), "as long as a display may be told and billed");
    let other = Auction { cohort: Cohort::everybody(), ..auction() };
    let other = ask(&other, settings(), Seller::default());
    assert_ne!(other["id"], body["id"], "each cohort's request has its own name");
    assert_eq!(ask(&auction(), settings(), Seller::default()), body, "and the same whenever it is asked");
}

#[test]
fn without_consent_only_the_context_is_told() {
    let told = ask(&auction(), settings(), regulated());
    assert_eq!(told["device"], json!({ "devicetype": 4, "language": "en", "geo": { "country": "AUT" } }));
    assert_eq!(told["user"], json!({ "consent": "CPXx" }));
    assert_eq!(told["regs"]["gpp_sid"], json!([2]));
    let untold = |auction: &Auction, seller| {
        let body = ask(auction, settings(), seller);
        assert_eq!((&body["device"], &body["user"]), (&Value::Null, &Value::Null));
        assert_eq!(body["site"]["content"]["title"], "Soup #live");
        body["imp"][0]["qty"]["multiplier"].clone()
    };
    let without = Auction { cohort: Cohort { consent: false, ..cohort() }, ..auction() };
    assert_eq!(untold(&without, regulated()), 1000);
    let mut children = regulated();
    children.regulations.coppa = true;
    assert_eq!(untold(&auction(), children), 1000);
    let few = Auction { audience: 49, ..auction() };
    assert_eq!(untold(&few, regulated()), 1234, "the public number of viewers");
    let unseen = Auction { context: Arc::new(Context { viewers: 0, ..context() }), audience: 0, ..auction() };
    assert_eq!(untold(&unseen, regulated()), 1, "never for nobody");
}

#[test]
fn who_does_not_pay_for_server_counts_is_not_asked() {
    let mut server = auction();
    server.context = Arc::new(Context { class: DisplayClass::Server, ..context() });
    assert_eq!(bidder(settings()).requests(&server), []);
    let body = ask(&server, Settings { accepts_server_counts: true, ..settings() }, Seller::default());
    assert_eq!(body["imp"][0]["ssai"], 3);
}

#[test]
fn older_bidders_find_everything_where_it_was() {
    let old = Settings { version: Version::V2_5, ..settings() };
    let one = bidder(old.clone());
    let header =
        |name: &str| one.requests(&auction())[0].headers.iter().find(|of| of.0 == name).unwrap().1.clone();
    assert_eq!(header("x-openrtb-version"), "2.5");
    let body = ask(&auction(), old, regulated());
    assert_eq!(
        body["regs"],
        json!({ "coppa": 0, "ext": {
        "gdpr": 1, "us_privacy": "1YNN", "gpp": "DBAB~X", "gpp_sid": [2],
    } })
    );
    assert_eq!(body["user"], json!({ "ext": { "consent": "CPXx" } }));
    assert_eq!(body["source"]["ext"]["schain"]["complete"], 1);
    assert_eq!(body["site"]["content"]["keywords"], "#soup,german");
    let imp = &body["imp"][0];
    assert_eq!((&imp["ext"]["qty"]["multiplier"], &imp["video"]["placement"]), (&json!(1000), &json!(1)));
    for gone in
        [&body["cattax"], &imp["video"]["plcmt"], &imp["qty"], &imp["ssai"], &body["source"]["schain"]]
    {
        assert_eq!(gone, &Value::Null);
    }
    let old_bid = changed(|bid| {
        bid["mtype"] = Value::Null;
        bid["protocol"] = json!(7);
    });
    let offer = one.bids(&auction(), &[respond(&answer(&[old_bid]))]).unwrap();
    assert_eq!(offer.bids.len(), 1);
}

#[test]
fn what_is_wrong_with_settings_is_told() {
    assert_eq!(settings().problems(), []);
    let text = "name = 'dsp'\nurl = 'https://bid.example/'\nversion = '2.5'\ntimeout = '100ms'\ncredit_limit = 5\n\
        macro_encodings = ['B64']\n[headers]\nx-key = 'k'\n[[deals]]\nid = 'D'";
    let read: Settings = toml::from_str(text).unwrap();
    assert_eq!((read.problems(), read.version, read.deals[0].fixed_price), (vec![], Version::V2_5, false));
    assert!(toml::from_str::<Settings>("name = 'a'\nurl = 'http://127.0.0.1/'").is_err());
    let set = || BTreeSet::from(["a".to_owned()]);
    let wrong = Settings {
        name: "house".into(),
        timeout: std::time::Duration::ZERO,
        video: false,
        banner: false,
        headers: [("Content-Type".to_owned(), "a\nb".to_owned())].into(),
        allowed_seats: set(),
        blocked_seats: set(),
        deals: vec![DealSettings { id: String::new(), seats: set(), advertisers: set(), fixed_price: false }],
        min_cpm_per_second: -1,
        credit_limit: 0,
        version: Version::V2_5,
        category_taxonomy: 0,
        priority: 255,
        ..settings()
    };
    let keys: Vec<&str> = wrong.problems().iter().map(|(key, _)| *key).collect();
    let expected = [
        "name",
        "timeout",
        "video",
        "headers",
        "blocked_seats",
        "deals",
        "min_cpm_per_second",
        "credit_limit",
        "category_taxonomy",
        "category_taxonomy",
        "priority",
    ];
    assert_eq!(keys, expected);
}

/// All names of fields in a message, and all texts.
fn walk(value: &Value, names: &mut BTreeSet<String>, texts: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            names.insert(name.clone());
            walk(value, names, texts);
        }),
        Value::Array(list) => list.iter().for_each(|value| walk(value, names, texts)),
        Value::String(text) => texts.push(text.clone()),
        _ => {}
    }
}

fn cohorts() -> impl Strategy<Value = Cohort> {
    let code = || prop::option::of("[a-z]{2}".prop_map(|text| text.parse().unwrap()));
    let devices = [Device::Phone, Device::Tablet, Device::Desktop, Device::Tv];
    let device = prop::option::of(prop::sample::select(devices.to_vec()));
    (any::<bool>(), code(), code(), device).prop_map(|(consent, country, language, device)| Cohort {
        consent,
        country,
        language,
        device,
        tags: words(["secret-tag-of-an-embedder"]),
    })
}

proptest! {
    #[test]
    fn no_request_tells_of_anybody(
        cohort in cohorts(),
        audience in 0..200_u32,
        is_server: bool,
        is_old: bool,
        is_coppa: bool,
        format in prop::sample::select(OverlayFormat::ALL.to_vec()),
    ) {
        let class = if is_server { DisplayClass::Server } else { DisplayClass::Client };
        let sale = Auction {
            context: Arc::new(Context { class, format, ..context() }),
            cohort: cohort.clone(),
            audience,
            ..auction()
        };
        let mut seller = regulated();
        seller.regulations.coppa = is_coppa;
        let version = if is_old { Version::V2_5 } else { Version::V2_6 };
        let body = ask(&sale, Settings { accepts_server_counts: true, version, ..settings() }, seller);
        let (mut names, mut texts) = (BTreeSet::new(), Vec::new());
        walk(&body, &mut names, &mut texts);
        for person in ["ip", "ipv6", "ua", "sua", "ifa", "didsha1", "dpidsha1", "macsha1", "buyeruid", "eids", "yob",
            "gender", "lat", "lon", "zip", "city", "region", "metro"] {
            prop_assert!(!names.contains(person), "{person}");
        }
        prop_assert!(!texts.iter().any(|text| text.contains("Mozilla") || text.contains("secret-tag")));
        let is_address = |text: &String| text.split([' ', '/', ':']).any(|part| {
            part.split('.').count() == 4 && part.split('.').all(|number| number.parse::<u8>().is_ok())
        });
        prop_assert!(!texts.iter().any(is_address));
        let is_told = cohort.consent && audience >= 50 && !is_coppa;
        prop_assert_eq!(!body["device"].is_null(), is_told);
        prop_assert_eq!(!body["user"].is_null(), is_told);
        let imp = &body["imp"][0];
        let qty = if is_old { &imp["ext"]["qty"] } else { &imp["qty"] };
        let count = qty["multiplier"].as_u64().unwrap();
        prop_assert!(count >= 50, "no cohort under k");
        prop_assert_eq!(&body["user"]["id"], &Value::Null);
    }
}
