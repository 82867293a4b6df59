//! Creatives, and whatever else is behind their links.

use axum::body::Body;

use super::stage::{Answer, Asked, Lab, PNG, broken_off, endless, intake, redirect, reply};
use crate::auction::external::{ImageMarkup, Markup};
use crate::clock;
use crate::format::link::Link;
use crate::format::vast::Mode;
use crate::media::OverlayFormat;
use crate::sale::exchange::client::CallError;
use crate::sale::exchange::creatives::{Creative, Failure};
use crate::sale::exchange::fetch::{Order, fetch};
use crate::sale::exchange::guard::Forbidden;

fn order(markup: Markup) -> Order {
    Order {
        markup,
        format: OverlayFormat::LowerThird,
        slot_ms: 15_000,
        blocked_categories: ["IAB25".to_owned()].into(),
        mode: Mode::Strict,
        max_bytes: 1 << 20,
    }
}

fn image(link: Link) -> Markup {
    Markup::Image(Box::new(ImageMarkup { link, click_through: None, impressions: Vec::new() }))
}

fn inline(link: &str) -> String {
    format!(
        "<VAST version='4.2'><Ad><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle>\
         <Impression>https://t.example/inline</Impression><Creatives><Creative><NonLinearAds>\
         <NonLinear width='1920' height='324'><StaticResource creativeType='image/png'>{link}</StaticResource>\
         <NonLinearClickThrough>https://brand.example/</NonLinearClickThrough></NonLinear></NonLinearAds></Creative>\
         </Creatives></InLine></Ad></VAST>"
    )
}

fn about(category: &str, inline: &str) -> String {
    let category = format!("<Category authority='iabtechlab.com'>{category}</Category><Creatives>");
    inline.replace("<Creatives>", &category)
}

fn wrapper(link: &str) -> String {
    format!(
        "<VAST version='4.2'><Ad><Wrapper><AdSystem>s</AdSystem><VASTAdTagURI><![CDATA[{link}]]></VASTAdTagURI>\
         <Error>https://t.example/error</Error>\
         <Impression>https://t.example/wrapper</Impression></Wrapper></Ad></VAST>"
    )
}

fn answer(asked: Asked) -> Answer {
    Box::pin(async move {
        let port = asked.path.rsplit(['=', '/']).next().unwrap_or_default().to_owned();
        let at = |host: &str, path: &str| format!("https://{host}.lab:{port}{path}/{port}");
        match asked.path.trim_end_matches(&port) {
            "/image/" => reply(200, PNG),
            "/moved/" => redirect(&at("tag", "/image")),
            "/often/" => redirect(&at("cdn", "/often")),
            "/inside/" => redirect("http://169.254.169.254/latest/meta-data"),
            "/local/" => redirect("https://[::1]/"),
            "/plain/" => redirect(&at("cdn", "/image").replace("https", "http")),
            "/script/" => reply(200, "<svg><script>alert(1)</script></svg>"),
            "/broken/" => reply(200, &PNG[..6]),
            "/long/" => reply(200, [PNG, &vec![0; 1 << 20]].concat()),
            "/endless/" => reply(200, endless()),
            "/cut/" => reply(200, broken_off()),
            "/gone/" => reply(404, Body::empty()),
            "/ill/" => reply(503, Body::empty()),
            "/inline/" => reply(200, inline(&at("cdn", "/image"))),
            "/beer/" => reply(200, about("IAB7-39", &inline(&at("cdn", "/image")))),
            "/worse/" => reply(200, about("IAB25", &inline(&at("cdn", "/image")))),
            "/lasting/" => reply(
                200,
                inline(&at("cdn", "/image"))
                    .replace("<NonLinear ", "<NonLinear minSuggestedDuration='00:00:20' "),
            ),
            "/lost/" => reply(200, inline(&at("cdn", "/gone"))),
            "/drawn/" => reply(200, inline(&at("cdn", "/script"))),
            "/torn/" => reply(200, inline(&at("cdn", "/broken"))),
            "/wrapped/" => reply(200, wrapper(&at("tag", "/inline"))),
            "/loop/" => reply(200, wrapper(&at("tag", "/loop"))),
            "/bomb/" => reply(
                200,
                "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><VAST version='4.2'>&b;</VAST>",
            ),
            "/binary/" => reply(200, vec![0xff; 1000]),
            path => panic!("{path} is not asked for"),
        }
    })
}

async fn fetched(lab: &Lab, markup: Markup) -> Result<Creative, Failure> {
    fetch(&lab.client(), &intake(), &order(markup)).await.creative
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_over_redirects_into_the_open_and_from_nowhere_else() {
    let lab = Lab::open(answer).await;
    let at = |path: &str| lab.link("cdn", &format!("{path}/{}", lab.port));
    for path in ["/image", "/moved"] {
        let creative = fetched(&lab, image(at(path))).await.unwrap();
        assert_eq!((&creative.file[..], creative.overlay), (PNG, None), "{path}");
    }
    for (path, why) in [
        ("/often", "more than 3 redirects"),
        ("/inside", "the link leads to a private or special address"),
        ("/local", "the link leads to a private or special address"),
        ("/plain", "only https is followed here"),
        ("/script", "it is none of PNG, JPEG, WebP and GIF"),
        ("/broken", "image: no image"),
        ("/long", "the answer is too long"),
        ("/endless", "the answer is too long"),
        ("/gone", "the answer is 404 Not Found"),
    ] {
        assert_eq!(fetched(&lab, image(at(path))).await, Err(Failure::Refused(why.to_owned())), "{path}");
    }
    let ill = fetched(&lab, image(at("/ill"))).await;
    assert!(matches!(ill, Err(Failure::Absent(_))), "it may come another time: {ill:?}");
    assert_eq!(lab.asked("cdn").iter().filter(|asked| asked.path.starts_with("/often")).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_may_come_another_time() {
    let lab = Lab::speaking(&["http/1.1"], answer).await;
    let link = lab.link("cdn", &format!("/cut/{}", lab.port));
    let cut = lab.client().fetch(&link, 1 << 20, clock::monotonic() + super::stage::LONG).await;
    assert!(matches!(cut, Err(CallError::Body(_))), "{cut:?}");
    let cut = fetched(&lab, image(link)).await;
    assert!(matches!(cut, Err(Failure::Absent(_))), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_resolve_into_this_machine_are_not_connected_to() {
    let lab = Lab::open(answer).await;
    let deadline = || clock::monotonic() + super::stage::LONG;
    // Debian's /etc/hosts has it, and it is no name that a link may not have.
    let name = "ip6-localhost";
    let resolves = tokio::net::lookup_host((name, 443)).await.is_ok();
    let link = Link::parse(&format!("https://{name}/")).unwrap();
    match lab.client().fetch(&link, 1000, deadline()).await {
        Err(CallError::Forbidden(Forbidden::Private(host))) if resolves => assert_eq!(host, name),
        Err(CallError::Unreachable(_)) if !resolves => {}
        other => panic!("{other:?}"),
    }
    // Not even the host that everybody reaches here is, by a name or port that the operator has not given.
    let link = Link::parse(&format!("https://other.lab:{}/", lab.port)).unwrap();
    let refused = lab.client().fetch(&link, 1000, deadline()).await;
    assert!(matches!(refused, Err(CallError::Forbidden(Forbidden::Port(_)))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrappers_are_followed_within_bounds_and_everybody_is_told() {
    let lab = Lab::open(answer).await;
    let at = |host: &str, path: &str| lab.link(host, &format!("{path}/{}", lab.port)).to_string();
    // Of the bid that it is fetched for it keeps nothing: the next one names others.
    let of_bid = |path: &str, bid: u8| {
        let own = format!("<Impression>https://t.example/bid/{bid}</Impression></Wrapper>");
        Markup::Vast(wrapper(&at("tag", path)).replace("</Wrapper>", &own).into())
    };
    for (path, wrapped) in [("/inline", &[][..]), ("/wrapped", &["https://t.example/wrapper"])] {
        let creative = fetched(&lab, of_bid(path, 1)).await.unwrap();
        assert_eq!(&creative.file[..], PNG);
        let links = of_bid(path, 2).links(creative.overlay.as_ref());
        let told: Vec<&str> = links.impressions.iter().map(|link| link.as_str()).collect();
        let own = ["https://t.example/wrapper", "https://t.example/bid/2", "https://t.example/inline"];
        assert_eq!(told, own, "{wrapped:?} is told once");
        assert_eq!(links.click_through.unwrap().as_str(), "https://brand.example/");
    }
    let beer = fetched(&lab, Markup::Vast(wrapper(&at("tag", "/beer")).into())).await.unwrap();
    assert_eq!(beer.overlay.unwrap().categories, ["IAB7-39"]);
    // Longer than the slot that it is fetched for: another slot may be longer.
    let lasting = fetched(&lab, Markup::Vast(wrapper(&at("tag", "/lasting")).into())).await.unwrap();
    assert_eq!(lasting.overlay.unwrap().min_duration_ms, Some(20_000));
    for (first, why, code) in [
        (wrapper(&at("tag", "/worse")), "the category is blocked", 205),
        (wrapper(&at("tag", "/loop")), "too many wrappers", 302),
        (wrapper(&at("tag", "/bomb")), "the document is no XML that can be read", 100),
        (wrapper(&at("tag", "/binary")), "the document is no XML that can be read", 100),
        (wrapper(&at("tag", "/inside")), "the wrapper leads nowhere", 300),
        (wrapper("https://10.0.0.1/"), "the wrapper leads nowhere", 300),
        (wrapper("http://cdn.example/"), "the wrapper leads nowhere", 300),
        (wrapper(&at("tag", "/lost")), "the answer is 404 Not Found", 502),
        (wrapper(&at("tag", "/drawn")), "it is none of PNG, JPEG, WebP and GIF", 503),
        (wrapper(&at("tag", "/torn")), "image: no image", 500),
    ] {
        let failed = fetch(&lab.client(), &intake(), &order(Markup::Vast(first.into()))).await;
        assert_eq!(failed.creative, Err(Failure::Refused(why.to_owned())));
        let [refusal] = &failed.refusals[..] else { panic!("{why}: {:?}", failed.refusals) };
        assert_eq!(refusal.error.code(), code, "{why}");
        assert!(refusal.errors.iter().any(|link| link.as_str() == "https://t.example/error"), "{why}");
    }
    let loops = lab.asked("tag").iter().filter(|asked| asked.path.starts_with("/loop")).count();
    assert_eq!(loops, 5, "five wrappers at most");
    let ill = fetched(&lab, Markup::Vast(wrapper(&at("tag", "/ill")).into())).await;
    assert!(matches!(ill, Err(Failure::Absent(_))), "{ill:?}");
}
