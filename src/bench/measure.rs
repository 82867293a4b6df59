//! The course of a measurement: start a server, publish, let the clients in, wait, measure, tally.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};

use super::audience::{Audience, Output};
use super::baseline;
use super::machine::{self, Cores};
use super::options::{Command, Load, Peer, PublisherOptions, ViewerOptions};
use super::publisher::{Publisher, PublisherError};
use super::report::{Cpu, Figures, Report, Spread, millis, percent};
use super::server::{Server, ServerError, Urls};
use super::source::Source;
use super::stage::{STALL, Stage};
use super::target::{Target, TargetError};
use super::usage::{Interval, Reading};
use super::viewer::{Destination, Protocol};
use crate::clock;

/// Published before the first viewer comes, so that the server has a keyframe; and then again before the others come:
/// what a server makes for the first viewer, such as the segments of HLS, is there for them.
const LEAD: Duration = Duration::from_secs(4);
/// After the last picture that counts, what is under way may still arrive.
const GRACE: Duration = Duration::from_secs(1);
/// How long the machine's own limit is measured.
const BASELINE: Duration = Duration::from_secs(5);
/// Events that the runtime works on before it looks for new ones: a viewer's picture must not wait for many others.
const EVENT_INTERVAL: u32 = 13;
/// Files beside the connections: listeners, a database, and what a server keeps in reserve.
const SPARE_FILES: u64 = 1_500;

/// Why there is no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The system does not let us.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// There is no server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A URL cannot be used.
    #[error(transparent)]
    Url(#[from] TargetError),
    /// Nothing can be published.
    #[error("cannot publish: {0}")]
    Publisher(#[from] PublisherError),
    /// Nothing is published any more.
    #[error("the publisher has ended: {0}")]
    PublisherEnded(String),
    /// The server is gone.
    #[error("the server has ended: {0}")]
    ServerEnded(String),
    /// Somebody wanted this to end.
    #[error("interrupted")]
    Interrupted,
}

/// Measures what the command asks for.
pub fn run(command: &Command) -> Result<Report, MeasureError> {
    on_the_generator(command.clients(), async |cores| measure(command, cores).await)
}

/// Runs a measurement with this many connections on the generator's processor, until it ends or somebody wants it to.
pub(super) fn on_the_generator<R>(
    clients: usize,
    measurement: impl AsyncFnOnce(Cores) -> Result<R, MeasureError>,
) -> Result<R, MeasureError> {
    let files = clients as u64 + SPARE_FILES;
    machine::allow_open_files(files).map_err(system("the limit on open files cannot be raised"))?;
    let cores = Cores::choose().map_err(system("processor affinity"))?;
    machine::pin(cores.generator).map_err(system("processor affinity"))?;
    let runtime = Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build();
    let runtime = runtime.map_err(system("the runtime does not start"))?;
    LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            report = measurement(cores) => report,
            () = interrupted() => Err(MeasureError::Interrupted),
        }
    })
}

async fn interrupted() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    // Without handlers the signals end this process, and the kernel ends the server.
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn measure(command: &Command, cores: Cores) -> Result<Report, MeasureError> {
    let clients = command.clients();
    let common = command.common();
    if let (
        Some(Peer::NginxRtmp),
        Load::Viewers(Output::Hls | Output::Whep | Output::Stream(Protocol::Flv), _),
    ) = (command.peer(), command.load())
    {
        return Err(ServerError::Unable(command.title()).into());
    }
    let mut report = Report {
        load: command.title(),
        machine_us_per_mbit: None,
        servers: Vec::new(),
        warnings: Vec::new(),
    };
    if cores.are_one() {
        report
            .warnings
            .push("there is one processor: the server shares it with publisher and viewers".to_owned());
    }
    if command.baseline() {
        eprintln!("measuring the machine");
        let cost = match command.load() {
            Load::Viewers(Output::Whep, _) => baseline::datagrams(clients, cores.server, BASELINE).await,
            _ => baseline::measure(clients, cores.server, BASELINE).await,
        };
        let cost = cost.map_err(system("the machine's limit"))?;
        eprintln!("  {cost:.1} us per Mbit");
        report.machine_us_per_mbit = Some(cost);
    }
    if let Load::Viewers(output, options) = command.load()
        && let (Some(play), Some(publish)) = (options.url.clone(), options.publish_url.clone())
    {
        eprintln!("measuring {}", play.host);
        let course = Course { server: play.host.clone(), pid: options.pid, cores };
        report.servers.push(course.viewers(output, options, publish, play).await?);
    } else {
        let onair = Server::onair(common.program.as_deref(), cores.server, clients).await?;
        report.servers.push(of_server(onair, command, cores).await?);
        if command.peer() == Some(Peer::NginxRtmp) {
            let nginx = Server::nginx_rtmp(cores.server, clients).await?;
            report.servers.push(of_server(nginx, command, cores).await?);
        }
    }
    report.warnings.extend(report.servers.iter().flat_map(Figures::warnings));
    Ok(report)
}

/// Measures a server that was started for it.
async fn of_server(mut server: Server, command: &Command, cores: Cores) -> Result<Figures, MeasureError> {
    eprintln!("measuring {}", server.name);
    let course = Course { server: server.name.clone(), pid: Some(server.pid()), cores };
    let figures = async {
        let (output, options) = match command.load() {
            Load::Publishers(options) => return course.publishers(&server, options).await,
            Load::Viewers(output, options) => (output, options),
        };
        let urls = server.channel("bench").await?;
        let play = match output {
            Output::Stream(Protocol::Rtmp) => Urls::play(urls.rtmp.as_ref(), "RTMP play")?,
            Output::Stream(Protocol::Flv) => Urls::play(urls.flv.as_ref(), "HTTP-FLV")?,
            Output::Whep => Urls::play(urls.whep.as_ref(), "WHEP")?,
            Output::Hls => Urls::play(urls.hls.as_ref(), "low-latency HLS")?,
        };
        let publish = urls.publish.parse()?;
        course.viewers(output, options, publish, play).await
    };
    let figures = figures.await;
    match server.epitaph() {
        Some(epitaph) => Err(MeasureError::ServerEnded(epitaph)),
        None => figures,
    }
}

/// What is measured, and where.
struct Course {
    server: String,
    pid: Option<u32>,
    cores: Cores,
}

impl Course {
    async fn viewers(
        &self,
        output: Output,
        options: &ViewerOptions,
        publish: Target,
        play: Target,
    ) -> Result<Figures, MeasureError> {
        let stage = Rc::new(Stage::default());
        let publishing = Publishing::begin(publish, 0, &stage).await?;
        let destination = Destination { address: play.resolve()?, target: play };
        let mut audience = Audience::new(destination, output, &stage);
        let viewers = options.viewers as usize;
        let every = viewers.div_ceil(options.sample as usize);
        sleep(LEAD).await;
        audience.arrive(0..1, options.joins, every).await;
        sleep(LEAD).await;
        publishing.check()?;

        let memory = self.memory()?;
        audience.arrive(1..viewers, options.joins, every).await;
        sleep(options.common.warm_up).await;

        let before = self.reading(&stage, audience.bytes())?;
        let published = stage.published();
        audience.begin();
        sleep(options.common.duration).await;
        let after = self.reading(&stage, audience.bytes())?;
        let memory = memory.zip(self.memory()?);
        audience.end();
        let publisher_late = stage.published().latest;
        publishing.check()?;
        sleep(GRACE).await;

        let outcome = audience.outcome(stage.published().bytes - published.bytes);
        let mut figures = self.figures(viewers, memory, &before.until(&after));
        figures.ok = outcome.ok;
        figures.failures = outcome.failures;
        figures.join = Spread::of(outcome.joins);
        figures.edge = Spread::of(outcome.edges);
        figures.delay = Spread::of(outcome.delays);
        figures.lost_percent = outcome.lost_percent;
        figures.publisher_late_ms = millis(publisher_late);
        Ok(figures)
    }

    async fn publishers(&self, server: &Server, options: &PublisherOptions) -> Result<Figures, MeasureError> {
        let mut targets: Vec<Target> = Vec::new();
        for number in 0..options.publishers {
            targets.push(server.channel(&format!("bench-{number}")).await?.publish.parse()?);
        }
        let memory = self.memory()?;
        let clock = Stage::default();
        let mut all = Vec::new();
        let begin = Instant::from_std(clock::monotonic());
        for (number, target) in targets.into_iter().enumerate() {
            sleep_until(begin + Duration::from_secs(1).mul_f64(number as f64 / f64::from(options.joins)))
                .await;
            let stage = Rc::new(Stage::default());
            all.push((Publishing::begin(target, number, &stage).await?, stage));
        }
        sleep(options.common.warm_up).await;

        let bytes =
            |all: &[(Publishing, Rc<Stage>)]| all.iter().map(|(_, stage)| stage.published().bytes).sum();
        let before = self.reading(&clock, bytes(&all))?;
        all.iter().for_each(|(_, stage)| stage.begin());
        sleep(options.common.duration).await;
        let after = self.reading(&clock, bytes(&all))?;
        let memory = memory.zip(self.memory()?);
        all.iter().for_each(|(_, stage)| stage.end());

        let mut figures = self.figures(all.len(), memory, &before.until(&after));
        let is_ok = |(publishing, stage): &&(Publishing, Rc<Stage>)| {
            publishing.check().is_ok() && stage.published().latest <= STALL
        };
        figures.ok = all.iter().filter(is_ok).count();
        let latest = all.iter().map(|(_, stage)| stage.published().latest).max().unwrap_or_default();
        figures.publisher_late_ms = millis(latest);
        figures.failures =
            all.iter().filter_map(|(one, _)| one.check().err()).map(|error| error.to_string()).collect();
        figures.failures.dedup();
        Ok(figures)
    }

    fn figures(&self, clients: usize, memory: Option<(u64, u64)>, interval: &Interval) -> Figures {
        Figures {
            server: self.server.clone(),
            clients,
            ok: 0,
            failures: Vec::new(),
            mbit_per_second: interval.mbit_per_second(),
            cpu: interval.server.map(|used| Cpu::new(used, interval.bits(), interval.length)),
            memory_per_client: memory
                .map(|(before, after)| after.saturating_sub(before) as f64 / clients as f64),
            join: None,
            edge: None,
            delay: None,
            lost_percent: None,
            publisher_late_ms: 0.0,
            generator_percent: percent(interval.generator, interval.length),
            others_percent: percent(interval.others, interval.length),
        }
    }

    fn reading(&self, stage: &Stage, bytes: u64) -> Result<Reading, MeasureError> {
        Reading::take(self.pid, self.cores, stage.now(), bytes).map_err(system("the server's processor time"))
    }

    fn memory(&self) -> Result<Option<u64>, MeasureError> {
        self.pid.map(machine::anonymous_memory).transpose().map_err(system("the server's memory"))
    }
}

/// A publisher at work, until it is dropped.
struct Publishing {
    task: JoinHandle<()>,
    ended: Rc<RefCell<Option<String>>>,
}

impl Publishing {
    async fn begin(target: Target, number: usize, stage: &Rc<Stage>) -> Result<Self, MeasureError> {
        let destination = Destination { address: target.resolve()?, target };
        let mut publisher = Publisher::connect(&destination, number).await?;
        let ended: Rc<RefCell<Option<String>>> = Rc::default();
        let task = spawn_local({
            let (stage, ended) = (Rc::clone(stage), Rc::clone(&ended));
            async move {
                let result = publisher.run(&Source::default(), stage.now(), &stage).await;
                *ended.borrow_mut() = result.err().map(|error| error.to_string());
            }
        });
        Ok(Self { task, ended })
    }

    fn check(&self) -> Result<(), MeasureError> {
        match &*self.ended.borrow() {
            Some(reason) => Err(MeasureError::PublisherEnded(reason.clone())),
            None => Ok(()),
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> MeasureError {
    move |error| MeasureError::System(what, error)
}
