//! WHIP in and WHEP out, over real sockets and real ICE, DTLS and SRTP.

mod continuity;
mod ice;
mod join;
mod lip_sync;
mod loss;
mod matrix;
mod refusals;
mod signalling;
mod stage;

use crate::support::webrtc::driver::Frame;

/// What of a frame must have come through.
fn essence(frame: &Frame) -> Vec<Vec<u8>> {
    crate::support::webrtc::essence(frame.codec, &frame.data)
}
