//! The media worker: what needs libav happens in `onair-worker`, a confined process that is handed work over a pipe.
//!
//! | | |
//! |---|---|
//! | [`ipc`] | ≈ what server and worker say to each other |
//! | [`Workers`] | the processes: a few that wait, some that work, no more than there may be |
//! | [`Session`] | one job: orders go in and never wait, reports come out |
//! | `process` | one process, from its start to its last words |
//! | `pace` | ≈ whether it works as fast as time goes by |
//! | `returned` | ≈ whether what it gives can be what it was asked for |
//! | [`WorkerConverter`] | conversions, as renditions of the hub |
//!
//! The process is taken for a stranger: it decodes what strangers send, in C. It may crash, hang, or be somebody
//! else's by the time it answers.

pub mod ipc;

mod back_off;
mod config;
mod converter;
mod metrics;
mod pace;
mod process;
mod returned;
mod session;
mod workers;

pub use config::Config;
pub use converter::WorkerConverter;
pub use process::executable;
pub use session::{Lost, Orders, Reports, Session};
pub use workers::{Room, StartError, Workers};
