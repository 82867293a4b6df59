//! Imports point down: this walks the `use` lines of the tree and holds the table of layers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first; a module may use those of lower layers, and of its own where `SAME_LAYER` says so.
const LAYERS: &[&[&str]] = &[
    &["media", "setting", "clock", "money", "random"],
    &["codec"],
    &["format"],
    &["hub", "av", "store", "net", "http", "auth", "metrics", "log", "context"],
    &["ledger"],
    &["protocol", "chat", "overlay", "auction", "cue", "impression"],
    &["booking"],
    &["sale"],
    &["api", "bench"],
    &["config", "demo"],
    &["app"],
    &["cli"],
];

/// Layers whose modules may use one another; everywhere else, modules side by side do not know each other.
const SAME_LAYER: &[&str] = &["hub", "av", "store", "net", "http", "auth", "metrics", "log", "context"];

/// Modules without sockets, runtimes and clocks: path prefixes below `src`.
const PURE: &[&str] = &[
    "auction",
    "booking/advertiser.rs",
    "booking/campaign.rs",
    "booking/creative.rs",
    "booking/register.rs",
    "booking/rules.rs",
    "cue",
    "media",
    "money.rs",
    "random.rs",
    "codec",
    "format",
    "av/audio",
    "av/worker/back_off.rs",
    "av/worker/ipc",
    "av/worker/pace.rs",
    "av/worker/returned.rs",
    "bin/onair-worker/overlay/blend.rs",
    "bin/onair-worker/overlay/layer.rs",
    "bin/onair-worker/overlay/timeline.rs",
    "bin/onair-worker/picture/measure.rs",
    "chat/event.rs",
    "chat/fold.rs",
    "chat/history.rs",
    "chat/jury.rs",
    "chat/message.rs",
    "chat/moderation.rs",
    "chat/names.rs",
    "chat/now.rs",
    "chat/pace.rs",
    "chat/person.rs",
    "chat/posts.rs",
    "chat/room",
    "chat/rounds.rs",
    "chat/sampling.rs",
    "chat/tags.rs",
    "chat/text.rs",
    "chat/words.rs",
    "http/websocket.rs",
    "hub/item.rs",
    "hub/reordering.rs",
    "hub/ring.rs",
    "hub/standing.rs",
    "hub/stats.rs",
    "hub/takeover.rs",
    "hub/timeline.rs",
    "hub/tracks.rs",
    "overlay/placement.rs",
    "overlay/sharing.rs",
    "overlay/slots.rs",
    "overlay/splice",
    "impression",
    "sale/displays.rs",
    "sale/exchange/breaker.rs",
    "sale/exchange/creatives.rs",
    "sale/exchange/guard.rs",
    "sale/market.rs",
    "sale/moment.rs",
    "sale/record.rs",
    "sale/slots.rs",
    "sale/variants.rs",
    "ledger/account.rs",
    "ledger/book.rs",
    "ledger/event.rs",
    "ledger/report.rs",
    "ledger/slot.rs",
    "protocol/rtmp/wire",
    "protocol/rtmp/play.rs",
    "protocol/http_flv/tags.rs",
    "protocol/hls/cue_event.rs",
    "protocol/hls/lane.rs",
    "protocol/hls/lead.rs",
    "protocol/hls/media_playlist.rs",
    "protocol/hls/pace.rs",
    "protocol/hls/packager.rs",
    "protocol/hls/playlist.rs",
    "protocol/hls/reload.rs",
    "protocol/hls/resource.rs",
    "protocol/hls/rhythm.rs",
    "protocol/hls/sharing.rs",
    "protocol/hls/variants.rs",
    "protocol/hls/watch.rs",
    "protocol/hls/writer.rs",
    "protocol/webrtc/common_clock.rs",
    "protocol/webrtc/fragment.rs",
    "protocol/webrtc/history.rs",
    "protocol/webrtc/media_clock.rs",
    "protocol/webrtc/demux.rs",
    "protocol/webrtc/offer.rs",
    "protocol/webrtc/received.rs",
    "protocol/webrtc/redundancy.rs",
    "protocol/webrtc/send.rs",
    "protocol/webrtc/srtp",
    "protocol/webrtc/tcp/framing.rs",
];

/// What pure code does not mention.
const IMPURE: &[&str] = &[
    "tokio",
    "std::net",
    "std::fs",
    "std::thread",
    "clock::monotonic",
    "clock::wall",
    "clock::unix_now",
    "Instant::now",
    "SystemTime::now",
];

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The files below `src` with their text, without comments and tests.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    files
        .into_iter()
        .filter(|path| {
            !path.ends_with("tests.rs") && !path.components().any(|part| part.as_os_str() == "tests")
        })
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, lines.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Modules of this crate that a text names: `crate::module` and `crate::{a, b::c}`.
fn named_modules(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => {
                group.split('}').next().unwrap_or_default().split(',').map(|m| word(m.trim())).collect()
            }
            None => vec![word(rest)],
        })
        .filter(|module| layer(module).is_some())
        .collect()
}

#[test]
fn imports_point_down() {
    let mut seen = 0;
    for (file, code) in sources() {
        let own = file.split(['/', '.']).next().unwrap();
        if matches!(own, "lib" | "main" | "bin") {
            continue;
        }
        let own_layer =
            layer(own).unwrap_or_else(|| panic!("src/{file}: {own} is in no layer; add it to the table"));
        for module in named_modules(&code) {
            seen += 1;
            let other_layer = layer(&module).unwrap();
            let sideways = other_layer == own_layer && SAME_LAYER.contains(&own);
            assert!(
                module == own || other_layer < own_layer || sideways,
                "src/{file} uses crate::{module}: {own} is below it, or beside it"
            );
        }
    }
    assert!(seen > 50, "the walk found only {seen} imports: it looks at the wrong place");
}

#[test]
fn no_protocol_names_another() {
    let protocols = ["rtmp", "http_flv", "hls"];
    for (file, code) in sources() {
        let Some(own) = protocols.iter().find(|protocol| file.starts_with(&format!("protocol/{protocol}/")))
        else {
            continue;
        };
        for other in protocols.iter().filter(|other| *other != own) {
            let path = format!("protocol::{other}");
            assert!(!code.contains(&path), "src/{file} names {path}");
        }
    }
}

#[test]
fn the_hub_never_looks_inside_a_payload() {
    for (file, code) in sources().iter().filter(|(file, _)| file.starts_with("hub/")) {
        assert!(
            !code.contains("crate::codec") && !code.contains("crate::format"),
            "src/{file} knows a codec"
        );
    }
}

#[test]
fn pure_code_has_no_sockets_runtimes_or_clocks() {
    let sources = sources();
    for prefix in PURE {
        let mut files = sources.iter().filter(|(file, _)| file.starts_with(prefix)).peekable();
        assert!(files.peek().is_some(), "src/{prefix} is in the table but not in the tree");
        for (file, code) in files {
            for word in IMPURE {
                assert!(!code.contains(word), "src/{file} is pure and mentions {word}");
            }
        }
    }
}

#[test]
fn the_walk_understands_imports() {
    assert_eq!(
        named_modules("use crate::hub::{Item};\nuse crate::{media::Frame, codec};"),
        ["hub", "media", "codec"]
    );
}
