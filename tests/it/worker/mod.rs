//! The real worker: conversions, burn-in, images, and what happens when it fails.

mod burn_in;
mod confinement;
mod conversion;
mod failure;
mod images;
pub mod material;
mod outputs;
mod serving;
mod sound;
