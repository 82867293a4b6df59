//! Rooms under load: delivery times, processor time per delivered event, memory per viewer.
//!
//! A sample of the viewers talks, and reads every comment: each carries the moment at which it was said. The others are a
//! crowd that throws its bytes away; of them, some may be so slow that they read nothing at all.

mod report;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until};

use super::crowd::{Crowd, Tally};
use super::http::Connection;
use super::machine::{self, Cores};
use super::measure::{MeasureError, on_the_generator, system};
use super::options::CommonOptions;
use super::report::{Spread, percent};
use super::samples::Samples;
use super::server::Server;
use super::stage::Stage;
use super::target::source_address;
use super::usage::Reading;
use crate::clock;
use crate::http::websocket::{self, Decoder, Incoming};
use report::Report;

/// After the last comment that counts, what is under way may still arrive.
const GRACE: Duration = Duration::from_secs(2);
/// Room for each read.
const READ: usize = 16 << 10;
/// What a viewer who reads nothing lets the kernel keep.
const SLOW_BUFFER: u32 = 4 << 10;
/// Messages that wait for a talker's connection.
const TALK_QUEUE: usize = 64;

/// A measurement of rooms.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// How many viewers, over all rooms
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub viewers: u32,
    /// How many rooms they are in
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rooms: u32,
    /// Comments a second, over all rooms
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub comments: u32,
    /// Hearts a second, over all rooms
    #[arg(long, default_value_t = 1000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub hearts: u32,
    /// Viewers that read nothing, in percent of all
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=90))]
    pub slow: u32,
    /// Viewers who talk, and whose every comment is looked at
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub sample: u32,
    /// Viewers that join a second
    #[arg(long, default_value_t = 500, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub joins: u32,
    #[command(flatten)]
    pub common: CommonOptions,
}

/// Measures what the options ask for.
pub(super) fn run(options: &Options) -> Result<Report, MeasureError> {
    on_the_generator(options.viewers as usize, async |cores| measure(options, cores).await)
}

/// What the talkers have seen.
#[derive(Debug, Default)]
struct Seen {
    /// Comments count that are said in this interval, whenever they arrive.
    counted: Range<Duration>,
    /// Comments of the interval that counts, by all talkers.
    received: u64,
    sent: u64,
    acknowledged: u64,
    deliveries: Samples,
    acknowledgements: Samples,
    joins: Samples,
    bytes: u64,
    failures: Vec<String>,
}

/// A viewer who talks.
struct Talker {
    room: u32,
    messages: mpsc::Sender<Bytes>,
}

async fn measure(options: &Options, cores: Cores) -> Result<Report, MeasureError> {
    let viewers = options.viewers as usize;
    let settings = "[chat]\nopen_when_offline = true\nreadable_per_second = 0\n";
    let mut server =
        Server::onair_with(options.common.program.as_deref(), cores.server, viewers, settings).await?;
    let Some(address) = server.http() else { return Err(MeasureError::ServerEnded("no HTTP".to_owned())) };
    for room in 0..options.rooms {
        server.channel(&channel(room)).await?;
    }
    let stage = Rc::new(Stage::default());
    let memory_before = machine::anonymous_memory(server.pid()).map_err(system("the server's memory"))?;
    let mut audience = Audience::arrive(options, address, &stage).await;
    sleep(options.common.warm_up).await;
    let memory_quiet = machine::anonymous_memory(server.pid()).map_err(system("the server's memory"))?;

    let speaking = spawn_local(speak(
        options.clone(),
        std::mem::take(&mut audience.talkers),
        Rc::clone(&audience.seen),
        Rc::clone(&stage),
    ));
    sleep(options.common.warm_up).await;
    let reading = |bytes| {
        Reading::take(Some(server.pid()), cores, stage.now(), bytes)
            .map_err(system("the server's processor time"))
    };
    let delivered_before = delivered(address).await?;
    let before = reading(audience.bytes())?;
    let crowd_before = audience.bytes_of_talkers();
    audience.begin(&stage);
    sleep(options.common.duration).await;
    let after = reading(audience.bytes())?;
    let crowd_after = audience.bytes_of_talkers();
    let delivered = delivered(address).await? - delivered_before;
    audience.end(&stage);
    let memory_end = machine::anonymous_memory(server.pid()).map_err(system("the server's memory"))?;
    sleep(GRACE).await;
    speaking.abort();
    if let Some(epitaph) = server.epitaph() {
        return Err(MeasureError::ServerEnded(epitaph));
    }

    let interval = before.until(&after);
    let seconds = interval.length.as_secs_f64();
    let used = interval.server.map_or(Duration::ZERO, |used| used.total());
    let per_viewer = |memory: u64| memory.saturating_sub(memory_before) as f64 / viewers as f64;
    let talkers = f64::from(options.sample.min(options.viewers)).max(1.0);
    let Tally { ok, gone, stalled, short } =
        audience.crowd.tally(((crowd_after - crowd_before) as f64 / talkers) as u64);
    let seen = std::mem::take(&mut *audience.seen.borrow_mut());
    let wanted = seen.sent as f64 * talkers / f64::from(options.rooms);
    Ok(Report {
        viewers: options.viewers,
        rooms: options.rooms,
        slow_percent: options.slow,
        ok,
        gone,
        stalled,
        short,
        comments_sent: seen.sent,
        comments_acknowledged: seen.acknowledged,
        comments_per_second: seen.sent as f64 / seconds,
        lost_percent: if wanted > 0.0 {
            (100.0 * (1.0 - seen.received as f64 / wanted)).max(0.0)
        } else {
            0.0
        },
        delivery: Spread::of(seen.deliveries),
        acknowledged: Spread::of(seen.acknowledgements),
        join: Spread::of(seen.joins),
        delivered_per_second: delivered / seconds,
        mbit_per_second: interval.mbit_per_second(),
        server_percent: percent(used, interval.length),
        cpu_ns_per_delivered: if delivered > 0.0 { used.as_secs_f64() * 1e9 / delivered } else { 0.0 },
        memory_per_viewer: per_viewer(memory_quiet),
        memory_per_viewer_at_end: per_viewer(memory_end),
        generator_percent: percent(interval.generator, interval.length),
        others_percent: percent(interval.others, interval.length),
        failures: seen.failures,
    })
}

fn channel(room: u32) -> String {
    format!("bench-{room}")
}

/// Events that the server says it has written to viewers.
async fn delivered(server: SocketAddr) -> Result<f64, MeasureError> {
    let read = async {
        let mut connection = Connection::new(TcpStream::connect(server).await?);
        let answer = connection.get(&server.to_string(), "/metrics").await.map_err(io::Error::other)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix("onair_chat_delivered_total "));
        value.and_then(|value| value.parse().ok()).ok_or_else(|| io::Error::other("no such metric"))
    };
    read.await.map_err(system("the server's metrics"))
}

/// All viewers.
struct Audience {
    crowd: Crowd,
    talkers: Vec<Talker>,
    seen: Rc<RefCell<Seen>>,
    /// Viewers who read nothing: only their connections.
    _slow: Rc<RefCell<Vec<TcpStream>>>,
}

impl Audience {
    /// Lets them in, evenly over time.
    async fn arrive(options: &Options, server: SocketAddr, stage: &Rc<Stage>) -> Self {
        let crowd = Crowd::default();
        let seen: Rc<RefCell<Seen>> = Rc::default();
        let slow: Rc<RefCell<Vec<TcpStream>>> = Rc::default();
        let (viewers, sample) = (options.viewers, options.sample.min(options.viewers));
        let slow_ones = (viewers * options.slow / 100).min(viewers - sample);
        let mut talkers = Vec::new();
        let begin = Instant::from_std(clock::monotonic());
        for number in 0..viewers {
            sleep_until(begin + Duration::from_secs(1).mul_f64(f64::from(number) / f64::from(options.joins)))
                .await;
            let room = number % options.rooms;
            let talks = number < sample;
            let is_slow = !talks && number - sample < slow_ones;
            let (messages, waiting) = mpsc::channel(TALK_QUEUE);
            if talks {
                talkers.push(Talker { room, messages });
            }
            let (crowd, seen, slow, stage) =
                (crowd.clone(), Rc::clone(&seen), Rc::clone(&slow), Rc::clone(stage));
            spawn_local(async move {
                let began = stage.now();
                let joined = Box::pin(join(server, number, room, is_slow)).await;
                let result = match joined {
                    Ok((stream, decoder)) => {
                        seen.borrow_mut().joins.push(stage.now().saturating_sub(began));
                        if talks {
                            Box::pin(listen(stream, decoder, waiting, &seen, &stage)).await
                        } else if is_slow {
                            slow.borrow_mut().push(stream);
                            Ok(())
                        } else {
                            crowd.join(stream, 0, false, &stage).await
                        }
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = result {
                    let failures = &mut seen.borrow_mut().failures;
                    let text = error.to_string();
                    if failures.len() < 10 && !failures.contains(&text) {
                        failures.push(text);
                    }
                }
            });
        }
        Self { crowd, talkers, seen, _slow: slow }
    }

    fn begin(&self, stage: &Stage) {
        stage.begin();
        self.crowd.begin(stage.now());
        self.seen.borrow_mut().counted = stage.now()..Duration::MAX;
    }

    fn end(&self, stage: &Stage) {
        self.crowd.end(stage.now(), stage);
        stage.end();
        self.seen.borrow_mut().counted.end = stage.now();
    }

    fn bytes_of_talkers(&self) -> u64 {
        self.seen.borrow().bytes
    }

    fn bytes(&self) -> u64 {
        self.crowd.bytes() + self.bytes_of_talkers()
    }
}

/// Connects from an address of the viewer's own neighbourhood, and comes in.
async fn join(server: SocketAddr, number: u32, room: u32, is_slow: bool) -> io::Result<(TcpStream, Decoder)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(source_address(server, number as usize)), 0).into())?;
    if is_slow {
        socket.set_recv_buffer_size(SLOW_BUFFER)?;
    }
    let mut stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    let key = u128::from(number).to_be_bytes();
    let head = websocket::request(&server.to_string(), &format!("/ws/{}", channel(room)), key, &[]);
    stream.write_all(head.as_bytes()).await?;
    let mut buffer = BytesMut::new();
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    if !buffer.starts_with(b"HTTP/1.1 101 ") {
        return Err(io::Error::other(String::from_utf8_lossy(&buffer[..end.min(40)]).into_owned()));
    }
    let mut decoder = Decoder::for_client(16 << 20);
    decoder.receive(&buffer[end..]);
    stream.write_all(&websocket::client_text(br#"{"type":"join","v":1,"last":0}"#, [0; 4])).await?;
    let mut buffer = vec![0; READ];
    loop {
        match decoder.poll().map_err(io::Error::other)? {
            Some(Incoming::Text(text)) if text.contains(r#""type":"welcome""#) => {
                return Ok((stream, decoder));
            }
            Some(Incoming::Text(text)) if text.contains(r#""type":"refused""#) => {
                return Err(io::Error::other(text));
            }
            Some(Incoming::Close) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(_) => {}
            None => {
                let length = stream.read(&mut buffer).await?;
                if length == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                decoder.receive(&buffer[..length]);
            }
        }
    }
}

/// Reads everything that comes, and sends what the talker is to say.
async fn listen(
    mut stream: TcpStream,
    mut decoder: Decoder,
    mut waiting: mpsc::Receiver<Bytes>,
    seen: &Rc<RefCell<Seen>>,
    stage: &Stage,
) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    loop {
        while let Some(message) = decoder.poll().map_err(io::Error::other)? {
            match message {
                Incoming::Text(text) => seen.borrow_mut().read(&text, stage.now()),
                Incoming::Ping(payload) => stream.write_all(&masked_pong(&payload)).await?,
                Incoming::Pong => {}
                Incoming::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        tokio::select! {
            length = stream.read(&mut buffer) => match length? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => {
                    seen.borrow_mut().bytes += length as u64;
                    decoder.receive(&buffer[..length]);
                }
            },
            Some(message) = waiting.recv() => stream.write_all(&message).await?,
        }
    }
}

fn masked_pong(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::from(&websocket::client_text(payload, [0; 4])[..]);
    if let Some(head) = frame.first_mut() {
        *head = 0x8a;
    }
    frame.freeze()
}

impl Seen {
    /// Looks at an event: comments say when they were said, and acknowledgements carry that in the request's id.
    fn read(&mut self, text: &str, now: Duration) {
        let said = |mark: &str| -> Option<Duration> {
            let (_, rest) = text.split_once(mark)?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            Some(Duration::from_nanos(digits.parse().ok()?))
        };
        if text.starts_with(r#"{"type":"comment""#) {
            if let Some(at) = said("said at ").filter(|at| self.counted.contains(at)) {
                self.received += 1;
                self.deliveries.push(now.saturating_sub(at));
            }
        } else if text.starts_with(r#"{"type":"accepted""#) {
            if let Some(at) = said(r#""id":"t"#).filter(|at| self.counted.contains(at)) {
                self.acknowledged += 1;
                self.acknowledgements.push(now.saturating_sub(at));
            }
        } else if text.starts_with(r#"{"type":"refused""#) && self.failures.len() < 10 {
            self.failures.push(text.to_owned());
        }
    }
}

/// Has the talkers talk, in turn.
async fn speak(options: Options, talkers: Vec<Talker>, seen: Rc<RefCell<Seen>>, stage: Rc<Stage>) {
    let comments = saying(
        options.comments,
        &talkers,
        |talker, at| {
            let nanos = at.as_nanos();
            format!(
                r#"{{"type":"comment","id":"t{nanos}","text":"said at {nanos} by one of many in room {}"}}"#,
                talker.room
            )
        },
        &seen,
        &stage,
        true,
    );
    let hearts = saying(
        options.hearts,
        &talkers,
        |_, _| r#"{"type":"react","kind":"❤","count":1}"#.to_owned(),
        &seen,
        &stage,
        false,
    );
    tokio::join!(comments, hearts);
}

async fn saying(
    rate: u32,
    talkers: &[Talker],
    text: impl Fn(&Talker, Duration) -> String,
    seen: &Rc<RefCell<Seen>>,
    stage: &Stage,
    counts: bool,
) {
    if rate == 0 || talkers.is_empty() {
        return;
    }
    let begin = Instant::from_std(clock::monotonic());
    for (number, talker) in talkers.iter().cycle().enumerate() {
        sleep_until(begin + Duration::from_secs(1).mul_f64(number as f64 / f64::from(rate))).await;
        let said_at = stage.now();
        let text = text(talker, said_at);
        // A talker whose connection is gone, or does not take it, says nothing.
        if talker.messages.try_send(websocket::client_text(text.as_bytes(), [7, 1, 9, 3])).is_ok() {
            let mut seen = seen.borrow_mut();
            seen.sent += u64::from(counts && seen.counted.contains(&said_at));
        }
    }
}
