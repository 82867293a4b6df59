//! Every bidder, held to its exemplars: files that say what is asked for a sale, and what an answer means.
//!
//! A file has the fields `auction`, `requests`, `responses` and `offer`, and what makes the bidder. Bidders are listed here.
//! With `ONAIR_EXEMPLARS=write` requests and offers are written as they are: to be read before they are kept.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::auction::bidder::house::{Candidate, House};
use crate::auction::bidder::openrtb::{OpenRtb, Standing, creative_key};
use crate::auction::bidder::{Response, offer};

/// How a bidder is made of an exemplar.
type Make = fn(&Value) -> Box<dyn Bidder>;

/// All bidders, by their folders.
const BIDDERS: [(&str, Make); 2] = [("house", house), ("openrtb", openrtb)];

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn house(exemplar: &Value) -> Box<dyn Bidder> {
    let candidates = exemplar["candidates"].as_array().unwrap().iter().map(|candidate| Candidate {
        campaign: Arc::new(read(&candidate["campaign"])),
        budget: Money::from_nanos(candidate["budget"].as_i64().unwrap()),
        hold: read(&candidate["hold"]),
    });
    Box::new(House { candidates: candidates.collect() })
}

fn openrtb(exemplar: &Value) -> Box<dyn Bidder> {
    let settings: crate::auction::bidder::openrtb::Settings = read(&exemplar["settings"]);
    assert_eq!(settings.problems(), []);
    let ready: Vec<(String, Option<String>)> = read(&exemplar["ready"]);
    let keys = ready.iter().map(|(name, image)| creative_key(&settings.name, name, image.as_deref()));
    Box::new(OpenRtb {
        creatives: Arc::new(keys.map(|key| (key, Standing::Ready)).collect()),
        settings: Arc::new(settings),
        seller: Arc::new(read(&exemplar["seller"])),
        campaign: CampaignId(1),
        k: 50,
    })
}

/// What a bidder makes of an exemplar, in the exemplar's own form.
fn outcome(bidder: &dyn Bidder, exemplar: &Value) -> Value {
    let auction: Auction = read(&exemplar["auction"]);
    let requests = bidder.requests(&auction);
    let requests = requests.iter().map(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        json!({ "url": request.url, "headers": request.headers, "body": body })
    });
    let requests: Vec<Value> = requests.collect();
    let responses = exemplar["responses"].as_array().unwrap().iter().map(|response| {
        let body = response["body"].as_str().map_or_else(|| response["body"].to_string(), str::to_owned);
        Response { status: read(&response["status"]), body: body.into() }
    });
    let responses: Vec<Response> = responses.collect();
    json!({ "requests": requests, "offer": offer(bidder, &auction, &responses) })
}

#[test]
fn every_bidder_does_as_its_exemplars_say() {
    for (name, make) in BIDDERS {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/auction/bidder").join(name).join("exemplar");
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no exemplars");
        for file in files {
            let exemplar: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let is = outcome(&*make(&exemplar), &exemplar);
            if std::env::var_os("ONAIR_EXEMPLARS").is_some_and(|what| what == "write") {
                let mut written = exemplar;
                written["requests"] = is["requests"].clone();
                written["offer"] = is["offer"].clone();
                std::fs::write(&file, serde_json::to_string_pretty(&written).unwrap() + "\n").unwrap();
                continue;
            }
            let expected = json!({ "requests": exemplar["requests"], "offer": exemplar["offer"] });
            assert_eq!(is, expected, "{}", file.display());
        }
    }
}

#[test]
fn every_bidder_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/auction/bidder");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries.filter(|path| path.is_dir());
    let mut names: Vec<_> =
        folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, BIDDERS.map(|(name, _)| name));
}
