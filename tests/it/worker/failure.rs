//! Workers that crash, hang, have no memory, or are not there.

use std::path::PathBuf;
use std::time::Duration;

use onair::av::worker::ipc::{
    BurnIn, Convert, Encoding, FromWorker, ImageJob, Job, Size, SoundTarget, ToWorker,
};
use onair::av::worker::{Config, Lost, Session, StartError, Workers};
use onair::media::Kind;
use onair::metrics::Metrics;

use super::material::{Material, WORKER, config};
use crate::support::in_time;

/// The worker processes that were started with this configuration, as soon as there are any. Each test has its own amount of
/// memory, and so knows its own.
pub async fn processes(config: &Config) -> Vec<i32> {
    let wanted = format!("{WORKER}\0serve\0{}\0", config.memory);
    loop {
        let found: Vec<i32> = std::fs::read_dir("/proc")
            .expect("processes")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|process: &i32| {
                let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
                line == wanted.as_bytes()
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

pub fn signal(process: i32, signal: i32) {
    // SAFETY: a call with plain numbers.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

const JOB: Job = Job::Convert(Convert {
    video: Some(Encoding { speed: onair::av::worker::ipc::Speed::Superfast, max_bitrate: 0 }),
    audio: None,
    after: Convert::ALL,
});

/// Begins a conversion and waits for its first frame.
async fn running(workers: &Workers) -> Session {
    let mut session = workers.give(JOB).expect("room");
    Material::read("short", Kind::Video).feed(&session.orders);
    while !matches!(in_time("a frame", session.reports.next()).await, Ok(FromWorker::Frame(_))) {}
    session
}

/// What the job ends with.
async fn end(mut session: Session) -> Lost {
    loop {
        match in_time("the end", session.reports.next()).await {
            Ok(FromWorker::Ended) => panic!("it ended as if nothing had happened"),
            Ok(_) => {}
            Err(lost) => return lost,
        }
    }
}

fn counted(metrics: &Metrics, reason: &str) -> bool {
    let line = format!("onair_worker_jobs_lost_total{{reason=\"{reason}\"}} 1");
    metrics.text().lines().any(|other| other == line)
}

#[tokio::test]
async fn an_image_that_is_refused_is_an_answer_and_no_lost_job() {
    let metrics = Metrics::new();
    let workers = Workers::start(&Config { pool: 0, ..config() }, &metrics);
    let refused = ImageJob {
        file: b"<svg><script/></svg>".as_slice().into(),
        fit: Size { width: 64, height: 32 },
        max_pixels: 1 << 20,
        max_frames: 1,
        max_time: Duration::from_secs(20),
    };
    let why = end(workers.give(Job::Image(refused)).expect("room")).await;
    assert!(matches!(why, Lost::Failed(_)), "{why:?}");
    assert!(!metrics.text().contains("onair_worker_jobs_lost_total{"), "{}", metrics.text());
}

#[tokio::test]
async fn a_crash_is_told_counted_and_the_next_job_has_another_process() {
    let config = Config { pool: 0, memory: (512 << 20) + 2, ..config() };
    let metrics = Metrics::new();
    let workers = Workers::start(&config, &metrics);
    let session = running(&workers).await;
    signal(processes(&config).await[0], libc::SIGKILL);
    let lost = end(session).await;
    assert!(matches!(&lost, Lost::Crashed(how) if how.contains("signal: 9")), "{lost:?}");
    assert!(counted(&metrics, "crashed"), "{}", metrics.text());
    drop(running(&workers).await);
}

#[tokio::test]
async fn a_worker_that_hangs_is_given_up() {
    let stall_timeout = Duration::from_millis(500);
    let config = Config { pool: 0, memory: (512 << 20) + 3, stall_timeout, ..config() };
    let metrics = Metrics::new();
    let workers = Workers::start(&config, &metrics);
    let mut session = workers.give(JOB).expect("room");
    // It hangs before it has anything to do: how fast the machine is does not matter.
    let process = processes(&config).await[0];
    session.orders.send(ToWorker::Keyframe);
    signal(process, libc::SIGSTOP);
    let material = Material::read("short", Kind::Video);
    session.orders.send(ToWorker::Track(material.track.clone()));
    session.orders.send(ToWorker::Frame(material.frames[0].clone()));
    let lost = loop {
        match in_time("the end", session.reports.next()).await {
            Ok(FromWorker::Ended) => panic!("it ended"),
            Ok(_) => {}
            Err(lost) => break lost,
        }
    };
    assert!(matches!(lost, Lost::Hung | Lost::NotStarted(_)), "{lost:?}");
    // What is given up is gone as well, even stopped.
    in_time("the process's end", async {
        while std::fs::exists(format!("/proc/{process}/exe")).unwrap_or(false) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_worker_without_memory_says_so() {
    // As little as starting takes.
    let config = Config { pool: 0, memory: 20 << 20, ..config() };
    let metrics = Metrics::new();
    let workers = Workers::start(&config, &metrics);
    let session = workers.give(JOB).expect("room");
    let material = Material::read("resolution-2", Kind::Video);
    // Large frames are held whole.
    session.orders.send(ToWorker::Track(material.track.clone()));
    let mut frame = material.frames[0].clone();
    frame.payload = [&frame.payload[..], &filler(30 << 20)].concat().into();
    session.orders.send(ToWorker::Frame(frame));
    let lost = end(session).await;
    assert_eq!(lost, Lost::Memory);
    assert!(counted(&metrics, "memory"), "{}", metrics.text());
}

/// A NAL unit that decoders pass over.
fn filler(bytes: u32) -> Vec<u8> {
    let mut unit = bytes.to_be_bytes().to_vec();
    unit.push(12);
    unit.resize(bytes as usize + 4, 0xff);
    unit
}

#[tokio::test]
async fn there_is_room_for_so_many_jobs_and_no_more() {
    let config = Config { max_jobs: 2, ..config() };
    let metrics = Metrics::new();
    let workers = Workers::start(&config, &metrics);
    let (first, _second) = (running(&workers).await, running(&workers).await);
    assert_eq!(workers.give(JOB).unwrap_err(), StartError::Busy { max_jobs: 2 });
    assert!(metrics.text().contains("onair_worker_jobs_refused_total 1"));
    drop(first);
    in_time("room", async {
        while workers.give(JOB).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_worker_the_reason_is_told() {
    let config = Config { path: Some(PathBuf::from("/nowhere/onair-worker")), ..config() };
    let workers = Workers::start(&config, &Metrics::new());
    let error = workers.give(JOB).unwrap_err();
    assert!(matches!(&error, StartError::Absent(why) if why.contains("/nowhere/onair-worker")), "{error}");
    let none = Workers::start(&Config { max_jobs: 0, ..self::config() }, &Metrics::new());
    assert!(matches!(none.available(), Err(StartError::Absent(_))));
}

#[tokio::test]
async fn what_is_no_worker_is_found_out() {
    let config = Config { path: Some(PathBuf::from("/bin/echo")), pool: 0, ..config() };
    let workers = Workers::start(&config, &Metrics::new());
    let lost = end(workers.give(JOB).expect("room")).await;
    assert!(matches!(&lost, Lost::NotStarted(_)), "{lost:?}");
}

#[tokio::test]
async fn a_job_that_makes_no_sense_is_refused_in_words() {
    let workers = Workers::start(&config(), &Metrics::new());
    let session = workers.give(Job::BurnIn(BurnIn { encoding: Encoding::default() })).expect("room");
    let sound = Material::read("short", Kind::Audio);
    session.orders.send(ToWorker::Track(sound.track));
    assert_eq!(end(session).await, Lost::Failed("sound in a burn-in".to_owned()));
    let session = workers
        .give(Job::Convert(Convert { video: None, audio: Some(SoundTarget::Aac), after: Convert::ALL }))
        .expect("room");
    session.orders.send(ToWorker::Frame(sound.frames[0].clone()));
    assert!(matches!(end(session).await, Lost::Failed(why) if why.contains("no track")));
}

#[tokio::test]
async fn a_worker_whose_orders_end_gives_what_it_has_and_goes() {
    let config = Config { pool: 0, memory: (512 << 20) + 4, ..config() };
    let workers = Workers::start(&config, &Metrics::new());
    let mut session = running(&workers).await;
    let process = processes(&config).await[0];
    drop(session.orders);
    while in_time("the end", session.reports.next()).await != Ok(FromWorker::Ended) {}
    in_time("the process's end", async {
        while std::fs::exists(format!("/proc/{process}/exe")).unwrap_or(false) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
