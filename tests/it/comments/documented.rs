//! `docs/comments.md` and its schema say what the server does.

use std::collections::BTreeSet;

use onair::chat::Config;
use onair::chat::event::{
    AuditEntry, Comment, Event, Farewell, Member, Quote, Reaction, Refusal, Rules, Welcome, You,
};
use onair::chat::message::{Act, Request, Scope};
use onair::chat::person::{Role, UserId};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../../docs/comments.md");
const SCHEMA: &str = include_str!("../../../docs/comments.schema.json");

const ANN: UserId = UserId(1);

fn comment() -> Comment {
    Comment {
        seq: 5,
        user: ANN,
        name: "Ann".into(),
        role: Role::Moderator,
        hue: ANN.hue(),
        text: "hello".into(),
        time_ns: Some(-1),
        at: 1,
        reply_to: Some(Quote { seq: 4, user: ANN, name: "Ann".into(), text: "hel".into() }),
        hashtags: vec!["live".into()],
        mentions: vec![ANN],
        shadowed: true,
    }
}

/// One of each kind, with all fields; adding a kind fails to compile here.
fn events() -> Vec<Event> {
    let rules = Rules { slow: 1, links: true, open: true };
    let member = Member { user: ANN, name: "Ann".into(), role: Role::Guest, hue: 1 };
    let you = You { user: ANN, name: "Ann".into(), role: Role::Member, hue: 1 };
    let entries = acts()
        .into_iter()
        .map(|act| AuditEntry {
            entry: 1,
            at: 2,
            by: "jury".into(),
            user: Some(ANN),
            act,
            target: "x".into(),
            reason: "y".into(),
            undone_by: Some("Ann".into()),
        })
        .collect();
    let welcome = Welcome {
        v: 1,
        epoch: 1,
        seq: 5,
        you: you.clone(),
        reset: true,
        count: 1,
        members: vec![member.clone()],
        rules: rules.clone(),
        reactions: vec!["❤".into()],
        total_reactions: 3,
        max_text: 300,
        pinned: Some(comment()),
        broadcast: Some(1),
        began_at: Some(2),
        comments: vec![comment()],
    };
    let events = vec![
        Event::Welcome(Box::new(welcome)),
        Event::Comment(comment()),
        Event::Deleted { seq: 6, comment: 5 },
        Event::Restored { seq: 7, comment: comment() },
        Event::Pinned { seq: 8, comment: None },
        Event::Rules { seq: 9, rules },
        Event::Presence { count: 2, joined: vec![member], left: vec![ANN] },
        Event::Reactions { counts: vec![Reaction { kind: "❤".into(), hue: 1, count: 2 }], total: 3 },
        Event::Accepted { id: "a".into(), comment: Some(5) },
        Event::Refused { id: Some("a".into()), code: Refusal::Empty, message: "m".into(), retry_ms: Some(1) },
        Event::You(you),
        Event::Silence { seconds: 60, by: "jury" },
        Event::Summons { case: 1, text: "t".into(), seconds: 10 },
        Event::Verdict { case: 1, comment: 5, guilty: true },
        Event::Reported { comment: 5, jury: true },
        Event::Audit { id: "a".into(), entries },
        Event::Invite { id: "a".into(), token: "t".into() },
        Event::Lagged { missed: 1 },
        Event::Bye { code: Farewell::Banned, reconnect: false },
    ];
    let kinds: BTreeSet<u8> = events.iter().map(number).collect();
    assert_eq!(kinds.len(), events.len());
    assert_eq!(kinds.last().copied(), Some(18), "one of each kind");
    events
}

fn number(event: &Event) -> u8 {
    match event {
        Event::Welcome(_) => 0,
        Event::Comment(_) => 1,
        Event::Deleted { .. } => 2,
        Event::Restored { .. } => 3,
        Event::Pinned { .. } => 4,
        Event::Rules { .. } => 5,
        Event::Presence { .. } => 6,
        Event::Reactions { .. } => 7,
        Event::Accepted { .. } => 8,
        Event::Refused { .. } => 9,
        Event::You(_) => 10,
        Event::Silence { .. } => 11,
        Event::Summons { .. } => 12,
        Event::Verdict { .. } => 13,
        Event::Reported { .. } => 14,
        Event::Audit { .. } => 15,
        Event::Invite { .. } => 16,
        Event::Lagged { .. } => 17,
        Event::Bye { .. } => 18,
    }
}

fn acts() -> Vec<Act> {
    let acts = vec![
        Act::Delete { comment: 1 },
        Act::Mute { user: ANN, seconds: Some(1) },
        Act::Ban { user: ANN, scope: Scope::Network, seconds: Some(1) },
        Act::Shadow { user: ANN },
        Act::Pardon { user: ANN },
        Act::Slow { seconds: 1 },
        Act::Links { allowed: false },
        Act::Words { blocked: vec!["x*".to_owned()] },
        Act::Pin { comment: None },
        Act::Demote { user: ANN },
        Act::Undo { entry: 1 },
    ];
    for act in &acts {
        match act {
            Act::Delete { .. }
            | Act::Mute { .. }
            | Act::Ban { .. }
            | Act::Shadow { .. }
            | Act::Pardon { .. }
            | Act::Slow { .. }
            | Act::Links { .. }
            | Act::Words { .. }
            | Act::Pin { .. }
            | Act::Demote { .. }
            | Act::Undo { .. } => {}
        }
    }
    acts
}

fn requests() -> Vec<Value> {
    let mut requests = vec![
        json!({"type": "join", "v": 1, "last": 1, "after": 2, "epoch": 3, "name": "n", "token": "t", "invite": "i"}),
        json!({"type": "comment", "id": "a", "text": "t", "time_ns": -1, "reply_to": 1}),
        json!({"type": "react", "kind": "❤", "count": 1}),
        json!({"type": "name", "id": "a", "name": "n"}),
        json!({"type": "report", "id": "a", "comment": 1}),
        json!({"type": "vote", "case": 1, "guilty": true}),
        json!({"type": "invite", "id": "a"}),
        json!({"type": "audit", "id": "a"}),
    ];
    requests.extend(
        acts().into_iter().map(|act| json!({"type": "moderate", "id": "a", "act": act, "reason": "r"})),
    );
    requests
}

/// What of JSON Schema our file uses.
fn fits(schema: &Value, value: &Value, root: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        return fits(&root["$defs"][name.trim_start_matches("#/$defs/")], value, root);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[key].as_array() {
            let errors: Vec<String> =
                choices.iter().filter_map(|choice| fits(choice, value, root).err()).collect();
            let fitting = choices.len() - errors.len();
            let right = if key == "oneOf" { fitting == 1 } else { fitting > 0 };
            return if right { Ok(()) } else { Err(format!("{value} fits {fitting} of {key}: {errors:?}")) };
        }
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{value} is not {}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    let right = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        None => true,
        Some(other) => return Err(format!("the test does not know {other}")),
    };
    if !right {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(&schema["items"], item, root)?;
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap()) {
                return Err(format!("{value} has no {name}"));
            }
        }
        for (name, field) in fields {
            let property =
                properties.get(name).ok_or_else(|| format!("{name} of {value} is not described"))?;
            fits(property, field, root)?;
        }
    }
    Ok(())
}

/// The kinds that a list of the schema describes, with all their fields.
fn described(list: &str, tag: &str) -> Vec<(String, BTreeSet<String>)> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let kinds = schema["$defs"][list]["oneOf"].as_array().unwrap();
    let of = |kind: &Value| {
        let properties = kind["properties"].as_object().unwrap();
        let name = properties[tag]["const"].as_str().unwrap().to_owned();
        (name, properties.keys().filter(|field| *field != tag).cloned().collect())
    };
    kinds.iter().map(of).collect()
}

#[test]
fn the_schema_describes_every_message_that_there_is_and_no_other() {
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    let event = &root["$defs"]["event"];
    let mut sent = Vec::new();
    for json in events().iter().map(Event::json) {
        let value: Value = serde_json::from_slice(&json).unwrap();
        fits(event, &value, &root).unwrap();
        let fields = value.as_object().unwrap().keys().filter(|field| *field != "type").cloned();
        sent.push((value["type"].as_str().unwrap().to_owned(), fields.collect()));
    }
    assert_eq!(sent, described("event", "type"), "kinds in order, with all their fields");
    let mut taken = BTreeSet::new();
    for value in requests() {
        fits(&root["$defs"]["request"], &value, &root).unwrap();
        Request::parse(&value.to_string()).unwrap();
        taken.insert(value["type"].as_str().unwrap().to_owned());
    }
    let kinds: BTreeSet<String> = described("request", "type").into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(taken, kinds);
    assert_eq!(described("act", "do").len(), acts().len());
    assert!(fits(event, &json!({"type": "lagged", "missed": 1, "more": 2}), &root).is_err());
    assert!(fits(event, &json!({"type": "lagged"}), &root).is_err());
}

#[test]
fn the_document_names_every_message_field_and_code() {
    let row = |name: &str| {
        let begin = format!("| `{name}` |");
        DOCUMENT.lines().find(|line| line.starts_with(&begin)).map(str::to_owned)
    };
    let mut missing = Vec::new();
    for (list, tag) in [("request", "type"), ("act", "do"), ("event", "type")] {
        for (kind, fields) in described(list, tag) {
            // Some kinds are requests and events: their rows together.
            let begin = format!("| `{kind}` |");
            let rows: String = DOCUMENT.lines().filter(|line| line.starts_with(&begin)).collect();
            let unnamed = fields.iter().filter(|field| !rows.contains(&format!("`{field}`")));
            missing.extend(unnamed.map(|field| format!("{kind}.{field}")));
            if rows.is_empty() {
                missing.push(kind);
            }
        }
    }
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    for list in ["refusal", "farewell"] {
        for code in root["$defs"][list]["enum"].as_array().unwrap() {
            if row(code.as_str().unwrap()).is_none() {
                missing.push(code.to_string());
            }
        }
    }
    assert_eq!(missing, [] as [String; 0]);
}

#[test]
fn every_refusal_and_farewell_is_in_the_schema() {
    use Refusal as R;
    let refusals = [
        R::Malformed,
        R::TooLong,
        R::Empty,
        R::RateLimited,
        R::SlowMode,
        R::Duplicate,
        R::Links,
        R::BlockedWord,
        R::Muted,
        R::Banned,
        R::BadName,
        R::Closed,
        R::Forbidden,
        R::NotFound,
        R::BadToken,
        R::Unavailable,
        R::Version,
    ];
    let farewells = [Farewell::Banned, Farewell::Flood, Farewell::Gone, Farewell::Restart, Farewell::NoJoin];
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(json!(refusals), root["$defs"]["refusal"]["enum"]);
    assert_eq!(json!(farewells), root["$defs"]["farewell"]["enum"]);
}

#[test]
fn the_document_has_the_defaults() {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let text = |key: &str| match &defaults[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let limits = DOCUMENT.split("\n## Limits").nth(1).unwrap();
    let mut seen = 0;
    for line in limits.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let keys: Vec<&str> = cells[1].split(", ").map(|key| key.trim_matches('`')).collect();
        let values: Vec<&str> = cells[2].split(", ").collect();
        for (key, value) in keys.iter().zip(&values) {
            assert_eq!(text(key), *value, "{key}");
            seen += 1;
        }
    }
    assert_eq!(seen, 15);
}
