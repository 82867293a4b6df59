//! The processes: a few that wait, some that work, no more than there may be.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::back_off::BackOff;
use super::ipc::{Hello, Job};
use super::metrics::Metrics;
use super::process::{Process, SpawnError, executable};
use super::session::{Lost, Session};
use super::{Config, session};
use crate::metrics;

/// How often the pool looks whether it is still needed.
const LOOK: Duration = Duration::from_secs(1);

/// Gives jobs to processes. Clones are the same.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    runtime: Handle,
    /// The program, or why there is none.
    executable: Result<PathBuf, String>,
    idle: Mutex<VecDeque<Process>>,
    room: Arc<Semaphore>,
    back_off: Mutex<BackOff>,
    /// A process was taken, or came to nothing.
    taken: Notify,
    metrics: Metrics,
}

/// Why a job is not taken on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no worker here.
    #[error("this server has no media worker: {0}")]
    Absent(String),
    /// As many jobs as there may be are running.
    #[error("all {max_jobs} media workers of this server are busy: try again later")]
    Busy {
        /// How many there may be.
        max_jobs: usize,
    },
}

impl Workers {
    /// Begins to start processes.
    ///
    /// # Panics
    /// When it is not called on a runtime.
    pub fn start(config: &Config, metrics: &metrics::Metrics) -> Self {
        let own = Metrics::default();
        own.register(metrics);
        let executable = match config.max_jobs {
            0 => Err("worker.max_jobs is 0".to_owned()),
            _ => executable(config),
        };
        if let Err(reason) = &executable {
            tracing::warn!(reason, "no media worker: no conversion of pictures, no overlay is burned in");
        }
        let inner = Arc::new(Inner {
            config: config.clone(),
            runtime: Handle::current(),
            executable,
            idle: Mutex::default(),
            room: Arc::new(Semaphore::new(config.max_jobs)),
            back_off: Mutex::default(),
            taken: Notify::new(),
            metrics: own,
        });
        if inner.executable.is_ok() {
            tokio::spawn(fill(Arc::downgrade(&inner)));
        }
        Self(inner)
    }

    /// Starts a process, only to hear what it says of itself.
    ///
    /// # Errors
    /// Why it says nothing, in words for people.
    pub async fn ask(config: &Config) -> Result<Hello, String> {
        let started = Process::start(&executable(config)?, config.memory).await;
        started.map(|process| process.hello).map_err(|error| format!("it {error}"))
    }

    /// Whether there is a worker, or why there is none.
    ///
    /// # Errors
    /// The reason, in words for people.
    pub fn available(&self) -> Result<(), StartError> {
        match &self.0.executable {
            Ok(_) => Ok(()),
            Err(reason) => Err(StartError::Absent(reason.clone())),
        }
    }

    /// Gives a job to a process. It returns at once; orders wait until the process is there.
    ///
    /// # Errors
    /// When there is no worker, or no room.
    pub fn give(&self, job: Job) -> Result<Session, StartError> {
        self.reserve().map(|room| room.begin(job))
    }

    /// Room for a job.
    ///
    /// # Errors
    /// When there is no worker, or no room.
    pub fn reserve(&self) -> Result<Room, StartError> {
        self.available()?;
        let max_jobs = self.0.config.max_jobs;
        let Ok(permit) = Arc::clone(&self.0.room).try_acquire_owned() else {
            self.0.metrics.refused.inc();
            return Err(StartError::Busy { max_jobs });
        };
        self.0.metrics.jobs.inc();
        Ok(Room { workers: self.clone(), _permit: permit })
    }

    /// A process that waits, or a new one.
    async fn take(&self) -> Result<Process, SpawnError> {
        loop {
            let waiting = self.0.idle().pop_front();
            self.0.count_idle();
            self.0.taken.notify_one();
            let Some(mut process) = waiting else { break };
            if process.is_alive() {
                return Ok(process);
            }
        }
        let executable = self.0.executable.clone().unwrap_or_default();
        Process::start(&executable, self.0.config.memory).await
    }
}

/// A place among the jobs that may run at a time, for as long as it is held.
#[derive(Debug)]
pub struct Room {
    workers: Workers,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    /// Begins a job. It returns at once; orders wait until a process is there. The job runs on the runtime that the workers were
    /// started on, whoever begins it.
    pub fn begin(self, job: Job) -> Session {
        let inner = Arc::clone(&self.workers.0);
        inner.metrics.started.inc();
        let (session, task) = session::begin(self, job, inner.config.stall_timeout);
        inner.runtime.spawn(task);
        session
    }

    /// A process for the job.
    pub(super) async fn process(&self) -> Result<Process, SpawnError> {
        self.workers.take().await
    }

    /// The job ended as it should.
    pub(super) fn done(&self) {
        self.workers.0.back_off().succeeded();
    }

    /// The job was lost.
    pub(super) fn lost(&self, lost: &Lost) {
        self.workers.0.metrics.lost(lost.label());
        if lost.is_the_worker_s() {
            self.workers.0.back_off().failed();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.workers.0.metrics.jobs.dec();
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, VecDeque<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn back_off(&self) -> MutexGuard<'_, BackOff> {
        self.back_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_idle(&self) {
        self.metrics.idle.set(self.idle().len() as i64);
    }
}

/// Keeps as many processes waiting as there shall be, as long as somebody may need them.
async fn fill(inner: Weak<Inner>) {
    let mut told = false;
    loop {
        let Some(strong) = inner.upgrade() else { return };
        if strong.idle().len() >= strong.config.pool {
            let taken = strong.clone();
            drop(strong);
            // Woken at the latest when the last clone is about to go: that takes no process and needs no waking.
            tokio::select! {
                () = taken.taken.notified() => {}
                () = sleep(LOOK) => {}
            }
            continue;
        }
        let delay = strong.back_off().delay();
        let Ok(executable) = strong.executable.clone() else { return };
        let memory = strong.config.memory;
        drop(strong);
        sleep(delay).await;
        let started = Process::start(&executable, memory).await;
        let Some(strong) = inner.upgrade() else { return };
        match started {
            Ok(process) => {
                if !std::mem::replace(&mut told, true) {
                    tell(&process);
                }
                strong.idle().push_back(process);
                strong.count_idle();
            }
            Err(error) => {
                tracing::error!(%error, program = %executable.display(), "a media worker did not start");
                strong.back_off().failed();
            }
        }
    }
}

/// Says once what the first process said of itself.
fn tell(process: &Process) {
    let hello = &process.hello;
    let confinement = hello.confinement;
    tracing::info!(libraries = hello.libraries, ?confinement, "media workers are ready");
    for lacking in confinement.lacking() {
        tracing::warn!("the kernel does not confine media workers by {lacking}: the other walls hold");
    }
}
