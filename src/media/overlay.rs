//! How an overlay and the picture share the screen.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The formats of the IAB's guidance for live overlays: the word that cues, buyers and whoever draws agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverlayFormat {
    /// Along the lower edge, over the picture.
    LowerThird,
    /// In the upper right corner, over the picture.
    Corner,
    /// The picture makes room along the left and the lower edge.
    LShape,
    /// Picture and overlay side by side, in an upright picture one over the other.
    DoubleBox,
}

impl OverlayFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LowerThird, Self::Corner, Self::LShape, Self::DoubleBox];
}
