//! Media work: what is decoded, worked on and encoded again. Everything else moves what came in as it is.
//!
//! | | |
//! |---|---|
//! | [`audio`] | AAC to Opus, in this process |

pub mod audio;
