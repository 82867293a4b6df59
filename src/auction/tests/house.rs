//! The house: who does not bid, and why.

use super::*;
use crate::auction::bidder::house::{Candidate, House};
use crate::auction::bidder::{Malformed, Request, Response, offer};
use crate::ledger::DisplayClass;

fn candidate(campaign: Campaign) -> Candidate {
    Candidate { campaign: Arc::new(campaign), budget: Money::from_nanos(1_000_000), hold: None }
}

fn passes(candidates: Vec<Candidate>, auction: &Auction) -> Vec<PassReason> {
    let house = House { candidates };
    assert_eq!(house.requests(auction), []);
    house.bids(auction, &[]).unwrap().passes.iter().map(|pass| pass.why).collect()
}

/// A campaign that wants something else.
fn wanting(change: impl FnOnce(&mut Targeting)) -> Candidate {
    let mut campaign = campaign(1, 200);
    change(&mut campaign.targeting);
    candidate(campaign)
}

#[test]
fn a_campaign_that_does_not_bid_says_why() {
    let changed = |change: fn(&mut Campaign)| {
        let mut campaign = campaign(1, 200);
        change(&mut campaign);
        candidate(campaign)
    };
    let cases = [
        (changed(|c| c.is_paused = true), PassReason::Paused),
        (changed(|c| c.schedule.start = 2 * HOUR), PassReason::Flight),
        (changed(|c| c.schedule.hours.days[3] = 0), PassReason::Flight),
        (wanting(|t| t.channels.extend(["garden".parse().unwrap()])), PassReason::Channel),
        (wanting(|t| t.categories = words(["sports"])), PassReason::Category),
        (wanting(|t| t.tags = words(["french"])), PassReason::Tags),
        (wanting(|t| t.hashtags = words(["salad"])), PassReason::Hashtags),
        (wanting(|t| t.countries = BTreeSet::from(["de".parse().unwrap()])), PassReason::Country),
        (wanting(|t| t.languages = BTreeSet::from(["fr".parse().unwrap()])), PassReason::Language),
        (wanting(|t| t.devices.extend([Device::Tv])), PassReason::Device),
        (changed(|c| c.creatives[0].format = OverlayFormat::Corner), PassReason::Format),
        (changed(|c| c.creatives[0].approval = Approval::Pending), PassReason::Creative),
        (changed(|c| c.creatives[0].is_ready = false), PassReason::Creative),
        (Candidate { budget: Money::from_nanos(199), ..candidate(campaign(1, 200)) }, PassReason::Budget),
        (Candidate { hold: Some(PassReason::Paced), ..candidate(campaign(1, 200)) }, PassReason::Paced),
    ];
    for (candidate, why) in cases {
        assert_eq!(passes(vec![candidate], &auction(1)), [why]);
    }
    let mut server = auction(1);
    server.context = Arc::new(Context { class: DisplayClass::Server, ..context() });
    assert_eq!(passes(vec![candidate(campaign(1, 200))], &server), [PassReason::ServerCounts]);
}

#[test]
fn what_is_wanted_is_found_in_the_moment_the_cohort_or_the_channel() {
    let fitting = wanting(|t| {
        t.channels.extend(["garden".parse().unwrap(), "kitchen".parse().unwrap()]);
        t.categories = words(["food"]);
        t.tags = words(["german", "french"]);
        t.hashtags = words(["soup"]);
        t.countries = BTreeSet::from(["at".parse().unwrap()]);
        t.languages = BTreeSet::from(["de".parse().unwrap()]);
        t.devices.extend([Device::Phone]);
    });
    assert_eq!(passes(vec![fitting.clone()], &auction(1)), []);
    let nobody = Auction { cohort: Cohort::everybody(), ..auction(1) };
    assert_eq!(passes(vec![fitting], &nobody), [PassReason::Country], "who is unknown is nowhere");
}

#[test]
fn what_is_wrong_with_a_campaign_is_told() {
    assert_eq!(campaign(1, 200).problems(), []);
    let mut wrong = campaign(1, 0);
    wrong.schedule.end = 0;
    wrong.caps.push(crate::auction::campaign::Cap {
        scope: crate::auction::campaign::CapScope::Viewer,
        count: 0,
        window_ms: 0,
    });
    let fields: Vec<&str> = wrong.problems().iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, ["bid", "schedule", "schedule", "window_ms", "caps"]);
}

/// Somebody who talks nonsense.
struct Babbler;

impl Bidder for Babbler {
    fn name(&self) -> &str {
        "babbler"
    }

    fn requests(&self, _: &Auction) -> Vec<Request> {
        vec![Request { url: "http://bidder.example/".into(), headers: vec![], body: bytes::Bytes::new() }]
    }

    fn bids(&self, _: &Auction, responses: &[Response]) -> Result<Offer, Malformed> {
        Err(Malformed(format!("{} responses of nonsense", responses.len())))
    }
}

#[test]
fn nonsense_is_told_in_the_trace_and_changes_nothing() {
    let house = House { candidates: vec![candidate(campaign(1, 200)), candidate(campaign(2, 300))] };
    let bidders: [&dyn Bidder; 2] = [&Babbler, &house];
    let offers = bidders.map(|bidder| offer(bidder, &auction(1), &[])).to_vec();
    let trace = Trace::of(auction(1), offers);
    assert_eq!(trace.lot().map(|lot| lot.campaign), Some(CampaignId(2)));
    assert_eq!(trace.offers[0].failure.as_deref(), Some("the answer is malformed: 0 responses of nonsense"));
}
