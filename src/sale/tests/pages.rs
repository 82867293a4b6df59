//! Pages that follow placements, as many as may and as long as they keep up.

use tokio::sync::mpsc;

use super::stage::{Stage, silent};
use super::*;
use crate::auction::Cohorts;
use crate::http::ClientAddress;
use crate::ledger::{SessionId, SlotId};
use crate::media::Cohort;
use crate::sale::guided::{Seat, Shown, Standing};

/// A page at this address takes a seat.
fn sit(stage: &Stage, session: u64, address: &str) -> Option<Seat> {
    let (events, _) = mpsc::channel(1);
    let address = ClientAddress(address.parse().unwrap());
    stage.sale.seat(&kitchen(), SessionId(session), Cohort::everybody(), address, events)
}

#[tokio::test]
async fn there_are_no_more_pages_of_one_address_than_may_be() {
    let stage = Stage::set(silent(), |config| config.max_pages_per_address = 2).await;
    let _others = [sit(&stage, 1, "2001:db8:0:1::1"), sit(&stage, 2, "192.0.2.1")];
    let first = sit(&stage, 3, "2001:db8:0:1::2").expect("a seat");
    assert!(sit(&stage, 4, "2001:db8:0:1:ffff::").is_none(), "the same network");
    assert!(sit(&stage, 5, "2001:db8:0:2::1").is_some());
    assert!(stage.counts("onair_sale_pages_let_go_total{why=\"full\"}", 1), "{}", stage.metrics.text());
    drop(first);
    assert!(sit(&stage, 6, "2001:db8:0:1::3").is_some(), "its place is free again");
}

#[tokio::test]
async fn there_are_as_many_pages_as_may_be_and_who_is_turned_away_is_counted() {
    let stage = Stage::set(silent(), |config| config.max_pages = 1).await;
    let sit = |session| sit(&stage, session, "192.0.2.1");
    let first = sit(1).expect("a seat");
    assert!(sit(2).is_none());
    assert!(stage.counts("onair_sale_pages_let_go_total{why=\"full\"}", 1), "{}", stage.metrics.text());
    drop(first);
    assert!(sit(3).is_some(), "its place is free again");
}

fn standing(cue: u64) -> Standing {
    let duration = MediaTime::from_millis(10_000);
    let shown = Shown {
        lot: 0,
        campaign: None,
        creative: 1,
        image: "/image".to_owned(),
        media_type: "image/png",
        is_clickable: false,
        advertiser: "Soups & Co".to_owned(),
    };
    Standing {
        cue: CueNumber(cue),
        revision: 1,
        slot: SlotId(1),
        format: OverlayFormat::LowerThird,
        start: MediaTime::ZERO,
        end: duration,
        duration,
        began_at: 0,
        starts_at: 0,
        deadline: i64::MAX,
        cohorts: Cohorts::group([Cohort::everybody()], 1, 1),
        lots: vec![Some(shown)],
        granted: std::collections::HashSet::new(),
    }
}

#[tokio::test]
async fn a_page_that_is_too_far_behind_is_let_go_and_counted() {
    let stage = Stage::set(silent(), |_| {}).await;
    let (events, mut told) = mpsc::channel(2);
    let address = ClientAddress([192, 0, 2, 1].into());
    let _seat = stage.sale.seat(&kitchen(), SessionId(1), Cohort::everybody(), address, events).unwrap();
    for cue in 1..=3 {
        stage.sale.guide(&kitchen(), standing(cue));
    }
    assert_eq!(stage.sale.inner().guided.audience(&kitchen()), [], "it is no audience any more");
    assert!(stage.counts("onair_sale_pages_let_go_total{why=\"behind\"}", 1), "{}", stage.metrics.text());
    for _ in 0..2 {
        assert!(told.recv().await.is_some());
    }
    assert!(told.recv().await.is_none(), "it has to come back");
}

/// Whether a page that comes is told of what stands.
fn is_told(stage: &Stage, session: u64) -> bool {
    let (events, mut told) = mpsc::channel(2);
    let address = ClientAddress([192, 0, 2, 1].into());
    let seat = stage.sale.seat(&kitchen(), SessionId(session), Cohort::everybody(), address, events);
    seat.is_some() && told.try_recv().is_ok()
}

#[tokio::test]
async fn who_comes_too_late_to_be_displayed_anything_is_granted_nothing() {
    let mut stage = Stage::set(silent(), |_| {}).await;
    let standing = standing(1);
    let end = standing.end.as_millis();
    stage.sale.guide(&kitchen(), standing);
    assert!(is_told(&stage, 1));
    stage.frame(end - 900);
    assert!(!is_told(&stage, 2), "a second is what it takes");
    assert!(is_told(&stage, 1), "who had it has it still");
}
