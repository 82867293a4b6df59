//! The splicer without a codec: sources of many kinds, model workers, a virtual clock.

mod changes;
mod failures;
mod model;
mod random;
mod random_slots;
mod slots;
mod source;
mod stage;
