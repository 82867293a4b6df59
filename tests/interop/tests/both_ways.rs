//! What either stack publishes, both play, byte for byte.

use std::time::Duration;

use onair::format::flv::file::{MAX_BODY, Reader, Tag, TagKind};
use onair_interop::server::Server;
use onair_interop::{Incoming, Outgoing, rml, rtmp_crate};

/// What takes longer than this does not happen at all.
const DEADLINE: Duration = Duration::from_secs(60);

/// The tags of a recording up to its last picture, without script data.
fn recording(name: &str) -> Vec<Tag> {
    let path = format!("{}/../../media-fixtures/{name}.flv", env!("CARGO_MANIFEST_DIR"));
    let mut reader = Reader::new(MAX_BODY);
    reader.push(&std::fs::read(path).expect("a fixture"));
    let tags = std::iter::from_fn(|| reader.next_tag().expect("whole tags"));
    let mut tags: Vec<Tag> = tags.filter(|tag| tag.kind != TagKind::Script && tag.body[1] != 2).collect();
    let last = tags.iter().rposition(|tag| tag.kind == TagKind::Video);
    tags.truncate(last.expect("pictures") + 1);
    tags
}

fn is_frame(tag: &Tag) -> bool {
    tag.body[1] == 1
}

/// What a player gets until it has so many frames.
async fn until(player: &mut Incoming, received: &mut Vec<Tag>, frames: usize) {
    while received.iter().filter(|tag| is_frame(tag)).count() < frames {
        let tag = tokio::time::timeout(DEADLINE, player.recv()).await.expect("a tag in time");
        let tag = tag.unwrap_or_else(|| panic!("a player left after {} tags", received.len()));
        received.extend(Some(tag).filter(|tag| tag.kind != TagKind::Script));
    }
}

async fn is_played_by_both(server: &Server, publisher: Outgoing, name: &str) {
    let tags = recording(name);
    let mut players =
        [rtmp_crate::player(server.rtmp, "kitchen").await, rml::player(server.rtmp, "kitchen").await];
    let keyframe = tags.iter().position(|tag| tag.kind == TagKind::Video && is_frame(tag)).expect("pictures");
    let (start, rest) = tags.split_at(keyframe + 1);
    for tag in start {
        publisher.send(tag.clone()).expect("the publisher runs");
    }
    // A viewer begins at the newest keyframe: both must have begun before there is a second one.
    let mut received: [Vec<Tag>; 2] = Default::default();
    for (player, received) in players.iter_mut().zip(&mut received) {
        until(player, received, 1).await;
    }
    for tag in rest {
        publisher.send(tag.clone()).expect("the publisher runs");
    }
    let expected: Vec<&Tag> = tags[keyframe..].iter().filter(|tag| is_frame(tag)).collect();
    for (player, received) in players.iter_mut().zip(&mut received) {
        until(player, received, expected.len()).await;
    }
    // Not before: either client resets its connection when it goes, and what the server has not read is lost.
    drop(publisher);
    for (mut player, received) in players.into_iter().zip(received) {
        let end = tokio::time::timeout(DEADLINE, player.recv()).await.expect("the broadcast ends");
        assert_eq!(end, None);
        let configurations = |tags: &[Tag]| -> Vec<Tag> {
            tags.iter()
                .filter(|tag| !is_frame(tag))
                .map(|tag| Tag { timestamp_ms: 0, ..tag.clone() })
                .collect()
        };
        assert_eq!(configurations(&received), configurations(&tags));
        let frames: Vec<&Tag> = received.iter().filter(|tag| is_frame(tag)).collect();
        assert_eq!(frames.len(), expected.len());
        for (index, (frame, expected)) in frames.iter().zip(&expected).enumerate() {
            assert!(frame == expected, "frame {index} is another one");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_rtmp_crate_publishes_is_played_by_both() {
    for name in ["short", "short-bframes"] {
        let server = Server::start().await;
        let publisher = rtmp_crate::publisher(server.rtmp, &server.key).await;
        is_played_by_both(&server, publisher, name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rml_rtmp_publishes_is_played_by_both() {
    for name in ["short", "short-bframes"] {
        let server = Server::start().await;
        let publisher = rml::publisher(server.rtmp, &server.key).await;
        is_played_by_both(&server, publisher, name).await;
    }
}
