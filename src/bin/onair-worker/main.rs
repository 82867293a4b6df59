//! `onair-worker`: the confined process in which everything happens that needs libav, or decodes a stranger's images.
//!
//! | | |
//! |---|---|
//! | `confine` | no files, no network, no programs, so much memory; then the first byte of input |
//! | `link` | messages in, messages out |
//! | `convert`, `burn_in`, `image` | the jobs |
//! | `picture`, `sound` | decoders and encoders |
//! | `overlay` | ≈ sprites and squeezed pictures, drawn into a picture |
//!
//! The server starts it, with its messages on standard input and output: see [`onair::av::worker::ipc`].

mod burn_in;
mod confine;
mod convert;
mod error;
mod image;
mod link;
mod overlay;
mod picture;
mod sound;

use std::process::ExitCode;

use ffmpeg_the_third as libav;
use onair::av::worker::ipc::{FromWorker, Hello, Job, ToWorker, VERSION};

use error::JobError;
use link::Link;

/// Said where somebody starts it by hand.
const USAGE: &str = "onair-worker is started by onair. `onair-worker prove file|socket|program|process|memory` confines \
                     itself, then tries that, and must not succeed.";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(command), Some(argument)) = (arguments.next(), arguments.next()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match (command.as_str(), argument.parse()) {
        ("serve", Ok(memory)) => serve(memory),
        ("prove", _) => confine::prove(&argument),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Does one job with at most so many bytes of memory.
fn serve(memory: u64) -> ExitCode {
    let mut link = Link::open();
    // What it has to say about broken input nobody wants to read a hundred times a second.
    libav::log::set_level(libav::log::Level::Quiet);
    let confinement = match confine::confine(memory) {
        Ok(confinement) => confinement,
        Err(error) => {
            eprintln!("cannot be confined: {error}");
            return ExitCode::FAILURE;
        }
    };
    let hello = Hello { version: VERSION, confinement, libraries: libraries() };
    let done = link.say(&FromWorker::Hello(hello)).and_then(|()| work(&mut link));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody is there to be told.
        Err(JobError::Link(error)) => {
            eprintln!("the server is gone: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            // Where that fails, the exit code tells.
            let _ = link.say(&FromWorker::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn work(link: &mut Link) -> Result<(), JobError> {
    let job = match link.next()? {
        Some(ToWorker::Start(job)) => job,
        Some(_) => return Err(JobError::Unexpected("a message before the job")),
        // The server does not need this one any more.
        None => return Ok(()),
    };
    match job {
        Job::Convert(job) => convert::run(link, job)?,
        Job::BurnIn(job) => burn_in::run(link, job)?,
        Job::Image(job) => link.say(&FromWorker::Sprite(image::decode(&job)?))?,
        _ => return Err(JobError::Unexpected("a job of another version")),
    }
    link.say(&FromWorker::Ended)?;
    Ok(())
}

/// Their versions, for people.
fn libraries() -> String {
    let version = libav::codec::version();
    format!("libavcodec {}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff)
}
