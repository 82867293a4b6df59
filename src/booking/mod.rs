//! What is booked here: advertisers, their campaigns, and the creatives of those.
//!
//! | | |
//! |---|---|
//! | [`advertiser`] | ≈ who books |
//! | [`campaign`] | ≈ what is booked: the terms that an auction goes by, under a name |
//! | [`creative`] | ≈ what is shown: an image file, looked at by a worker, allowed by the operator |
//! | [`rules`] | ≈ what may be booked: lengths, numbers, addresses |
//! | `register` | ≈ everything as it stands, in memory |
//! | [`store`], `sqlite` | how it is kept |
//! | [`intake`] | what looks at a file before it may be shown |
//! | [`Bookings`] | changes it, and tells auctions what there is |
//!
//! An auction asks memory and never waits for the store; a change is kept first and holds from then on. Files are kept in the
//! database beside what is said of them: they are small (the IAB's limit is 350 kB), are written together with their record or
//! not at all, and are in every backup. All of them are in memory too, within `booking.creative_memory`, so that a slot is never
//! lost to a disk.
//!
//! Money is the ledger's. A campaign that has any, or keeps any back, cannot be deleted.

pub mod advertiser;
mod bookings;
pub mod campaign;
mod config;
pub mod creative;
mod error;
pub mod intake;
mod register;
pub mod rules;
mod sqlite;
pub mod store;

#[cfg(test)]
mod tests;

pub use advertiser::{Advertiser, AdvertiserId};
pub use bookings::{Bookings, Payment, Upload};
pub use campaign::Booking;
pub use config::Config;
pub use creative::{Creative, CreativeFile, CreativeId};
pub use error::{BookingError, Thing};
pub use intake::Intake;
pub use sqlite::SqliteBookings;
pub use store::{BookingStore, BookingStoreError};
