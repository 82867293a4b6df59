//! Tokens that hold and that do not, events once and in time, and rules on and off.

use super::*;
use crate::impression::token::TOKEN_LEN;
use crate::ledger::{AttentionKind, SessionId, SlotId};
use crate::random::Random;

fn impression() -> Impression {
    Impression {
        slot: SlotId(7),
        lot: 2,
        session: SessionId(u64::MAX - 3),
        creative: 12,
        start: 10_000,
        duration_ms: 8000,
        deadline: 53_000,
    }
}

#[test]
fn a_token_holds_for_one_overlay_one_session_and_its_time() {
    let tokens = Tokens::new(b"a secret of the server's");
    let token = tokens.sign(&impression());
    assert_eq!(token.len(), TOKEN_LEN);
    assert_eq!(tokens.verify(&token, 10_000), Ok(impression()));
    assert_eq!(tokens.verify(&token, 52_999), Ok(impression()));
    assert_eq!(tokens.verify(&token, 9_999), Err(TokenError::Early));
    assert_eq!(tokens.verify(&token, 53_000), Err(TokenError::Expired));
    let others = [
        Impression { slot: SlotId(8), ..impression() },
        Impression { lot: 3, ..impression() },
        Impression { session: SessionId(1), ..impression() },
        Impression { creative: 13, ..impression() },
        Impression { start: 9_000, ..impression() },
        Impression { duration_ms: 7999, ..impression() },
        Impression { deadline: i64::MAX, ..impression() },
    ];
    for other in others {
        assert_ne!(tokens.sign(&other), token, "{other:?} is another");
    }
    assert_eq!(Tokens::new(b"another secret").verify(&token, 10_000), Err(TokenError::Forged));
}

#[test]
fn whoever_changes_a_token_has_none() {
    let tokens = Tokens::new(b"a secret of the server's");
    let token = tokens.sign(&impression());
    let mut random = Random::new(1);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.";
    for _ in 0..5000 {
        let mut changed = token.clone().into_bytes();
        changed[random.below(TOKEN_LEN)] = letters[random.below(letters.len())];
        let changed = String::from_utf8(changed).unwrap();
        if changed != token {
            let error = tokens.verify(&changed, 10_000).unwrap_err();
            assert!(matches!(error, TokenError::Forged | TokenError::Malformed), "{changed}: {error}");
        }
    }
    for bad in
        ["", "A", &token[1..], &format!("{token}A"), &"€".repeat(TOKEN_LEN / 3), &"=".repeat(TOKEN_LEN)]
    {
        assert_eq!(tokens.verify(bad, 10_000), Err(TokenError::Malformed), "{bad}");
    }
}

fn all_kinds() -> impl Iterator<Item = EventKind> {
    std::iter::once(EventKind::Display).chain(AttentionKind::ALL.map(EventKind::Attention))
}

#[test]
fn each_event_counts_once_and_none_before_it_can_be_true() {
    let mut beacons = Beacons::new(1000);
    let due = [1000, 1000, 2000, 4000, 6000, 8000, 0, 0];
    for (kind, after) in all_kinds().zip(due) {
        let at = 10_000 + after - 250;
        if after > 0 {
            assert_eq!(beacons.take(&impression(), kind, at - 1), Err(NotTaken::Early), "{kind:?}");
        }
        assert_eq!(beacons.take(&impression(), kind, at), Ok(()), "{kind:?}");
        assert_eq!(beacons.take(&impression(), kind, at + 5000), Err(NotTaken::Repeated), "{kind:?}");
    }
    let other = Impression { session: SessionId(1), ..impression() };
    assert_eq!(beacons.take(&other, EventKind::Display, 20_000), Ok(()));
    let next = Impression { slot: SlotId(9), start: 53_000, deadline: 90_000, ..impression() };
    assert_eq!(beacons.take(&next, EventKind::Attention(AttentionKind::Click), 53_000), Ok(()));
    assert_eq!(beacons.len(), 1, "those whose time is over are forgotten");
}

#[test]
fn nothing_is_viewable_before_it_is_displayed() {
    let mut beacons = Beacons::new(1000);
    assert_eq!(
        beacons.take(&impression(), EventKind::Attention(AttentionKind::Viewable), 12_000),
        Err(NotTaken::Early)
    );
    assert_eq!(beacons.take(&impression(), EventKind::Display, 12_000), Ok(()));
    beacons.give_back(&impression(), EventKind::Display);
    assert_eq!(
        beacons.take(&impression(), EventKind::Attention(AttentionKind::Viewable), 12_000),
        Err(NotTaken::Early)
    );
    assert_eq!(beacons.take(&impression(), EventKind::Display, 12_100), Ok(()));
    assert_eq!(beacons.take(&impression(), EventKind::Attention(AttentionKind::Viewable), 12_100), Ok(()));
}

#[test]
fn nothing_counts_of_what_was_displayed_to_nobody() {
    let mut beacons = Beacons::new(1000);
    assert_eq!(beacons.take(&impression(), EventKind::Display, 12_000), Ok(()));
    beacons.discount(&impression());
    for kind in all_kinds() {
        assert_eq!(beacons.take(&impression(), kind, 30_000), Err(NotTaken::Discounted), "{kind:?}");
    }
    let other = Impression { session: SessionId(1), ..impression() };
    assert_eq!(beacons.take(&other, EventKind::Display, 30_000), Ok(()), "that is of one viewer only");
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0";

fn event(kind: EventKind, session: u64, at: i64) -> Observation<'static> {
    Observation { kind, session: SessionId(session), network: 1, user_agent: BROWSER, at }
}

#[test]
fn traffic_that_no_people_make_is_not_believed() {
    use EventKind::Display;
    const CLICK: EventKind = EventKind::Attention(AttentionKind::Click);
    let rules = TrafficRules {
        displays_per_session: 3,
        sessions_per_network: 2,
        clicks_per_session: 2,
        ..TrafficRules::default()
    };
    let mut traffic = Traffic::new(rules);
    for agent in ["Googlebot/2.1", "curl/8", "HeadlessChrome/156", ""] {
        let program = Observation { user_agent: agent, ..event(Display, 1, 0) };
        assert_eq!(traffic.judge(program), Err(Invalid::Bot), "{agent}");
    }
    assert_eq!(traffic.judge(event(CLICK, 1, 0)), Err(Invalid::NoDisplay));
    assert_eq!(traffic.judge(event(Display, 1, 0)), Ok(()));
    assert_eq!(traffic.judge(event(CLICK, 1, 299)), Err(Invalid::TooFast));
    for at in [300, 400] {
        assert_eq!(traffic.judge(event(CLICK, 1, at)), Ok(()));
    }
    assert_eq!(traffic.judge(event(CLICK, 1, 500)), Err(Invalid::Clicks));
    for at in [1000, 2000] {
        assert_eq!(traffic.judge(event(Display, 1, at)), Ok(()));
    }
    assert_eq!(traffic.judge(event(Display, 1, 3000)), Err(Invalid::Displays));
    assert_eq!(
        traffic.judge(event(EventKind::Attention(AttentionKind::Viewable), 1, 3000)),
        Ok(()),
        "of one that counted"
    );
    assert_eq!(traffic.judge(event(Display, 2, 3000)), Ok(()));
    assert_eq!(traffic.judge(event(Display, 3, 3000)), Err(Invalid::Sessions));
    let elsewhere = Observation { network: 2, ..event(Display, 3, 3000) };
    assert_eq!(traffic.judge(elsewhere), Ok(()));
    for session in [1, 3] {
        assert_eq!(traffic.judge(event(Display, session, 3_602_001)), Ok(()), "an hour later");
    }
}

#[test]
fn without_rules_everything_is_believed_and_nothing_remembered() {
    let mut traffic = Traffic::new(TrafficRules { enabled: false, ..TrafficRules::default() });
    for number in 0..2000 {
        let program = Observation { user_agent: "curl/8", ..event(EventKind::Display, 1, number) };
        assert_eq!(traffic.judge(program), Ok(()));
        assert_eq!(
            traffic.judge(event(EventKind::Attention(AttentionKind::Click), number.cast_unsigned(), number)),
            Ok(())
        );
    }
}
