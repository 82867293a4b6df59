//! What the server knows of those who watch: everybody over a connection, and what he has been sent without a gap.

use onair::format::flv::file::Tag;
use onair::hub::{Channel, Protocol, Watching};
use onair::media::MediaTime;

use crate::support::{Encoder, Fixture, Server, Viewer, WhepPlayer, in_time};

/// Pictures in a second of the fixture, which has a keyframe every two seconds.
const SECOND: usize = 30;

/// Waits until everybody has seen what is wanted.
async fn until(channel: &Channel, what: &str, wanted: impl Fn(&Watching) -> bool) -> Vec<Watching> {
    in_time(what, async {
        loop {
            let mut audience = channel.audience();
            audience.sort_by_key(|watching| watching.protocol as usize);
            if audience.len() == 3 && audience.iter().all(&wanted) {
                return audience;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Sends pictures one by one, as an encoder does.
async fn send(encoder: &mut Encoder, viewers: &mut [Viewer; 2], player: &mut WhepPlayer, tags: &[Tag]) {
    for tag in tags {
        encoder.send(std::slice::from_ref(tag)).await;
        for viewer in viewers.iter_mut() {
            viewer.frame().await;
        }
        let count = player.pictures.len() + 1;
        player.until_pictures(count).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_over_a_connection_is_known_with_what_he_has_seen() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let on_hub = server.on_hub("kitchen");
    let fixture = Fixture::read("video-only");
    // The configuration, and the pictures after it.
    let (start, pictures) = fixture.tags.split_at(fixture.until_joinable());
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    encoder.send(start).await;
    server.until_tracks("kitchen", 1).await;
    let mut viewers = Viewer::of_each(&server, "kitchen").await;
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    for viewer in &mut viewers {
        viewer.frame().await;
    }
    player.until_pictures(1).await;

    send(&mut encoder, &mut viewers, &mut player, &pictures[..SECOND]).await;
    let newest = on_hub.on_air().expect("on the air").newest;
    let joined =
        until(&on_hub, "a second is seen", |watching| watching.seen.is_some_and(|seen| seen.until == newest))
            .await;
    let protocols: Vec<_> = joined.iter().map(|watching| watching.protocol).collect();
    assert_eq!(protocols, [Protocol::Rtmp, Protocol::HttpFlv, Protocol::WebRtc]);
    let since = |watching: &Watching| watching.seen.expect("something").since;
    assert!(joined.iter().all(|watching| since(watching) == MediaTime::ZERO), "{joined:?}");

    send(&mut encoder, &mut viewers, &mut player, &pictures[SECOND..SECOND + 10]).await;
    let newest = on_hub.on_air().expect("on the air").newest;
    let later =
        until(&on_hub, "more is seen", |watching| watching.seen.is_some_and(|seen| seen.until == newest))
            .await;
    for (before, after) in joined.iter().zip(&later) {
        assert_eq!((before.session, since(before)), (after.session, since(after)));
    }

    // Whoever writes the programme goes without giving it back: everybody misses something, until the next keyframe.
    drop(on_hub.take_program(1).expect("nobody has it"));
    for tag in &pictures[SECOND + 10..3 * SECOND] {
        encoder.send(std::slice::from_ref(tag)).await;
        viewers[0].frame().await;
    }
    let keyframe = MediaTime::from_millis(2_000);
    let after =
        until(&on_hub, "they begin anew", |watching| watching.seen.is_some_and(|seen| seen.since > newest))
            .await;
    assert!(after.iter().all(|watching| since(watching) == keyframe), "{after:?}");

    drop((viewers, player.session));
    in_time("they leave", async {
        while on_hub.audience().iter().any(|watching| watching.protocol != Protocol::WebRtc) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
