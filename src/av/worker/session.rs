//! One job: orders go in and never wait, reports come out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ipc::{Convert, FromWorker, Job, Message, ToWorker};
use super::pace::{Fault, Pace};
use super::process::Process;
use super::returned::Returned;
use super::workers::Room;
use crate::clock;
use crate::media::{Kind, MediaTime, TrackId};

/// Bytes of orders that may wait for a worker: more than a GOP of ten seconds at 30 Mbit/s.
const MOST_WAITING: usize = 64 << 20;

/// Bytes that are made ready for the pipe at a time.
const READY: usize = 256 << 10;

/// Reports that wait to be read. Whoever reads slower than this makes his worker wait.
const MOST_REPORTS: usize = 256;

/// How often the pace is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Longer than an image's own limit before its worker is taken for hung.
const IMAGE_GRACE: Duration = Duration::from_secs(1);

/// Why a job ended otherwise than it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// No process came.
    #[error("the media worker {0}")]
    NotStarted(String),
    /// The process ended by itself.
    #[error("the media worker crashed: {0}")]
    Crashed(String),
    /// It said nothing for `worker.stall_timeout`.
    #[error("the media worker hangs")]
    Hung,
    /// It was slower than time goes by for `worker.stall_timeout`.
    #[error("the media worker is slower than real time")]
    TooSlow,
    /// It took all of `worker.memory`.
    #[error("the media worker ran out of memory")]
    Memory,
    /// What it gave cannot be read, or cannot be true.
    #[error("the media worker gives nonsense: {0}")]
    Nonsense(String),
    /// It says why it cannot do the job; the input is the reason.
    #[error("{0}")]
    Failed(String),
}

impl Lost {
    /// A label for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotStarted(_) => "not_started",
            Self::Crashed(_) => "crashed",
            Self::Hung => "hung",
            Self::TooSlow => "too_slow",
            Self::Memory => "memory",
            Self::Nonsense(_) => "nonsense",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether the worker is to blame, so that the next is started with caution; the input is for the rest.
    pub const fn is_the_worker_s(&self) -> bool {
        matches!(self, Self::NotStarted(_) | Self::Crashed(_) | Self::Hung | Self::Nonsense(_))
    }
}

/// A job that a worker is at, or about to be. Dropping both halves ends it, and so does dropping its reports.
#[derive(Debug)]
pub struct Session {
    /// What the worker is told.
    pub orders: Orders,
    /// What it says.
    pub reports: Reports,
}

/// Where orders go. Clones are the same; when the last is dropped, the worker gives what it has and ends.
#[derive(Clone, Debug)]
pub struct Orders {
    queue: mpsc::UnboundedSender<ToWorker>,
    waiting: Arc<AtomicUsize>,
}

impl Orders {
    /// Gives an order, which never waits. `false` when the job has ended, or the worker takes nothing for so long that it is
    /// about to: reports tell why.
    pub fn send(&self, order: ToWorker) -> bool {
        let bytes = weight(&order);
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST_WAITING {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.queue.send(order).is_ok()
    }
}

/// Where reports come from.
#[derive(Debug)]
pub struct Reports(mpsc::Receiver<Result<FromWorker, Lost>>);

impl Reports {
    /// The next report: [`FromWorker::Ended`] is the last, and so is an error. After that it is [`FromWorker::Ended`]
    /// again. Cancel-safe.
    ///
    /// # Errors
    /// Why the job ended otherwise than it should.
    pub async fn next(&mut self) -> Result<FromWorker, Lost> {
        self.0.recv().await.unwrap_or(Ok(FromWorker::Ended))
    }
}

/// A job in this room, and what is to run for it.
pub fn begin(room: Room, job: Job, stall_timeout: Duration) -> (Session, impl Future<Output = ()> + Send) {
    let (queue, orders) = mpsc::unbounded_channel();
    let (reports, received) = mpsc::channel(MOST_REPORTS);
    let waiting = Arc::new(AtomicUsize::new(0));
    let task = Task { orders, waiting: Arc::clone(&waiting), reports, stall_timeout };
    let session = Session { orders: Orders { queue, waiting }, reports: Reports(received) };
    (session, task.run(room, job))
}

/// Writes some of it. Cancel-safe.
async fn write(input: &mut Option<ChildStdin>, ready: &[u8]) -> io::Result<usize> {
    match input {
        Some(input) => input.write(ready).await,
        None => Ok(0),
    }
}

/// The frames that progress is reported of: pictures, where there are any.
struct Counted {
    kind: Kind,
    tracks: Vec<TrackId>,
}

impl Counted {
    const fn new(job: &Job) -> Self {
        let kind = match job {
            Job::Convert(Convert { video: None, .. }) => Kind::Audio,
            _ => Kind::Video,
        };
        Self { kind, tracks: Vec::new() }
    }

    /// The decoding time of a frame that is counted.
    fn dts(&mut self, order: &ToWorker) -> Option<MediaTime> {
        match order {
            ToWorker::Track(track) if track.kind() == self.kind && !self.tracks.contains(&track.id) => {
                self.tracks.push(track.id);
                None
            }
            ToWorker::Frame(frame) => self.tracks.contains(&frame.track).then_some(frame.dts),
            _ => None,
        }
    }
}

/// What an order weighs in the queue: bytes, about.
fn weight(order: &ToWorker) -> usize {
    const AROUND: usize = 64;
    AROUND
        + match order {
            ToWorker::Frame(frame) => frame.payload.len(),
            ToWorker::Overlay { overlay, .. } => {
                overlay.sprite.frames.iter().map(|frame| frame.rgba.len()).sum()
            }
            ToWorker::Track(track) => track.config.len(),
            ToWorker::Start(Job::Image(image)) => image.file.len(),
            _ => 0,
        }
}

struct Task {
    orders: mpsc::UnboundedReceiver<ToWorker>,
    waiting: Arc<AtomicUsize>,
    reports: mpsc::Sender<Result<FromWorker, Lost>>,
    stall_timeout: Duration,
}

/// How a job ended.
enum End {
    Done,
    /// Nobody reads its reports any more.
    Unwanted,
    /// The worker's pipe has ended; the process tells why.
    Silence,
    Lost(Lost),
}

impl Task {
    async fn run(mut self, room: Room, job: Job) {
        let is_image = matches!(job, Job::Image(_));
        let process = tokio::select! {
            process = room.process() => process,
            () = self.reports.closed() => return,
        };
        let end = match process {
            Err(error) => End::Lost(Lost::NotStarted(error.to_string())),
            Ok(mut process) => match self.work(&mut process, job).await {
                End::Silence => End::Lost(process.bury().await),
                end => end,
            },
        };
        match end {
            End::Done => {
                room.done();
                // Before anybody is told: he may want it for the next job.
                drop(room);
                // Whoever is gone need not be told.
                let _ = self.reports.send(Ok(FromWorker::Ended)).await;
            }
            // An image that is no good is the answer that was asked for, and the worker is none the worse.
            End::Lost(refused @ Lost::Failed(_)) if is_image => {
                tracing::info!(reason = %refused, "an image is refused");
                room.done();
                drop(room);
                let _ = self.reports.send(Err(refused)).await;
            }
            End::Lost(lost) => {
                tracing::warn!(reason = %lost, "a media worker's job is lost");
                room.lost(&lost);
                drop(room);
                let _ = self.reports.send(Err(lost)).await;
            }
            End::Unwanted | End::Silence => {}
        }
    }

    async fn work(&mut self, process: &mut Process, job: Job) -> End {
        let limit = match &job {
            Job::Image(image) => image.max_time + IMAGE_GRACE,
            _ => self.stall_timeout,
        };
        let (mut pace, mut returned) = (Pace::new(limit), Returned::new(&job));
        if matches!(job, Job::Image(_)) {
            pace.expect(clock::monotonic());
        }
        let mut counted = Counted::new(&job);
        let mut ready = BytesMut::new();
        if let Err(error) = ToWorker::Start(job).encode(&mut ready) {
            return End::Lost(Lost::Failed(error.to_string()));
        }
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        loop {
            tokio::select! {
                report = process.output.next() => match report {
                    Ok(Some(FromWorker::Ended)) => return End::Done,
                    Ok(Some(FromWorker::Failed(reason))) => return End::Lost(Lost::Failed(reason)),
                    Ok(Some(report)) => {
                        if let Err(error) = returned.check(&report) {
                            return End::Lost(Lost::Nonsense(error.to_string()));
                        }
                        match report {
                            FromWorker::Progress { dts } => pace.done(dts, clock::monotonic()),
                            _ => pace.heard(clock::monotonic()),
                        }
                        if self.reports.send(Ok(report)).await.is_err() {
                            return End::Unwanted;
                        }
                    }
                    Ok(None) => return End::Silence,
                    Err(error) => return End::Lost(Lost::Nonsense(error.to_string())),
                },
                order = self.orders.recv(), if open && ready.len() < READY => match order {
                    Some(order) => {
                        self.waiting.fetch_sub(weight(&order), Ordering::Relaxed);
                        returned.given(&order);
                        if let Some(dts) = counted.dts(&order) {
                            pace.given(dts, clock::monotonic());
                        } else if matches!(order, ToWorker::Stop { .. }) {
                            pace.expect(clock::monotonic());
                        }
                        if let Err(error) = order.encode(&mut ready) {
                            return End::Lost(Lost::Failed(error.to_string()));
                        }
                    }
                    None => open = false,
                },
                written = write(&mut process.input, &ready), if !ready.is_empty() => match written {
                    Ok(count @ 1..) => ready.advance(count),
                    // It may have said why before it went.
                    _ => ready.clear(),
                },
                _ = look.tick() => match pace.fault(clock::monotonic()) {
                    Some(Fault::Silent) => return End::Lost(Lost::Hung),
                    Some(Fault::Slow) => return End::Lost(Lost::TooSlow),
                    None => {}
                },
                () = self.reports.closed() => return End::Unwanted,
            }
            if !open && ready.is_empty() {
                // Nothing more will be ordered: the pipe's end says so, and what is owed comes.
                return self.finish(process, &mut returned).await;
            }
        }
    }

    /// Lets the worker end: nothing is ordered any more.
    async fn finish(&mut self, process: &mut Process, returned: &mut Returned) -> End {
        process.input = None;
        loop {
            let report = match timeout(self.stall_timeout, process.output.next()).await {
                Err(_) => return End::Lost(Lost::Hung),
                Ok(Err(error)) => return End::Lost(Lost::Nonsense(error.to_string())),
                Ok(Ok(None)) => return End::Silence,
                Ok(Ok(Some(report))) => report,
            };
            match report {
                FromWorker::Ended => return End::Done,
                FromWorker::Failed(reason) => return End::Lost(Lost::Failed(reason)),
                report => {
                    if let Err(error) = returned.check(&report) {
                        return End::Lost(Lost::Nonsense(error.to_string()));
                    }
                    if self.reports.send(Ok(report)).await.is_err() {
                        return End::Unwanted;
                    }
                }
            }
        }
    }
}
