//! How an overlay and the picture share the screen.

use serde::{Deserialize, Serialize};

/// The formats of the IAB's guidance for live overlays: the word that cues, buyers and whoever draws agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlayFormat {
    /// Along the lower edge, over the picture.
    LowerThird,
    /// In the upper right corner, over the picture.
    Corner,
    /// The picture makes room along the left and the lower edge.
    LShape,
    /// Picture and overlay side by side.
    DoubleBox,
}

impl OverlayFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LowerThird, Self::Corner, Self::LShape, Self::DoubleBox];
}
