//! The media worker: what needs libav happens in `onair-worker`, a confined process that is handed work over a pipe.
//!
//! | | |
//! |---|---|
//! | [`ipc`] | ≈ what server and worker say to each other |

pub mod ipc;
