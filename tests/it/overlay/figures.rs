//! What overlays cost, and how fast they are.

use std::time::{Duration, Instant};

use super::stage::{TURN, Wish, ask, count, publish, server, trace, used};
use crate::support::Viewer;

/// Prints figures; nothing depends on how fast the machine is. `ONAIR_LIVE_SLOTS` says how many slots.
#[tokio::test]
async fn what_an_overlay_costs_at_720p() {
    let _turn = TURN.lock().await;
    let count = count("ONAIR_LIVE_SLOTS", 2);
    let server = server(|_| {}).await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, "demo");
    server.until_live("kitchen", true).await;
    let mut viewer = Viewer::rtmp(&server, "kitchen").await;
    viewer.frames(200).await;
    let (mut accepted, mut took, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for slot in 0..count {
        let before = used();
        let mut after = before.clone();
        let asked = onair::clock::monotonic();
        let millis = if slot == 0 { 10_000 } else { 1_000 };
        let id = ask(&server, &channel, &Wish::white(millis)).await;
        accepted.push(onair::clock::monotonic().duration_since(asked));
        let mut arrivals: Vec<(i64, Instant)> = Vec::new();
        let trace = loop {
            let packet = viewer.frame().await;
            if packet.is_video() {
                arrivals.push(((packet.dts + i64::from(packet.cts)) * 1_000_000, onair::clock::monotonic()));
            }
            if arrivals.len() % 5 == 4 {
                after.extend(used());
            }
            // Not at every frame: this is measured.
            if arrivals.len() % 30 == 29 {
                let trace = trace(&server, &id).await;
                if trace["state"] == "over" {
                    break trace;
                }
            }
        };
        assert_eq!(trace["ended"], "completed", "{trace}");
        let first = trace["first_pts_ns"].as_i64().expect("it was shown");
        let (_, seen) = arrivals.iter().find(|(pts, _)| *pts == first).expect("it was seen");
        took.push(seen.duration_since(asked));
        delays.push(Duration::from_nanos(trace["delay_ns"].as_u64().expect("a delay")));
        // Up to the source's next keyframe.
        for frame in 0.. {
            viewer.frame().await;
            if frame % 5 == 4 {
                after.extend(used());
                if server.metrics().await.value("onair_programmes_spliced") == 0.0 {
                    break;
                }
            }
        }
        if slot == 0 {
            let earlier = |pid: &u32| before.get(pid).copied().unwrap_or_default();
            let time: Duration = after.iter().map(|(pid, time)| *time - earlier(pid)).sum();
            println!(
                "720p30, a slot of 10 s, with the way in and out: {time:?} of the workers' processor time"
            );
        }
        viewer.frames(40 + 17 * slot).await;
    }
    publisher.kill().await.expect("ffmpeg ends");
    println!("{}", percentiles("from the request to its answer", accepted));
    println!("{}", percentiles("from the request to the first picture with the overlay at a viewer", took));
    println!("{}", percentiles("the programme is late by", delays));
}

fn percentiles(what: &str, mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("{what}: p50 {:?}, p95 {:?}, all {times:?}", at(50), at(95))
}
