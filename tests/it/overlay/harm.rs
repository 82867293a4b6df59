//! Workers that come to harm while they draw: viewers stay, the picture is back within a second, and each is shown once.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::stage::{TURN, Told, Wish, alone, ask, count, publish, server, trace, until_end, used};
use super::{decode, number_and_overlay};
use crate::support::webrtc::WhepPlayer;
use crate::support::{Channel, Packet, Server, Viewer, in_time};

/// Slots in an ordinary run: each kind of harm once. `ONAIR_HARM_SLOTS=100` for more, which also holds the server to the time
/// that it may take: not for a machine that is busy with other tests.
const SLOTS: usize = 3;
/// Without a picture.
const LONGEST: Duration = Duration::from_secs(1);

/// What happens to a worker.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Killed,
    Stopped,
    /// It gets no more memory.
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

/// Asks for an overlay, and harms its worker some pictures after it is on the air; gives its trace.
async fn harmed(
    server: &Server,
    channel: &Channel,
    watching: &mut Watching,
    harm: Harm,
    after: usize,
) -> Value {
    let id = ask(server, channel, &Wish::white(2_000)).await;
    let (mut on_air, mut harmed) = (0, 0);
    loop {
        watching.frame().await;
        let trace = trace(server, &id).await;
        match trace["state"].as_str() {
            Some("on_air") if harmed == 0 => {
                on_air += 1;
                if on_air > after {
                    harmed = harm.befall();
                }
            }
            Some("over") => {
                assert!(harmed > 0, "a worker was at work: {trace}");
                return trace;
            }
            _ => {}
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
        config.overlay = onair::overlay::Config::default();
        config.worker.stall_timeout = Duration::from_secs(2);
    })
    .await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, "h264-aac");
    server.until_live("kitchen", true).await;
    server.until_tracks("kitchen", 2).await;
    let [viewer, mut flv] = Viewer::of_each(&server, "kitchen").await;
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
        let trace = harmed(&server, &channel, &mut watching, harm, slot * 37 % 50).await;
        println!("{slot}: {harm:?}, ended {}, longest gap {:?}", trace["ended"], watching.longest);
        if slots > SLOTS {
            assert!(watching.longest <= LONGEST, "{harm:?}: no picture for {:?}", watching.longest);
        }
        told.push(Told::of(&trace));
    }
    for _ in 0..200 {
        watching.frame().await;
    }
    let metrics = server.metrics().await;
    for reason in ["crashed", "hung", "memory"] {
        let lost = metrics.value(&format!("onair_worker_jobs_lost_total{{reason=\"{reason}\"}}"));
        println!("workers lost, {reason}: {lost}");
    }
    publisher.kill().await.expect("ffmpeg ends");
    let Watching { mut viewer, .. } = watching;
    until_end(&mut viewer).await;
    let (flv, whep) = (flv.await.expect("a viewer"), whep.await.expect("a viewer"));

    let count = |viewer: &Viewer| viewer.packets().iter().filter(|packet| packet.is_video()).count();
    assert!(count(&flv).abs_diff(count(&viewer)) < 10, "both saw it to the end");
    assert!(whep.pictures.len().abs_diff(count(&viewer)) < 100, "{} over WHEP", whep.pictures.len());
    let mut times: Vec<i64> = viewer
        .packets()
        .iter()
        .filter(|packet| packet.is_video())
        .map(|packet: &Packet| packet.dts + i64::from(packet.cts))
        .collect();
    times.sort_unstable();
    let seen = decode(&viewer.recording(), ".flv", (320, 180), number_and_overlay).await;
    assert_eq!(seen.len(), times.len(), "every picture is decoded");
    for (pair, pts) in seen.windows(2).zip(&times) {
        // Where the source's next keyframe was faster than another worker, pictures are missing.
        let step = (i32::from(pair[1].0) - i32::from(pair[0].0)).rem_euclid(180);
        assert!((1..60).contains(&step), "pictures {pair:?} at {pts} ms");
    }
    for ((_, overlaid), pts) in seen.iter().zip(&times) {
        let wanted = told.iter().any(|told| told.is_on(*pts));
        // Of pictures between the first and the last that were shown, some may be the source's, in place of a lost worker's.
        assert!(wanted || !overlaid, "an overlay that was not told at {pts} ms");
    }
}
