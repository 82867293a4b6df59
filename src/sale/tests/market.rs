//! Who bids, over several channels and a restart.

use std::sync::Arc;

use super::*;
use crate::auction::campaign::{Cap, CapScope, Pacing, Separation, Targeting};
use crate::auction::schedule::{DayParts, Schedule};
use crate::auction::{Campaign, PassReason, Subject};
use crate::ledger::{CampaignId, SettledLot, SlotId};
use crate::money::Money;
use crate::sale::market::{Balance, Market};

const HOUR: i64 = 3_600_000;

fn campaign(id: u64) -> Campaign {
    Campaign {
        id: CampaignId(id),
        is_paused: false,
        bid: Money::from_nanos(1000),
        priority: 10,
        deal: None,
        schedule: Schedule { start: 0, end: 100 * HOUR, hours: DayParts::default() },
        pacing: Pacing::Even,
        targeting: Targeting::default(),
        caps: Vec::new(),
        separation: None,
        creatives: Vec::new(),
        accepts_server_counts: true,
    }
}

fn program() -> Subject {
    Subject::Program(kitchen(), 0)
}

fn holds(market: &mut Market, campaigns: &[Campaign], now: i64) -> Vec<Option<PassReason>> {
    let campaigns: Vec<Arc<Campaign>> = campaigns.iter().cloned().map(Arc::new).collect();
    let rich = |_| Balance { budget: Money::from_nanos(1_000_000_000), reserved: Money::ZERO };
    let house = market.house(&campaigns, rich, &kitchen(), Some(&program()), now);
    house.candidates.iter().map(|candidate| candidate.hold).collect()
}

#[test]
fn a_campaign_waits_until_its_plan_allows_it_again() {
    let mut market = Market::default();
    let paced = campaign(1);
    let campaigns = [paced.clone()];
    assert_eq!(holds(&mut market, &campaigns, HOUR), [None], "it does not miss the first slot that there is");
    market.reserved(paced.id, Money::from_nanos(500_000_000));
    assert_eq!(holds(&mut market, &campaigns, HOUR + 2000), [Some(PassReason::Paced)]);
    // Nothing of it was spent after all.
    let lot = SettledLot { campaign: paced.id, reserved: Money::from_nanos(500_000_000), spent: Money::ZERO };
    market.settled(&lot);
    assert_eq!(holds(&mut market, &campaigns, HOUR + 3000), [None]);
}

#[test]
fn caps_and_separation_hold_from_the_grant_on_and_over_a_restart() {
    let separation = Separation { categories: ["beer".into()].into(), window_ms: HOUR };
    let cap = Cap { scope: CapScope::Channel, count: 1, window_ms: HOUR };
    let capped = Campaign { caps: vec![cap], separation: Some(separation.clone()), ..campaign(1) };
    let competitor = Campaign { separation: Some(separation), ..campaign(2) };
    let campaigns = [capped.clone(), competitor];
    let mut market = Market::default();
    assert_eq!(holds(&mut market, &campaigns, 1000), [None, None]);
    assert!(market.expose(&capped, &kitchen(), program(), SlotId(1), 1000));
    assert!(!market.expose(&capped, &kitchen(), program(), SlotId(2), 1001), "the last place was taken");
    let both = [Some(PassReason::Capped), Some(PassReason::Separated)];
    assert_eq!(holds(&mut market, &campaigns, 2000), both);
    assert_eq!(holds(&mut market, &campaigns, HOUR + 1000), [None, None], "an hour later");

    let mut restarted = Market::default();
    restarted.recall(&capped, &kitchen(), program(), SlotId(1), 1000);
    assert_eq!(holds(&mut restarted, &campaigns, 3000), both);
    let mut restarted = Market::default();
    restarted.presume(&capped, &kitchen(), SlotId(1), 40_000);
    assert_eq!(holds(&mut restarted, &campaigns, 3000), both, "until the slot's deadline");
    assert_eq!(holds(&mut restarted, &campaigns, 40_000)[0], None);
}

#[test]
fn fill_ins_need_no_plan() {
    let free = Campaign { bid: Money::ZERO, priority: crate::auction::bid::FILL_IN, ..campaign(1) };
    assert_eq!(holds(&mut Market::default(), &[free], HOUR), [None]);
}
