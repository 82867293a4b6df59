//! Overlays that the server burns in: from the request to the frames that viewers get.
//!
//! | | |
//! |---|---|
//! | [`placement`] | ≈ the formats: where the overlay and the picture go |
//! | [`splice`] | ≈ from the source to the worker's frames and back, on any frame |

pub mod placement;
pub mod splice;
