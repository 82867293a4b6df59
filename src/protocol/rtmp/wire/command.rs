//! Commands and data: the messages whose body is a list of AMF values (RTMP §7.1.1, §7.1.2, §7.2).

use bytes::BytesMut;
use thiserror::Error;

use super::chunk::{CSID_COMMAND, CSID_DATA, MessageTooLong, write_message};
use super::message::{COMMAND_AMF0, DATA_AMF0, Message};
use crate::format::amf::{AmfError, Value, amf0};

/// Why the body of a command is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A value that cannot be read.
    #[error("RTMP command: {0}")]
    Amf(#[from] AmfError),
    /// The first value is not the name of a command.
    #[error("RTMP command without a name")]
    NoName,
}

/// A command, or the answer to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What to do; `_result` and `_error` are answers.
    pub name: String,
    /// Pairs an answer with its command; 0 where none is expected.
    pub transaction: f64,
    /// The command object, often null.
    pub object: Value,
    /// What follows it.
    pub arguments: Vec<Value>,
}

impl Command {
    /// Reads the body of a message of type 20 or 17.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn read(message: &Message) -> Result<Self, CommandError> {
        let mut values = values(message)?.into_iter();
        let Some(Value::String(name)) = values.next() else { return Err(CommandError::NoName) };
        let transaction = values.next().and_then(|value| value.as_f64()).filter(|number| number.is_finite());
        Ok(Self {
            name,
            transaction: transaction.unwrap_or(0.0),
            object: values.next().unwrap_or(Value::Null),
            arguments: values.collect(),
        })
    }

    /// Appends this as a message of type 20.
    ///
    /// # Errors
    /// See [`write_message`].
    pub fn write(&self, stream_id: u32, chunk_size: u32, out: &mut BytesMut) -> Result<(), MessageTooLong> {
        let mut body = BytesMut::new();
        amf0::encode(&Value::from(self.name.as_str()), &mut body);
        amf0::encode(&Value::from(self.transaction), &mut body);
        amf0::encode(&self.object, &mut body);
        for argument in &self.arguments {
            amf0::encode(argument, &mut body);
        }
        write_message(out, CSID_COMMAND, 0, COMMAND_AMF0, stream_id, chunk_size, &[&body])
    }

    /// The argument at `index`, if it is a string.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index)?.as_str()
    }

    /// The argument at `index`, if it is a number that can be the id of a message stream.
    pub fn stream_id(&self, index: usize) -> Option<u32> {
        let number = self.arguments.get(index)?.as_f64()?;
        // The cast saturates, so that only a whole number in range survives the way back.
        let id = number as u32;
        (f64::from(id) == number).then_some(id)
    }
}

/// The values of a command or data message. Those of the AMF3 types begin with a byte 0 that says "AMF0, with
/// AMF3 where it is switched to" (RTMP §7.1.1); an AMF0 list never does, for its first value is a string.
///
/// # Errors
/// See [`AmfError`].
pub fn values(message: &Message) -> Result<Vec<Value>, AmfError> {
    let body = match message.body.split_first() {
        Some((0, rest)) => rest,
        _ => &message.body[..],
    };
    amf0::decode_all(body)
}

/// Appends a data message of type 18.
///
/// # Errors
/// See [`write_message`].
pub fn write_data(
    values: &[Value],
    timestamp: u32,
    stream_id: u32,
    chunk_size: u32,
    out: &mut BytesMut,
) -> Result<(), MessageTooLong> {
    let mut body = BytesMut::new();
    for value in values {
        amf0::encode(value, &mut body);
    }
    write_message(out, CSID_DATA, timestamp, DATA_AMF0, stream_id, chunk_size, &[&body])
}

/// The information object of a status: what happened, for programs and for people.
pub fn status(level: &str, code: &str, description: &str) -> Value {
    Value::object([("level", level.into()), ("code", code.into()), ("description", description.into())])
}
