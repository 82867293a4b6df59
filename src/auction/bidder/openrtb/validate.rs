//! What a bidder may demand of a request: OpenRTB 2.6, §3.2. Our own requests are held to it, and demo bidders answer 400 to
//! what does not pass.

use serde_json::Value;

/// What is wrong with a request: the path of the field, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct InvalidRequest {
    /// As in `imp[0].video.w`.
    pub path: String,
    /// Why.
    pub why: &'static str,
}

type Checked = Result<(), InvalidRequest>;

fn demand(is: bool, path: &str, why: &'static str) -> Checked {
    if is { Ok(()) } else { Err(InvalidRequest { path: path.to_owned(), why }) }
}

/// Checks a request.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn request(request: &Value) -> Checked {
    demand(request.is_object(), "request", "must be an object")?;
    named(request, "id", "id")?;
    let imps = request["imp"].as_array().map_or(&[][..], Vec::as_slice);
    demand(!imps.is_empty(), "imp", "must have at least one element")?;
    for (number, of) in imps.iter().enumerate() {
        let path = format!("imp[{number}]");
        imp(of, &path)?;
        let is_unique = imps.iter().take(number).all(|other| other["id"] != of["id"]);
        demand(is_unique, &format!("{path}.id"), "must be unique")?;
    }
    let channels = ["site", "app", "dooh"].iter().filter(|name| !request[**name].is_null()).count();
    demand(channels == 1, "site", "exactly one of site, app and dooh must be there")?;
    if let Some(site) = request.get("site") {
        let is = site["id"].is_string() || site["page"].is_string();
        demand(is, "site", "must have id or page")?;
    }
    whole(request, "tmax", "tmax")?;
    one_of(request, "at", "at", &[1, 2, 3])?;
    demand(request["wseat"].is_null() || request["bseat"].is_null(), "bseat", "excludes wseat")?;
    for (object, name) in [("regs", "gdpr"), ("regs", "coppa")] {
        one_of(&request[object], name, &format!("{object}.{name}"), &[0, 1])?;
    }
    one_of(&request["regs"]["ext"], "gdpr", "regs.ext.gdpr", &[0, 1])?;
    let user = &request["user"];
    for (of, path) in [(user, "user.consent"), (&user["ext"], "user.ext.consent")] {
        let consent = &of["consent"];
        demand(consent.is_null() || consent.is_string(), path, "must be text")?;
    }
    whole(&request["device"]["geo"], "accuracy", "device.geo.accuracy")?;
    let schains = [&request["source"]["schain"], &request["source"]["ext"]["schain"]];
    schains.into_iter().filter(|schain| !schain.is_null()).try_for_each(supply_chain)
}

fn imp(imp: &Value, path: &str) -> Checked {
    named(imp, "id", &format!("{path}.id"))?;
    let kinds = ["banner", "video", "audio", "native"];
    demand(kinds.iter().any(|kind| !imp[*kind].is_null()), path, "must have banner, video, audio or native")?;
    let floor = &imp["bidfloor"];
    demand(
        floor.is_null() || floor.as_f64().is_some_and(|floor| floor >= 0.0),
        path,
        "bidfloor must not be negative",
    )?;
    if let Some(video) = imp.get("video") {
        let path = format!("{path}.video");
        let has_types = video["mimes"].as_array().is_some_and(|mimes| !mimes.is_empty());
        demand(has_types, &format!("{path}.mimes"), "must have at least one element")?;
        for name in ["w", "h", "minbitrate", "maxbitrate", "minduration", "maxduration"] {
            whole(video, name, &format!("{path}.{name}"))?;
        }
        let is_both = !video["durfloors"].is_null() && !video["mincpmpersec"].is_null();
        demand(!is_both, &format!("{path}.durfloors"), "excludes mincpmpersec")?;
    }
    if let Some(banner) = imp.get("banner") {
        sizes(banner, &format!("{path}.banner"))?;
    }
    if let Some(native) = imp.get("native") {
        // A text with JSON in it; the guidelines' examples have the JSON itself.
        let request = &native["request"];
        let is_there = request.is_object() || request.as_str().is_some_and(|text| !text.is_empty());
        demand(is_there, &format!("{path}.native.request"), "must be there")?;
    }
    let deals = imp["pmp"]["deals"].as_array().map_or(&[][..], Vec::as_slice);
    deals.iter().try_for_each(|deal| named(deal, "id", &format!("{path}.pmp.deals.id")))?;
    let metrics = imp["metric"].as_array().map_or(&[][..], Vec::as_slice);
    metrics.iter().try_for_each(|metric| named(metric, "type", &format!("{path}.metric.type")))
}

fn sizes(banner: &Value, path: &str) -> Checked {
    for name in ["w", "h"] {
        whole(banner, name, &format!("{path}.{name}"))?;
    }
    let formats = banner["format"].as_array().map_or(&[][..], Vec::as_slice);
    for format in formats {
        let has = |names: &[&str]| names.iter().any(|name| !format[*name].is_null());
        let is_both = has(&["w", "h"]) && has(&["wmin", "wratio", "hratio"]);
        demand(!is_both, &format!("{path}.format"), "is either a size or a ratio")?;
    }
    let is_sized = !formats.is_empty() || (banner["w"].is_number() && banner["h"].is_number());
    demand(is_sized, path, "must have a size")
}

fn supply_chain(schain: &Value) -> Checked {
    named(schain, "ver", "source.schain.ver")?;
    one_of(schain, "complete", "source.schain.complete", &[0, 1])?;
    let nodes = schain["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    demand(!nodes.is_empty(), "source.schain.nodes", "must have at least one element")?;
    for node in nodes {
        named(node, "asi", "source.schain.nodes.asi")?;
        named(node, "sid", "source.schain.nodes.sid")?;
    }
    Ok(())
}

/// A text that must be there.
fn named(of: &Value, name: &str, path: &str) -> Checked {
    demand(of[name].as_str().is_some_and(|text| !text.is_empty()), path, "must be a text")
}

/// A whole number that is not negative, if it is there.
fn whole(of: &Value, name: &str, path: &str) -> Checked {
    let value = &of[name];
    demand(value.is_null() || value.as_u64().is_some(), path, "must be a whole number, not negative")
}

fn one_of(of: &Value, name: &str, path: &str, allowed: &[u64]) -> Checked {
    let value = &of[name];
    let is = value.is_null() || value.as_u64().is_some_and(|value| allowed.contains(&value));
    demand(is, path, "must be one of the values that the standard has")
}
