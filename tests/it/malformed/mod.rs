//! What peers and viewers do that they should not. Each test carries the number of its item in the list of bad input
//! (`bN_`), and holds three things: the sender gets a clear answer or is cut off, a counter says so, and a healthy
//! broadcast beside it loses nothing.

mod amf;
mod crowd;
mod dtls;
mod ice;
mod keys;
mod media;
mod parameter_sets;
mod sdp;
mod session;
mod signalling;
mod srtcp;
mod srtp;
mod stage;
mod timing;
mod transport;
