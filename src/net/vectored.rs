//! Shared slices on their way to a connection, several in each write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Slices of one write. The kernel takes 1,024; beyond a few dozen the copy costs more than the call.
pub const MAX_SLICES: usize = 64;

/// Writes once, and takes what was written off `waiting`, which has something in it.
///
/// The kernel's view of the slices lives in this call only: kept over an await, it would be in the memory of every
/// waiting viewer.
///
/// # Errors
/// Those of the connection; [`io::ErrorKind::WriteZero`] when it takes nothing.
pub fn poll_write(
    io: Pin<&mut impl AsyncWrite>,
    context: &mut Context<'_>,
    waiting: &mut VecDeque<Bytes>,
) -> Poll<io::Result<()>> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let count = waiting.len().min(MAX_SLICES);
    for (slice, bytes) in slices.iter_mut().zip(&*waiting) {
        *slice = IoSlice::new(bytes);
    }
    let mut left = ready!(io.poll_write_vectored(context, &slices[..count]))?;
    if left == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    while let Some(front) = waiting.front_mut() {
        if front.len() > left {
            front.advance(left);
            break;
        }
        left -= front.len();
        waiting.pop_front();
    }
    Poll::Ready(Ok(()))
}

/// Writes everything.
///
/// # Errors
/// As [`poll_write`].
pub async fn write_all(io: &mut (impl AsyncWrite + Unpin), mut waiting: VecDeque<Bytes>) -> io::Result<()> {
    std::future::poll_fn(|context| {
        while !waiting.is_empty() {
            ready!(poll_write(Pin::new(&mut *io), context, &mut waiting))?;
        }
        Poll::Ready(Ok(()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn everything_arrives_in_order_however_little_is_taken_at_a_time() {
        let pieces: VecDeque<Bytes> = (0..200_u8).map(|n| Bytes::from(vec![n; usize::from(n) + 1])).collect();
        let expected: Vec<u8> = pieces.iter().flatten().copied().collect();
        let (mut near, mut far) = tokio::io::duplex(7);
        let writer = tokio::spawn(async move { write_all(&mut near, pieces).await });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap().unwrap();
        assert_eq!(received, expected);
    }
}
