//! The live comment channel: comments, hearts, presence and order, in step with the picture.
//!
//! | | |
//! |---|---|
//! | [`message`], [`event`] | what viewers say and what a room says, as JSON |
//! | [`room`] | the room of a channel: a state machine without sockets, clocks and store |
//! | [`text`], [`tags`], [`names`], [`words`], [`fold`] | what may be said, and by whom |
//! | [`moderation`], [`jury`], [`pace`] | order |
//! | [`sampling`], [`history`] | who reads what, and what somebody who comes back has missed |
//! | [`person`], [`now`], [`random`] | the parameters of it all |

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
pub mod random;
pub mod room;
pub mod sampling;
pub mod tags;
pub mod text;
pub mod words;

pub use config::Config;
