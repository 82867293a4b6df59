//! Order, and neither gaps nor doubles, whoever comes and goes and however slow the store is.

use super::*;
use crate::random::Random;

#[test]
fn nobody_misses_or_doubles_anything_whatever_happens() {
    for seed in 0..25 {
        let mut random = Random::new(seed);
        let mut config = config();
        config.comment_burst = 1000;
        config.message_burst = 5000;
        config.duplicate_window = Duration::ZERO;
        let mut world = World::new(config);
        world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
        (1..6).for_each(|user| world.enter(user).unwrap());
        let (mut sent, mut unsure): (u64, Vec<(u64, String)>) = (0, Vec::new());
        for _ in 0..400 {
            let user = 1 + random.below(5) as u64;
            match random.below(10) {
                0..=3 => {
                    sent += 1;
                    let id = format!("c{sent}");
                    world.send(user, &json!({"type": "comment", "id": id, "text": format!("text {sent}")}));
                    unsure.push((user, id));
                }
                4 => world.keep(true),
                5 => world.keep(random.below(8) > 0),
                6 => world.leave(user),
                7 if world.clients[&user].session.is_none() => world.enter(user).unwrap(),
                8 => {
                    let published = world.clients[&0].comments.clone();
                    if let Some(seq) = published.get(random.below(published.len())) {
                        let id = format!("d{seq}");
                        let act = json!({"do": "delete", "comment": seq});
                        world.send(0, &json!({"type": "moderate", "id": id, "act": act}));
                    }
                }
                9 => {
                    // Whoever got no answer sends the same again, perhaps by another connection.
                    if let Some((user, id)) = unsure.get(random.below(unsure.len())).cloned() {
                        let text = format!("text {}", &id[1..]);
                        world.send(user, &json!({"type": "comment", "id": id, "text": text}));
                    }
                }
                _ => world.pass(Duration::from_millis(random.below(120) as u64)),
            }
        }
        // At the end everybody comes back, and everything is sent once more.
        (1..6).for_each(|user| {
            if world.clients[&user].session.is_none() {
                world.enter(user).unwrap();
            }
        });
        for (user, id) in unsure {
            let text = format!("text {}", &id[1..]);
            world.send(user, &json!({"type": "comment", "id": id, "text": text}));
        }
        world.keep_all();
        world.pass(Duration::from_secs(1));
        let all = world.clients[&0].comments.clone();
        assert!(all.is_sorted(), "seed {seed}");
        for user in 1..6 {
            assert_eq!(world.clients[&user].comments, all, "seed {seed}, user {user}");
        }
        // Each text was taken once.
        let mut texts: Vec<String> = world
            .kept
            .iter()
            .filter_map(|record| match record {
                Record::Comment { comment, .. } => Some(comment.text.to_string()),
                _ => None,
            })
            .collect();
        let taken = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!((texts.len(), taken as u64), (taken, sent), "seed {seed}");
    }
}

#[test]
fn who_was_away_too_long_begins_anew() {
    let mut config = config();
    config.history = 10;
    config.comment_interval = Duration::ZERO;
    let mut world = World::new(config);
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    world.say(1, "seen");
    world.pass(Duration::from_secs(1));
    world.leave(2);
    for n in 0..30 {
        world.say(1, &format!("missed {n}"));
        world.pass(Duration::from_secs(1));
    }
    world.news(2);
    world.enter(2).unwrap();
    let welcome = &world.news(2)[0];
    assert_eq!((&welcome["type"], &welcome["reset"]), (&json!("welcome"), &json!(true)));
    assert_eq!(welcome["comments"].as_array().unwrap().len(), 10);
    assert_eq!(welcome["comments"][9]["text"], "missed 29");
}

#[test]
fn a_room_comes_back_from_the_store_with_its_order() {
    let mut world = World::new(config());
    world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    world.ask(1, json!({"type": "name", "name": "Ada"}));
    world.say(1, "first");
    world.say(2, "to be deleted");
    world.moderate(0, json!({"do": "delete", "comment": 2}));
    world.moderate(0, json!({"do": "ban", "user": UserId(2)}));
    world.moderate(0, json!({"do": "slow", "seconds": 9}));
    world.moderate(0, json!({"do": "pin", "comment": 1}));
    world.send(1, &json!({"type": "comment", "id": "lost", "text": "not yet kept"}));

    // What the store has, put together as it does.
    let mut restored = Restored::default();
    for record in world.kept.clone() {
        match record {
            Record::Comment { comment, id, visibility, .. } => {
                restored.last_seq = comment.seq;
                restored.requests.push((comment.user, id, comment.seq));
                restored.comments.push((comment, visibility));
            }
            Record::Order { visibility, log, standing } => {
                if let Some((seq, visibility)) = visibility {
                    restored
                        .comments
                        .iter_mut()
                        .filter(|kept| kept.0.seq == seq)
                        .for_each(|kept| kept.1 = visibility);
                }
                restored.log.extend(log);
                restored.standing = standing;
            }
            Record::Name { user, name, .. } => restored.names.push((user, name.to_string())),
        }
    }
    let mut again = World::restored(config(), restored, 2);
    assert_eq!(again.enter(2).unwrap_err().code, Refusal::Banned, "a restart does not open what was closed");
    again.enter(1).unwrap();
    let welcome = again.news(1).remove(0);
    assert_eq!(welcome["you"]["name"], "Ada");
    assert_eq!((&welcome["slow"], &welcome["pinned"]["text"]), (&json!(9), &json!("first")));
    assert_eq!(welcome["comments"].as_array().unwrap().len(), 1);
    assert_eq!(again.ask(1, json!({"type": "report", "comment": 2}))["code"], "not_found");
    // A comment that is sent again is known; one that was not kept is taken now.
    again.send(1, &json!({"type": "comment", "id": "r2", "text": "first"}));
    assert_eq!(again.answer(1, "r2")["comment"], 1);
    assert_eq!(again.say(1, "not yet kept")["type"], "accepted");
    again.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    let log = again.ask(0, json!({"type": "audit"}));
    assert_eq!(log["entries"].as_array().unwrap().len(), 4);
    let ban = log["entries"][1]["entry"].clone();
    assert_eq!(again.moderate(0, json!({"do": "undo", "entry": ban}))["type"], "accepted");
    again.enter(2).unwrap();
}
