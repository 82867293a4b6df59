//! Pages that follow placements, as many as may and as long as they keep up.

use tokio::sync::mpsc;

use super::stage::{Stage, silent};
use super::*;
use crate::auction::Cohorts;
use crate::ledger::{SessionId, SlotId};
use crate::media::Cohort;
use crate::sale::guided::{Shown, Standing};

#[tokio::test]
async fn there_are_as_many_pages_as_may_be_and_who_is_turned_away_is_counted() {
    let stage = Stage::set(silent(), |config| config.max_pages = 1).await;
    let sit = |session| {
        let (events, _) = mpsc::channel(1);
        stage.sale.seat(&kitchen(), SessionId(session), Cohort::everybody(), events)
    };
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
    let _seat = stage.sale.seat(&kitchen(), SessionId(1), Cohort::everybody(), events).unwrap();
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
