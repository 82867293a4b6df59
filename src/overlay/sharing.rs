//! One worker for the splicers of all variants: one decode, as many encodes as variants are drawn.
//!
//! Each [`Splicer`](super::splice::Splicer) makes one variant and knows nothing of the others. Whoever wants a worker while another
//! has one for the same track gets an output of that, and source frames that it was given already are not given again: all
//! splicers hear the same source in the same order. A worker whose outputs are all stopped gets no more frames; whoever comes
//! then gets a new one. When a worker is lost, it is lost for all who share it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::splice::{Order, Report};
use crate::av::worker::ipc::{FromWorker, OutputId, OverlayId, ToWorker};
use crate::media::{Frame, MediaTime, Track};

/// Names a worker; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkerId(u64);

/// What is to be done with workers, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Todo {
    /// One is to be started, to burn into this track.
    Start(WorkerId, Arc<Track>),
    /// One is to be told something.
    Tell(WorkerId, ToWorker),
    /// One is to be told of a variant's overlay, to be drawn on `[start, end)`.
    Draw { worker: WorkerId, output: OutputId, variant: u8, id: OverlayId, start: MediaTime, end: MediaTime },
    /// One is of no more use.
    End(WorkerId),
}

/// Lets the splicers of all variants share workers.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    workers: Vec<Shared>,
    started: u64,
    opened: u32,
    todo: VecDeque<Todo>,
    news: VecDeque<(u8, Report)>,
}

#[derive(Debug)]
struct Shared {
    id: WorkerId,
    track: Arc<Track>,
    /// Who shares it.
    seats: Vec<Seat>,
    /// Frames that it is to be given, by their decoding times: after whatever else it is told, as pictures are only kept for
    /// those who have said by then that they will want them. One may have to begin further back than another.
    frames: BTreeMap<MediaTime, Frame>,
    /// Decoding time of the newest frame that it was given.
    given: Option<MediaTime>,
    /// Up to which decoding time it has worked off what it was given.
    worked_off: Option<MediaTime>,
    /// It gets no more frames.
    is_ending: bool,
}

/// A variant's output of a worker.
#[derive(Debug)]
struct Seat {
    variant: u8,
    output: OutputId,
    is_stopped: bool,
}

impl Sharing {
    /// What a variant's splicer wants of its worker.
    pub fn order(&mut self, variant: u8, order: Order) {
        match order {
            Order::Start(track) => return self.start(variant, track),
            Order::Abandon => return self.abandon(variant),
            _ => {}
        }
        // The worker may be lost, which the splicer is about to be told.
        let Some((place, seat)) = self.seat(variant) else { return };
        let worker = &mut self.workers[place];
        // One that was told that no frame follows has no more to hear. What it gave may not be heard yet though it is over, and
        // nobody is to take it for lost because of that.
        let is_ending = worker.is_ending;
        if is_ending && order != Order::Drop {
            return;
        }
        let (id, output) = (worker.id, worker.seats[seat].output);
        let message = match order {
            Order::Frame(frame) => {
                if worker.given < Some(frame.dts) {
                    worker.frames.entry(frame.dts).or_insert(frame);
                }
                return;
            }
            Order::Overlay { id: overlay, start, end } => {
                let draw = Todo::Draw { worker: id, output, variant, id: overlay, start, end };
                return self.todo.push_back(draw);
            }
            Order::Cancel { id, at } => ToWorker::Cancel { output, id, at },
            Order::Cut { dts, pts } => ToWorker::Cut { output, dts, pts },
            Order::Stop { before } => {
                worker.seats[seat].is_stopped = true;
                ToWorker::StopOutput { output, before }
            }
            Order::Drop => {
                worker.seats.remove(seat);
                ToWorker::CloseOutput { output }
            }
            Order::Start(_) | Order::Abandon => return,
        };
        if worker.seats.is_empty() {
            return self.end(place);
        }
        if is_ending {
            return;
        }
        self.todo.push_back(Todo::Tell(id, message));
        let worker = &mut self.workers[place];
        if worker.seats.iter().all(|seat| seat.is_stopped) {
            worker.is_ending = true;
            let frames = std::mem::take(&mut worker.frames).into_values().map(ToWorker::Frame);
            let last = frames.chain([ToWorker::Stop { before: MediaTime::MAX }]);
            self.todo.extend(last.map(|message| Todo::Tell(id, message)));
        }
    }

    /// What a worker says; `None` when it is lost.
    pub fn hear(&mut self, worker: WorkerId, said: Option<FromWorker>) {
        // What is said by one that is of no more use may still be on its way.
        let Some(place) = self.workers.iter().position(|shared| shared.id == worker) else { return };
        let shared = &mut self.workers[place];
        let (output, report) = match said {
            Some(FromWorker::Progress { dts }) => {
                shared.worked_off = Some(dts);
                let all = shared.seats.iter().map(|seat| (seat.variant, Report::Progress { dts }));
                return self.news.extend(all);
            }
            Some(FromWorker::OutputTrack { output, track }) => (output, Report::Track(track)),
            Some(FromWorker::OutputFrame { output, frame }) => (output, Report::Frame(frame)),
            Some(FromWorker::Stopped { output }) => (output, Report::Ended),
            Some(FromWorker::Ended) => return self.over(place, &Report::Ended),
            Some(_) | None => return self.over(place, &Report::Lost),
        };
        let seat = shared.seats.iter().find(|seat| seat.output == output);
        self.news.extend(seat.map(|seat| (seat.variant, report)));
    }

    /// The next thing to do, once all splicers have said what they want.
    pub fn poll(&mut self) -> Option<Todo> {
        if let Some(todo) = self.todo.pop_front() {
            return Some(todo);
        }
        self.workers.iter_mut().find_map(|worker| {
            let (dts, frame) = worker.frames.pop_first()?;
            worker.given = Some(dts);
            Some(Todo::Tell(worker.id, ToWorker::Frame(frame)))
        })
    }

    /// The next thing that a variant's splicer is to be told.
    pub fn news(&mut self) -> Option<(u8, Report)> {
        self.news.pop_front()
    }

    fn start(&mut self, variant: u8, track: Arc<Track>) {
        let output = OutputId(self.opened);
        self.opened += 1;
        let seat = Seat { variant, output, is_stopped: false };
        // What it was to be told of the worker that it had before is not meant for this one.
        self.news.retain(|(of, _)| *of != variant);
        let running = self.workers.iter_mut().find(|shared| !shared.is_ending && shared.track == track);
        let id = match running {
            Some(shared) => {
                shared.seats.push(seat);
                // What was worked off before counts for all: most of what this one is about to give.
                let progress = shared.worked_off.map(|dts| (variant, Report::Progress { dts }));
                self.news.extend(progress);
                shared.id
            }
            None => {
                let id = WorkerId(self.started);
                self.started += 1;
                self.todo.push_back(Todo::Start(id, Arc::clone(&track)));
                self.workers.push(Shared {
                    id,
                    track,
                    seats: vec![seat],
                    frames: BTreeMap::new(),
                    given: None,
                    worked_off: None,
                    is_ending: false,
                });
                id
            }
        };
        self.todo.push_back(Todo::Tell(id, ToWorker::Open { output }));
    }

    /// A splicer says that its worker does not do its work: nobody is to rely on it.
    fn abandon(&mut self, variant: u8) {
        if let Some((place, seat)) = self.seat(variant) {
            self.workers[place].seats.remove(seat);
            self.over(place, &Report::Lost);
        }
    }

    /// A worker is over, which all are told who share it.
    fn over(&mut self, place: usize, report: &Report) {
        let seats = std::mem::take(&mut self.workers[place].seats);
        self.news.extend(seats.into_iter().map(|seat| (seat.variant, report.clone())));
        self.end(place);
    }

    fn end(&mut self, place: usize) {
        let ended = self.workers.remove(place);
        self.todo.push_back(Todo::End(ended.id));
    }

    /// The worker of a variant's splicer, and its seat there.
    fn seat(&self, variant: u8) -> Option<(usize, usize)> {
        self.workers.iter().enumerate().find_map(|(place, shared)| {
            Some((place, shared.seats.iter().position(|seat| seat.variant == variant)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{Codec, Params, TrackId, VideoParams};

    fn track(width: u32) -> Arc<Track> {
        let params = Params::Video(VideoParams { width, height: 360, reorder_depth: Some(0) });
        let (id, config) = (TrackId(0), Bytes::new());
        Arc::new(Track { id, group: 0, rank: 0, codec: Codec::H264, config, params })
    }

    fn frame(millis: i64) -> Frame {
        let time = MediaTime::from_millis(millis);
        let payload = Bytes::from_static(b"picture");
        Frame { track: TrackId(0), pts: time, dts: time, keyframe: false, disposable: false, payload }
    }

    fn dts(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    /// What is to be done, in short.
    fn todo(sharing: &mut Sharing) -> String {
        let mut words = Vec::new();
        while let Some(todo) = sharing.poll() {
            words.push(match todo {
                Todo::Start(WorkerId(id), _) => format!("start {id}"),
                Todo::End(WorkerId(id)) => format!("end {id}"),
                Todo::Draw { worker: WorkerId(id), output, variant, .. } => {
                    format!("{id}: draw {variant} in {}", output.0)
                }
                Todo::Tell(WorkerId(id), message) => format!(
                    "{id}: {}",
                    match message {
                        ToWorker::Frame(frame) => format!("frame {}", frame.dts.as_millis()),
                        ToWorker::Open { output } => format!("open {}", output.0),
                        ToWorker::Cut { output, .. } => format!("cut {}", output.0),
                        ToWorker::StopOutput { output, .. } => format!("stop {}", output.0),
                        ToWorker::CloseOutput { output } => format!("close {}", output.0),
                        ToWorker::Stop { .. } => "stop".to_owned(),
                        other => format!("{other:?}"),
                    }
                ),
            });
        }
        words.join(", ")
    }

    fn news(sharing: &mut Sharing) -> Vec<(u8, &'static str)> {
        let word = |report| match report {
            Report::Track(_) => "track",
            Report::Frame(_) => "frame",
            Report::Progress { .. } => "progress",
            Report::Ended => "ended",
            Report::Lost => "lost",
        };
        std::iter::from_fn(|| sharing.news()).map(|(variant, report)| (variant, word(report))).collect()
    }

    /// Two variants that share worker 0, in outputs 0 and 1.
    fn shared() -> Sharing {
        let mut sharing = Sharing::default();
        for variant in 0..2 {
            sharing.order(variant, Order::Start(track(640)));
            sharing.order(variant, Order::Frame(frame(0)));
        }
        assert_eq!(todo(&mut sharing), "start 0, 0: open 0, 0: open 1, 0: frame 0");
        sharing
    }

    #[test]
    fn frames_are_given_once_and_each_is_told_of_its_own_output() {
        let mut sharing = shared();
        for millis in [40, 80] {
            (0..2).for_each(|variant| sharing.order(variant, Order::Frame(frame(millis))));
        }
        assert_eq!(todo(&mut sharing), "0: frame 40, 0: frame 80");
        let (id, pts) = (OverlayId(7), dts(80));
        sharing.order(1, Order::Overlay { id, start: pts, end: pts });
        sharing.order(1, Order::Cut { dts: pts, pts });
        assert_eq!(todo(&mut sharing), "0: draw 1 in 1, 0: cut 1");
        let worker = WorkerId(0);
        sharing.hear(worker, Some(FromWorker::Progress { dts: dts(80) }));
        let output = OutputId(1);
        sharing.hear(worker, Some(FromWorker::OutputTrack { output, track: (*track(640)).clone() }));
        sharing.hear(worker, Some(FromWorker::OutputFrame { output, frame: frame(80) }));
        sharing.hear(worker, Some(FromWorker::OutputFrame { output: OutputId(9), frame: frame(80) }));
        assert_eq!(news(&mut sharing), [(0, "progress"), (1, "progress"), (1, "track"), (1, "frame")]);
    }

    #[test]
    fn who_comes_later_is_told_how_far_the_worker_is_and_gives_only_what_is_new() {
        let mut sharing = Sharing::default();
        sharing.order(0, Order::Start(track(640)));
        (0..5).for_each(|n| sharing.order(0, Order::Frame(frame(n * 40))));
        todo(&mut sharing);
        sharing.hear(WorkerId(0), Some(FromWorker::Progress { dts: dts(120) }));
        news(&mut sharing);
        sharing.order(1, Order::Start(track(640)));
        (2..6).for_each(|n| sharing.order(1, Order::Frame(frame(n * 40))));
        sharing.order(0, Order::Frame(frame(200)));
        assert_eq!(todo(&mut sharing), "0: open 1, 0: frame 200");
        assert_eq!(news(&mut sharing), [(1, "progress")]);
    }

    #[test]
    fn a_worker_ends_when_all_are_stopped_and_who_comes_then_gets_another() {
        let mut sharing = shared();
        sharing.order(0, Order::Stop { before: dts(80) });
        assert_eq!(todo(&mut sharing), "0: stop 0");
        sharing.hear(WorkerId(0), Some(FromWorker::Stopped { output: OutputId(0) }));
        assert_eq!(news(&mut sharing), [(0, "ended")]);
        sharing.order(0, Order::Drop);
        assert_eq!(todo(&mut sharing), "0: close 0");
        // It comes back, while the other goes on.
        sharing.order(0, Order::Start(track(640)));
        sharing.order(0, Order::Stop { before: dts(120) });
        sharing.order(1, Order::Stop { before: dts(120) });
        assert_eq!(todo(&mut sharing), "0: open 2, 0: stop 2, 0: stop 1, 0: stop");
        sharing.order(0, Order::Drop);
        sharing.order(0, Order::Start(track(640)));
        assert_eq!(todo(&mut sharing), "start 1, 1: open 3", "who was told to stop is told no more");
        sharing.hear(WorkerId(0), Some(FromWorker::Ended));
        assert_eq!((news(&mut sharing), todo(&mut sharing)), (vec![(1, "ended")], "end 0".to_owned()));
        sharing.order(1, Order::Drop);
        sharing.order(0, Order::Drop);
        assert_eq!(todo(&mut sharing), "end 1");
    }

    #[test]
    fn the_one_that_is_left_is_stopped_when_the_others_are_gone() {
        let mut sharing = shared();
        sharing.order(0, Order::Stop { before: MediaTime::MAX });
        sharing.order(1, Order::Drop);
        assert_eq!(todo(&mut sharing), "0: stop 0, 0: close 1, 0: stop");
    }

    #[test]
    fn what_is_lost_is_lost_for_all_and_nobody_relies_on_what_one_found_bad() {
        let mut sharing = shared();
        sharing.order(0, Order::Abandon);
        assert_eq!((news(&mut sharing), todo(&mut sharing)), (vec![(1, "lost")], "end 0".to_owned()));
        sharing.order(1, Order::Abandon);
        sharing.order(1, Order::Start(track(640)));
        sharing.order(0, Order::Start(track(640)));
        assert_eq!(todo(&mut sharing), "start 1, 1: open 2, 1: open 3");
        sharing.hear(WorkerId(0), Some(FromWorker::Progress { dts: dts(0) }));
        assert_eq!(news(&mut sharing), [], "of the one before");
        sharing.hear(WorkerId(1), None);
        assert_eq!(news(&mut sharing), [(1, "lost"), (0, "lost")]);
    }

    #[test]
    fn who_takes_over_together_is_known_before_the_frames_and_the_one_furthest_back_has_his_keyframe() {
        let mut sharing = Sharing::default();
        let take_over = |sharing: &mut Sharing, variant, first: i64| {
            sharing.order(variant, Order::Start(track(640)));
            sharing.order(variant, Order::Cut { dts: dts(first), pts: dts(first) });
            (first / 40..5).for_each(|n| sharing.order(variant, Order::Frame(frame(n * 40))));
        };
        take_over(&mut sharing, 0, 120);
        take_over(&mut sharing, 1, 80);
        let told =
            "start 0, 0: open 0, 0: cut 0, 0: open 1, 0: cut 1, 0: frame 80, 0: frame 120, 0: frame 160";
        assert_eq!(todo(&mut sharing), told);
        (0..2).for_each(|variant| sharing.order(variant, Order::Frame(frame(200))));
        sharing.order(0, Order::Stop { before: dts(200) });
        sharing.order(1, Order::Stop { before: dts(200) });
        assert_eq!(todo(&mut sharing), "0: stop 0, 0: stop 1, 0: frame 200, 0: stop", "nothing is left out");
    }

    #[test]
    fn another_track_takes_another_worker() {
        let mut sharing = shared();
        sharing.order(0, Order::Drop);
        sharing.order(0, Order::Start(track(1280)));
        assert_eq!(todo(&mut sharing), "0: close 0, start 1, 1: open 2");
    }
}
