//! One viewer's line out of a room: what waits for them, and the connection it goes to.
//!
//! A room hands a batch to its viewers one after the other and writes it to their connections as it goes. A viewer's own
//! task runs when the viewer says something, and when the kernel does not take everything at once: to wake a task for
//! every viewer and batch would cost half as much again as the writes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::event::Event;
use super::metrics::Metrics;
use super::posts::{Framing, Posts};
use super::sampling::Reader;
use crate::http::Duplex;
use crate::net::vectored;

/// Slices of batches that go into one write.
const MAX_MERGED: usize = 24;
/// What may wait for one connection beside the room's events. More than anybody needs who comes back; who does not read
/// it has to come back once more.
const MAX_LETTERS: usize = 2 << 20;

/// A viewer's line.
pub(super) struct Line(Mutex<State>);

struct State {
    /// A WebSocket's connection. Event streams have none here: they ask for what is next.
    io: Option<Box<dyn Duplex>>,
    reader: Reader,
    /// The number of the next batch.
    next: u64,
    /// What is for this viewer alone, as JSON.
    letters: VecDeque<Bytes>,
    letters_len: usize,
    /// Batches that are not looked at yet.
    behind: VecDeque<Arc<Posts>>,
    /// Batches that were given up since the viewer was told of some.
    missed: u64,
    /// Framed, on its way to the connection.
    waiting: VecDeque<Bytes>,
    /// Something was written that the connection may keep to itself.
    unflushed: bool,
    /// The connection ends after all this.
    last: bool,
    /// The viewer's task.
    waker: Option<Waker>,
}

/// What a viewer's task is woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// The viewer said so many bytes; 0 is the end of the connection.
    Read(usize),
    /// Everything is written, and nothing is to follow.
    Last,
}

/// What a connection is to be sent.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// In order.
    pub slices: VecDeque<Bytes>,
    /// It ends after that.
    pub last: bool,
}

impl Line {
    /// To somebody who has what this reader has seen, and gets the batches from the number `next` on.
    pub fn new(reader: Reader, next: u64) -> Self {
        Self(Mutex::new(State {
            io: None,
            reader,
            next,
            letters: VecDeque::new(),
            letters_len: 0,
            behind: VecDeque::new(),
            missed: 0,
            waiting: VecDeque::new(),
            unflushed: false,
            last: false,
            waker: None,
        }))
    }

    /// Sends something to this viewer alone, as JSON.
    pub fn put(&self, json: Bytes) {
        let mut state = self.lock();
        state.letters_len += json.len();
        if state.letters_len > MAX_LETTERS {
            state.last = true;
        } else {
            state.letters.push_back(json);
        }
        state.wake();
    }

    /// Ends the connection after what was sent to it.
    pub fn close(&self) {
        let mut state = self.lock();
        state.last = true;
        state.wake();
    }

    /// The viewer became a moderator, or is one no longer.
    pub fn reads_everything(&self, everything: bool) {
        self.lock().reader.reads_everything(everything);
    }

    /// Gives the viewer those batches that are new, and writes them at once if the connection takes them. `first` is the
    /// number of the first. Who is `max_behind` batches behind loses the oldest.
    pub fn deliver(&self, first: u64, batches: &[Arc<Posts>], max_behind: usize, metrics: &Metrics) {
        let mut state = self.lock();
        let known = usize::try_from(state.next.saturating_sub(first)).unwrap_or(usize::MAX);
        let Some(news) = batches.get(known..).filter(|news| !news.is_empty()) else { return };
        state.next = first + batches.len() as u64;
        for posts in news {
            if state.behind.len() >= max_behind {
                state.behind.pop_front();
                state.missed += 1;
            }
            state.behind.push_back(Arc::clone(posts));
        }
        // While something waits for the kernel, the viewer's task is the one that is told when it goes on.
        let written = state.waiting.is_empty()
            && state.io.is_some()
            && matches!(
                state.poll_write(&mut Context::from_waker(Waker::noop()), metrics),
                Poll::Ready(Ok(()))
            );
        if !written {
            state.wake();
        }
    }

    /// Takes a WebSocket's connection over.
    pub fn attach(&self, io: Box<dyn Duplex>) {
        self.lock().io = Some(io);
    }

    /// Gives the connection back, and what has to be written to it before anything else.
    pub fn detach(&self) -> Option<(Box<dyn Duplex>, VecDeque<Bytes>)> {
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting);
        state.io.take().map(|io| (io, waiting))
    }

    /// Sends a frame as it is; the next poll writes it.
    pub fn send(&self, frame: Bytes) {
        self.lock().waiting.push_back(frame);
    }

    /// Writes what waits, and reads once that is done: who does not read is not heard either.
    pub fn poll_talk(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        metrics: &Metrics,
    ) -> Poll<io::Result<Happened>> {
        let mut state = self.lock();
        state.waker = Some(context.waker().clone());
        ready!(state.poll_write(context, metrics))?;
        if state.last {
            return Poll::Ready(Ok(Happened::Last));
        }
        let Some(io) = &mut state.io else { return Poll::Ready(Ok(Happened::Read(0))) };
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(io).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(Happened::Read(buffer.filled().len())))
    }

    /// What to send next, as soon as there is something, where the line has no connection of its own.
    pub fn poll_next(
        &self,
        context: &mut Context<'_>,
        framing: Framing,
        metrics: &Metrics,
    ) -> Poll<Delivery> {
        let mut state = self.lock();
        state.gather(framing, metrics);
        if state.waiting.is_empty() && !state.last {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Delivery { slices: std::mem::take(&mut state.waiting), last: state.last })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ready when all is written.
    fn poll_write(&mut self, context: &mut Context<'_>, metrics: &Metrics) -> Poll<io::Result<()>> {
        loop {
            if self.waiting.is_empty() {
                self.gather(Framing::WebSocket, metrics);
            }
            let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
            if self.waiting.is_empty() {
                if self.unflushed {
                    ready!(Pin::new(io).poll_flush(context))?;
                    self.unflushed = false;
                }
                return Poll::Ready(Ok(()));
            }
            ready!(vectored::poll_write(Pin::new(io), context, &mut self.waiting))?;
            self.unflushed = true;
        }
    }

    /// Frames what is next: letters first, as the welcome comes before the events that follow it; then the batches that
    /// have come, several at once where the viewer or the machine falls behind.
    fn gather(&mut self, framing: Framing, metrics: &Metrics) {
        let mut bytes = BytesMut::new();
        for json in std::mem::take(&mut self.letters) {
            framing.wrap(0, &json, &mut bytes);
        }
        self.letters_len = 0;
        if self.missed > 0 {
            metrics.lagged.inc_by(self.missed);
            framing.wrap(0, &Event::Lagged { missed: self.missed }.json(), &mut bytes);
            self.missed = 0;
        }
        if !bytes.is_empty() {
            self.waiting.push_back(bytes.freeze());
        }
        let mut count = 0;
        while self.waiting.len() < MAX_MERGED
            && let Some(posts) = self.behind.pop_front()
        {
            count += posts.for_reader(&mut self.reader, framing, &mut self.waiting);
        }
        if count > 0 {
            metrics.delivered.inc_by(count as u64);
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::*;
    use crate::chat::message::Seq;
    use crate::chat::person::UserId;
    use crate::chat::sampling::{Audience, Posted};
    use crate::http::websocket::{Decoder, Incoming};

    /// A batch of one event.
    fn batch(seq: Seq) -> Arc<Posts> {
        let json = format!("{{\"n\":{seq}}}").into();
        Arc::new(Posts::new(vec![Arc::new(Posted { seq, json, audience: Audience::Everyone })]))
    }

    /// Of somebody who has had event 1, with a connection that holds so many bytes.
    fn line(holds: usize) -> (Line, DuplexStream) {
        let (near, far) = duplex(holds);
        let line = Line::new(Reader::new(UserId(1), 1, false), 0);
        line.attach(Box::new(near));
        (line, far)
    }

    async fn texts(far: &mut DuplexStream, count: usize) -> Vec<String> {
        let mut decoder = Decoder::for_client(1 << 20);
        let mut texts = Vec::new();
        while texts.len() < count {
            match decoder.poll().unwrap() {
                Some(Incoming::Text(text)) => texts.push(text),
                Some(_) => {}
                None => {
                    let mut buffer = [0; 64];
                    let length = far.read(&mut buffer).await.unwrap();
                    decoder.receive(&buffer[..length]);
                }
            }
        }
        texts
    }

    #[tokio::test]
    async fn a_batch_is_written_without_the_viewers_task_and_after_the_letters() {
        let (line, mut far) = line(1000);
        let metrics = Metrics::default();
        line.put("\"welcome\"".into());
        line.deliver(0, &[batch(1)], 16, &metrics);
        line.deliver(0, &[batch(1), batch(2)], 16, &metrics);
        line.deliver(1, &[batch(2)], 16, &metrics);
        assert_eq!(texts(&mut far, 2).await, ["\"welcome\"", "{\"n\":2}"], "and nothing twice");
        assert_eq!(metrics.delivered.get(), 1);
    }

    #[tokio::test]
    async fn what_the_connection_does_not_take_is_written_by_the_viewers_task() {
        let (line, mut far) = line(8);
        let metrics = Metrics::default();
        (2..30).for_each(|seq| line.deliver(seq - 2, &[batch(seq)], 16, &metrics));
        let read = tokio::join!(texts(&mut far, 18), async {
            line.close();
            let mut buffer = [0; 8];
            poll_fn(|context| line.poll_talk(context, &mut buffer, &metrics)).await.unwrap()
        });
        assert_eq!(read.1, Happened::Last);
        // One was on its way, the last 16 were kept, and those between were given up.
        let expected: Vec<String> = std::iter::once("{\"n\":2}".to_owned())
            .chain(["{\"type\":\"lagged\",\"missed\":11}".to_owned()])
            .chain((14..30).map(|seq| format!("{{\"n\":{seq}}}")))
            .collect();
        assert_eq!(read.0, expected);
        assert_eq!(metrics.lagged.get(), 11);
    }

    #[tokio::test]
    async fn a_viewer_with_more_letters_than_anybody_needs_is_sent_away() {
        let (line, mut far) = line(64 << 10);
        let metrics = Metrics::default();
        let letter = Bytes::from(vec![b' '; MAX_LETTERS / 2 + 1]);
        line.put(letter.clone());
        line.put(letter);
        let mut scrap = Vec::new();
        let happened = async {
            let mut buffer = [0; 8];
            let happened = poll_fn(|context| line.poll_talk(context, &mut buffer, &metrics)).await.unwrap();
            drop(line.detach());
            happened
        };
        let (happened, length) = tokio::join!(happened, far.read_to_end(&mut scrap));
        assert_eq!(happened, Happened::Last);
        assert!(length.unwrap() <= MAX_LETTERS);
    }
}
