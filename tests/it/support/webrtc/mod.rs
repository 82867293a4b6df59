//! WebRTC peers: they publish over WHIP and watch over WHEP, with the library's ICE, DTLS and RTP on their side.
//!
//! A peer lives in a task of its own, so that it answers while the test waits for somebody else; what it sees comes to
//! the test in order. Nothing in it is the server's code but the sealing of packets that a test makes by hand.

pub mod driver;
pub mod keys;
pub mod player;
pub mod publisher;
pub mod recording;
pub mod session;
pub mod signalling;
pub mod stun;

pub use player::WhepPlayer;
pub use publisher::WhipPublisher;
pub use recording::{Recording, Unit, essence};
pub use session::Options;
pub use signalling::Resource;
