//! VAST 2.0 to 4.3, as far as overlays (`NonLinear`) go: what an advertisement is made of, and where it leads.
//!
//! | | |
//! |---|---|
//! | [`document`] | a document as it is written: inline advertisements and wrappers |
//! | [`select`] | what of it can be shown in a slot, or the error that its beacons are told |
//! | [`chain`] | wrappers, followed by somebody who fetches |
//! | [`macros`] | `[MACRO]`s in links |
//! | [`error`] | the error codes |
//!
//! Nothing here fetches, and no entity or document type is read. What a document calls for is bounded: see the constants in
//! [`document`], and [`MAX_DOCUMENT`].

pub mod chain;
pub mod document;
pub mod error;
pub mod macros;
pub mod select;
mod xml;

#[cfg(test)]
mod tests;

pub use chain::{Chain, Step};
pub use document::{Ad, Document, NonLinear, Resource};
pub use error::VastError;
pub use macros::Macros;
pub use select::{Overlay, Refusal, Wanted};
pub use xml::MAX_DOCUMENT;

/// How closely a document has to follow the standard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As the standard has it.
    #[default]
    Strict,
    /// Also: any version or none, `&` that is not written `&amp;`, `--` in comments, and images whose `creativeType` is
    /// missing or `image/jpg`, by the end of their link.
    Lenient,
}
