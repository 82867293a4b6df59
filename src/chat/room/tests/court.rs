//! The flash jury in its room.

use super::*;

/// A broadcaster 0, a troll 1, a reporter 2, and 3 to 20 who have been here for a while.
fn court() -> World {
    let mut world = World::new(config());
    world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    (1..20).for_each(|user| world.enter(user).unwrap());
    world.pass(Duration::from_secs(90));
    world
}

/// Reports a comment and gives the jurors and the case.
fn summon(world: &mut World, comment: &Value) -> (Vec<u64>, u64) {
    let present: Vec<u64> = world.clients.keys().copied().collect();
    present.into_iter().for_each(|user| drop(world.news(user)));
    assert_eq!(world.ask(2, json!({"type": "report", "comment": comment}))["type"], "accepted");
    let summoned = |inbox: &[Value]| inbox.iter().find(|event| event["type"] == "summons").cloned();
    let jurors: Vec<(u64, Value)> = world
        .clients
        .iter()
        .filter_map(|(user, client)| Some((*user, summoned(&client.inbox)?["case"].clone())))
        .collect();
    let case = jurors.first().map_or(0, |(_, case)| case.as_u64().unwrap());
    (jurors.into_iter().map(|(user, _)| user).collect(), case)
}

fn vote(world: &mut World, jurors: &[u64], case: u64, guilty: bool) {
    for juror in jurors {
        world.send(*juror, &json!({"type": "vote", "case": case, "guilty": guilty}));
    }
    world.keep_all();
}

#[test]
fn a_majority_mutes_for_a_minute_and_a_second_one_for_the_broadcast() {
    let mut world = court();
    let first = world.say(1, "something vile")["comment"].clone();
    let (jurors, case) = summon(&mut world, &first);
    assert_eq!(jurors.len(), 5);
    assert!(!jurors.contains(&1) && !jurors.contains(&2));
    vote(&mut world, &jurors[..2], case, true);
    assert_eq!(world.say(1, "not yet")["type"], "accepted");
    vote(&mut world, &jurors[2..3], case, true);
    let refused = world.say(1, "more of it");
    assert_eq!((&refused["code"], &refused["retry_ms"]), (&json!("muted"), &json!(60_000)));
    assert_eq!(world.news(2).last().unwrap()["guilty"], true, "who reported is told");

    world.pass(Duration::from_secs(60));
    let second = world.say(1, "vile again")["comment"].clone();
    let (jurors, case) = summon(&mut world, &second);
    vote(&mut world, &jurors, case, true);
    world.pass(Duration::from_secs(6 * 3600));
    assert_eq!(world.say(1, "and again")["code"], "muted");
    world.room.set_air(Some(Air { broadcast: 8, time: MediaTime::ZERO, began_at: 0 }), world.now);
    assert_eq!(world.say(1, "a new day")["type"], "accepted");

    let log = world.ask(0, json!({"type": "audit"}));
    assert_eq!(
        (&log["entries"][0]["by"], &log["entries"][0]["reason"]),
        (&json!("jury"), &json!("3 of 5 jurors"))
    );
}

#[test]
fn a_verdict_can_be_undone() {
    let mut world = court();
    let seq = world.say(1, "a joke")["comment"].clone();
    let (jurors, case) = summon(&mut world, &seq);
    vote(&mut world, &jurors, case, true);
    assert_eq!(world.say(1, "but")["code"], "muted");
    assert_eq!(world.moderate(0, json!({"do": "undo", "entry": 1}))["type"], "accepted");
    assert_eq!(world.say(1, "thank you")["type"], "accepted");
}

#[test]
fn an_acquitted_comment_is_not_tried_twice() {
    let mut world = court();
    let seq = world.say(1, "harmless")["comment"].clone();
    let (jurors, case) = summon(&mut world, &seq);
    vote(&mut world, &jurors[..2], case, true);
    world.pass(Duration::from_secs(11));
    assert_eq!(world.say(1, "still here")["type"], "accepted");
    assert_eq!(summon(&mut world, &seq).0, [] as [u64; 0]);
    assert_eq!(world.ask(jurors[0], json!({"type": "vote", "case": case, "guilty": true})), Value::Null);
    assert_eq!(world.news(jurors[0]).last().unwrap()["code"], "not_found", "a late vote");
}

#[test]
fn b32_fresh_sessions_and_one_household_do_not_judge() {
    let mut world = World::new(config());
    world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    (1..6).for_each(|user| world.enter(user).unwrap());
    world.pass(Duration::from_secs(90));
    // A hundred helpers come for the occasion, and a hundred came early but from one network.
    (100..200).for_each(|user| world.enter(user).unwrap());
    let seq = world.say(1, "an opinion")["comment"].clone();
    let (jurors, _) = summon(&mut world, &seq);
    assert!(!jurors.is_empty() && jurors.iter().all(|juror| *juror < 6), "{jurors:?}");
    world.pass(Duration::from_secs(20));

    for user in 300..400 {
        let household = Visitor { prefix: Prefix::v4([99, 9, 9, 9]), ..World::visitor(user, Role::Guest) };
        world.enter_as(household).unwrap();
    }
    world.pass(Duration::from_secs(90));
    for round in 0..10 {
        let seq = world.say(1, &format!("opinion {round}"))["comment"].clone();
        let (jurors, case) = summon(&mut world, &seq);
        assert!(jurors.iter().filter(|juror| **juror >= 300).count() <= 1, "{jurors:?}");
        vote(&mut world, &jurors, case, false);
        world.pass(Duration::from_secs(30));
    }
}

#[test]
fn who_keeps_order_is_not_tried_and_a_shadowed_report_calls_nobody() {
    let mut world = court();
    let seq = world.say(0, "my rules")["comment"].clone();
    assert_eq!(world.ask(2, json!({"type": "report", "comment": seq}))["code"], "forbidden");
    let seq = world.say(1, "hm")["comment"].clone();
    assert_eq!(world.ask(1, json!({"type": "report", "comment": seq}))["code"], "forbidden");
    world.moderate(0, json!({"do": "shadow", "user": UserId(2)}));
    assert_eq!(summon(&mut world, &seq).0, [] as [u64; 0]);
    assert_eq!(world.room.counts().juries, 0);
}

#[test]
fn reports_have_a_limit() {
    let mut world = court();
    let seqs: Vec<Value> =
        (10..15).map(|user| world.say(user, &format!("t{user}"))["comment"].clone()).collect();
    let answers: Vec<Value> = seqs
        .iter()
        .map(|seq| world.ask(2, json!({"type": "report", "comment": seq}))["code"].clone())
        .collect();
    assert_eq!(answers[3..], [json!("rate_limited"), json!("rate_limited")]);
}
