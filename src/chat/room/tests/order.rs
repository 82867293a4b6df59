//! Acts of those who keep order, and taking them back.

use super::*;

fn room() -> World {
    let mut world = World::new(config());
    world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    (1..6).for_each(|user| world.enter(user).unwrap());
    world
}

fn comments(world: &World, user: u64) -> Vec<Seq> {
    world.clients[&user].comments.clone()
}

#[test]
fn viewers_keep_no_order() {
    let mut world = room();
    world.say(2, "hello");
    for act in [
        json!({"do": "delete", "comment": 1}),
        json!({"do": "mute", "user": UserId(2)}),
        json!({"do": "ban", "user": UserId(0)}),
        json!({"do": "slow", "seconds": 3600}),
        json!({"do": "undo", "entry": 1}),
    ] {
        assert_eq!(world.moderate(1, act)["code"], "forbidden");
    }
    assert_eq!(world.ask(1, json!({"type": "audit"}))["code"], "forbidden");
    assert_eq!(world.ask(1, json!({"type": "invite"}))["code"], "forbidden");
}

#[test]
fn a_deleted_comment_is_gone_for_all_and_can_come_back() {
    let mut world = room();
    world.say(1, "one");
    world.say(2, "two");
    world.pass(Duration::from_secs(1));
    assert_eq!(comments(&world, 3), [1, 2]);
    assert_eq!(world.moderate(0, json!({"do": "delete", "comment": 1}))["type"], "accepted");
    world.pass(Duration::from_secs(1));
    assert_eq!(comments(&world, 3), [2]);
    assert_eq!(world.moderate(0, json!({"do": "delete", "comment": 1}))["code"], "not_found");
    world.enter(9).unwrap();
    assert_eq!(comments(&world, 9), [2]);
    assert_eq!(world.moderate(0, json!({"do": "undo", "entry": 1}))["type"], "accepted");
    world.pass(Duration::from_secs(1));
    let restored = world.news(3).into_iter().rfind(|event| event["type"] == "restored").unwrap();
    assert_eq!(restored["comment"]["text"], "one");
    world.enter(10).unwrap();
    assert_eq!(comments(&world, 10), [1, 2]);
    assert_eq!(world.moderate(0, json!({"do": "undo", "entry": 1}))["code"], "not_found", "once");
    let log = world.ask(0, json!({"type": "audit"}))["entries"].clone();
    assert_eq!((log[0]["act"]["do"].as_str(), log[0]["undone_by"].is_string()), (Some("delete"), true));
    assert_eq!((log[1]["act"]["do"].as_str(), log[1]["reason"].as_str()), (Some("undo"), Some("because")));
}

#[test]
fn a_deletion_does_not_wait_for_comments_that_are_being_stored() {
    let mut world = room();
    world.say(1, "vile");
    world.pass(Duration::from_secs(1));
    world.send(2, &json!({"type": "comment", "id": "slow", "text": "the store takes its time"}));
    world.send(0, &json!({"type": "moderate", "id": "gone", "act": {"do": "delete", "comment": 1}}));
    world.pass(Duration::from_secs(1));
    assert_eq!(comments(&world, 3), [] as [Seq; 0], "gone at once");
    let deletions = |world: &mut World, user: u64| -> Vec<Value> {
        let news = world.news(user).into_iter().filter(|event| event["type"] == "deleted");
        news.map(|event| event["seq"].clone()).collect()
    };
    assert_eq!(deletions(&mut world, 3), [Value::Null], "ahead of its turn it has no number to come back by");
    // Somebody loses the connection before the comment is stored, and comes back for it.
    world.leave(4);
    world.enter(4).unwrap();
    world.keep_all();
    world.pass(Duration::from_secs(1));
    assert_eq!(deletions(&mut world, 3), [json!(3)], "and again in its turn");
    assert_eq!((comments(&world, 3), comments(&world, 4)), (vec![2], vec![2]));
    // One that waits for nothing is told once; so is that of a comment which goes out in the same moment.
    world.say(1, "late");
    world.moderate(0, json!({"do": "delete", "comment": 4}));
    world.pass(Duration::from_secs(1));
    assert_eq!(deletions(&mut world, 3), [json!(5)]);
    assert_eq!(comments(&world, 3), [2]);
}

#[test]
fn b32_a_ban_reaches_a_comment_that_is_being_stored() {
    let mut world = room();
    world.send(1, &json!({"type": "comment", "id": "late", "text": "vile"}));
    world.send(0, &json!({"type": "moderate", "id": "ban", "act": {"do": "ban", "user": UserId(1)}}));
    world.keep_all();
    world.pass(Duration::from_secs(1));
    assert_eq!(comments(&world, 2), [] as [Seq; 0]);
    let hidden =
        |record: &Record| matches!(record, Record::Order { visibility: Some((1, Visibility::Deleted)), .. });
    assert!(world.kept.iter().any(hidden), "nor does it come back with a restart");
}

#[test]
fn a_ban_sends_away_and_keeps_out_until_it_is_over() {
    let mut world = room();
    world.moderate(0, json!({"do": "ban", "user": UserId(1), "seconds": 60}));
    assert!(world.clients[&1].closed);
    let bye = world.news(1).pop().unwrap();
    assert_eq!(
        (&bye["type"], &bye["code"], &bye["reconnect"]),
        (&json!("bye"), &json!("banned"), &json!(false))
    );
    assert_eq!(world.enter(1).unwrap_err().code, Refusal::Banned);
    world.pass(Duration::from_secs(60));
    world.enter(1).unwrap();
}

#[test]
fn b32_a_banned_user_with_a_new_session_talks_to_the_wall() {
    let mut world = room();
    world.moderate(0, json!({"do": "ban", "user": UserId(1)}));
    let again = Visitor { user: UserId(1001), ..World::visitor(1, Role::Guest) };
    world.enter_as(again).unwrap();
    world.news(0);
    assert_eq!(world.say(1001, "I am back")["type"], "accepted", "and is not told");
    world.pass(Duration::from_secs(1));
    assert_eq!(comments(&world, 1001).len(), 1);
    assert_eq!(comments(&world, 2), [] as [Seq; 0]);
    let seen = world.news(0).into_iter().find(|event| event["type"] == "comment").unwrap();
    assert_eq!((&seen["text"], &seen["shadowed"]), (&json!("I am back"), &json!(true)));
    world.send(1001, &json!({"type": "react", "kind": "❤"}));
    world.pass(Duration::from_secs(1));
    assert!(world.news(2).iter().all(|event| event["type"] != "reactions"));
    // Neighbours who were here before are not suspects.
    assert_eq!(world.say(2, "hello")["type"], "accepted");

    world.moderate(0, json!({"do": "ban", "user": UserId(2), "scope": "network"}));
    let again = Visitor { user: UserId(1002), ..World::visitor(2, Role::Guest) };
    assert_eq!(world.enter_as(again).unwrap_err().code, Refusal::Banned);
}

#[test]
fn ranks_hold() {
    let mut world = room();
    let arrival = |user| Arrival { visitor: World::visitor(user, Role::Guest), invitation: Some(77) };
    let join = Join { v: 1, ..Join::default() };
    let entered = world.room.enter(arrival(50), &join, world.now).unwrap();
    assert_eq!(entered.role, Role::Moderator);
    let used = world.room.enter(arrival(51), &join, world.now).unwrap();
    assert_eq!(used.role, Role::Guest, "an invitation makes one moderator");
    world.room.leave(entered.session, world.now);
    world.enter(50).unwrap();
    assert_eq!(
        world.moderate(50, json!({"do": "mute", "user": UserId(1), "seconds": 5}))["type"],
        "accepted"
    );
    assert_eq!(world.moderate(50, json!({"do": "mute", "user": UserId(0)}))["code"], "forbidden");
    assert_eq!(world.moderate(50, json!({"do": "demote", "user": UserId(50)}))["code"], "forbidden");
    assert_eq!(world.moderate(0, json!({"do": "demote", "user": UserId(50)}))["type"], "accepted");
    assert_eq!(world.moderate(50, json!({"do": "mute", "user": UserId(2)}))["code"], "forbidden");
    let entry = world.ask(0, json!({"type": "audit"}))["entries"][1]["entry"].clone();
    assert_eq!(world.moderate(0, json!({"do": "undo", "entry": entry}))["type"], "accepted");
    assert_eq!(world.moderate(50, json!({"do": "pardon", "user": UserId(1)}))["type"], "accepted");
    assert_eq!(world.say(1, "free")["type"], "accepted");
}

#[test]
fn rules_and_pins_are_taken_back_to_what_they_were() {
    let mut world = room();
    world.say(1, "pin me");
    for (act, undone) in [
        (json!({"do": "slow", "seconds": 10}), json!({"slow": 0, "links": true})),
        (json!({"do": "links", "allowed": false}), json!({"slow": 0, "links": true})),
    ] {
        world.moderate(0, act);
        let entry = world.room.log.next() - 1;
        world.moderate(0, json!({"do": "undo", "entry": entry}));
        world.pass(Duration::from_secs(1));
        let rules = world.news(1).into_iter().rfind(|event| event["type"] == "rules").unwrap();
        assert_eq!((&rules["slow"], &rules["links"]), (&undone["slow"], &undone["links"]));
    }
    world.moderate(0, json!({"do": "pin", "comment": 1}));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.news(1).pop().unwrap()["comment"]["text"], "pin me");
    world.moderate(0, json!({"do": "delete", "comment": 1}));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.news(1).pop().unwrap()["comment"], Value::Null, "what is gone is not pinned");
    world.moderate(0, json!({"do": "words", "blocked": ["moron"]}));
    assert_eq!(world.say(1, "moron")["code"], "blocked_word");
    let entry = world.room.log.next() - 1;
    world.moderate(0, json!({"do": "undo", "entry": entry}));
    assert_eq!(world.say(1, "moron")["type"], "accepted");
}
