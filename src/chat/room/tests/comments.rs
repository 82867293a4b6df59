//! Comments, reactions, presence and names, and their limits.

use super::*;

fn texts(world: &mut World, user: u64) -> Vec<String> {
    let news = world.news(user).into_iter().filter(|event| event["type"] == "comment");
    news.map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_comment_reaches_all_with_its_media_time_and_is_acknowledged_when_it_is_kept() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    world.pass(Duration::from_secs(2));
    world.news(2);
    world.send(
        1,
        &json!({"type": "comment", "id": "a", "text": "hello #Live", "time_ns": 58_000_000_000_i64}),
    );
    world.pass(Duration::from_secs(1));
    assert!(world.news(2).is_empty() && world.answer(1, "a").is_null(), "nothing before it is kept");
    world.keep_all();
    world.pass(Duration::from_secs(1));
    let comment = world.news(2).remove(0);
    assert_eq!((&comment["text"], &comment["time_ns"]), (&json!("hello #Live"), &json!(58_000_000_000_i64)));
    assert_eq!((&comment["hashtags"], &comment["role"]), (&json!(["live"]), &json!("guest")));
    assert_eq!(world.answer(1, "a")["comment"], comment["seq"]);

    // A time that cannot be is put where it can; none is now.
    for (said, taken) in [(json!(i64::MAX), 66_000), (json!(-5), 0), (Value::Null, 64_000)] {
        world.say(2, "x");
        world.ask(1, json!({"type": "comment", "text": format!("at {said}"), "time_ns": said}));
        world.flush();
        let Some(Record::Comment { comment, .. }) = world.kept.last() else { panic!("no comment") };
        assert_eq!(comment.time_ns, Some(taken * 1_000_000), "{said}");
    }
}

#[test]
fn limits_are_told_with_the_time_to_wait() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    for n in 0..4 {
        assert_eq!(world.say(1, &format!("number {n}"))["type"], "accepted");
    }
    let refused = world.say(1, "number 5");
    assert_eq!((&refused["code"], &refused["retry_ms"]), (&json!("rate_limited"), &json!(1000)));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.say(1, "number 5")["type"], "accepted");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.say(1, "Number  5!")["code"], "duplicate");
    world.pass(Duration::from_secs(30));
    assert_eq!(world.say(1, "number 5")["type"], "accepted");
    assert_eq!(world.say(1, " \u{200b} ")["code"], "empty");
    assert_eq!(world.say(1, &"x".repeat(301))["code"], "too_long");
    assert_eq!(world.say(1, "a.com b.com c.com")["code"], "links");
}

#[test]
fn leaving_and_coming_back_is_no_way_around_a_limit() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    (0..4).for_each(|n| drop(world.say(1, &format!("n{n}"))));
    world.leave(1);
    world.enter(1).unwrap();
    assert_eq!(world.say(1, "again")["code"], "rate_limited");
}

#[test]
fn slow_mode_links_and_words_hold_for_viewers_only() {
    let mut world = World::new(config());
    world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    world.enter(1).unwrap();
    world.moderate(0, json!({"do": "slow", "seconds": 30}));
    world.moderate(0, json!({"do": "links", "allowed": false}));
    world.moderate(0, json!({"do": "words", "blocked": ["moron"]}));
    world.pass(Duration::from_secs(1));
    let rules = world.news(1).into_iter().rfind(|event| event["type"] == "rules").unwrap();
    assert_eq!((&rules["slow"], &rules["links"]), (&json!(30), &json!(false)));
    assert_eq!(world.say(1, "look at example.com")["code"], "links");
    assert_eq!(world.say(1, "you m0r0n")["code"], "blocked_word");
    assert_eq!(world.say(1, "nice")["type"], "accepted");
    world.pass(Duration::from_secs(10));
    let refused = world.say(1, "very nice");
    assert_eq!((&refused["code"], &refused["retry_ms"]), (&json!("slow_mode"), &json!(20_000)));
    for text in ["look at example.com", "you moron", "fast", "faster", "fastest", "still", "me"] {
        assert_eq!(world.say(0, text)["type"], "accepted", "{text}");
    }
}

#[test]
fn the_same_long_text_is_not_repeated_by_a_crowd() {
    let mut world = World::new(config());
    let spam = "Visit my channel now and win a prize, everybody who comes wins!";
    let taken = (1..20).filter(|user| {
        world.enter(*user).unwrap();
        assert_eq!(world.say(*user, "goal!!!")["type"], "accepted", "a short cheer is no spam");
        world.say(*user, spam)["type"] == "accepted"
    });
    assert_eq!(taken.count(), 5);
}

#[test]
fn an_answer_quotes_and_a_mention_names() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    world.ask(1, json!({"type": "name", "name": "Ann Lee"}));
    world.say(1, "what a view");
    world.ask(2, json!({"type": "comment", "text": "indeed, @ann lee!", "reply_to": 1}));
    world.pass(Duration::from_secs(1));
    let answer = world.news(1).into_iter().rfind(|event| event["type"] == "comment").unwrap();
    assert_eq!(
        (&answer["reply_to"]["name"], &answer["reply_to"]["text"]),
        (&json!("Ann Lee"), &json!("what a view"))
    );
    assert_eq!(answer["mentions"], json!([UserId(1)]));
    let gone = world.ask(2, json!({"type": "comment", "text": "and that?", "reply_to": 99}));
    assert_eq!(gone["code"], "not_found");
}

#[test]
fn b32_a_heart_flood_counts_as_fast_as_a_person_taps_and_is_told_four_times_a_second() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    world.pass(Duration::from_secs(1));
    world.news(1);
    for _ in 0..100 {
        world.send(1, &json!({"type": "react", "kind": "❤", "count": 4_000_000}));
        world.pass(Duration::from_millis(100));
    }
    world.pass(Duration::from_secs(1));
    let reactions: Vec<Value> =
        world.news(1).into_iter().filter(|event| event["type"] == "reactions").collect();
    let counted: u64 = reactions.iter().map(|event| event["counts"][0]["count"].as_u64().unwrap()).sum();
    // Thirty at once and ten a second, in ten seconds.
    assert!((125..=130).contains(&counted), "{counted}");
    assert!(reactions.len() <= 42, "{}", reactions.len());
    assert_eq!(reactions.last().unwrap()["counts"][0]["hue"], UserId(1).hue());
    assert_eq!(world.room.counts().reactions, counted);
    world.send(1, &json!({"type": "react", "kind": "💣"}));
    assert_eq!(world.news(1)[0]["code"], "not_found");
}

#[test]
fn presence_is_a_list_while_the_room_is_small_and_a_count_after() {
    let mut world = World::new(Config { list_up_to: 3, ..config() });
    world.enter(1).unwrap();
    world.pass(Duration::from_secs(1));
    world.news(1);
    world.enter(2).unwrap();
    world.enter(2).unwrap();
    world.pass(Duration::from_secs(1));
    let presence = world.news(1).remove(0);
    assert_eq!((&presence["count"], &presence["joined"][0]["user"]), (&json!(2), &json!(UserId(2))));
    (3..10).for_each(|user| world.enter(user).unwrap());
    world.leave(9);
    world.pass(Duration::from_secs(1));
    let presence = world.news(1).remove(0);
    assert_eq!(presence["count"], 8);
    assert!(
        presence["joined"].as_array().map_or(0, Vec::len) <= 2 && presence.get("left").is_none(),
        "{presence}"
    );
    world.pass(Duration::from_secs(60));
    assert!(world.news(1).is_empty(), "no news is not told");
}

#[test]
fn names_are_chosen_once_a_room_and_kept() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    let invented = world.news(1)[0]["you"]["name"].clone();
    assert!(invented.as_str().is_some_and(|name| name.contains(' ')), "{invented}");
    assert_eq!(world.ask(1, json!({"type": "name", "name": "Ada"}))["type"], "accepted");
    assert_eq!(world.ask(2, json!({"type": "name", "name": "АDA"}))["code"], "bad_name");
    assert_eq!(world.ask(2, json!({"type": "name", "name": "Moderator"}))["code"], "bad_name");
    world.leave(1);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.ask(2, json!({"type": "name", "name": "ada"}))["code"], "bad_name", "it is kept");
    world.enter(1).unwrap();
    assert_eq!(world.news(1).last().unwrap()["you"]["name"], "Ada");
    assert!(world.kept.contains(&Record::Name {
        user: UserId(1),
        name: "Ada".into(),
        at: 1_700_000_000_000
    }));
}

#[test]
fn what_the_audience_does_goes_out_as_signals_once_a_second() {
    let mut world = World::new(config());
    (1..4).for_each(|user| world.enter(user).unwrap());
    world.pass(Duration::from_secs(2));
    for user in 1..4 {
        world.say(user, &format!("#goal number {user} #n{user}"));
    }
    world.send(1, &json!({"type": "react", "kind": "❤", "count": 3}));
    world.pass(Duration::from_secs(1));
    let at = MediaTime::from_millis(63_000);
    let expected = [
        Signal::Comments { at, count: 3 },
        Signal::Reactions { at, count: 3 },
        Signal::Hashtag { at, tag: "goal".into(), count: 3 },
        Signal::Hashtag { at, tag: "n1".into(), count: 1 },
    ];
    assert_eq!(world.signals[..4], expected);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.signals.len(), 6);
}

#[test]
fn a_fast_room_is_sampled_but_the_broadcaster_comes_through() {
    let mut config = Config { readable_per_second: 5, comment_burst: 100, ..config() };
    config.duplicate_window = Duration::ZERO;
    let mut world = World::new(config);
    world.enter_as(World::visitor(0, Role::Broadcaster)).unwrap();
    (1..60).for_each(|user| world.enter(user).unwrap());
    for round in 0..40 {
        for user in 40..60 {
            world.say(user, &format!("{round} of {user}"));
        }
        world.say(0, &format!("I am here, {round}"));
        world.pass(Duration::from_secs(1));
    }
    for user in 1..40 {
        let read = texts(&mut world, user);
        assert_eq!(read.iter().filter(|text| text.starts_with("I am")).count(), 40);
        assert!((150..400).contains(&(read.len() - 40)), "viewer {user} read {} of 800", read.len() - 40);
    }
    assert_eq!(texts(&mut world, 0).len(), 840, "the broadcaster reads everything");
}

#[test]
fn counts_go_out_with_the_comments_that_wait_for_others() {
    let mut world = World::new(config());
    world.enter(1).unwrap();
    world.enter(2).unwrap();
    world.pass(Duration::from_secs(1));
    let types = |batch: Batch| -> Vec<String> {
        let event = |posted: &Arc<crate::chat::sampling::Posted>| -> Value {
            serde_json::from_slice(&posted.json).unwrap()
        };
        batch.events.iter().map(|posted| event(posted)["type"].as_str().unwrap().to_owned()).collect()
    };
    let flush = |world: &mut World, after: u64| {
        world.now = world.now.after(Duration::from_millis(after));
        types(world.room.flush(world.now))
    };
    flush(&mut world, 0);
    flush(&mut world, 1000);
    world.say(1, "one");
    assert_eq!(flush(&mut world, 0), ["comment"], "nothing was sent just before");
    world.say(1, "two");
    world.send(2, &json!({"type": "react", "kind": "❤", "count": 1}));
    assert_eq!(flush(&mut world, 49), [] as [&str; 0]);
    assert_eq!(flush(&mut world, 1), ["comment", "reactions"], "one write for both");
    // Whoever hands it out may want more or less of that.
    for interval in [100, 20] {
        world.room.wait_for_others(Duration::from_millis(interval));
        world.say(2, &format!("after {interval} ms"));
        world.send(1, &json!({"type": "react", "kind": "❤", "count": 1}));
        assert_eq!(flush(&mut world, interval - 1), [] as [&str; 0]);
        let due = world.now.uptime + Duration::from_millis(1);
        assert!(world.room.next_timeout().is_some_and(|at| at <= due));
        assert!(flush(&mut world, 1).contains(&"comment".to_owned()));
    }
}
