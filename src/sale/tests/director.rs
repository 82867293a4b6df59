//! What a director does when something that it waits for does not come.

use tokio::sync::mpsc;

use super::stage::{Stage, silent};
use super::*;
use crate::auction::Cohorts;
use crate::av::worker::ipc::OverlayId;
use crate::cue::{CueBus, Policy, Proposal};
use crate::http::ClientAddress;
use crate::hub::Channel;
use crate::ledger::{Account, CampaignId, SessionId};
use crate::media::Cohort;
use crate::money::Money;
use crate::sale::director::{Command, Director};
use crate::sale::record::{Sold, Stage as CueStage};
use crate::sale::server::COMMANDS;
use crate::sale::slots::{Burned, Live};
use crate::sale::variants::Variants;
use crate::sale::{AskError, ChannelSettings, Delivery, Outcome};

#[tokio::test]
async fn a_decision_that_breaks_off_ends_its_slot_and_says_so() {
    let stage = Stage::set(Box::new(|_| panic!("a fault for this test")), |_| {}).await;
    let guided = ChannelSettings { delivery: Delivery::Guided, ..ChannelSettings::default() };
    stage.sale.set(&kitchen(), guided).await.unwrap();
    let (events, _told) = mpsc::channel(8);
    let address = ClientAddress([192, 0, 2, 1].into());
    let _seat = stage.sale.seat(&kitchen(), SessionId(1), Cohort::everybody(), address, events).unwrap();
    let number = loop {
        match stage.sale.propose(&kitchen(), Proposal::of(CueOrigin::Api, None)).await {
            Ok(number) => break number,
            // Its director is on the way.
            Err(AskError::Refused(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let over = stage.until(number, |cue| cue.stage == CueStage::Over).await;
    assert!(matches!(over.outcome, Some(Outcome::Failed { .. })), "{over:?}");
    assert!(stage.counts("onair_sale_slots_total{outcome=\"failed\"}", 1), "{}", stage.metrics.text());
    // Its time is free for another.
    stage.sale.propose(&kitchen(), Proposal::of(CueOrigin::Api, None)).await.unwrap();
}

/// A director with a slot whose overlay nobody draws.
async fn waiting(stage: &Stage, channel: &std::sync::Arc<Channel>, began: bool) -> (Director, CueNumber) {
    let (_commands, orders) = mpsc::channel(1);
    let air = channel.on_air().unwrap();
    let bus = CueBus::new(Policy::default(), []);
    let mut director = Director::new(stage.sale.clone(), channel.clone(), air, bus, orders);
    let slot = slot(if began { "began" } else { "waits" }, CueOrigin::Api);
    let reserved = stage.reserve(&slot.cue.id, 3_600_000).await;
    let records = &stage.sale.inner().records;
    let number = records.number();
    let mut record = CueRecord::new(number, &kitchen(), air.broadcast, &slot, 1);
    record.stage = CueStage::Sold;
    record.sold = Some(Sold { slot: reserved, units: vec![3], traces: vec![0], overlays: Vec::new() });
    records.add(record);
    let cue = slot.cue.id.clone();
    director.slots.open(number, slot.clone());
    let viewers = Cohorts::group([Cohort::everybody()], 50, 1);
    let burned = Burned::new(OverlayId(u64::MAX), 0, 0, &Variants::default().arrange(viewers));
    let live = Live::new(reserved, &slot, vec![burned], false, i64::MAX);
    director.slots.sold(&cue, live).unwrap();
    if began {
        director
            .slots
            .began(&cue, OverlayId(u64::MAX), slot.cue.start, MediaTime::from_millis(1000))
            .unwrap();
    }
    (director, number)
}

#[tokio::test]
async fn an_overlay_that_never_says_that_it_is_over_ends_after_its_broadcast() {
    let stage = Stage::set(silent(), |_| {}).await;
    let (began, on) = waiting(&stage, &stage.channel, true).await;
    let (waits, off) = waiting(&stage, &stage.channel, false).await;
    stage.off_the_air();
    // Their patience is the only thing that is waited for.
    tokio::time::pause();
    began.run().await;
    waits.run().await;
    tokio::time::resume();
    let outcome = async |number| stage.until(number, |cue| cue.stage == CueStage::Over).await.outcome;
    let why = || "broadcast_ended".to_owned();
    assert_eq!(outcome(on).await, Some(Outcome::CutShort { why: why() }));
    assert_eq!(outcome(off).await, Some(Outcome::NotShown { why: why() }));
    // What was not shown is settled; the other takes displays of viewers who are behind.
    stage.until(off, |cue| cue.settled.is_some()).await;
    let reserved = stage.ledger.balance(&Account::Reserved(CampaignId(1)));
    assert_eq!(reserved, Money::from_nanos(300));
}

#[tokio::test]
async fn a_director_that_has_too_much_to_do_refuses_and_that_is_counted() {
    let stage = Stage::set(silent(), |_| {}).await;
    let (busy, _orders) = mpsc::channel(COMMANDS);
    for _ in 0..COMMANDS {
        let (answer, _) = tokio::sync::oneshot::channel();
        busy.try_send(Command::HoldOff(std::time::Duration::ZERO, answer)).unwrap();
    }
    stage.sale.inner().directors.lock().unwrap().insert(kitchen(), busy);
    let asked = stage.sale.propose(&kitchen(), Proposal::of(CueOrigin::Api, None)).await;
    assert!(matches!(asked, Err(AskError::Busy)), "{asked:?}");
    assert!(stage.counts("onair_sale_unheard_total{what=\"command\"}", 1));
}

#[tokio::test]
async fn large_pictures_are_not_sold_apart() {
    let mut stage = Stage::set(silent(), |_| {}).await;
    let variants = |stage: &Stage| stage.sale.inner().overlays.variants_of(&stage.channel);
    assert_eq!(variants(&stage), 2);
    stage.resize(2560, 1440);
    assert_eq!(variants(&stage), 2);
    stage.resize(3840, 2160);
    assert_eq!(variants(&stage), 1, "a worker's memory has no room for a second");
}
