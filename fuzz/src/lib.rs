//! What the fuzz targets do with their input; the integration tests do the same with a fixed set of inputs.

pub mod targets;
