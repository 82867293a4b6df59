//! Caps and separation: no violation, whatever happens, restarts included.

use super::*;
use crate::auction::campaign::{Cap, CapScope, Separation};
use crate::auction::exposure::DEFAULT_MAX_SUBJECTS;
use crate::ledger::{SessionId, SlotId};
use crate::media::ChannelName;
use crate::random::Random;

const MINUTE: i64 = 60_000;

fn capped(id: u64, caps: &[(CapScope, u32, i64)], separation: Option<(&str, i64)>) -> Campaign {
    let cap = |(scope, count, window_ms): &(CapScope, u32, i64)| Cap {
        scope: *scope,
        count: *count,
        window_ms: *window_ms,
    };
    Campaign {
        caps: caps.iter().map(cap).collect(),
        separation: separation
            .map(|(category, window_ms)| Separation { categories: words([category]), window_ms }),
        ..campaign(id, 200)
    }
}

/// What was really shown.
struct Shown {
    at: i64,
    campaign: usize,
    channel: ChannelName,
    subject: Subject,
    slot: SlotId,
}

/// A slot that runs.
struct Open {
    campaign: usize,
    channel: usize,
    slot: SlotId,
    until: i64,
}

/// Asks of the whole history what the campaign's own words forbid.
fn is_forbidden(campaigns: &[Campaign], history: &[Shown], now: &Shown) -> bool {
    let campaign = &campaigns[now.campaign];
    let before = |window: i64| history.iter().filter(move |shown| now.at - shown.at < window);
    let caps = campaign.caps.iter().any(|cap| {
        let counted = before(cap.window_ms).filter(|shown| {
            shown.campaign == now.campaign
                && match cap.scope {
                    CapScope::Viewer => shown.subject == now.subject,
                    CapScope::Channel => shown.channel == now.channel,
                }
        });
        counted.count() >= cap.count as usize
    });
    let competes = before(i64::MAX).any(|shown| {
        let (Some(one), Some(other)) = (&campaign.separation, &campaigns[shown.campaign].separation) else {
            return false;
        };
        shown.campaign != now.campaign
            && shown.subject == now.subject
            && !one.categories.is_disjoint(&other.categories)
            && now.at - shown.at < one.window_ms.max(other.window_ms)
    });
    caps || competes
}

#[test]
fn no_cap_and_no_separation_is_violated_over_random_runs_with_restarts() {
    use CapScope::{Channel, Viewer};
    let campaigns = [
        capped(0, &[(Viewer, 2, 10 * MINUTE)], Some(("cola", 5 * MINUTE))),
        capped(1, &[(Viewer, 1, MINUTE), (Channel, 5, 30 * MINUTE)], Some(("cola", 9 * MINUTE))),
        capped(2, &[(Channel, 3, 7 * MINUTE)], Some(("cars", 2 * MINUTE))),
        capped(3, &[], Some(("cola", MINUTE))),
        capped(4, &[], None),
    ];
    let channels: [ChannelName; 2] = ["kitchen".parse().unwrap(), "garden".parse().unwrap()];
    let (mut granted, mut refused, mut violations) = (0, 0, 0);
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let (mut history, mut open) = (Vec::<Shown>::new(), Vec::<Open>::new());
        let start = || {
            let mut exposures = Exposures::new(DEFAULT_MAX_SUBJECTS);
            campaigns.iter().for_each(|campaign| exposures.watch(campaign));
            exposures
        };
        let (mut exposures, mut now) = (start(), 0);
        // What the ledger has of the history: displays are told up to half a minute later.
        let mut told_at: Vec<i64> = Vec::new();
        for _ in 0..1500 {
            now += random.below(40_000) as i64;
            open.retain(|open| open.until > now);
            let (campaign, channel) = (random.below(campaigns.len()), random.below(2));
            let subject = match random.below(6) {
                0 => Subject::Program(channels[channel].clone(), random.below(2) as u16),
                _ => Subject::Viewer(SessionId(random.below(6) as u64)),
            };
            match exposures.refusal(&campaigns[campaign], &channels[channel], &subject, None, now) {
                Some(_) => refused += 1,
                None => {
                    let slot = SlotId(history.len() as u64);
                    exposures.record(&campaigns[campaign], &channels[channel], subject.clone(), slot, now);
                    let shown =
                        Shown { at: now, campaign, channel: channels[channel].clone(), subject, slot };
                    violations += usize::from(is_forbidden(&campaigns, &history, &shown));
                    granted += 1;
                    history.push(shown);
                    told_at.push(now + random.below(30_000) as i64);
                    open.push(Open { campaign, channel, slot, until: now + 35_000 });
                }
            }
            match random.below(100) {
                0..3 => exposures.forget(now),
                3..5 => {
                    exposures = start();
                    for (shown, _) in history.iter().zip(&told_at).filter(|(_, told)| **told <= now) {
                        let campaign = &campaigns[shown.campaign];
                        exposures.record(
                            campaign,
                            &shown.channel,
                            shown.subject.clone(),
                            shown.slot,
                            shown.at,
                        );
                    }
                    for open in &open {
                        let (campaign, channel) = (&campaigns[open.campaign], &channels[open.channel]);
                        exposures.presume(campaign, channel, open.slot, open.until);
                    }
                    // What was not told by now comes while the slots are open.
                    let late = history.iter().zip(&told_at).filter(|(_, told)| **told > now);
                    for (shown, _) in late {
                        let campaign = &campaigns[shown.campaign];
                        exposures.record(
                            campaign,
                            &shown.channel,
                            shown.subject.clone(),
                            shown.slot,
                            shown.at,
                        );
                    }
                }
                _ => {}
            }
        }
    }
    assert_eq!(violations, 0, "of {granted}");
    assert!(granted > 5000 && refused > 5000, "both happen: {granted} {refused}");
}

#[test]
fn a_slot_that_ran_while_the_server_died_counts_for_everybody_until_its_deadline() {
    let cola = capped(1, &[(CapScope::Viewer, 1, MINUTE)], Some(("cola", MINUTE)));
    let rival = capped(2, &[], Some(("cola", MINUTE)));
    let (kitchen, garden) = ("kitchen".parse().unwrap(), "garden".parse().unwrap());
    let mut exposures = Exposures::new(10);
    exposures.presume(&cola, &kitchen, SlotId(1), 1000);
    let somebody = Subject::Viewer(SessionId(1));
    let ask = |exposures: &Exposures, campaign, channel, now| {
        exposures.refusal(campaign, channel, &somebody, None, now)
    };
    assert_eq!(ask(&exposures, &cola, &kitchen, 999), Some(PassReason::Capped));
    assert_eq!(ask(&exposures, &rival, &kitchen, 999), Some(PassReason::Separated));
    assert_eq!(ask(&exposures, &cola, &garden, 999), None);
    assert_eq!(ask(&exposures, &cola, &kitchen, 1000), None);
}

#[test]
fn who_cannot_be_remembered_is_not_shown_what_is_capped() {
    let cola = capped(1, &[(CapScope::Viewer, 1, MINUTE)], None);
    let free = capped(2, &[], None);
    let kitchen: ChannelName = "kitchen".parse().unwrap();
    let mut exposures = Exposures::new(3);
    exposures.watch(&cola);
    for session in 0..3 {
        exposures.record(&cola, &kitchen, Subject::Viewer(SessionId(session)), SlotId(session), 0);
    }
    let newcomer = Subject::Viewer(SessionId(9));
    assert_eq!(exposures.refusal(&cola, &kitchen, &newcomer, None, 1), Some(PassReason::Capped));
    assert_eq!(exposures.refusal(&free, &kitchen, &newcomer, None, 1), None);
    exposures.forget(MINUTE);
    assert!(exposures.is_empty());
    assert_eq!(exposures.refusal(&cola, &kitchen, &newcomer, None, MINUTE), None);
}

#[test]
fn what_was_burned_in_before_a_restart_counts_in_every_variant_and_once_for_the_channel() {
    let campaign = capped(1, &[(CapScope::Viewer, 1, MINUTE), (CapScope::Channel, 2, MINUTE)], None);
    let channel: ChannelName = "kitchen".parse().unwrap();
    let program = |variant| Subject::Program(channel.clone(), variant);
    let mut exposures = Exposures::new(DEFAULT_MAX_SUBJECTS);
    exposures.watch(&campaign);
    exposures.record_for_all(&campaign, &channel, (0..2).map(program), SlotId(1), 0);
    let refusal = |exposures: &Exposures, subject| exposures.refusal(&campaign, &channel, &subject, None, 1);
    assert_eq!([0, 1, 2].map(|variant| refusal(&exposures, program(variant)).is_some()), [true, true, false]);
    exposures.record_for_all(&campaign, &channel, (0..2).map(program), SlotId(2), 0);
    assert!(refusal(&exposures, program(2)).is_some(), "twice is what the channel may have");
}

#[test]
fn in_a_channel_a_slot_counts_once_whoever_sees_it_and_in_whichever_way() {
    let campaign = capped(1, &[(CapScope::Channel, 1, MINUTE)], None);
    let channel: ChannelName = "kitchen".parse().unwrap();
    let mut exposures = Exposures::new(DEFAULT_MAX_SUBJECTS);
    exposures.watch(&campaign);
    let programs = (0..2).map(|variant| Subject::Program(channel.clone(), variant));
    for subject in programs.chain((0..5000).map(|session| Subject::Viewer(SessionId(session)))) {
        assert_eq!(exposures.refusal(&campaign, &channel, &subject, Some(SlotId(1)), 1), None);
        exposures.record(&campaign, &channel, subject, SlotId(1), 1);
    }
    let somebody = Subject::Viewer(SessionId(1));
    for slot in [None, Some(SlotId(2))] {
        let refusal = exposures.refusal(&campaign, &channel, &somebody, slot, 2);
        assert_eq!(refusal, Some(PassReason::Capped), "that is another slot");
    }
    assert_eq!(exposures.refusal(&campaign, &channel, &somebody, Some(SlotId(2)), 1 + MINUTE), None);
}
