//! Overlays that the server burns in: from the request to the frames that viewers get.
//!
//! | | |
//! |---|---|
//! | [`placement`] | ≈ the formats: where the overlay and the picture go |
//! | [`splice`] | ≈ from the source to the worker's frames and back, on any frame |
//! | [`slots`] | ≈ which slots may be, and what has become of them |
//! | [`Overlays`] | takes slots on, and has them drawn |
//! | `image` | the creative: decoded by a worker |
//! | `driver` | a channel's slots that wait for their time |
//! | `engagement` | its programme, while it is written |
//! | `sharing` | ≈ one worker for the splicers of all variants |

mod config;
mod driver;
mod engagement;
mod image;
mod metrics;
mod overlays;
pub mod placement;
mod sharing;
pub mod slots;
pub mod splice;
mod variant_set;

pub use config::Config;
pub use image::Image;
pub use overlays::{AskError, Overlays, Request, Reserved, Wanted};
pub use variant_set::VariantSet;
