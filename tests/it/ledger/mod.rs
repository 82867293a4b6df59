//! The ledger in a process that is killed.

mod auditor;
mod crash;
mod seller;
