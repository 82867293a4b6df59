//! B35: who may publish when several want to.

use std::time::Duration;

use super::stage::{Stage, short, start_of};
use crate::support::packet::assert_same;
use crate::support::{Encoder, Player};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b35_two_encoders_that_fight_are_told_and_the_one_on_the_air_stays() {
    let mut stage = Stage::set().await;
    let mut on_air = stage.encoder().await;
    for _ in 0..3 {
        let next = stage.encoder().await;
        let (_, description) = on_air.0.status().await.expect("the one before is told");
        assert_eq!(description, "another publisher with the same key took over");
        on_air.0.until_closed().await;
        on_air = next;
    }
    let (code, description) = Encoder::refusal(stage.server.rtmp, &stage.channel.key).await;
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(description.contains("two encoders"), "{description}");
    stage.counted("onair_takeovers_total", 3.0).await;
    stage.counted("onair_takeovers_refused_total", 1.0).await;
    stage.counted("onair_rtmp_refused_total{reason=\"takeover\"}", 1.0).await;
    let fixture = short();
    let mut viewer = stage.viewer().await;
    on_air.send(start_of(&fixture)).await;
    assert_same("the one on the air", &viewer.frames(1).await, &fixture.expected()[..1]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b35_of_many_at_once_one_is_on_the_air_and_all_others_know() {
    let mut stage = Stage::set().await;
    let key = &stage.channel.key;
    let rtmp = stage.server.rtmp;
    let attempts: Vec<_> = (0..8)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move {
                let Ok(mut encoder) = Encoder::try_publish(rtmp, &key).await else { return None };
                // Whoever is replaced is told at once; the last one hears nothing, and stays.
                let told = tokio::time::timeout(Duration::from_secs(2), encoder.0.status()).await;
                told.is_err().then_some(encoder)
            })
        })
        .collect();
    let mut staying = Vec::new();
    for attempt in attempts {
        staying.extend(attempt.await.expect("no panic"));
    }
    assert_eq!(staying.len(), 1);
    stage.counted("onair_takeovers_total", 3.0).await;
    stage.counted("onair_takeovers_refused_total", 4.0).await;
    // Two: the bystander's is one.
    stage.server.until_at("onair_publishers", 2.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b35_a_publisher_who_returns_while_his_old_connection_closes_is_let_in() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut viewer = None;
    for round in 0..10 {
        let mut encoder = stage.encoder().await;
        if viewer.is_none() {
            viewer = Some(stage.viewer().await);
        }
        encoder.send(&fixture.clone().later(round * 3_000).tags).await;
        // Neither a farewell nor time to notice: the next one takes over, or finds the place free.
        drop(encoder);
        if round % 3 == 2 {
            stage.server.until_live("kitchen", false).await;
        }
        if stage.server.metrics().await.value("onair_takeovers_total") >= 3.0 {
            break;
        }
    }
    assert_eq!(stage.server.metrics().await.value("onair_takeovers_refused_total"), 0.0);
    stage.server.until_live("kitchen", false).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b35_names_and_keys_do_not_open_each_others_doors() {
    let mut stage = Stage::set().await;
    let name = stage.channel.name.clone();
    let (code, _) = Encoder::refusal(stage.server.rtmp, &name).await;
    assert_eq!(code, "NetStream.Publish.Denied");
    let _encoder = stage.encoder().await;
    let error =
        Player::try_join(stage.server.rtmp, &stage.channel.key).await.err().expect("a key is no channel");
    assert!(error.to_string().contains("NetStream.Play.StreamNotFound"), "{error}");
    let (code, _) = Encoder::refusal(stage.server.rtmp, &stage.server.token).await;
    assert_eq!(code, "NetStream.Publish.Denied");
    stage.counted("onair_rtmp_refused_total{reason=\"key\"}", 2.0).await;
    stage.counted("onair_rtmp_refused_total{reason=\"play\"}", 1.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b35_a_rotated_key_ends_its_publisher_over_rtmp() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.encoder().await;
    let answer = stage.server.operator("POST", "/api/v1/channels/kitchen/key", None).await;
    let rotated = answer.json().await;
    let (code, description) = encoder.0.status().await.expect("the publisher is told");
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("NetStream.Publish.BadName", "the stream key was changed")
    );
    encoder.0.until_closed().await;
    let (code, _) = Encoder::refusal(stage.server.rtmp, &stage.channel.key).await;
    assert_eq!(code, "NetStream.Publish.Denied");
    Encoder::publish(stage.server.rtmp, rotated["stream_key"].as_str().expect("a key")).await;
    stage.is_unharmed().await;
}
