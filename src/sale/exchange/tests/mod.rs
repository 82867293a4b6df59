//! Real bidders and those who serve for them, on the loopback address: good, late, hung, endless, hostile.

mod asking;
mod connecting;
mod fetching;
mod stage;
mod telling;
