//! The splicer without a codec: sources of many kinds, model workers, a virtual clock.

mod changes;
mod failures;
mod model;
mod programme;
mod random;
mod random_slots;
mod shared;
mod shared_history;
mod shared_stage;
mod shared_worker;
mod slots;
mod source;
mod stage;
