//! Why an image is not taken.

/// Why an image is not taken, in words for the one who handed it in.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Refuses.
pub fn refused(reason: impl Into<String>) -> Refused {
    Refused(reason.into())
}
