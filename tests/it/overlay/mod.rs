//! Overlays with the real worker: into the splicer as fast as it goes, and live through the whole server.

mod live;
mod splicer;
