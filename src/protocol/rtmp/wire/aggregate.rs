//! Aggregate messages: several audio, video and data messages in one, in the form of FLV tags (RTMP §7.1.6).

use thiserror::Error;

use super::message::{AGGREGATE, Message};

/// Most messages one aggregate may hold.
pub const MAX_MESSAGES: usize = 1024;

/// Length of an FLV tag's header.
const HEADER_LENGTH: usize = 11;

/// Length of the back pointer after each tag.
const BACK_POINTER_LENGTH: usize = 4;

/// Why an aggregate cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AggregateError {
    /// An inner message, or its header, goes beyond the end of the aggregate.
    #[error("aggregate ends {missing} bytes inside one of its messages")]
    Truncated {
        /// Bytes that are missing.
        missing: usize,
    },
    /// An aggregate in an aggregate.
    #[error("aggregate holds another aggregate")]
    Nested,
    /// More messages than [`MAX_MESSAGES`].
    #[error("aggregate holds more than {MAX_MESSAGES} messages")]
    TooManyMessages,
}

/// The messages of an aggregate. They share its buffer; their timestamps are moved so that the first has the
/// aggregate's, and their stream is the aggregate's.
///
/// # Errors
/// See [`AggregateError`].
pub fn split(aggregate: &Message) -> Result<Vec<Message>, AggregateError> {
    let mut messages = Vec::new();
    let mut rest = aggregate.body.clone();
    let mut first_timestamp = None;
    while !rest.is_empty() {
        if messages.len() >= MAX_MESSAGES {
            return Err(AggregateError::TooManyMessages);
        }
        let [type_id, l2, l1, l0, t2, t1, t0, t3, _, _, _] = *rest
            .first_chunk::<HEADER_LENGTH>()
            .ok_or(AggregateError::Truncated { missing: HEADER_LENGTH.saturating_sub(rest.len()) })?;
        if type_id == AGGREGATE {
            return Err(AggregateError::Nested);
        }
        let end = HEADER_LENGTH + u32::from_be_bytes([0, l2, l1, l0]) as usize;
        if end > rest.len() {
            return Err(AggregateError::Truncated { missing: end - rest.len() });
        }
        let timestamp = u32::from_be_bytes([t3, t2, t1, t0]);
        let offset = aggregate.timestamp.wrapping_sub(*first_timestamp.get_or_insert(timestamp));
        messages.push(Message {
            type_id,
            stream_id: aggregate.stream_id,
            timestamp: timestamp.wrapping_add(offset),
            body: rest.slice(HEADER_LENGTH..end),
        });
        // Some senders leave out the last back pointer.
        let _tag = rest.split_to((end + BACK_POINTER_LENGTH).min(rest.len()));
    }
    Ok(messages)
}
