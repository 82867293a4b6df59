//! Why a job ends before it is done.

use onair::av::worker::ipc::{TooLarge, Unreadable};
use onair::codec::Malformed;

use crate::image::Refused;
use crate::libav;

/// Why a job ends before it is done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The pipe to the server is broken.
    #[error("the pipe: {0}")]
    Link(#[from] std::io::Error),
    /// What the server sends cannot be read.
    #[error("a message: {0}")]
    Unreadable(#[from] Unreadable),
    /// What is to be said is too long.
    #[error("a message: {0}")]
    TooLarge(#[from] TooLarge),
    /// A message that has no place here.
    #[error("{0}")]
    Unexpected(&'static str),
    /// A library does not do what it should.
    #[error("{doing}: {error}")]
    Library {
        /// What was being done.
        doing: &'static str,
        /// What the library says.
        error: libav::Error,
    },
    /// What an encoder gave cannot be read.
    #[error("what the encoder gave: {0}")]
    Malformed(#[from] Malformed),
    /// The input is refused; in words for people.
    #[error("{0}")]
    Refused(String),
    /// The image is not taken.
    #[error(transparent)]
    Image(#[from] Refused),
}

/// Says what was being done when a library failed.
pub trait Doing<T> {
    /// `doing` as in "opening the decoder".
    fn doing(self, doing: &'static str) -> Result<T, JobError>;
}

impl<T> Doing<T> for Result<T, libav::Error> {
    fn doing(self, doing: &'static str) -> Result<T, JobError> {
        self.map_err(|error| {
            if let libav::Error::Other { errno: libc::ENOMEM } = error {
                out_of_memory();
            }
            JobError::Library { doing, error }
        })
    }
}

/// Ends the process as Rust's allocator does when there is no more, so that the server finds one sign for both.
pub fn out_of_memory() -> ! {
    std::alloc::handle_alloc_error(std::alloc::Layout::new::<u8>())
}
