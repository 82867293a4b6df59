//! Workers that come to harm while they draw: viewers stay, the picture is back within a second, and each is shown once.

use std::pin::pin;
use std::time::{Duration, Instant};

use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgba, RgbaImage};
use serde_json::Value;

use super::stage::{TURN, Told, Wish, alone, ask, count, publish, server, trace, until_end, used};
use super::{decode, number_and_overlay};
use crate::support::webrtc::WhepPlayer;
use crate::support::{Channel, Packet, Server, Viewer, in_time};
use crate::worker::material::PATIENCE;

/// Slots in an ordinary run: each kind of harm once. `ONAIR_HARM_SLOTS=100` for more, which also holds the server to the time
/// that it may take: not for a machine that is busy with other tests.
const SLOTS: usize = 3;
/// Of a slot that a worker is harmed in, and of the one behind it.
const SLOT: u64 = 2_000;
/// Of a hundred slots, so many workers at least are lost for want of memory.
const STARVED: f64 = 15.0;
/// Without a picture.
const LONGEST: Duration = Duration::from_secs(1);

/// What happens to a worker.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Killed,
    Stopped,
    /// It gets no more memory, and is given an image to keep: while it does what it has done before, it needs no more.
    Starved,
}

impl Harm {
    const ALL: [Self; 3] = [Self::Killed, Self::Stopped, Self::Starved];

    /// Does it to the workers of this process that have worked.
    fn befall(self) -> usize {
        let at_work = used().into_iter().filter(|(_, time)| *time >= Duration::from_millis(100));
        at_work.filter(|(process, _)| self.befall_one(process.cast_signed())).count()
    }

    fn befall_one(self, process: i32) -> bool {
        let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the process is a child of this one, and was living a moment ago; the kernel reads the limit.
        let done = unsafe {
            match self {
                Self::Killed => libc::kill(process, libc::SIGKILL),
                Self::Stopped => libc::kill(process, libc::SIGSTOP),
                Self::Starved => {
                    libc::prlimit(process, libc::RLIMIT_DATA, &raw const nothing, std::ptr::null_mut())
                }
            }
        };
        done == 0
    }
}

/// A viewer who looks at the clock.
struct Watching {
    viewer: Viewer,
    arrived: Option<Instant>,
    longest: Duration,
}

impl Watching {
    async fn frame(&mut self) {
        if self.viewer.frame().await.is_video() {
            let now = onair::clock::monotonic();
            let passed = self.arrived.replace(now).map(|before| now.duration_since(before));
            self.longest = self.longest.max(passed.unwrap_or_default());
        }
    }
}

/// A white image that moves, of so many pictures that they do not fit into what a worker has at hand: 3 MB.
fn moving() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut file, 30);
    for picture in 0..12 {
        let white = Rgba([255, 255, 254 + (picture % 2), 255]);
        let delay = Delay::from_numer_denom_ms(50, 1);
        let frame = Frame::from_parts(RgbaImage::from_pixel(640, 108, white), 0, 0, delay);
        encoder.encode_frame(frame).expect("room");
    }
    drop(encoder);
    file
}

/// Asks for an overlay, and harms its worker some pictures after it is on the air; gives the traces of all slots that there were.
async fn harmed(
    server: &Server,
    channel: &Channel,
    watching: &mut Watching,
    harm: Harm,
    after: usize,
) -> Vec<Value> {
    let id = ask(server, channel, &Wish::white(SLOT)).await;
    let (mut on_air, mut harmed, mut next) = (0, 0, None);
    let first = loop {
        watching.frame().await;
        let trace = trace(server, &id).await;
        match trace["state"].as_str() {
            Some("on_air") if harmed == 0 => {
                on_air += 1;
                if on_air > after {
                    harmed = harm.befall();
                    // Where none has worked enough yet to be known, the next picture is another chance.
                    if harmed > 0 && matches!(harm, Harm::Starved) {
                        next = Some(ask_for_next(server, channel, watching, &trace).await);
                    }
                }
            }
            Some("over") => {
                assert!(harmed > 0, "a worker was at work: {trace}");
                break trace;
            }
            _ => {}
        }
    };
    let Some(next) = next else { return vec![first] };
    loop {
        watching.frame().await;
        let trace = trace(server, &next).await;
        if trace["state"] == "over" {
            return vec![first, trace];
        }
    }
}

/// Asks for a slot just behind the one that is on the air, whose worker gets the image at once.
async fn ask_for_next(server: &Server, channel: &Channel, watching: &mut Watching, trace: &Value) -> String {
    let begun = trace["first_pts_ns"].as_i64().expect("it is on the air");
    // With room between the two: the first may have begun a little later than it was asked for.
    let start = begun + (SLOT as i64 + 1_000) * 1_000_000;
    let image = moving();
    let wish = Wish { image: &image, format: "lower_third", start: start.to_string(), millis: 1_000 };
    let mut asked = pin!(ask(server, channel, &wish));
    loop {
        tokio::select! {
            biased;
            id = &mut asked => return id,
            () = watching.frame() => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_disconnected_when_workers_are_killed_stopped_or_starved() {
    let _turn = TURN.lock().await;
    // Its workers are this process' only ones: the test runs in a process of its own.
    const NAME: &str = "overlay::harm::nobody_is_disconnected_when_workers_are_killed_stopped_or_starved";
    if !alone(NAME, Duration::from_secs(3600)).await {
        return;
    }
    let slots = count("ONAIR_HARM_SLOTS", SLOTS);
    let server = server(|config| {
        config.overlay = onair::overlay::Config { image_time: PATIENCE, ..Default::default() };
        config.worker.stall_timeout = Duration::from_secs(2);
    })
    .await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, "h264-aac");
    server.until_live("kitchen", true).await;
    server.until_tracks("kitchen", 2).await;
    // One of them is in another variant of the programme, which the same worker draws.
    assert!(server.on_hub("kitchen").arrange(2, |cohort| u8::from(cohort.consent)));
    let viewer = Viewer::rtmp(&server, "kitchen").await;
    let mut flv = Viewer::flv_of(server.http, "kitchen", "?consent=1").await;
    let mut whep = WhepPlayer::join(&server, "kitchen").await;
    let flv = tokio::spawn(async move {
        until_end(&mut flv).await;
        flv
    });
    let whep = tokio::spawn(async move {
        while !whep.gone {
            in_time("something over WebRTC", whep.step()).await;
        }
        whep
    });
    let mut watching = Watching { viewer, arrived: None, longest: Duration::ZERO };
    for _ in 0..200 {
        watching.frame().await;
    }
    let mut told = Vec::new();
    for slot in 0..slots {
        watching.longest = Duration::ZERO;
        let harm = Harm::ALL[slot % 3];
        // Anywhere in the slot, and not the same twice.
        let traces = harmed(&server, &channel, &mut watching, harm, slot * 37 % 50).await;
        let ended: Vec<&Value> = traces.iter().map(|trace| &trace["ended"]).collect();
        println!("{slot}: {harm:?}, ended {ended:?}, longest gap {:?}", watching.longest);
        if slots > SLOTS {
            assert!(watching.longest <= LONGEST, "{harm:?}: no picture for {:?}", watching.longest);
        }
        // One that a lost worker took along may never have been seen.
        told.extend(traces.iter().filter(|trace| trace["first_pts_ns"].is_i64()).map(Told::of));
    }
    for _ in 0..200 {
        watching.frame().await;
    }
    let metrics = server.metrics().await;
    for reason in ["crashed", "hung", "memory"] {
        let lost = metrics.value(&format!("onair_worker_jobs_lost_total{{reason=\"{reason}\"}}"));
        println!("workers lost, {reason}: {lost}");
        assert!(reason != "memory" || lost * 100.0 >= STARVED * slots as f64, "{lost} of {slots} starved");
    }
    publisher.kill().await.expect("ffmpeg ends");
    let Watching { mut viewer, .. } = watching;
    until_end(&mut viewer).await;
    let (flv, whep) = (flv.await.expect("a viewer"), whep.await.expect("a viewer"));

    let count = |viewer: &Viewer| viewer.packets().iter().filter(|packet| packet.is_video()).count();
    assert!(count(&flv).abs_diff(count(&viewer)) < 10, "both saw it to the end");
    assert!(whep.pictures.len().abs_diff(count(&viewer)) < 100, "{} over WHEP", whep.pictures.len());
    let with_overlay = look(&flv).await.into_iter().filter(|(_, overlaid)| *overlaid).count();
    assert!(with_overlay > 0, "the other variant has overlays too");
    for (pts, overlaid) in look(&viewer).await {
        let wanted = told.iter().any(|told| told.is_on(pts));
        // Of pictures between the first and the last that were shown, some may be the source's, in place of a lost worker's.
        assert!(wanted || !overlaid, "an overlay that was not told at {pts} ms");
    }
}

/// When each picture was shown, and whether with an overlay: every one is decoded, once and in order.
async fn look(viewer: &Viewer) -> Vec<(i64, bool)> {
    let packets = viewer.packets();
    let pictures = packets.iter().filter(|packet| packet.is_video());
    let mut times: Vec<i64> = pictures.map(|packet: &Packet| packet.dts + i64::from(packet.cts)).collect();
    times.sort_unstable();
    let seen = decode(&viewer.recording(), ".flv", (320, 180), number_and_overlay).await;
    assert_eq!(seen.len(), times.len(), "{}: every picture is decoded", viewer.protocol);
    for (pair, pts) in seen.windows(2).zip(&times) {
        // Where the source's next keyframe was faster than another worker, pictures are missing.
        let step = (i32::from(pair[1].0) - i32::from(pair[0].0)).rem_euclid(180);
        assert!((1..60).contains(&step), "{}: pictures {pair:?} at {pts} ms", viewer.protocol);
    }
    times.into_iter().zip(seen).map(|(pts, (_, overlaid))| (pts, overlaid)).collect()
}
