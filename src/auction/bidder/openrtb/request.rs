//! What is asked: a bid request of OpenRTB 2.6 for one cohort, or the same in the words of 2.5.
//!
//! What is told of an audience is its size, and of a cohort that has agreed its country, language and kind of device: never
//! an address, a user agent or anything that is one person's. A cohort smaller than k is spoken of as the channel's
//! public number of viewers, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::country::alpha_3;
use super::price;
use super::settings::{DealSettings, Seller, Settings, Version};
use crate::auction::context::Auction;
use crate::ledger::DisplayClass;
use crate::media::{Cohort, Device, OverlayFormat};
use crate::money::Money;
use crate::random::mix;

/// The one thing that a request offers.
pub const IMP: &str = "1";
/// Media types that can be shown.
pub const MEDIA_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/webp", "image/gif"];
/// The picture that an overlay is shown on, in device-independent pixels: what the guidelines' geometry is told in.
pub const CANVAS: (u32, u32) = (1920, 1080);
/// VAST 4.0 to 4.3, inline and wrapper, and 2.0 and 3.0 (AdCOM, list "Creative Subtypes – Audio/Video").
const PROTOCOLS: [u32; 12] = [2, 3, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16];
/// Sound, expansion, pop-ups, provocation, sliding, floating, surveys, text, dialogues (AdCOM, list "Creative Attributes"):
/// nothing of it can be shown.
const BLOCKED_ATTRIBUTES: [u32; 11] = [1, 2, 3, 4, 5, 6, 8, 9, 10, 13, 14];
/// Text, script and frames (OpenRTB 2.6, list "Banner Ad Types"): a banner is an image.
const BLOCKED_BANNER_TYPES: [u32; 3] = [1, 3, 4];
/// So many seconds at least may pass from a bid to the last of its impressions.
const EXPIRES_SECONDS: i64 = 30;
/// The shortest display that the guidelines allow, in seconds.
const SHORTEST_SECONDS: u32 = 10;
/// Words of the moment that are told.
const MAX_KEYWORDS: usize = 50;
/// Characters of a title that are told.
const MAX_TITLE: usize = 200;

/// How a format is offered: video placement subtype, position, and the size of its image.
///
/// Subtype 7 lies over the picture, 8 makes it smaller (AdCOM, list "Plcmt Subtypes – Video").
const fn geometry(format: OverlayFormat) -> (u32, u32, (u32, u32)) {
    match format {
        OverlayFormat::LowerThird => (7, 5, (1920, 324)),
        OverlayFormat::Corner => (7, 10, (960, 540)),
        OverlayFormat::LShape => (8, 16, (1920, 1080)),
        OverlayFormat::DoubleBox => (8, 17, (960, 540)),
    }
}

/// What a request is called: the same for a sale whenever it is asked, another for each cohort of a slot, and telling nothing.
pub fn auction_id(auction: &Auction) -> String {
    let slot = &auction.context.slot;
    let name = format!("{}\n{}\n{}\n{}", slot.channel.as_str(), slot.broadcast, slot.cue, auction.cohort);
    let half =
        |salt: u64| name.bytes().fold(mix(auction.seed ^ salt), |state, byte| mix(state ^ u64::from(byte)));
    format!("{:016x}{:016x}", half(0), half(1))
}

/// A request; `None` when there is nothing to ask: the server counts and the bidder does not pay for that.
pub fn request(auction: &Auction, settings: &Settings, seller: &Seller, k: u32) -> Option<Value> {
    let context = &auction.context;
    if context.class == DisplayClass::Server && !settings.accepts_server_counts {
        return None;
    }
    let id = auction_id(auction);
    let channel = context.slot.channel.as_str();
    let publisher =
        if seller.per_channel { format!("{}-{channel}", seller.publisher) } else { seller.publisher.clone() };
    let is_told = auction.cohort.consent && auction.audience >= k && !seller.regulations.coppa;
    let mut request = json!({
        "id": id,
        "at": 1,
        "tmax": u64::try_from(settings.timeout.as_millis()).unwrap_or(u64::MAX),
        "cur": [seller.currency],
        "cattax": settings.category_taxonomy,
        "imp": [imp(auction, settings, seller, k)],
        "site": {
            "id": publisher,
            "domain": seller.domain,
            "page": format!("{}{channel}", seller.page),
            "publisher": { "id": publisher, "domain": seller.domain },
            "content": content(auction),
        },
        "source": {
            "fd": 0,
            "tid": id,
            "schain": {
                "ver": "1.0",
                "complete": 1,
                "nodes": [{ "asi": seller.domain, "sid": publisher, "rid": id, "hp": 1 }],
            },
        },
        "regs": regulations(seller),
    });
    // The channel's own words are in it too: whoever does not know one passes over it.
    let of_channel = context.blocked_categories.iter().map(ToString::to_string);
    let blocked_categories: BTreeSet<String> =
        settings.blocked_categories.iter().cloned().chain(of_channel).collect();
    let lists = [
        ("bcat", &blocked_categories),
        ("badv", &settings.blocked_advertisers),
        ("wseat", &settings.allowed_seats),
        ("bseat", &settings.blocked_seats),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        put(&mut request, name, json!(list));
    }
    if is_told {
        put(&mut request, "device", device(&auction.cohort));
        if let Some(tcf) = &seller.regulations.tcf {
            put(&mut request, "user", json!({ "consent": tcf }));
        }
    }
    if settings.version == Version::V2_5 {
        as_2_5(&mut request);
    }
    Some(request)
}

/// Adds to an object.
fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}

fn imp(auction: &Auction, settings: &Settings, seller: &Seller, k: u32) -> Value {
    let context = &auction.context;
    let (subtype, position, (width, height)) = geometry(context.format);
    let format = serde_json::to_value(context.format).unwrap_or_default();
    // Viewers of HLS are estimates and may be none; for nobody nothing would be asked.
    let viewers = if auction.audience < k { context.viewers } else { auction.audience };
    let mut imp = json!({
        "id": IMP,
        "tagid": format!("overlay-{}", format.as_str().unwrap_or_default()),
        "displaymanager": "onair",
        "bidfloor": price::number(auction.floor),
        "bidfloorcur": seller.currency,
        "secure": 1,
        "ssai": match context.class {
            // Not stitched: the page draws it and tells of it.
            DisplayClass::Client => 1,
            DisplayClass::Server => 3,
        },
        // Viewers come in the middle of a slot, and some are behind: until then they may be told, and billed.
        "exp": EXPIRES_SECONDS.max(context.counts_until.saturating_sub(context.at).saturating_add(999) / 1000),
        "dt": context.starts_at.max(context.at),
        // The seller counts its own audience (AdCOM, list "DOOH Multiplier Measurement Source Types": 3, publisher).
        "qty": { "multiplier": viewers.max(1), "sourcetype": 3 },
    });
    if context.engagement > 0 {
        let metric = json!([{ "type": "engagement", "value": context.engagement, "vendor": "EXCHANGE" }]);
        put(&mut imp, "metric", metric);
    }
    if settings.video {
        let longest = (context.duration_ms / 1000).max(1);
        let mut video = json!({
            "mimes": MEDIA_TYPES,
            "linearity": 2,
            "plcmt": subtype,
            "pos": position,
            "startdelay": -1,
            // It begins by itself, and without sound.
            "playbackmethod": [2],
            "minduration": SHORTEST_SECONDS.min(longest),
            "maxduration": longest,
            "w": CANVAS.0,
            "h": CANVAS.1,
            "protocols": PROTOCOLS,
            "battr": BLOCKED_ATTRIBUTES,
            "delivery": [2],
            "skip": 0,
        });
        if settings.min_cpm_per_second > 0 {
            let floor = price::number(Money::per_impression(settings.min_cpm_per_second));
            put(&mut video, "mincpmpersec", floor);
        }
        put(&mut imp, "video", video);
    }
    if settings.banner {
        let images: Vec<&str> = MEDIA_TYPES.into();
        let banner = json!({
            "format": [{ "w": width, "h": height }],
            "w": width,
            "h": height,
            "btype": BLOCKED_BANNER_TYPES,
            "battr": BLOCKED_ATTRIBUTES,
            "mimes": images,
            "pos": position,
        });
        put(&mut imp, "banner", banner);
    }
    let agreed = |id: &str| settings.deals.iter().find(|deal| deal.id == id);
    let deals = auction.deals.iter().filter_map(|deal| Some((deal.floor, agreed(&deal.id)?)));
    let deals: Vec<Value> = deals.map(|(floor, deal)| deal_of(floor, deal, seller)).collect();
    if !deals.is_empty() {
        put(&mut imp, "pmp", json!({ "private_auction": 0, "deals": deals }));
    }
    imp
}

fn deal_of(floor: Money, deal: &DealSettings, seller: &Seller) -> Value {
    let mut of = json!({
        "id": deal.id,
        "bidfloor": price::number(floor),
        "bidfloorcur": seller.currency,
        "at": if deal.fixed_price { 3 } else { 1 },
    });
    for (name, list) in [("wseat", &deal.seats), ("wadomain", &deal.advertisers)] {
        if !list.is_empty() {
            put(&mut of, name, json!(list));
        }
    }
    of
}

/// The moment, as what is watched: it is the same for all viewers.
fn content(auction: &Auction) -> Value {
    let context = &auction.context;
    let words = context.hashtags.iter().map(|tag| format!("#{tag}"));
    let words = words.chain(context.tags.iter().map(ToString::to_string));
    let mut content = json!({
        "id": format!("{}-{}", context.slot.channel.as_str(), context.slot.broadcast),
        "title": context.title.chars().take(MAX_TITLE).collect::<String>(),
        "livestream": 1,
        // Video that users make (AdCOM, lists "Production Quality" and "Content Contexts").
        "prodq": 3,
        "context": 1,
        "kwarray": words.take(MAX_KEYWORDS).collect::<Vec<String>>(),
    });
    if let Some(category) = &context.category {
        put(&mut content, "genre", json!(category));
    }
    if let Some(language) = context.language {
        put(&mut content, "language", json!(language));
    }
    content
}

fn regulations(seller: &Seller) -> Value {
    let of = &seller.regulations;
    let mut regs = Map::from_iter([("coppa".to_owned(), json!(u8::from(of.coppa)))]);
    let mut set = |name: &str, value: Value| _ = regs.insert(name.to_owned(), value);
    if let Some(gdpr) = of.gdpr {
        set("gdpr", json!(u8::from(gdpr)));
    }
    if let Some(text) = &of.us_privacy {
        set("us_privacy", json!(text));
    }
    if let Some(text) = &of.gpp {
        set("gpp", json!(text));
        set("gpp_sid", json!(of.gpp_sections));
    }
    Value::Object(regs)
}

/// A cohort's devices, without anything that is one device's.
fn device(cohort: &Cohort) -> Value {
    let mut device = Map::new();
    if let Some(of) = cohort.device {
        // AdCOM, list "Device Types".
        let kind = match of {
            Device::Phone => 4,
            Device::Tablet => 5,
            Device::Desktop => 2,
            Device::Tv => 3,
        };
        device.insert("devicetype".to_owned(), json!(kind));
    }
    if let Some(language) = cohort.language {
        device.insert("language".to_owned(), json!(language));
    }
    if let Some(country) = cohort.country.and_then(alpha_3) {
        device.insert("geo".to_owned(), json!({ "country": country }));
    }
    Value::Object(device)
}

/// The same in the words of 2.5: what was not there yet goes into `ext`, where it was before it was standard.
fn as_2_5(request: &mut Value) {
    let extend = |object: Option<&mut Value>, names: &[&str]| {
        let Some(Value::Object(fields)) = object else { return };
        let taken: Map<String, Value> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), fields.remove(*name)?))).collect();
        if !taken.is_empty() {
            fields.insert("ext".to_owned(), Value::Object(taken));
        }
    };
    extend(request.pointer_mut("/source"), &["schain"]);
    extend(request.pointer_mut("/regs"), &["gdpr", "us_privacy", "gpp", "gpp_sid"]);
    extend(request.pointer_mut("/user"), &["consent"]);
    extend(request.pointer_mut("/imp/0"), &["ssai", "dt", "qty"]);
    if let Some(Value::Object(video)) = request.pointer_mut("/imp/0/video") {
        video.remove("mincpmpersec");
        video.remove("plcmt");
        // In-stream: all that 2.5 has for what is shown with the stream.
        video.insert("placement".to_owned(), json!(1));
        let positions = 0..=7;
        if !video.get("pos").and_then(Value::as_u64).is_some_and(|pos| positions.contains(&pos)) {
            video.remove("pos");
        }
        let known = PROTOCOLS.into_iter().filter(|protocol| *protocol <= 10);
        video.insert("protocols".to_owned(), known.collect());
    }
    if let Some(Value::Object(content)) = request.pointer_mut("/site/content")
        && let Some(Value::Array(words)) = content.remove("kwarray")
    {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        content.insert("keywords".to_owned(), json!(words.join(",")));
    }
    if let Value::Object(request) = request {
        request.remove("cattax");
    }
}
