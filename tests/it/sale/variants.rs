//! Groups of the programme's viewers are sold apart: each sees its own overlay on the exact frames, and pays for nobody else's.

use onair::media::Kind;
use serde_json::{Value, json};

use super::stage::{RECORDING, Stage};
use super::{PRICE, SIZE, nanos};
use crate::overlay::live::{frames_over_whep, recording_of};
use crate::overlay::stage::{TURN, WHITE};
use crate::overlay::{decode, number_and_lower_third};
use crate::support::hls::{Rendition, main_folder};
use crate::support::{Fixture, Viewer, WhepPlayer, fmp4, http, in_time};

const BLACK: &[u8] = br##"<svg xmlns="http://www.w3.org/2000/svg" width="1920" height="324"><rect width="1920" height="324" fill="#000"/></svg>"##;
/// What those who read French are sold for, in nanos; those who read German for `PRICE`.
const OF_FRENCH: i64 = 4_000_000;

const GERMAN: &str = "?consent=1&lang=de";
const FRENCH: &str = "?consent=1&lang=fr-CH";

/// What is seen of the lower third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LowerThird {
    White,
    Black,
    /// The broadcaster's own picture.
    Open,
}

impl LowerThird {
    fn of(brightness: u8) -> Self {
        match brightness {
            250.. => Self::White,
            0..=3 => Self::Black,
            _ => Self::Open,
        }
    }
}

/// Every picture is there once and in order, and `overlay` is on exactly those that the cues tell.
async fn check(
    what: &str,
    (recording, form): (&[u8], &str),
    times: &[i64],
    cues: &[Value],
    overlay: LowerThird,
) {
    let decoded = decode(recording, form, SIZE, number_and_lower_third).await;
    assert_eq!(decoded.len(), times.len(), "{what}: every picture is decoded");
    let count = Fixture::read(RECORDING).expected().iter().filter(|packet| packet.is_video()).count();
    let ms = |cue: &Value, field: &str| cue["shown"][field].as_i64().expect("it was shown") / 1_000_000;
    let mut seen = 0;
    for (place, (time, (number, brightness))) in times.iter().zip(&decoded).enumerate() {
        let on = cues.iter().any(|cue| (ms(cue, "first_pts_ns")..=ms(cue, "last_pts_ns")).contains(time));
        let wanted = if on { overlay } else { LowerThird::Open };
        assert_eq!(LowerThird::of(*brightness), wanted, "{what}: at {time} ms");
        assert_eq!(usize::from(*number), (usize::from(decoded[0].0) + place) % count, "{what}: in order");
        seen += usize::from(on);
    }
    assert!(seen > 0, "{what}: it was there");
}

async fn check_viewer(viewer: &Viewer, cues: &[Value], overlay: LowerThird) {
    let packets = viewer.packets();
    let mut times: Vec<i64> =
        packets.iter().filter(|packet| packet.is_video()).map(|packet| packet.dts).collect();
    times.sort_unstable();
    check(viewer.protocol, (&viewer.recording(), ".flv"), &times, cues, overlay).await;
}

/// Where an HLS player finds what he gets.
async fn folder(stage: &Stage, query: &str) -> String {
    let path = format!("/hls/kitchen/index.m3u8{query}");
    main_folder(http::request(stage.server.http, "GET", &path, &[], b"").await).await
}

/// Each player sees his own overlay, in segments that are the others' too but for those of the slots.
async fn check_hls(stage: &Stage, folders: &[String; 2], cues: &[Value], overlays: [LowerThird; 2]) {
    let mut paths = Vec::new();
    for (folder, overlay) in folders.iter().zip(overlays) {
        let rendition = Rendition::so_far(&stage.server, folder).await;
        let track = fmp4::tracks(&rendition.init).into_iter().find(|track| &track.entry != b"mp4a");
        let pictures = rendition.samples(track.expect("a picture"));
        let times: Vec<i64> = pictures.iter().map(|picture| picture.pts).collect();
        check("LL-HLS", (&rendition.file(), ".mp4"), &times, cues, overlay).await;
        paths.push(rendition.paths);
    }
    let [few, many] = &paths[..] else { panic!("two players") };
    assert!(many.iter().all(|path| path.contains("/main/")) && folders[0].ends_with("/main.1"));
    let own = few.iter().filter(|path| path.starts_with(&folders[0])).count();
    assert!((1..=6).contains(&own), "{few:?}");
    assert!(few.iter().all(|path| path.starts_with(&folders[0]) || many.contains(path)), "{few:?} {many:?}");
}

/// Watches in the background until `done` is told.
fn watch(mut player: WhepPlayer) -> (tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<WhepPlayer>) {
    let (done, mut told) = tokio::sync::oneshot::channel();
    let watching = tokio::spawn(async move {
        loop {
            tokio::select! {
                () = player.step() => {}
                _ = &mut told => return player,
            }
        }
    });
    (done, watching)
}

/// The lots of a cue by their cohorts, with how many viewers each was sold for.
fn lots(cue: &Value) -> Vec<(String, i64)> {
    let traces = cue["traces"].as_array().expect("traces");
    let lot = |trace: &Value| {
        let cohort = trace["auction"]["cohort"]["language"].as_str().unwrap_or("*").to_owned();
        (cohort, trace["auction"]["audience"].as_i64().expect("a number"))
    };
    let mut lots: Vec<_> = traces.iter().map(lot).collect();
    lots.sort();
    lots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_group_sees_its_own_overlay_and_its_own_buyer_pays() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| config.sale.k = 2).await;
    let to = |language| json!({ "targeting": { "languages": [language] } });
    let german = stage.campaign_with(WHITE, "5.00", "10.00", to("de")).await;
    let french = stage.campaign_with(BLACK, "4.00", "10.00", to("fr")).await;

    let (rtmp, http) = (stage.server.rtmp, stage.server.http);
    let mut viewers = [
        Viewer::rtmp_at(rtmp, &format!("kitchen{GERMAN}")).await,
        Viewer::flv_of(http, "kitchen", GERMAN).await,
        Viewer::rtmp_at(rtmp, &format!("kitchen{FRENCH}")).await,
        Viewer::flv_of(http, "kitchen", FRENCH).await,
    ];
    let (done, watching) = watch(WhepPlayer::join(&stage.server, &format!("kitchen{FRENCH}")).await);
    for viewer in &mut viewers {
        viewer.frames(60).await;
    }

    // All came before anybody was sold: some of them go over.
    let start = stage.soon(&mut viewers[0]).await;
    let first = stage.cue(json!({ "duration_ms": 2000, "start_ns": start })).await;
    let first = stage.settled(&first, &mut viewers).await;
    assert_eq!(first["outcome"], json!({ "what": "completed" }), "{first}");
    assert_eq!(lots(&first), [("de".to_owned(), 2), ("fr".to_owned(), 3)], "{first}");
    assert_eq!(first["settled"]["spent"], 2 * PRICE + 3 * OF_FRENCH, "{first}");
    assert_eq!(first["sold"]["overlays"].as_array().map(Vec::len), Some(2), "{first}");

    // Whoever comes now gets his variant at once, over HLS for good.
    let folders = [folder(&stage, GERMAN).await, folder(&stage, FRENCH).await];
    let late = Viewer::flv_of(http, "kitchen", FRENCH).await;
    let mut viewers: Vec<Viewer> = viewers.into_iter().chain([late]).collect();
    let start = stage.soon(&mut viewers[0]).await;
    let second = stage.cue(json!({ "duration_ms": 1500, "start_ns": start })).await;
    let second = stage.settled(&second, &mut viewers).await;
    assert_eq!(lots(&second), [("de".to_owned(), 2), ("fr".to_owned(), 4)], "{second}");
    assert_eq!(second["settled"]["spent"], 2 * PRICE + 4 * OF_FRENCH, "{second}");

    let cues = [first, second];
    for (viewer, overlay) in
        viewers.iter().zip([LowerThird::White, LowerThird::White, LowerThird::Black, LowerThird::Black])
    {
        check_viewer(viewer, &cues, overlay).await;
    }
    check_viewer(&viewers[4], &cues[1..], LowerThird::Black).await;
    check_hls(&stage, &folders, &cues, [LowerThird::White, LowerThird::Black]).await;

    // Over WebRTC times are the player's own: the pictures are the same as those of the others.
    done.send(()).expect("he watches");
    let player = in_time("the player's end", watching).await.expect("no panic");
    let frames = frames_over_whep(&player, RECORDING);
    player.assert_no_gap(Kind::Video);
    let seen = decode(&recording_of(&frames, RECORDING), ".flv", SIZE, number_and_lower_third).await;
    let of_another = decode(&viewers[3].recording(), ".flv", SIZE, number_and_lower_third).await;
    let overlaid = |seen: &[(u16, u8)]| -> Vec<u16> {
        let black = seen.iter().filter(|(_, brightness)| LowerThird::of(*brightness) == LowerThird::Black);
        black.map(|(number, _)| *number).collect()
    };
    assert_eq!(overlaid(&seen), overlaid(&of_another), "over WebRTC");
    assert!(seen.iter().all(|(_, brightness)| LowerThird::of(*brightness) != LowerThird::White));

    for (campaign, spent) in [(german, 4 * PRICE), (french, 7 * OF_FRENCH)] {
        let money = stage.operator("GET", &format!("/api/v1/campaigns/{campaign}"), Value::Null, 200).await;
        assert_eq!(nanos(&money["budget"]), 10_000_000_000 - spent);
    }
    let metrics = stage.server.metrics().await;
    assert_eq!(metrics.value("onair_sale_displays_total{result=\"charged\"}"), 11.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_nobody_buys_sees_the_broadcasters_own_frames() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| config.sale.k = 1).await;
    stage.campaign("5.00", "10.00", json!({ "targeting": { "languages": ["de"] } })).await;
    let (rtmp, http) = (stage.server.rtmp, stage.server.http);
    let mut viewers = [
        Viewer::rtmp_at(rtmp, &format!("kitchen{GERMAN}")).await,
        // Without consent nothing is told of him.
        Viewer::flv_of(http, "kitchen", "?lang=de").await,
    ];
    for viewer in &mut viewers {
        viewer.frames(60).await;
    }
    let start = stage.soon(&mut viewers[0]).await;
    let cue = stage.cue(json!({ "duration_ms": 1500, "start_ns": start })).await;
    let cue = stage.settled(&cue, &mut viewers).await;
    assert_eq!(lots(&cue), [("*".to_owned(), 1), ("de".to_owned(), 1)], "{cue}");
    assert_eq!(cue["settled"]["spent"], PRICE, "{cue}");
    check_viewer(&viewers[0], std::slice::from_ref(&cue), LowerThird::White).await;
    let sent: Vec<_> =
        Fixture::read(RECORDING).expected().into_iter().filter(|packet| packet.is_video()).collect();
    let got: Vec<_> = viewers[1].packets().into_iter().filter(|packet| packet.is_video()).collect();
    let first =
        sent.iter().position(|packet| packet.payload == got[0].payload).expect("a picture of the encoder's");
    for (place, packet) in got.iter().enumerate() {
        assert_eq!(
            packet.payload,
            sent[(first + place) % sent.len()].payload,
            "picture {place} is the encoder's, bit for bit"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_burns_in_by_hand_is_in_every_variant() {
    let _turn = TURN.lock().await;
    let stage = Stage::set(|config| config.sale.k = 1).await;
    stage.campaign("5.00", "10.00", json!({})).await;
    let http = stage.server.http;
    let mut viewers =
        [Viewer::flv_of(http, "kitchen", GERMAN).await, Viewer::flv_of(http, "kitchen", FRENCH).await];
    viewers[0].frames(60).await;
    let start = stage.soon(&mut viewers[0]).await;
    let cue = stage.cue(json!({ "duration_ms": 1000, "start_ns": start })).await;
    let cue = stage.settled(&cue, &mut viewers).await;
    assert_eq!(lots(&cue), [("de".to_owned(), 1), ("fr".to_owned(), 1)], "{cue}");
    let wish = crate::overlay::stage::Wish::white(1500);
    let told = crate::overlay::stage::shown(&stage.server, &stage.channel, &mut viewers[0], &wish).await;
    let by_hand = json!({ "shown": { "first_pts_ns": told.first, "last_pts_ns": told.last } });
    let newest = viewers[0].frame().await.dts;
    while viewers[1].frame().await.dts < newest {}
    for viewer in &viewers {
        check_viewer(viewer, &[cue.clone(), by_hand.clone()], LowerThird::White).await;
    }
}
