//! The published documents, judged as their index says; wrappers; macros; hostile XML; mutations.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::document::{ResourceKind, milliseconds};
use super::*;

const IMAGES: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];

fn wanted(mode: Mode) -> Wanted<'static> {
    Wanted { canvas: (1920, 1080), media_types: &IMAGES, slot_ms: 15_000, blocked_categories: &[], mode }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures/vectors/vast")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn index() -> Vec<Value> {
    serde_json::from_str(&file("INDEX.json")).unwrap()
}

/// Follows wrappers through `fetch`.
fn follow(text: &str, mode: Mode, fetch: impl Fn(&str) -> Option<String>) -> (Step, Chain, usize) {
    let mut chain = Chain::new(Document::read(text, mode).unwrap());
    for fetched in 0.. {
        let step = chain.step(&wanted(mode));
        let Step::Fetch(link) = &step else { return (step, chain, fetched) };
        match fetch(link.as_str()) {
            Some(text) => chain.received(&text, &wanted(mode)),
            None => chain.failed(VastError::WrapperTimeout),
        }
    }
    unreachable!("it comes to an end")
}

/// What is wrong with a document that leads nowhere else; `None` when it, or where it leads, may be shown.
fn problem(text: &str, mode: Mode) -> Option<VastError> {
    let document = match Document::read(text, mode) {
        Ok(document) => document,
        Err(error) => return Some(error),
    };
    if let Err(refusal) = document.check_version(mode) {
        return Some(refusal.error);
    }
    let mut chain = Chain::new(document);
    match chain.step(&wanted(mode)) {
        Step::Failed => Some(chain.refusals()[0].error),
        Step::Fetch(_) | Step::Done(_) => None,
    }
}

/// An overlay as the index writes it.
fn written(overlay: &NonLinear, expected: &Value) -> Value {
    let mut fields = Map::new();
    let mut field = |name: &str, value: Option<Value>| {
        value.and_then(|value| fields.insert(name.to_owned(), value));
    };
    let number = |number: Option<u32>| number.map(|number| json!(number.to_string()));
    field("id", overlay.id.as_ref().map(|id| json!(id)));
    field("width", number(overlay.width));
    field("height", number(overlay.height));
    // Defaults and absence are the same to us.
    let flag = |name: &str, value: bool| (!expected[name].is_null()).then(|| json!(value.to_string()));
    field("scalable", flag("scalable", overlay.scalable));
    field("maintainAspectRatio", flag("maintainAspectRatio", overlay.maintain_aspect_ratio));
    field("apiFramework", overlay.api_framework.as_ref().map(|name| json!(name)));
    let list = |list: &[String]| (!list.is_empty()).then(|| json!(list));
    field("NonLinearClickThrough", overlay.click_through.as_ref().map(|link| json!([link])));
    field("NonLinearClickTracking", list(&overlay.click_tracking));
    let statics = overlay.resources.iter().filter(|resource| resource.kind == ResourceKind::Static);
    let statics: Vec<Value> = statics
        .map(|of| json!({"kind": "StaticResource", "creativeType": of.media_type, "value": of.value}))
        .collect();
    field("resources", (!statics.is_empty()).then(|| json!(statics)));
    Value::Object(fields)
}

/// What of an index entry's advertisement is read differently.
fn differences(ad: &Ad, expected: &Value) -> Vec<String> {
    let kind = if ad.wrapper.is_some() { "Wrapper" } else { "InLine" };
    let uri = ad.wrapper.as_ref().map(|wrapper| wrapper.uri.as_str());
    let mut compared = vec![
        ("id", json!(ad.id), expected["id"].clone()),
        ("sequence", json!(ad.sequence.map(|place| place.to_string())), expected["sequence"].clone()),
        ("kind", json!(kind), expected["kind"].clone()),
        ("impressions", json!(ad.impressions), expected["impressions"].clone()),
        ("errors", json!(ad.errors), expected["errors"].clone()),
        ("linear", json!(ad.linear), expected["linear"].clone()),
    ];
    if !expected["adtaguri"].is_null() {
        compared.push(("adtaguri", json!(uri), expected["adtaguri"].clone()));
    }
    // The index counts those of linear and companion creatives in; they are not ours.
    let ids = expected["universaladid"].as_array().unwrap();
    let has_all_ids = ad.universal_ids.iter().all(|(registry, id)| ids.contains(&json!([registry, id])));
    compared.push(("universaladid", json!(has_all_ids), json!(true)));
    let serving: Vec<&String> = ad.serving_id.iter().collect();
    compared.push(("adservingid", json!(serving), expected["adservingid"].clone()));
    let has_all_events = ad.tracking.iter().all(|to| {
        expected["tracking"][&to.event].as_array().is_some_and(|links| links.contains(&json!(to.link)))
    });
    compared.push(("tracking", json!(has_all_events), json!(true)));
    if ad.linear == 0 && ad.tracking.len() < 10 {
        let events = expected["tracking"].as_object().unwrap().values();
        let expected = events.map(|links| links.as_array().unwrap().len()).sum::<usize>();
        compared.push(("tracking", json!(ad.tracking.len()), json!(expected)));
    }
    let overlays = expected["nonlinear"].as_array().unwrap();
    compared.push(("nonlinear", json!(ad.overlays.len()), json!(overlays.len())));
    for (overlay, expected) in ad.overlays.iter().zip(overlays) {
        let mut fields = expected.clone();
        let mut time = |name: &str| match fields.as_object_mut().unwrap().remove(name) {
            Some(time) => json!(milliseconds(time.as_str().unwrap())),
            None => Value::Null,
        };
        compared.push(("Duration", json!(overlay.duration_ms), time("Duration")));
        compared.push(("minimum", json!(overlay.min_duration_ms), time("minSuggestedDuration")));
        for size in ["expandedWidth", "expandedHeight"] {
            fields.as_object_mut().unwrap().remove(size);
        }
        let files = fields.as_object_mut().unwrap().remove("mediafiles").unwrap_or(json!([]));
        let media = overlay.resources.iter().filter(|resource| resource.kind == ResourceKind::Media);
        let media: Vec<Value> = media.map(|of| json!([of.media_type, of.value])).collect();
        let files = files.as_array().unwrap().iter().map(|file| json!([file["type"], file["url"]]));
        compared.push(("mediafiles", json!(media), files.collect()));
        compared.push(("NonLinear", written(overlay, expected), fields));
    }
    let differing = compared.into_iter().filter(|(_, read, expected)| read != expected);
    differing.map(|(field, read, expected)| format!("{field}: {read}, not {expected}")).collect()
}

/// The files that the index calls valid, and for which there is still nothing that we show: why.
const NOT_SHOWN: [(&str, VastError); 10] = [
    ("vast-client-js/empty-no-ad.xml", VastError::NoAd),
    ("vast-client-js/empty-no-creative.xml", VastError::NoAd),
    ("vast-client-js/inline-linear.xml", VastError::Linearity),
    // Needs a host for its script, and a minute and forty seconds.
    ("vast-client-js/sample.xml", VastError::Duration),
    ("ctv/01-menu-ad-video-only.xml", VastError::Linearity),
    // Videos.
    ("ctv/06-in-scene-ads.xml", VastError::NonLinearType),
    ("ctv/09-overlay.xml", VastError::NonLinearType),
    // A template with words for numbers.
    ("ctv/08-overlay.xml", VastError::Version),
    // Their links are relative.
    ("vast-client-js/wrapper-", VastError::Wrapper),
    ("vast-client-js/wrapper-legacy.xml", VastError::Wrapper),
];

/// The files that the index calls invalid: with which error.
const INVALID: [(&str, VastError); 7] = [
    ("vast-client-js/invalid-xmlfile.xml", VastError::Xml),
    ("vast-client-js/outdated-vast.xml", VastError::Version),
    ("ctv/02-menu-ad-mixed.xml", VastError::Xml),
    ("ctv/04-example-2-cinemagraph.xml", VastError::Xml),
    ("authored/neg-oversize.xml", VastError::NonLinearSize),
    ("authored/neg-javascript-clickthrough.xml", VastError::NonLinear),
    ("authored/neg-missing-impression.xml", VastError::Schema),
];

#[test]
fn every_document_is_judged_as_the_index_says() {
    let index = index();
    assert_eq!(index.len(), 29);
    let mut wrong = Vec::new();
    for entry in &index {
        let name = entry["file"].as_str().unwrap();
        let (text, expected) = (file(name), &entry["expected"]);
        let read = Document::read(&text, Mode::Strict);
        let problem = problem(&text, Mode::Strict);
        if entry["valid"] == true {
            let Ok(document) = read else {
                wrong.push(format!("{name}: {read:?}"));
                continue;
            };
            let ads = expected["ads"].as_array().unwrap();
            if json!(document.version) != expected["version"] || document.ads.len() != ads.len() {
                wrong.push(format!("{name}: version {}, {} ads", document.version, document.ads.len()));
            }
            let errors = expected["root_error"].as_array().cloned().unwrap_or_default();
            if ads.is_empty() && json!(document.errors) != json!(errors) {
                wrong.push(format!("{name}: errors {:?}", document.errors));
            }
            for (ad, expected) in document.ads.iter().zip(ads) {
                wrong.extend(differences(ad, expected).into_iter().map(|how| format!("{name}: {how}")));
            }
            let why = NOT_SHOWN.iter().find(|(known, _)| name.starts_with(known)).map(|(_, why)| *why);
            if problem != why {
                wrong.push(format!("{name}: {problem:?}, not {why:?}"));
            }
        } else {
            let why = INVALID.iter().find(|(known, _)| name == *known).map(|(_, why)| *why);
            if problem != why || why.is_none() {
                wrong.push(format!("{name}: {problem:?}, not {why:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "judged wrong:\n{}", wrong.join("\n"));
}

fn shown(name: &str) -> Overlay {
    match follow(&file(name), Mode::Strict, |_| None) {
        (Step::Done(overlay), ..) => *overlay,
        (step, chain, _) => panic!("{name}: {step:?} {:?}", chain.refusals()),
    }
}

#[test]
fn of_alternatives_the_first_that_can_be_shown_is() {
    let corner = shown("authored/overlay-corner-two-variants.xml");
    assert_eq!(corner.resource.unwrap().as_str(), "https://cdn.example/c.png", "the other is a video");
    assert_eq!((corner.size, corner.media_type.as_str()), ((480, 270), "image/png"));
    let silent = shown("authored/neg-about-blank-impression-ok.xml");
    assert!(silent.impressions.is_empty(), "about:blank is never called");
    let screensaver = shown("ctv/03-example-1-screensaver.xml");
    assert_eq!(screensaver.impressions.len(), 1);
    assert_eq!(screensaver.tracking.len(), 3);
    assert_eq!(screensaver.universal_id.unwrap().1, "CNPA0484000H");
}

#[test]
fn refusals_name_the_code_and_whom_to_tell() {
    let (_, chain, _) = follow(&file("authored/neg-oversize.xml"), Mode::Strict, |_| None);
    let [refusal] = chain.refusals() else { panic!("one") };
    assert_eq!(refusal.error.code(), 501);
    assert_eq!(refusal.errors[0].as_str(), "https://t.example/err?c=[ERRORCODE]");
    let mut macros = Macros::new(0, 1);
    macros.set("ERRORCODE", refusal.error.code().to_string());
    assert_eq!(macros.apply(refusal.errors[0].as_str()), "https://t.example/err?c=501");
}

#[test]
fn what_lenient_mode_takes_strict_mode_does_not() {
    let image = |attributes: &str, extra: &str, version: &str| {
        format!(
            "<VAST{version}><Ad><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle>{extra}\
             <Impression>https://t.example/i?a=1&amp;b=2</Impression><Creatives><Creative><NonLinearAds>\
             <NonLinear width='300' height='60'><StaticResource{attributes}>https://c.example/a.jpg?x\
             </StaticResource></NonLinear></NonLinearAds></Creative></Creatives></InLine></Ad></VAST>"
        )
    };
    let png = " creativeType='image/jpeg'";
    let cases = [
        (image("", "", " version='3.0'"), Some(VastError::NonLinearType)),
        (image(" creativeType='image/jpg'", "", " version='3.0'"), Some(VastError::NonLinearType)),
        (image(png, "<Description>a & b</Description>", " version='3.0'"), Some(VastError::Xml)),
        (image(png, "", ""), Some(VastError::Version)),
        (image(png, "", " version='latest'"), Some(VastError::Version)),
        (image(png, "", " version='5.0'"), Some(VastError::Version)),
        (image(png, "", " version='4.3'"), None),
    ];
    for (text, strict) in cases {
        assert_eq!(problem(&text, Mode::Strict), strict, "{text}");
        assert_eq!(problem(&text, Mode::Lenient), None, "{text}");
    }
    let untitled = image(png, "", " version='4.3'").replace("<AdTitle>t</AdTitle>", "");
    assert_eq!(problem(&untitled, Mode::Strict), Some(VastError::Schema));
}

#[test]
fn wrappers_are_followed_and_their_beacons_join() {
    let wrapper = file("authored/wrapper-nonlinear.xml");
    let inline = file("authored/neg-about-blank-impression-ok.xml");
    let (step, chain, fetched) = follow(&wrapper, Mode::Strict, |link| {
        assert_eq!(link, "https://ads.example/inline.xml");
        Some(inline.clone())
    });
    let Step::Done(overlay) = step else { panic!("{step:?} {:?}", chain.refusals()) };
    assert_eq!(fetched, 1);
    assert_eq!(overlay.impressions[0].as_str(), "https://w.example/imp");
    assert_eq!(overlay.click_tracking[0].as_str(), "https://w.example/click");
    assert_eq!((overlay.tracking[0].0.as_str(), overlay.errors.len()), ("creativeView", 1));

    // A category that the wrapper blocks.
    let betting = inline.replace("<Impression>", "<Category>IAB25</Category><Impression>");
    let (step, chain, _) = follow(&wrapper, Mode::Strict, |_| Some(betting.clone()));
    assert_eq!((step, chain.refusals()[0].error), (Step::Failed, VastError::Category));
    assert_eq!(chain.refusals()[0].errors[0].as_str(), "https://w.example/err?c=[ERRORCODE]");
    // What is below one of those, by the wrapper's list and by ours; what only begins alike is another.
    let of = |category: &str| betting.replace("IAB25", category);
    let (step, chain, _) = follow(&wrapper, Mode::Strict, |_| Some(of("IAB25-3")));
    assert_eq!((step, chain.refusals()[0].error), (Step::Failed, VastError::Category));
    let (step, ..) = follow(&wrapper, Mode::Strict, |_| Some(of("IAB255")));
    assert!(matches!(step, Step::Done(_)), "{step:?}");
    let ours = Wanted { blocked_categories: &["IAB25"], ..wanted(Mode::Strict) };
    let step = |category| Chain::new(Document::read(&of(category), Mode::Strict).unwrap()).step(&ours);
    assert_eq!(step("IAB25-3"), Step::Failed);
    assert!(matches!(step("IAB255"), Step::Done(_)));
    for (answer, error) in [
        (None, VastError::WrapperTimeout),
        (Some("nonsense"), VastError::Xml),
        (Some("<VAST version='4.2'/>"), VastError::NoAd),
        (Some("<VAST version='9'/>"), VastError::Version),
    ] {
        let (step, chain, fetched) = follow(&wrapper, Mode::Strict, |_| answer.map(str::to_owned));
        assert_eq!((step, chain.refusals()[0].error, fetched), (Step::Failed, error, 1));
        assert_eq!(chain.refusals()[0].errors.len(), 1, "the wrapper is told");
    }
    let strange = "<VAST version='9'><Error>https://t.example/none</Error></VAST>".to_owned();
    let (_, chain, _) = follow(&wrapper, Mode::Strict, |_| Some(strange.clone()));
    let told: Vec<&str> = chain.refusals()[0].errors.iter().map(|link| link.as_str()).collect();
    assert_eq!(told, ["https://w.example/err?c=[ERRORCODE]", "https://t.example/none"]);
}

/// A document of wrappers with such attributes, each leading to `https://a.example/N`.
fn wrappers(attributes: &[&str]) -> String {
    let ad = |(number, attributes): (usize, &&str)| {
        format!(
            "<Ad><Wrapper {attributes}><AdSystem>s</AdSystem><VASTAdTagURI>https://a.example/{number}</VASTAdTagURI>\
             <Impression>https://w.example/{number}</Impression></Wrapper></Ad>"
        )
    };
    format!("<VAST version='4.2'>{}</VAST>", attributes.iter().enumerate().map(ad).collect::<String>())
}

#[test]
fn five_wrappers_are_followed_and_no_more() {
    let inline = file("authored/neg-about-blank-impression-ok.xml");
    for (hops, is_shown) in [(5, true), (6, false)] {
        let left = std::cell::Cell::new(hops - 1);
        let (step, chain, fetched) = follow(&wrappers(&[""]), Mode::Strict, |_| {
            let wraps = left.get() > 0;
            left.set(left.get().max(1) - 1);
            Some(if wraps { wrappers(&[""]) } else { inline.clone() })
        });
        assert_eq!((matches!(step, Step::Done(_)), fetched), (is_shown, 5));
        if let Step::Done(overlay) = step {
            assert_eq!(overlay.impressions.len(), 5);
        } else {
            assert_eq!(chain.refusals()[0].error, VastError::WrapperLimit);
        }
    }
}

#[test]
fn wrappers_say_what_may_be_followed() {
    let inline = file("authored/neg-about-blank-impression-ok.xml");
    let (step, chain, _) =
        follow(&wrappers(&["followAdditionalWrappers='false'"]), Mode::Strict, |_| Some(wrappers(&[""])));
    assert_eq!((step, chain.refusals()[0].error), (Step::Failed, VastError::WrapperLimit));

    // The first of the wrapped document is linear, the second an overlay.
    let linear = file("vast-client-js/inline-linear.xml");
    let body = |text: &str| text[text.find("<Ad").unwrap()..text.rfind("</VAST>").unwrap()].to_owned();
    let both = format!("<VAST version='4.2'>{}{}</VAST>", body(&linear), body(&inline));
    let (step, ..) = follow(&wrappers(&[""]), Mode::Strict, |_| Some(both.clone()));
    assert_eq!(step, Step::Failed, "only the first");
    let (step, ..) = follow(&wrappers(&["allowMultipleAds='true'"]), Mode::Strict, |_| Some(both.clone()));
    assert!(matches!(step, Step::Done(_)), "{step:?}");

    let second = |link: &str| link.ends_with("/1").then(|| inline.clone());
    let (step, ..) = follow(&wrappers(&["", ""]), Mode::Strict, second);
    assert_eq!(step, Step::Failed, "no fallback");
    let (step, _, fetched) = follow(&wrappers(&["fallbackOnNoAd='true'", ""]), Mode::Strict, second);
    assert!(matches!(step, Step::Done(_)) && fetched == 2, "{step:?}");
    let (step, _, fetched) = follow(&wrappers(&["fallbackOnNoAd='1'"; 32]), Mode::Strict, |_| None);
    assert_eq!((step, fetched), (Step::Failed, 10), "fetches are bounded");
}

#[test]
fn a_published_chain_comes_to_its_end() {
    // wrapper-a leads to wrapper-b, and that to sample, whose overlay needs a script's host.
    let absolute = |name: &str| {
        file(&format!("vast-client-js/{name}"))
            .replace("[CDATA[wrapper-b", "[CDATA[http://example.com/wrapper-b")
            .replace("[CDATA[sample", "[CDATA[http://example.com/sample")
            .replace(" apiFramework=\"someAPI\"", "")
            .replace("00:01:40", "00:00:10")
    };
    let (step, chain, fetched) = follow(&absolute("wrapper-a.xml"), Mode::Strict, |link| {
        Some(absolute(link.strip_prefix("http://example.com/").unwrap()))
    });
    let Step::Done(overlay) = step else { panic!("{:?}", chain.refusals()) };
    assert_eq!(fetched, 2);
    assert_eq!(overlay.resource.unwrap().as_str(), "http://example.com/nonlinear-static-resource");
    let impressions: Vec<&str> = overlay.impressions.iter().map(|link| link.as_str()).collect();
    assert_eq!(impressions.len(), 6, "{impressions:?}");
    assert_eq!(overlay.errors.len(), 3);
    assert_eq!(overlay.tracking.iter().filter(|(event, _)| event == "start").count(), 3);
}

#[test]
fn macros_are_encoded_once_and_people_are_never_told_of() {
    let mut macros = Macros::new(1_764_090_000_123, 7);
    macros.set("ERRORCODE", "501");
    macros.set("PAGEURL", "https://a.example/?q=[ERRORCODE]\"><script>");
    macros.set("DEVICEIP", "192.0.2.1");
    macros.set("NOT_A_MACRO", "x");
    let cases = [
        (
            "https://t.example/[CACHEBUSTING]?t=[TIMESTAMP]",
            "https://t.example/00000007?t=2025-11-25T17%3A00%3A00.123Z",
        ),
        ("[ERRORCODE]%5BERRORCODE%5D%5bERRORCODE]", "501501501"),
        ("[PAGEURL]", "https%3A%2F%2Fa.example%2F%3Fq%3D%5BERRORCODE%5D%22%3E%3Cscript%3E"),
        ("[DEVICEIP]|[DEVICEUA]|[IFA]|[LATLONG]", "-2|-2|-2|-2"),
        ("[CONTENTID][NOT_A_MACRO][random][]", "-1[NOT_A_MACRO][random][]"),
        ("[[ERRORCODE]] 100% [ERRORCODE", "[501] 100% [ERRORCODE"),
        ("é[ERRORCODE]é%", "é501é%"),
    ];
    for (link, expected) in cases {
        assert_eq!(macros.apply(link), expected);
    }
}

#[test]
fn hostile_xml_is_refused_within_bounds() {
    let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><VAST version='4.0'>&b;</VAST>";
    let external = "<!DOCTYPE x SYSTEM 'file:///etc/passwd'><VAST version='4.0'/>";
    let deep = format!("<VAST>{}{}</VAST>", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let wide = format!("<VAST>{}</VAST>", "<a/>".repeat(10_000));
    let attributes: String = (0..1000).map(|number| format!(" a{number}=''")).collect();
    let large = format!("<VAST><!--{}--></VAST>", "x".repeat(MAX_DOCUMENT));
    let cases = [
        bomb,
        external,
        &deep,
        &wide,
        &format!("<VAST{attributes}/>"),
        &large,
        "",
        "<VAST>&unknown;</VAST>",
        "<VAST>&#0;</VAST>",
        "<VAST a='&unknown;'/>",
        "<VAST a='1' a='2'/>",
        "<VAST><Ad></VAST></Ad>",
        "<VAST/><VAST/>",
        "<VAST/>text",
        "<VAST><![CDATA[</VAST>",
    ];
    for text in cases {
        for mode in [Mode::Strict, Mode::Lenient] {
            let start: String = text.chars().take(60).collect();
            assert_eq!(Document::read(text, mode), Err(VastError::Xml), "{start}");
        }
    }
    assert_eq!(Document::read("<html/>", Mode::Lenient), Err(VastError::Schema));
    let many = format!("<VAST version='4.0'>{}</VAST>", "<Ad><InLine/></Ad>".repeat(1000));
    assert_eq!(Document::read(&many, Mode::Strict).unwrap().ads.len(), document::MAX_ADS);
}

proptest! {
    #[test]
    fn mutated_documents_never_panic(
        which in 0..29_usize,
        edits in prop::collection::vec((0..4096_usize, 0..4096_usize, "[<>\\[\\]&\"'a-z!/]{0,3}"), 0..6),
    ) {
        let mut text = file(index()[which]["file"].as_str().unwrap());
        for (at, length, with) in edits {
            let at = text.floor_char_boundary(at % text.len().max(1));
            let end = text.floor_char_boundary((at + length % 16).min(text.len())).max(at);
            text.replace_range(at..end, &with);
        }
        for mode in [Mode::Strict, Mode::Lenient] {
            let _ = problem(&text, mode);
        }
        let mut macros = Macros::new(0, 0);
        macros.set("PAGEURL", text.clone());
        prop_assert!(!macros.apply("[PAGEURL]").contains(['<', '"', '&', '[', ' ', '\'']));
        let _ = macros.apply(&text);
    }
}
