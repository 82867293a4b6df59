//! Live: ffmpeg publishes, an operator asks for overlays, viewers of RTMP and FLV see them on the exact frames.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use onair::av::worker::Config;
use serde_json::Value;
use tokio::process::Child;

use super::decode;
use crate::support::{Channel, Fixture, Packet, Server, Viewer, fixture, http, in_time, tools};
use crate::worker::material::{PATIENCE, WORKER};

/// Slots in an ordinary run, over all channels. `ONAIR_LIVE_SLOTS=30` for more.
const SLOTS: usize = 6;

/// A white image of the lower third's shape.
const WHITE: &[u8] = br##"<svg xmlns="http://www.w3.org/2000/svg" width="1920" height="324"><rect width="1920" height="324" fill="#fff"/></svg>"##;

const BOUNDARY: &str = "----onair";

async fn server() -> Server {
    Server::with(|config| {
        // One for the image, one for the burn-in.
        let path = Some(WORKER.into());
        config.worker = Config { path, pool: 2, stall_timeout: PATIENCE, ..Config::default() };
        config.overlay.stall_timeout = PATIENCE;
        config.overlay.hand_over_timeout = PATIENCE;
        config.broadcast.window = Duration::from_secs(3600);
        config.broadcast.window_frames = 1_000_000;
        config.broadcast.resume_window = Duration::from_millis(1);
    })
    .await
}

/// Publishes a recording in real time, over and over.
fn publish(server: &Server, channel: &Channel, name: &str) -> Child {
    let url = format!("rtmp://{}/live/{}", server.rtmp, channel.key);
    let file = format!("{}/media-fixtures/{name}.flv", env!("CARGO_MANIFEST_DIR"));
    let arguments = [
        "-nostdin",
        "-v",
        "error",
        "-re",
        "-stream_loop",
        "-1",
        "-i",
        &file,
        "-c",
        "copy",
        "-f",
        "flv",
        &url,
    ];
    tools::start(tools::FFMPEG, arguments)
}

fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// Asks for an overlay; gives its name.
async fn ask(server: &Server, channel: &Channel, start: &str, millis: u64) -> String {
    let duration = millis.to_string();
    let fields: [(&str, &[u8]); 4] = [
        ("image", WHITE),
        ("format", b"lower_third"),
        ("duration_ms", duration.as_bytes()),
        ("start_ns", start.as_bytes()),
    ];
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let authorization = format!("Bearer {}", channel.key);
    let headers = [("authorization", authorization.as_str()), ("content-type", content_type.as_str())];
    let path = format!("/api/v1/channels/{}/overlays", channel.name);
    let response = http::request(server.http, "POST", &path, &headers, &form(&fields)).await;
    let (status, body) = (response.status, response.json().await);
    assert_eq!(status, 202, "{body}");
    body["id"].as_str().expect("a name").to_owned()
}

/// What has become of an overlay.
async fn trace(server: &Server, id: &str) -> Value {
    server.operator("GET", &format!("/api/v1/overlays/{id}"), None).await.json().await
}

/// A slot as its trace tells it, and how long the first picture took from the request on.
struct Told {
    start: Option<i64>,
    first: i64,
    last: i64,
    delay: Duration,
    took: Duration,
}

/// Asks for slots one after the other while a viewer watches.
async fn slots(server: &Server, channel: &Channel, viewer: &mut Viewer, count: usize) -> Vec<Told> {
    let mut told = Vec::new();
    // A GOP and a bit: what is asked for at once has something to begin with.
    viewer.frames(200).await;
    for slot in 0..count {
        let newest = viewer.frame().await.dts;
        let start = (slot % 2 == 1).then(|| (newest + 4_000) * 1_000_000 + 7_777_777 * slot as i64);
        let asked = onair::clock::monotonic();
        let text = start.map_or_else(|| "now".to_owned(), |start| start.to_string());
        let id = ask(server, channel, &text, 1_000 + 333 * slot as u64).await;
        let mut first_seen: Option<Instant> = None;
        let trace = loop {
            let packet = viewer.frame().await;
            let trace = trace(server, &id).await;
            let first = trace["first_pts_ns"].as_i64();
            let shows = |first: i64| packet.is_video() && pts(&packet) * 1_000_000 >= first;
            if first.is_some_and(shows) {
                first_seen.get_or_insert_with(onair::clock::monotonic);
            }
            if trace["state"] == "over" {
                break trace;
            }
        };
        assert_eq!(trace["ended"], "completed", "{trace}");
        told.push(Told {
            start,
            first: trace["first_pts_ns"].as_i64().expect("it was shown"),
            last: trace["last_pts_ns"].as_i64().expect("it was shown"),
            delay: Duration::from_nanos(trace["delay_ns"].as_u64().expect("a delay")),
            took: first_seen.expect("it was seen").duration_since(asked),
        });
        // Some slots follow at once, others after the source is back.
        viewer.frames(if slot % 3 == 0 { 1 } else { 250 }).await;
    }
    viewer.frames(250).await;
    told
}

/// What a viewer got is what the recording has, and the overlays on exactly the frames that were told.
async fn check(viewer: &Viewer, name: &str, told: &[Told], size: (usize, usize)) {
    let what = format!("{name} over {}", viewer.protocol);
    let original = Fixture::read(name);
    let packets = viewer.packets();
    let (video, audio): (Vec<&Packet>, Vec<&Packet>) = packets.iter().partition(|packet| packet.is_video());

    let sent = fixture::packets(&original.tags);
    let (pictures, sound): (Vec<&Packet>, Vec<&Packet>) = sent.iter().partition(|packet| packet.is_video());
    let begins = sound.iter().position(|packet| packet.payload == audio[0].payload).expect("its first sound");
    for (place, packet) in audio.iter().enumerate() {
        assert_eq!(packet.payload, sound[(begins + place) % sound.len()].payload, "{what}: sound {place}");
    }

    let mut times: Vec<i64> = video.iter().map(|packet| pts(packet)).collect();
    assert!(video.windows(2).all(|pair| pair[0].dts < pair[1].dts), "{what}: decoding times rise");
    times.sort_unstable();
    let seen = decode(&viewer.recording(), size).await;
    assert_eq!(seen.len(), times.len(), "{what}: every picture is decoded");
    let begins = usize::from(seen[0].0);
    // The publisher is cut off anywhere: of what is shown after the last frame is decoded, some may be missing.
    let end = video.last().expect("pictures").dts;
    let whole = seen.iter().zip(&times).enumerate().take_while(|(_, (_, pts))| **pts <= end);
    for (place, ((number, lower_edge), pts)) in whole {
        let wanted = (begins + place) % pictures.len();
        assert_eq!(usize::from(*number), wanted, "{what}: in order, at {pts} ms");
        let slot = told.iter().any(|told| (told.first..=told.last).contains(&(pts * 1_000_000)));
        assert_eq!(*lower_edge > 250, slot, "{what}: at {pts} ms the lower edge is {lower_edge}");
    }
    for told in told.iter().filter_map(|told| Some((told.start?, told))) {
        let (start, told) = told;
        let first = times.iter().find(|pts| **pts * 1_000_000 >= start).expect("a picture");
        assert_eq!(told.first, first * 1_000_000, "{what}: the first picture at or after the start");
    }
    let units: HashSet<&[u8]> = pictures.iter().map(|packet| &packet.payload[..]).collect();
    let strange = video.iter().filter(|packet| !units.contains(&packet.payload[..])).count();
    let spliced = video.len() - strange;
    assert!(spliced > 0 && strange > 0, "{what}");
    println!("{what}: {} pictures, {strange} of them by the worker", video.len());
}

const fn pts(packet: &Packet) -> i64 {
    packet.dts + packet.cts as i64
}

async fn broadcast(name: &str, size: (usize, usize), count: usize) -> Vec<Told> {
    let server = server().await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, name);
    server.until_live("kitchen", true).await;
    let [mut rtmp, mut flv] = Viewer::of_each(&server, "kitchen").await;
    let watching = tokio::spawn(async move {
        flv.until_end().await;
        flv
    });
    let told = slots(&server, &channel, &mut rtmp, count).await;
    publisher.kill().await.expect("ffmpeg ends");
    rtmp.until_end().await;
    let flv = watching.await.expect("a viewer");
    for viewer in [&rtmp, &flv] {
        check(viewer, name, &told, size).await;
    }
    told
}

#[tokio::test]
async fn overlays_are_on_the_exact_frames_over_rtmp_and_flv() {
    let slots = std::env::var("ONAIR_LIVE_SLOTS").ok().and_then(|slots| slots.parse().ok()).unwrap_or(SLOTS);
    let each = slots.div_ceil(3);
    let (plain, reordered, fast) = tokio::join!(
        broadcast("h264-aac", (320, 180), each),
        broadcast("h264-bframes-aac", (320, 180), each),
        broadcast("60fps", (320, 180), each),
    );
    let mut took: Vec<Duration> = Vec::new();
    for told in plain.iter().chain(&reordered).chain(&fast) {
        println!("first at {} ns, delay {:?}", told.first, told.delay);
        took.extend(told.start.is_none().then_some(told.took));
    }
    took.sort_unstable();
    println!("from the request to the first picture with the overlay at a viewer: {took:?}");
}

/// Processor time that each living worker of this process has used.
fn used() -> HashMap<u32, Duration> {
    let own = std::process::id().to_string();
    let of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let (parent, user, system) = (fields.get(1)?, fields.get(11)?, fields.get(12)?);
        if !name.ends_with("(onair-worker") || *parent != own {
            return None;
        }
        // In hundredths of a second (proc_pid_stat(5); USER_HZ is 100 on Linux).
        let ticks = user.parse::<u64>().ok()? + system.parse::<u64>().ok()?;
        Some((pid, Duration::from_millis(ticks * 10)))
    };
    let processes = std::fs::read_dir("/proc").expect("proc").filter_map(Result::ok);
    processes.filter_map(|entry| of(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Sends a signal to all workers of this process that have worked.
fn signal(signal: libc::c_int) -> usize {
    let at_work = used().into_iter().filter(|(_, time)| *time >= Duration::from_millis(100));
    // SAFETY: the processes are children of this one, and living a moment ago.
    at_work.filter(|(pid, _)| unsafe { libc::kill(pid.cast_signed(), signal) } == 0).count()
}

/// Asks for an overlay, and does something to its worker once it is on the air; gives its trace.
async fn harmed(
    server: &Server,
    channel: &Channel,
    viewer: &mut Viewer,
    mut harm: impl FnMut() -> usize,
) -> Value {
    let id = ask(server, channel, "now", 4_000).await;
    let mut harmed = 0;
    loop {
        viewer.frame().await;
        let trace = trace(server, &id).await;
        match trace["state"].as_str() {
            Some("on_air") if harmed == 0 => harmed = harm(),
            Some("over") => {
                assert!(harmed > 0, "a worker was at work: {trace}");
                return trace;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_while_it_draws_is_replaced_and_no_picture_is_lost() {
    // Its workers are this process' only ones: the test runs in a process of its own.
    if !alone("a_worker_that_is_killed_while_it_draws_is_replaced_and_no_picture_is_lost").await {
        return;
    }
    let server = server().await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, "h264-aac");
    server.until_live("kitchen", true).await;
    let mut viewer = Viewer::rtmp(&server, "kitchen").await;
    viewer.frames(100).await;
    let trace = harmed(&server, &channel, &mut viewer, || signal(libc::SIGKILL)).await;
    assert_eq!(trace["ended"], "completed", "{trace}");
    assert_eq!(trace["frames"], 120, "{trace}");
    viewer.frames(200).await;
    publisher.kill().await.expect("ffmpeg ends");
    viewer.until_end().await;
    let told = Told {
        start: None,
        first: trace["first_pts_ns"].as_i64().expect("it was shown"),
        last: trace["last_pts_ns"].as_i64().expect("it was shown"),
        delay: Duration::ZERO,
        took: Duration::ZERO,
    };
    check(&viewer, "h264-aac", &[told], (320, 180)).await;
}

/// Whether this is a process that was started for this test alone; if not, starts one and waits for it.
async fn alone(test: &str) -> bool {
    const MARK: &str = "ONAIR_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program");
    let name = format!("overlay::live::{test}");
    let run = tokio::process::Command::new(program).args(["--exact", &name]).env(MARK, "1").output();
    let output = in_time("the test", run).await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// Prints figures; nothing depends on how fast the machine is. `ONAIR_LIVE_SLOTS` says how many slots.
#[tokio::test]
async fn what_an_overlay_costs_at_720p() {
    let count = std::env::var("ONAIR_LIVE_SLOTS").ok().and_then(|slots| slots.parse().ok()).unwrap_or(2);
    let server = server().await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, "demo");
    server.until_live("kitchen", true).await;
    let mut viewer = Viewer::rtmp(&server, "kitchen").await;
    viewer.frames(200).await;
    let (mut took, mut delays) = (Vec::new(), Vec::new());
    for slot in 0..count {
        let before = used();
        let mut after = before.clone();
        let asked = onair::clock::monotonic();
        let millis = if slot == 0 { 10_000 } else { 1_000 };
        let id = ask(&server, &channel, "now", millis).await;
        let mut arrivals: Vec<(i64, Instant)> = Vec::new();
        let trace = loop {
            let packet = viewer.frame().await;
            if packet.is_video() {
                arrivals.push((pts(&packet) * 1_000_000, onair::clock::monotonic()));
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
    took.sort_unstable();
    delays.sort_unstable();
    println!("from the request to the first picture with the overlay at a viewer: {took:?}");
    println!("delay: {delays:?}");
}
