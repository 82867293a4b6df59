//! Answers that give the connection to another protocol.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection after HTTP.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
pub(super) type Successor = Box<dyn FnOnce(Box<dyn Duplex>, Bytes) -> Running + Send>;

/// An extension of an answer `101 Switching Protocols`: what takes the connection over once its head is sent.
#[derive(Clone)]
pub struct Upgrade(Arc<Mutex<Option<Successor>>>);

impl Upgrade {
    /// Runs `successor` with the connection, and with what the peer had sent already.
    pub fn new<F, Fut>(successor: F) -> Self
    where
        F: FnOnce(Box<dyn Duplex>, Bytes) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(Mutex::new(Some(Box::new(|io, read| Box::pin(successor(io, read)))))))
    }

    pub(super) fn take(&self) -> Option<Successor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrade")
    }
}
