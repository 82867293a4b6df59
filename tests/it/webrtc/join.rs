//! Who joins sees a picture at once, however long ago the last keyframe was, and is at the live edge from then on.

use onair::media::Kind;

use super::essence;
use super::stage::essence_of;
use crate::support::fixture::packets;
use crate::support::{Encoder, Fixture, Server, Viewer, WhepPlayer};

/// Ticks between two pictures of 30 a second.
const INTERVAL: i64 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_seconds_after_a_keyframe_a_viewer_begins_at_once_and_is_live() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("gop-10s").only_pictures();
    // The configuration, and 280 pictures of the first group.
    let (memory, live) = fixture.tags.split_at(1 + 280);
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    // Once a witness has it all, it is in memory.
    let mut witness = Viewer::rtmp(&server, "kitchen").await;
    encoder.send(memory).await;
    witness.frames(280).await;

    // Nothing more is published until he has all there is: it comes from memory.
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    player.until_pictures(280).await;
    let sent: Vec<_> = packets(memory);
    assert!(sent[0].keyframe && sent.iter().skip(1).all(|packet| !packet.keyframe));
    for (index, (frame, packet)) in player.pictures.iter().zip(&sent).enumerate() {
        assert!(essence(frame) == essence_of(packet), "picture {index} is another");
    }
    let ticks = player.ticks(Kind::Video);
    assert!(ticks.windows(2).all(|pair| pair[1] > pair[0]), "time stands still or goes back");
    assert!(ticks[279] <= INTERVAL, "nine seconds are squeezed into {} ticks", ticks[279]);

    // The present keeps its own time, and follows the past at once.
    for tag in &live[..15] {
        encoder.send(std::slice::from_ref(tag)).await;
        let count = player.pictures.len() + 1;
        player.until_pictures(count).await;
    }
    let ticks = player.ticks(Kind::Video);
    let all = packets(&fixture.tags);
    for index in 280..295 {
        let expected = (all[index].dts - all[279].dts) * 90;
        let found = ticks[index] - ticks[279];
        assert!((found - expected).abs() <= 1, "picture {index} at {found} instead of {expected}");
    }
    player.assert_no_gap(Kind::Video);
    assert_eq!(player.tally.keyframe_requests, 0);

    // His clock is the live one: a report puts the newest picture in the present, not nine seconds back.
    player.until(|player| !player.reports.is_empty()).await;
    let report = player.reports[0];
    let newest = player.pictures.last().expect("pictures").ticks as u32;
    let behind = i64::from(report.rtp.wrapping_sub(newest) as i32);
    assert!(behind.abs() < 5 * 90_000, "the report is {behind} ticks from the newest picture");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_joins_with_the_keyframe_whenever_he_comes() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("gop-10s").only_pictures();
    let all = packets(&fixture.tags);
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let mut witness = Viewer::rtmp(&server, "kitchen").await;
    let mut done = 1;
    let mut players = Vec::new();
    for until in [2, 3, 50, 150, 151] {
        // Picture by picture, as an encoder sends them: who gets more than a second at once is taken for slow.
        for tag in &fixture.tags[if done == 1 { 0 } else { done }..until] {
            encoder.send(std::slice::from_ref(tag)).await;
            if tag != &fixture.tags[0] {
                witness.frames(1).await;
            }
        }
        done = until;
        let mut player = WhepPlayer::join(&server, "kitchen").await;
        player.until_pictures(done - 1).await;
        players.push((done - 1, player));
    }
    encoder.send(&fixture.tags[done..done + 10]).await;
    for (memory, player) in &mut players {
        player.until_pictures(done - 1 + 10).await;
        assert!(essence(&player.pictures[0]) == essence_of(&all[0]), "begins with the keyframe");
        player.assert_no_gap(Kind::Video);
        let ticks = player.ticks(Kind::Video);
        assert!(ticks[*memory - 1] <= INTERVAL, "{memory} pictures took {} ticks", ticks[*memory - 1]);
        // Whoever joined when, all see the present at the same distance.
        let newest = ticks.len() - 1;
        assert!(
            (ticks[newest] - ticks[newest - 9] - (all[newest].dts - all[newest - 9].dts) * 90).abs() <= 1
        );
    }
}
