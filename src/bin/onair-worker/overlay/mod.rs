//! Drawing into pictures: sprites over them, or pictures squeezed to make room.
//!
//! | | |
//! |---|---|
//! | `timeline` | ≈ what is on when: sprite frames, and where a squeezed picture is |
//! | `layer` | ≈ a sprite in the picture's colours, at its place |
//! | `blend` | ≈ layers and pictures onto planes |
//! | [`Compositor`] | all of it, on a library's pictures |

mod blend;
mod compositor;
mod layer;
mod timeline;

pub use compositor::Compositor;
