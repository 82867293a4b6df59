//! All viewers of one stream: how they come, and how they fared.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep_until};

use super::crowd::Crowd;
use super::player;
use super::samples::Samples;
use super::stage::{Record, Stage};
use super::viewer::{self, Destination, Protocol};
use super::whep::{self, SharedInbox};
use crate::clock;

/// How the stream is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// An endless stream of bytes.
    Stream(Protocol),
    /// Low-latency HLS.
    Hls,
    /// WebRTC.
    Whep,
}

/// All viewers of one stream.
pub struct Audience {
    destination: Rc<Destination>,
    output: Output,
    stage: Rc<Stage>,
    /// Those whose every picture is looked at.
    thorough: Vec<Rc<RefCell<Record>>>,
    /// Other players of HLS, and other viewers over WHEP.
    casual: Vec<Rc<RefCell<Record>>>,
    /// Other viewers of a stream of bytes.
    crowd: Crowd,
    /// Why some never came into the crowd.
    not_served: Rc<RefCell<Vec<String>>>,
    /// Where viewers over WHEP receive.
    inbox: SharedInbox,
    tasks: Vec<JoinHandle<()>>,
}

/// How the audience fared.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Viewers who saw everything.
    pub ok: usize,
    /// Why the others did not, with how many each.
    pub failures: Vec<String>,
    /// Times to join.
    pub joins: Samples,
    /// Ages of the newest picture a second after the join.
    pub edges: Samples,
    /// Delays of pictures or parts.
    pub delays: Samples,
    /// Pictures that did not arrive, in percent of those that should have.
    pub lost_percent: Option<f64>,
}

impl Audience {
    /// Nobody yet.
    pub fn new(destination: Destination, output: Output, stage: &Rc<Stage>) -> Self {
        Self {
            destination: Rc::new(destination),
            output,
            stage: Rc::clone(stage),
            thorough: Vec::new(),
            casual: Vec::new(),
            crowd: Crowd::default(),
            not_served: Rc::default(),
            inbox: SharedInbox::default(),
            tasks: Vec::new(),
        }
    }

    /// Lets the viewers with these numbers come, `joins` a second; of every `every`, one is thorough.
    pub async fn arrive(&mut self, numbers: Range<usize>, joins: u32, every: usize) {
        let begin = Instant::from_std(clock::monotonic());
        for (place, number) in numbers.enumerate() {
            sleep_until(begin + Duration::from_secs(1).mul_f64(place as f64 / f64::from(joins))).await;
            let is_thorough = number.is_multiple_of(every);
            let task = match self.output {
                Output::Stream(protocol) if is_thorough => self.watch(protocol, number),
                Output::Stream(protocol) => self.join_crowd(protocol, number),
                Output::Hls => self.play(number, is_thorough),
                Output::Whep => self.watch_whep(number, is_thorough),
            };
            self.tasks.push(task);
        }
    }

    fn watch(&mut self, protocol: Protocol, number: usize) -> JoinHandle<()> {
        let record = new_record(&mut self.thorough);
        let (destination, stage) = (Rc::clone(&self.destination), Rc::clone(&self.stage));
        spawn_local(async move {
            let ended = viewer::watch(&destination, protocol, number, &record, &stage).await;
            record.borrow_mut().failure = ended.err().map(|error| error.to_string());
        })
    }

    fn join_crowd(&self, protocol: Protocol, number: usize) -> JoinHandle<()> {
        let (destination, stage) = (Rc::clone(&self.destination), Rc::clone(&self.stage));
        let (crowd, not_served) = (self.crowd.clone(), Rc::clone(&self.not_served));
        spawn_local(async move {
            if let Err(error) = viewer::join(&destination, protocol, number, &crowd, &stage).await {
                not_served.borrow_mut().push(error.to_string());
            }
        })
    }

    fn play(&mut self, number: usize, is_thorough: bool) -> JoinHandle<()> {
        let record = new_record(if is_thorough { &mut self.thorough } else { &mut self.casual });
        let (destination, stage) = (Rc::clone(&self.destination), Rc::clone(&self.stage));
        spawn_local(async move {
            let ended = player::watch(&destination, number, is_thorough, &record, &stage).await;
            record.borrow_mut().failure = ended.err().map(|error| error.to_string());
        })
    }

    fn watch_whep(&mut self, number: usize, is_thorough: bool) -> JoinHandle<()> {
        let record = new_record(if is_thorough { &mut self.thorough } else { &mut self.casual });
        let (destination, stage) = (Rc::clone(&self.destination), Rc::clone(&self.stage));
        let inbox = Rc::clone(&self.inbox);
        spawn_local(async move {
            let ended = whep::watch(&destination, number, is_thorough, &record, &inbox, &stage).await;
            record.borrow_mut().failure = ended.err().map(|error| error.to_string());
        })
    }

    /// Bytes on the wire so far, of all.
    pub fn bytes(&self) -> u64 {
        self.crowd.bytes() + self.records().map(|record| record.borrow().bytes).sum::<u64>()
    }

    /// The interval that counts begins.
    pub fn begin(&self) {
        let now = self.stage.now();
        self.crowd.begin(now);
        self.records().for_each(|record| record.borrow_mut().last_progress = now);
        self.stage.begin();
    }

    /// The interval that counts ends.
    pub fn end(&self) {
        let now = self.stage.now();
        self.records().for_each(|record| record.borrow_mut().progress(now, &self.stage));
        self.crowd.end(now, &self.stage);
        self.stage.end();
        if self.output != Output::Hls {
            // What arrives from now on was sent before, so bytes can be compared. A part is only complete when the
            // next picture comes.
            self.stage.pause();
        }
    }

    /// How all fared, when `published` bytes were sent in the interval that counts.
    pub fn outcome(&self, published: u64) -> Outcome {
        let mut outcome = Outcome::default();
        let mut failures: BTreeMap<String, usize> = BTreeMap::new();
        let mut fail =
            |reason: &str, number: usize| *failures.entry(reason.to_owned()).or_default() += number;

        let mut frames = 0;
        for record in &self.thorough {
            let record = record.borrow();
            outcome.delays.extend(&record.delays);
            frames += record.frames;
            match record.verdict(&self.stage) {
                None => outcome.ok += 1,
                Some(reason) => fail(reason, 1),
            }
        }
        for record in &self.casual {
            let record = record.borrow();
            let lack = match self.output {
                // They count every picture.
                Output::Whep => record.verdict(&self.stage),
                _ => record.steadiness(),
            };
            match lack {
                None => outcome.ok += 1,
                Some(reason) => fail(reason, 1),
            }
        }
        for record in self.records() {
            let record = record.borrow();
            record.joined.into_iter().for_each(|joined| outcome.joins.push(joined));
            record.edge.into_iter().for_each(|edge| outcome.edges.push(edge));
        }

        let tally = self.crowd.tally(published);
        outcome.ok += tally.ok;
        for (reason, number) in [
            ("lost the connection", tally.gone),
            ("stalled", tally.stalled),
            ("got too few bytes", tally.short),
        ] {
            if number > 0 {
                fail(reason, number);
            }
        }
        self.not_served.borrow().iter().for_each(|reason| fail(reason, 1));

        let counted = self.stage.counted();
        let expected = (counted.end - counted.start) as f64 * self.thorough.len() as f64;
        outcome.lost_percent = (expected > 0.0).then(|| 100.0 * (1.0 - frames as f64 / expected));
        outcome.failures = failures.iter().map(|(reason, number)| format!("{number} x {reason}")).collect();
        outcome
    }

    fn records(&self) -> impl Iterator<Item = &Rc<RefCell<Record>>> {
        self.thorough.iter().chain(&self.casual)
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn new_record(records: &mut Vec<Rc<RefCell<Record>>>) -> Rc<RefCell<Record>> {
    let record: Rc<RefCell<Record>> = Rc::default();
    records.push(Rc::clone(&record));
    record
}
