//! The live comment channel: comments, hearts, presence and order, in step with the picture.
//!
//! | | |
//! |---|---|
//! | [`message`], [`event`] | what viewers say and what a room says, as JSON: `docs/comments.md` |
//! | [`room`] | the room of a channel: a state machine without sockets, clocks and store |
//! | [`text`], [`tags`], [`names`], [`words`], [`fold`] | what may be said, and by whom |
//! | [`moderation`], [`jury`], [`pace`] | order |
//! | [`sampling`], [`history`] | who reads what, and what somebody who comes back has missed |
//! | [`person`], [`now`] | the parameters of it all |
//! | [`posts`], [`rounds`] | a batch of events as bytes, made once for all viewers; who gets it when |
//! | [`store`], `writer` | how rooms are kept: what was acknowledged is there after a crash |
//! | `admission`, [`voucher`], `key_set` | who is at the door |
//! | `hall`, `line`, `server` | a room with its connections; one viewer's way out; all rooms |
//! | `serve`, `conversation`, `sse` | the routes; WebSocket; event stream and POST |

pub mod config;
pub mod event;
pub mod fold;
pub mod history;
pub mod jury;
pub mod message;
pub mod moderation;
pub mod names;
pub mod now;
pub mod pace;
pub mod person;
pub mod posts;
pub mod room;
pub mod rounds;
pub mod sampling;
pub mod store;
pub mod tags;
pub mod text;
pub mod voucher;
pub mod words;

mod admission;
mod conversation;
mod hall;
mod key_set;
mod line;
mod metrics;
mod serve;
mod server;
mod sse;
mod writer;

pub use config::Config;
pub use room::Air;
use server::Shared;
pub use server::{Channels, Chat, Parts};
pub use store::SqliteChat;
