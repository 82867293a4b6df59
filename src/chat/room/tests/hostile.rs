//! What strangers send, and how much of it a room keeps.

use super::*;
use crate::random::Random;

#[test]
fn b32_a_flood_of_messages_ends_the_connection_and_bothers_nobody() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    world.pass(Duration::from_secs(1));
    world.news(2);
    for n in 0..10_000 {
        world.send(1, &json!({"type": "comment", "id": format!("{n}"), "text": format!("spam {n}")}));
    }
    assert!(world.clients[&1].closed);
    assert_eq!(world.news(1).pop().unwrap()["code"], "flood");
    world.keep_all();
    world.pass(Duration::from_secs(1));
    let reached = world.news(2).iter().filter(|event| event["type"] == "comment").count();
    assert_eq!(reached, 4, "as many as anybody may say at once");
}

#[test]
fn b32_nothing_that_is_sent_breaks_a_room() {
    let mut random = Random::new(9);
    let mut world = World::new(config());
    world.enter(1).unwrap();
    let seeds = [
        r#"{"type":"comment","id":"a","text":"hello","time_ns":1,"reply_to":1}"#,
        r#"{"type":"moderate","id":"b","act":{"do":"ban","user":"0000000000000001","scope":"network"}}"#,
        r#"{"type":"react","kind":"❤","count":3}"#,
        r#"{"type":"vote","case":1,"guilty":true}"#,
    ];
    for _ in 0..3000 {
        let mut bytes = seeds[random.below(seeds.len())].as_bytes().to_vec();
        for _ in 0..1 + random.below(4) {
            let place = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[place] = random.next() as u8,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, random.next() as u8),
            }
        }
        world.send_text(1, &String::from_utf8_lossy(&bytes));
        world.keep_all();
        world.pass(Duration::from_millis(200));
    }
    assert!(!world.clients[&1].closed);
    world.send_text(1, &"x".repeat(4097));
    assert_eq!(world.news(1).pop().unwrap()["code"], "too_long");
}

#[test]
fn b32_thousands_who_come_and_go_leave_a_bounded_room() {
    let mut config = config();
    config.max_remembered = 500;
    let mut world = World::new(config);
    for user in 0..3000 {
        world.enter(user).unwrap();
        world.say(user, &format!("hello from {user} #tag{user}"));
        world.leave(user);
        world.clients.remove(&user);
        if user % 50 == 0 {
            world.pass(Duration::from_secs(30));
        }
    }
    world.pass(Duration::from_secs(30));
    assert!(world.room.people.len() <= 600, "{}", world.room.people.len());
    assert!(world.room.names.count() <= 1100, "{}", world.room.names.count());
    assert!(world.room.requests.len() <= MAX_REQUESTS);
    assert!(world.room.is_idle());
}

#[test]
fn b32_comments_to_a_broadcast_that_is_over_are_refused() {
    let mut world = World::new(config());
    world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    world.enter(1).unwrap();
    world.room.set_air(None, world.now);
    world.pass(Duration::from_secs(1));
    let rules = world.news(1).into_iter().find(|event| event["type"] == "rules").unwrap();
    assert_eq!(rules["open"], false);
    assert_eq!(world.say(1, "too late")["code"], "closed");
    assert_eq!(world.say(0, "thank you all")["type"], "accepted");
    let mut open = World::new(Config { open_when_offline: true, ..config() });
    open.enter(1).unwrap();
    open.room.set_air(None, open.now);
    assert_eq!(open.say(1, "is it on soon?")["type"], "accepted");
    assert!(matches!(open.kept.last(), Some(Record::Comment { comment, .. }) if comment.time_ns.is_none()));
}

#[test]
fn a_store_that_fails_or_hangs_is_told_to_authors() {
    let mut world = World::new(Config { comment_burst: 10_000, message_burst: 20_000, ..config() });
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    world.send(1, &json!({"type": "comment", "id": "a", "text": "lost"}));
    world.keep(false);
    assert_eq!(world.answer(1, "a")["code"], "unavailable");
    world.send(1, &json!({"type": "comment", "id": "a", "text": "lost no more"}));
    world.keep_all();
    assert_eq!(world.answer(1, "a")["type"], "accepted");
    for n in 0..2000 {
        world.send(1, &json!({"type": "comment", "id": format!("n{n}"), "text": format!("n{n}")}));
    }
    assert_eq!(world.store.len(), MAX_PENDING);
    assert_eq!(world.answer(1, "n1999")["code"], "unavailable");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.clients[&2].comments.len(), 1);
    world.keep_all();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.clients[&2].comments.len(), 1 + MAX_PENDING);
}

#[test]
fn b34_a_voucher_that_runs_out_ends_talking() {
    let mut world = World::new(config());
    let end = world.now.unix_millis + 5000;
    let member =
        Visitor { name: Some("Grace".to_owned()), expires: Some(end), ..World::visitor(1, Role::Member) };
    world.enter_as(member).unwrap();
    assert_eq!(
        world.news(1)[0]["you"],
        json!({"user": UserId(1), "name": "Grace", "role": "member", "hue": UserId(1).hue()})
    );
    assert_eq!(world.say(1, "hello")["type"], "accepted");
    assert_eq!(world.ask(1, json!({"type": "name", "name": "Other"}))["code"], "forbidden");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.say(1, "still me")["code"], "bad_token");
}
