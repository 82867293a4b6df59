//! Media work: what is decoded, worked on and encoded again. Everything else moves what came in as it is.
//!
//! | | |
//! |---|---|
//! | [`audio`] | AAC to Opus, in this process |
//! | [`worker`] | all that needs libav, in a confined process of its own |

pub mod audio;
pub mod worker;
