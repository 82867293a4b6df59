//! The routes, with a hub behind them: blocking reloads, held parts, limits, headers.

use std::time::Duration;

use http::{Method, StatusCode};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::super::Config;
use super::stage::*;
use super::support::picture;
use crate::hub::Protocol;

#[tokio::test(start_paused = true)]
async fn blocking_reload_and_hinted_part_are_answered_by_the_next_part() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    let reload = tokio::spawn(stage.get_owned(format!("{folder}index.m3u8?_HLS_msn={msn}&_HLS_part={part}")));
    let early = tokio::spawn(stage.get_owned(format!("{folder}{msn}.{part}.m4s")));
    settle().await;
    assert!(!reload.is_finished() && !early.is_finished());
    stage.write(20).await;
    let reloaded = reload.await.unwrap();
    assert_eq!(header(&reloaded, "cache-control"), "public, max-age=10");
    assert!(text(reloaded).await.contains(&format!("URI=\"{msn}.{part}.m4s\"")));
    let held = bytes(early.await.unwrap()).await;
    assert_eq!(held, bytes(stage.get(&format!("{folder}{msn}.{part}.m4s")).await).await);
}

#[tokio::test(start_paused = true)]
async fn segment_is_its_parts_and_everything_says_how_long_it_may_be_kept() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    stage.write(300).await;
    let multivariant = stage.get("/hls/kitchen/index.m3u8").await;
    assert_eq!(header(&multivariant, "cache-control"), "no-cache");
    assert_eq!(header(&multivariant, "content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(header(&multivariant, "access-control-allow-origin"), "*");

    let segment = stage.get(&format!("{folder}1.m4s")).await;
    assert_eq!(header(&segment, "cache-control"), "public, max-age=86400, immutable");
    assert_eq!(header(&segment, "content-type"), "video/mp4");
    let mut parts = Vec::new();
    for part in 0..10 {
        parts.extend(bytes(stage.get(&format!("{folder}1.{part}.m4s")).await).await);
    }
    assert_eq!(segment.headers()["content-length"], parts.len().to_string());
    assert_eq!(bytes(segment).await, parts);
    assert_eq!(&bytes(stage.get(&format!("{folder}init0.mp4")).await).await[4..8], b"ftyp");

    let head = stage.ask(Method::HEAD, &format!("{folder}1.m4s")).await;
    assert_eq!(header(&head, "content-length"), parts.len().to_string());
    assert!(bytes(head).await.is_empty());
    let playlist = stage.get(&format!("{folder}index.m3u8")).await;
    assert_eq!(header(&playlist, "cache-control"), "public, max-age=1");
}

#[tokio::test(start_paused = true)]
async fn b31_directives_without_sense_are_bad_requests() {
    let (stage, folder) = Stage::playing(&Config::default()).await;
    for query in ["_HLS_part=1", "_HLS_msn=-1", "_HLS_msn=1000000", "_HLS_msn=a", "_HLS_msn=1&_HLS_msn=1"] {
        let response = stage.get(&format!("{folder}index.m3u8?{query}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(header(&response, "cache-control"), "no-store");
    }
}

#[tokio::test(start_paused = true)]
async fn b31_missing_part_does_not_block_for_ever_and_the_unchanged_playlist_is_not_cached() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    stage.publisher = None;
    settle().await;
    let path = format!("{folder}index.m3u8?_HLS_msn={}&_HLS_part={part}", msn + 1);
    let mut waiting = tokio::spawn(stage.get_owned(path));
    assert!(timeout(Duration::from_secs(5), &mut waiting).await.is_err(), "three target durations");
    let late = timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
    assert_eq!((late.status(), header(&late, "cache-control")), (StatusCode::OK, "no-store"));
}

#[tokio::test(start_paused = true)]
async fn b31_flood_of_waiting_requests_is_bounded() {
    let config = Config { max_waiting_per_channel: 20, ..Config::default() };
    let (stage, folder) = Stage::playing(&config).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    let path = format!("{folder}index.m3u8?_HLS_msn={msn}&_HLS_part={part}");
    let waiting: Vec<_> = (0..20).map(|_| tokio::spawn(stage.get_owned(path.clone()))).collect();
    settle().await;
    let refused = stage.get(&path).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert!(stage.metrics.text().contains("onair_hls_waiting 20\n"), "{}", stage.metrics.text());
    waiting.into_iter().for_each(|request| request.abort());
    settle().await;
    assert!(stage.metrics.text().contains("onair_hls_waiting 0\n"), "a request that is gone does not count");
}

#[tokio::test(start_paused = true)]
async fn b26_other_names_are_not_found() {
    let (stage, folder) = Stage::playing(&Config::default()).await;
    let other = folder.replace("/main/", "/other/");
    let elsewhere = folder.replace("kitchen", "garden");
    for path in [
        "/hls/garden/index.m3u8".to_owned(),
        "/hls/Kitchen/index.m3u8".to_owned(),
        "/hls/kitchen/1-1/main/index.m3u8".to_owned(),
        format!("{folder}9999.m4s"),
        format!("{folder}0.77.m4s"),
        format!("{folder}init7.mp4"),
        format!("{folder}secret.txt"),
        format!("{folder}%30.m4s"),
        format!("{other}index.m3u8"),
        format!("{elsewhere}index.m3u8"),
    ] {
        let response = stage.get(&path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn broadcast_that_ends_tells_waiting_players_so() {
    let (stage, folder) = Stage::playing(&Config::default()).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    let path = format!("{folder}index.m3u8?_HLS_msn={}&_HLS_part={part}", msn + 1);
    let waiting = tokio::spawn(stage.get_owned(path));
    settle().await;
    stage.hub.end_all();
    settle().await;
    assert!(text(waiting.await.unwrap()).await.ends_with("#EXT-X-ENDLIST\n"));
    let offline = stage.get("/hls/kitchen/index.m3u8").await;
    assert_eq!(offline.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn packaging_ends_when_nobody_watches_and_begins_again_under_another_name() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    assert!(stage.metrics.text().contains("onair_hls_packaged 1\n"));
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(stage.metrics.text().contains("onair_hls_packaged 0\n"));
    assert_eq!(stage.get(&format!("{folder}index.m3u8")).await.status(), StatusCode::NOT_FOUND);
    let loading = tokio::spawn(stage.get_owned("/hls/kitchen/index.m3u8".to_owned()));
    yield_now().await;
    stage.write(500).await;
    let again = text(loading.await.unwrap()).await;
    assert!(!folder.contains(again.lines().last().unwrap().split('/').next().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn broadcast_that_has_not_decided_yet_asks_for_patience() {
    let mut stage = Stage::new(&Config::default());
    stage.write(20).await;
    let response = stage.get("/hls/kitchen/index.m3u8").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn broadcast_that_ends_before_its_first_frame_is_not_in_the_way_of_the_next() {
    let mut stage = Stage::new(&Config::default());
    let loading = tokio::spawn(stage.get_owned("/hls/kitchen/index.m3u8".to_owned()));
    settle().await;
    stage.publisher = None;
    stage.hub.end_all();
    assert_eq!(loading.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(picture());
    stage.publisher = Some(publisher);
    stage.write(1).await;
    let loading = tokio::spawn(stage.get_owned("/hls/kitchen/index.m3u8".to_owned()));
    settle().await;
    stage.write(500).await;
    assert_eq!(loading.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn players_are_counted_by_their_reloads() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let viewers = |stage: &Stage| {
        let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
        channel.status().viewers.iter().find(|(protocol, _)| *protocol == Protocol::Hls).unwrap().1
    };
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    assert!(channel.arrange(2, |cohort| u8::from(cohort.consent)));
    let few = folder.replace("/main/", "/main.1/");
    assert_eq!(stage.get("/hls/kitchen/index.m3u8?consent=1").await.status(), StatusCode::OK);
    for _ in 0..20 {
        let (msn, part) =
            hint(&text(stage.get(&format!("{folder}index.m3u8?_HLS_msn=0&_HLS_part=0")).await).await);
        // Some of them get another variant.
        let path = |number| {
            let folder = if number % 3 == 0 { &few } else { &folder };
            format!("{folder}index.m3u8?_HLS_msn={msn}&_HLS_part={part}")
        };
        let players: Vec<_> = (0..30).map(|number| tokio::spawn(stage.get_owned(path(number)))).collect();
        settle().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.write(16).await;
        for player in players {
            assert_eq!(player.await.unwrap().status(), StatusCode::OK);
        }
    }
    assert!((24..=40).contains(&viewers(&stage)), "{} of 31 players", viewers(&stage));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(viewers(&stage), 0);
}
