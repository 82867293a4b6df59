//! Every file of the published vectors.

use std::path::Path;

use super::super::response::{Answer, RawBid};
use super::*;

const IMAGE: &str = "<VAST version='4.2'><Ad><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle><Impression>about:blank\
    </Impression><Creatives><Creative><NonLinearAds><NonLinear width='200' height='50'><StaticResource \
    creativeType='image/png'>https://c.example/a.png</StaticResource></NonLinear></NonLinearAds></Creative></Creatives>\
    </InLine></Ad></VAST>";

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures/vectors/openrtb");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn vector(name: &str) -> Value {
    serde_json::from_str(&file(&format!("{name}.json"))).unwrap()
}

/// The text of a vector's message: as it was printed, if it is no JSON.
fn message(vector: &Value) -> String {
    vector["raw_text"].as_str().map_or_else(|| vector["payload"].to_string(), str::to_owned)
}

/// What Prebid Server alone demands, beyond the standard.
fn prebid_refuses(name: &str, request: &Value) -> bool {
    let has_no_ext =
        || request["imp"].as_array().is_some_and(|imps| imps.iter().any(|imp| imp["ext"].is_null()));
    let source = &request["app"]["ext"]["prebid"]["source"];
    name.starts_with("pbs-") && (has_no_ext() || !(source.is_null() || source.is_string()))
}

fn is_valid_request(name: &str, text: &str) -> bool {
    let request = serde_json::from_str::<Value>(text);
    request.is_ok_and(|request| validate::request(&request).is_ok() && !prebid_refuses(name, &request))
}

/// What comes of a response to the authored request.
fn judged(payload: &Value) -> judge::Judged {
    let terms = Terms::of(&vector("authored/00-request-live-lower-third-overlay")["payload"]);
    let response = respond(payload);
    let answer = Answer::read(&response, false).unwrap();
    judge::judge(&answer, &terms, false)
}

/// Whether a response comes to what the index expects of it.
fn comes_to(expected: &str, payload: &Value) -> bool {
    let judged = judged(payload);
    let codes: Vec<u16> = judged.refused.iter().map(|refused| refused.why.code()).collect();
    let prices: Vec<i64> = judged.fair.iter().map(|fair| fair.price.as_nanos()).collect();
    match expected {
        "no-bid" => codes.is_empty() && prices.is_empty(),
        "one bid kept; second 3" => codes == [3] && prices == [6_500_000],
        "whole seatbid loses: imp 2 not offered" => codes == [3, 3] && prices.is_empty(),
        "204/212 duration outside min/max" => codes == [212] && prices.is_empty(),
        "204 Incorrect Creative Format + VAST Error 201" => {
            let vast = judged.refused[0].vast.clone().unwrap();
            codes == [204] && vast.0 == 201 && vast.1[0].as_str() == "https://t.example/err?c=[ERRORCODE]"
        }
        _ if expected.starts_with("WIN ") => {
            codes.is_empty() && prices == [9_000_000] && judged.fair[0].deal.as_deref() == Some("D-1")
        }
        // Nobody has seen the creative: the bid is fair, and has no chance yet.
        _ if expected.starts_with("201 ") => {
            let mut sale = auction();
            sale.floor = Money::ZERO;
            let offer = bidder(settings()).offer(&sale, judged);
            let trace = crate::auction::Trace::of(sale, vec![offer]);
            let why = trace.decision.verdicts[0].why_not.unwrap();
            codes.is_empty() && why.code() == 201
        }
        _ if expected.starts_with("AUCTION_PRICE replaced;") => {
            let values = macros::Values { price: Some(judged.fair[0].price), ..macros::Values::default() };
            let billed = judged.fair[0].external.notices.billed.clone().unwrap();
            let agreed = BTreeSet::from([macros::Encoding::Base64]);
            values.apply(billed.as_str(), &BTreeSet::new())
                == "https://dsp.example/b?p=6.5&x=&y=${NOT_A_MACRO}"
                && values.apply(billed.as_str(), &agreed)
                    == "https://dsp.example/b?p=6.5&x=Ni41&y=${NOT_A_MACRO}"
        }
        _ => {
            let code: u16 = expected.split(' ').next().unwrap().parse().unwrap();
            codes == [code] && prices.is_empty()
        }
    }
}

/// The bids of an auction that Prebid Server's tests describe.
fn mock_bids(scenario: &Value) -> Vec<Value> {
    let responses = scenario["outgoingRequests"].as_object().unwrap().values();
    let seats =
        responses.flat_map(|of| of["mockResponse"]["pbsSeatBids"].as_array().cloned().unwrap_or_default());
    let bids = seats.flat_map(|seat| seat["pbsBids"].as_array().cloned().unwrap_or_default());
    bids.map(|bid| bid["ortbBid"].clone()).collect()
}

#[test]
fn every_message_is_judged_as_the_index_says() {
    let index: Vec<Value> = serde_json::from_str(&file("INDEX.json")).unwrap();
    assert_eq!(index.len(), 112);
    let mut wrong = Vec::new();
    for entry in &index {
        let name = entry["name"].as_str().unwrap();
        let vector = vector(name);
        let (text, payload) = (message(&vector), &vector["payload"]);
        let is_right = match (entry["kind"].as_str().unwrap(), entry["expected_outcome"].as_str()) {
            ("request", _) => is_valid_request(name, &text) == entry["valid"],
            ("response", Some(expected)) => comes_to(expected, payload),
            ("response", None) => {
                let response = Response { status: 200, body: text.into() };
                let answer = Answer::read(&response, false);
                let bids =
                    answer.as_ref().map_or(0, |answer| answer.seats.iter().map(|seat| seat.bids.len()).sum());
                (answer.is_ok() && bids == 1) == (entry["valid"] == true)
            }
            _ => {
                let request = &payload["incomingRequest"]["ortbRequest"];
                let bids = mock_bids(payload);
                let is_read =
                    |bid: &Value| RawBid::read(&serde_json::value::to_raw_value(bid).unwrap(), false).is_ok();
                validate::request(request).is_ok() && bids.iter().all(is_read)
            }
        };
        if !is_right {
            wrong.push(name.to_owned());
        }
    }
    assert!(wrong.is_empty(), "judged wrong:\n{}", wrong.join("\n"));
}

#[test]
fn prebids_auctions_come_to_the_same() {
    // Their bids are without what we demand of all: a domain, and something to show.
    // And of a size that nobody has asked for.
    let codes = |name: &str, change: fn(&mut Value)| -> Vec<Option<u16>> {
        let scenario = vector(name)["payload"].clone();
        let mut request = scenario["incomingRequest"]["ortbRequest"].clone();
        change(&mut request);
        let terms = Terms::of(&request);
        let one = |mut bid: Value| {
            bid["adomain"] = json!(["brand.example"]);
            bid["w"] = Value::Null;
            if bid["adm"].is_null() {
                bid["adm"] = json!(IMAGE);
            }
            let response = respond(&json!({ "id": request["id"], "seatbid": [{ "bid": [bid] }] }));
            let judged = judge::judge(&Answer::read(&response, false).unwrap(), &terms, false);
            judged.refused.first().map(|refused| refused.why.code())
        };
        mock_bids(&scenario).into_iter().map(one).collect()
    };
    // The floor is a rule of the site's; what it comes to is in the expected response.
    let floors = codes("pbs-auction/floors_enforcement", |request| request["imp"][0]["bidfloor"] = json!(11));
    assert_eq!(floors, [None, Some(100)]);
    let with_deal = |request: &mut Value| {
        request["imp"][0]["pmp"] = json!({ "deals": [{ "id": "apnx-deal-id", "bidfloor": 20 }] });
    };
    assert_eq!(codes("pbs-auction/floors_deal_enforcement", with_deal), [Some(101), Some(100)]);
    let secure = codes("pbs-auction/bid_response_validation_enforce_secure", |request| {
        request["imp"][0]["secure"] = json!(1);
    });
    assert_eq!(secure, [Some(207), Some(207)]);
}
