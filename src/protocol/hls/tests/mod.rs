//! Virtual broadcasts through the packager: what comes out is read back box by box and line by line.

mod bad_input;
mod blocking;
mod decode;
mod listing;
mod parts;
mod programme;
mod serving;
mod serving_variants;
mod stage;
mod support;
mod variants;
