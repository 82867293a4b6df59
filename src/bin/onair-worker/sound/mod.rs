//! Sound: what the server itself does not decode, to Opus or AAC.

mod aac;
mod convert;
mod decoder;

pub use convert::Sound;
