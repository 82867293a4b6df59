//! A ring with one writer and any number of readers at their own pace.
//!
//! The writer never waits. A reader that falls out of the ring is put on the newest join point and told how much it
//! missed. Readers are woken when the writer says so, not at every item: a wake-up a reader and item is the largest
//! cost of a relay after the send itself.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::ring::{Budget, Ring, Slot};
use crate::media::MediaTime;

/// The writing and joining end of a feed.
#[derive(Debug)]
pub struct Feed<T, P> {
    shared: Arc<Mutex<Shared<T, P>>>,
}

impl<T, P> Clone for Feed<T, P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// A way that a feed may be forked: a feed has one fork of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch(pub u8);

/// Where a reader begins. One who falls behind always goes on at the newest join point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the newest join point: for those who watch.
    #[default]
    Newest,
    /// At the oldest join point in memory: for those who make something of the stream.
    Oldest,
    /// At the newest join point not later than this, else at the oldest: for those who go on where others had to leave off.
    At(MediaTime),
}

/// A place in a feed.
#[derive(Debug)]
pub struct Reader<T, P> {
    shared: Arc<Mutex<Shared<T, P>>>,
    /// Where the feed is forked so, this reader goes on in the fork.
    follows: Option<Branch>,
    start: Start,
    /// The next item to read; `None` until a join point was found.
    next: Option<u64>,
    /// Index into `Shared::parked`.
    slot: usize,
}

/// What a reader gets at a time.
#[derive(Debug)]
pub struct Read<T, P> {
    /// Set when the reader begins here, or begins again after it fell behind.
    pub join: Option<Join<P>>,
    /// The items, oldest first; never empty unless the feed is closed.
    pub items: Vec<T>,
    /// No item will follow.
    pub closed: bool,
}

/// The present end of a feed.
#[derive(Debug)]
pub struct Tail<T, P> {
    /// What was written since the newest join point, with its preamble.
    pub since_join: Option<(P, Vec<T>)>,
    /// Begins after it.
    pub reader: Reader<T, P>,
}

/// A beginning.
#[derive(Debug)]
pub struct Join<P> {
    /// What to know before the first item.
    pub preamble: P,
    /// Items that this reader missed since it last read.
    pub missed: u64,
}

#[derive(Debug)]
struct Shared<T, P> {
    ring: Ring<T, P>,
    parked: Vec<Parked>,
    /// Indices of `parked` that wait to be woken.
    waiting: Vec<usize>,
    /// Indices of `parked` that no reader uses.
    vacant: Vec<usize>,
    closed: bool,
    forks: Vec<(Branch, Arc<Mutex<Self>>)>,
}

#[derive(Debug, Default)]
struct Parked {
    waker: Option<Waker>,
    waiting: bool,
}

impl<T: Clone, P: Clone> Feed<T, P> {
    /// An empty feed.
    pub fn new(budget: Budget) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared::new(Ring::new(budget)))) }
    }

    /// A feed that has all that this one has, and goes its own way from here on. Readers that follow this branch move there;
    /// the others stay.
    pub fn fork(&self, branch: Branch) -> Self {
        let fork = {
            let mut shared = lock(&self.shared);
            let fork = Arc::new(Mutex::new(Shared::new(shared.ring.clone())));
            shared.forks.push((branch, Arc::clone(&fork)));
            fork
        };
        self.wake();
        Self { shared: fork }
    }

    /// Appends an item. Readers see it at the next [`wake`](Self::wake), or earlier if they look.
    pub fn push(&self, slot: Slot<T, P>) {
        lock(&self.shared).ring.push(slot);
    }

    /// Wakes all readers that wait.
    pub fn wake(&self) {
        let wakers: Vec<Waker> = {
            let mut shared = lock(&self.shared);
            let Shared { parked, waiting, .. } = &mut *shared;
            waiting
                .drain(..)
                .filter_map(|index| {
                    parked[index].waiting = false;
                    parked[index].waker.clone()
                })
                .collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says that no item will follow, and wakes all readers.
    pub fn close(&self) {
        lock(&self.shared).closed = true;
        self.wake();
    }

    /// Whether no item will follow.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared).closed
    }

    /// A reader that begins at a join point, or waits for the first.
    pub fn reader(&self, start: Start) -> Reader<T, P> {
        let slot = lock(&self.shared).place();
        Reader { shared: Arc::clone(&self.shared), follows: None, start, next: None, slot }
    }

    /// The same, and where the feed is forked so, the reader goes on in the fork.
    pub fn following_reader(&self, start: Start, branch: Branch) -> Reader<T, P> {
        let mut reader = self.reader(start);
        reader.follows = Some(branch);
        reader
    }

    /// What is there now, and a reader of what comes.
    pub fn tail(&self) -> Tail<T, P> {
        let mut reader = self.reader(Start::Newest);
        let shared = lock(&self.shared);
        reader.next = Some(shared.ring.end());
        let since_join = shared.ring.newest_join().and_then(|join| {
            let preamble = shared.ring.slot(join)?.preamble.clone()?;
            let items = shared.ring.range(join, usize::MAX).map(|slot| slot.value.clone());
            Some((preamble, items.collect()))
        });
        drop(shared);
        Tail { since_join, reader }
    }
}

impl<T: Clone, P: Clone> Reader<T, P> {
    /// Up to `limit` items, as soon as there is one. Cancel-safe.
    pub async fn read(&mut self, limit: usize) -> Read<T, P> {
        poll_fn(|context| self.poll_read(context, limit)).await
    }

    /// The polling form of [`read`](Self::read).
    pub fn poll_read(&mut self, context: &mut Context<'_>, limit: usize) -> Poll<Read<T, P>> {
        self.follow();
        let mut shared = lock(&self.shared);
        let ring = &shared.ring;
        let join = match self.next {
            Some(next) if next >= ring.first() => None,
            lost => match (lost, self.start) {
                (None, Start::Oldest) => ring.oldest_join(),
                (None, Start::At(time)) => ring.join_at(time),
                _ => ring.newest_join(),
            }
            .and_then(|sequence| {
                let missed = lost.map_or(0, |next| sequence - next);
                self.next = Some(sequence);
                let preamble = ring.slot(sequence)?.preamble.clone()?;
                Some(Join { preamble, missed })
            }),
        };
        if let Some(next) = self.next.filter(|&next| next >= ring.first() && next < ring.end()) {
            let items: Vec<T> = ring.range(next, limit).map(|slot| slot.value.clone()).collect();
            self.next = Some(next + items.len() as u64);
            return Poll::Ready(Read { join, items, closed: false });
        }
        if shared.closed {
            return Poll::Ready(Read { join, items: Vec::new(), closed: true });
        }
        shared.park(self.slot, context.waker());
        Poll::Pending
    }

    /// Goes on in another feed, behind the item there that is the same as the newest one read here; `false` when there is
    /// none (yet).
    pub fn go_over(&mut self, to: &mut Self, is_same: impl Fn(&T, &T) -> bool) -> bool {
        // Never both locks at once: somebody may be on the way from there to here.
        let newest = self.next.and_then(|next| {
            let shared = lock(&self.shared);
            shared.ring.slot(next.checked_sub(1)?).map(|slot| (slot.value.clone(), slot.time))
        });
        let Some((value, time)) = newest else { return false };
        let read = lock(&to.shared).ring.find_last(time, |other| is_same(&value, other));
        let Some(read) = read else { return false };
        to.next = Some(read + 1);
        std::mem::swap(self, to);
        true
    }
}

impl<T, P> Reader<T, P> {
    /// Whether all that was written was read.
    pub fn is_at_end(&self) -> bool {
        self.next == Some(lock(&self.shared).ring.end())
    }

    /// Moves to the fork that it follows, if there is one: what is in both has the same numbers in both.
    fn follow(&mut self) {
        let Some(branch) = self.follows else { return };
        let fork = {
            let mut shared = lock(&self.shared);
            let fork = shared.forks.iter().find(|(of, _)| *of == branch).map(|(_, fork)| Arc::clone(fork));
            let Some(fork) = fork else { return };
            shared.leave(self.slot);
            fork
        };
        self.follows = None;
        self.slot = lock(&fork).place();
        self.shared = fork;
    }
}

impl<T, P> Shared<T, P> {
    const fn new(ring: Ring<T, P>) -> Self {
        Self {
            ring,
            parked: Vec::new(),
            waiting: Vec::new(),
            vacant: Vec::new(),
            closed: false,
            forks: Vec::new(),
        }
    }

    /// A place for a reader.
    fn place(&mut self) -> usize {
        self.vacant.pop().unwrap_or_else(|| {
            self.parked.push(Parked::default());
            self.parked.len() - 1
        })
    }

    /// A reader needs its place no more.
    fn leave(&mut self, index: usize) {
        // The index may still stand in `waiting`: the next reader that gets it is then woken once for nothing.
        self.parked[index].waker = None;
        self.vacant.push(index);
    }

    fn park(&mut self, index: usize, waker: &Waker) {
        let parked = &mut self.parked[index];
        if !parked.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            parked.waker = Some(waker.clone());
        }
        if !parked.waiting {
            parked.waiting = true;
            self.waiting.push(index);
        }
    }
}

impl<T, P> Drop for Reader<T, P> {
    fn drop(&mut self) {
        lock(&self.shared).leave(self.slot);
    }
}

/// A panic while the lock was held cannot leave a ring half changed: every change is made by code that does not panic.
fn lock<T, P>(shared: &Mutex<Shared<T, P>>) -> MutexGuard<'_, Shared<T, P>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(items: usize) -> Feed<u32, &'static str> {
        Feed::new(Budget { window: MediaTime::ZERO, bytes: usize::MAX, items })
    }

    fn slot(value: u32, key: bool) -> Slot<u32, &'static str> {
        let time = MediaTime::from_millis(i64::from(value));
        Slot { value, time, bytes: 1, preamble: key.then_some("tracks") }
    }

    fn poll(reader: &mut Reader<u32, &'static str>, limit: usize) -> Poll<Read<u32, &'static str>> {
        reader.poll_read(&mut Context::from_waker(Waker::noop()), limit)
    }

    #[test]
    fn a_reader_begins_at_the_newest_join_point() {
        let feed = feed(100);
        for (value, key) in [(0, true), (1, false), (2, true), (3, false)] {
            feed.push(slot(value, key));
        }
        let mut reader = feed.reader(Start::Newest);
        let Poll::Ready(read) = poll(&mut reader, 10) else { panic!("nothing to read") };
        assert_eq!(read.items, [2, 3]);
        assert_eq!(read.join.map(|join| (join.preamble, join.missed)), Some(("tracks", 0)));
        assert!(poll(&mut reader, 10).is_pending());
    }

    #[test]
    fn one_who_makes_something_of_the_stream_begins_at_the_oldest_join_point() {
        let feed = Feed::new(Budget { window: MediaTime::MAX, bytes: usize::MAX, items: 100 });
        for (value, key) in [(0, false), (1, true), (2, false), (3, true)] {
            feed.push(slot(value, key));
        }
        let mut reader = feed.reader(Start::Oldest);
        assert!(matches!(poll(&mut reader, 10), Poll::Ready(read) if read.items == [1, 2, 3]));
    }

    #[test]
    fn a_reader_waits_for_the_first_join_point() {
        let feed = feed(100);
        feed.push(slot(0, false));
        let mut reader = feed.reader(Start::Newest);
        assert!(poll(&mut reader, 10).is_pending());
        feed.push(slot(1, true));
        assert!(
            matches!(poll(&mut reader, 10), Poll::Ready(read) if read.items == [1] && read.join.is_some())
        );
    }

    #[test]
    fn a_reader_that_falls_behind_stands_at_the_newest_join_point_and_is_told() {
        let feed = feed(4);
        feed.push(slot(0, true));
        let mut reader = feed.reader(Start::Newest);
        assert!(poll(&mut reader, 10).is_ready());
        for value in 1..20 {
            feed.push(slot(value, value % 3 == 0));
        }
        let Poll::Ready(read) = poll(&mut reader, 10) else { panic!("nothing to read") };
        assert_eq!(read.items, [18, 19]);
        assert_eq!(read.join.map(|join| join.missed), Some(17));
    }

    #[test]
    fn limits_and_closing_lose_nothing() {
        let feed = feed(100);
        for value in 0..5 {
            feed.push(slot(value, value == 0));
        }
        let mut reader = feed.reader(Start::Newest);
        feed.close();
        let mut seen = Vec::new();
        loop {
            let Poll::Ready(read) = poll(&mut reader, 2) else { panic!("a closed feed never waits") };
            assert!(read.items.len() <= 2);
            seen.extend(read.items);
            if read.closed {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_fork_has_all_that_was_and_those_who_follow_go_on_in_it() {
        let feed = feed(100);
        let mut follows = feed.following_reader(Start::Newest, Branch(1));
        let mut follows_another = feed.following_reader(Start::Newest, Branch(2));
        let mut stays = feed.reader(Start::Newest);
        (0..4).for_each(|value| feed.push(slot(value, value == 0)));
        for reader in [&mut follows, &mut follows_another, &mut stays] {
            assert!(matches!(poll(reader, 2), Poll::Ready(read) if read.items == [0, 1]));
        }
        let fork = feed.fork(Branch(1));
        fork.push(slot(10, false));
        feed.push(slot(20, false));
        assert!(
            matches!(poll(&mut follows, 10), Poll::Ready(read) if read.items == [2, 3, 10] && read.join.is_none())
        );
        for reader in [&mut stays, &mut follows_another] {
            assert!(matches!(poll(reader, 10), Poll::Ready(read) if read.items == [2, 3, 20]));
        }
        let mut joins = fork.reader(Start::Newest);
        assert!(matches!(poll(&mut joins, 10), Poll::Ready(read) if read.items == [0, 1, 2, 3, 10]));
        assert!(follows.is_at_end() && stays.is_at_end());
        fork.push(slot(11, false));
        assert!(!follows.is_at_end() && stays.is_at_end());
        assert_eq!(lock(&feed.shared).vacant.len(), 1, "the place of the one who went is free");
    }

    #[test]
    fn a_reader_goes_over_where_both_feeds_have_the_same_and_misses_nothing() {
        let (one, other) = (feed(100), feed(100));
        let mut reader = one.reader(Start::Newest);
        let mut goal = other.reader(Start::Newest);
        (0..4).for_each(|value| one.push(slot(value, value == 0)));
        assert!(matches!(poll(&mut reader, 3), Poll::Ready(read) if read.items == [0, 1, 2]));
        assert!(!reader.go_over(&mut goal, PartialEq::eq), "the other has not come so far");
        // The other has had more items, and others at first.
        for value in [7, 7, 0, 1] {
            other.push(slot(value, value == 0));
        }
        assert!(!reader.go_over(&mut goal, PartialEq::eq));
        (2..6).for_each(|value| other.push(slot(value, false)));
        assert!(!reader.go_over(&mut goal, |_, _| false), "it is not the same");
        assert!(reader.go_over(&mut goal, PartialEq::eq));
        assert!(
            matches!(poll(&mut reader, 10), Poll::Ready(read) if read.items == [3, 4, 5] && read.join.is_none())
        );
    }

    #[tokio::test]
    async fn those_who_sleep_wake_up_in_the_fork() {
        let feed = feed(100);
        let mut reader = feed.following_reader(Start::Newest, Branch(1));
        let sleeper = tokio::spawn(async move { reader.read(10).await.items });
        tokio::task::yield_now().await;
        let fork = feed.fork(Branch(1));
        tokio::task::yield_now().await;
        fork.push(slot(7, true));
        fork.wake();
        assert_eq!(sleeper.await.unwrap(), [7]);
    }

    #[test]
    fn a_tail_is_what_somebody_who_joins_would_get() {
        let feed = feed(100);
        let Tail { since_join, mut reader } = feed.tail();
        assert!(since_join.is_none() && poll(&mut reader, 10).is_pending());
        feed.push(slot(0, false));
        assert!(
            matches!(poll(&mut reader, 10), Poll::Ready(read) if read.items == [0] && read.join.is_none())
        );
        (1..4).for_each(|value| feed.push(slot(value, value == 2)));
        let Tail { since_join, mut reader } = feed.tail();
        assert_eq!(since_join, Some(("tracks", vec![2, 3])));
        assert!(poll(&mut reader, 10).is_pending());
    }

    #[tokio::test]
    async fn readers_sleep_until_they_are_woken() {
        let feed = feed(100);
        let mut readers: Vec<_> = (0..3).map(|_| feed.reader(Start::Newest)).collect();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let mut reader = readers.pop().unwrap();
                tokio::spawn(async move { reader.read(10).await.items })
            })
            .collect();
        tokio::task::yield_now().await;
        feed.push(slot(7, true));
        feed.wake();
        for task in tasks {
            assert_eq!(task.await.unwrap(), [7]);
        }
        // Their places are free again, and are taken again.
        let _again: Vec<_> = (0..3).map(|_| feed.reader(Start::Newest)).collect();
        assert_eq!(lock(&feed.shared).parked.len(), 3);
    }
}
