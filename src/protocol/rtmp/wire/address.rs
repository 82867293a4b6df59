//! Where a client wants to publish or play, read out of the places where encoders put it.

use thiserror::Error;

/// Longest application name, in bytes, query included.
pub const MAX_APP: usize = 1024;

/// Longest stream name, in bytes, query included.
pub const MAX_STREAM: usize = 1024;

/// Longest `tcUrl`, in bytes.
pub const MAX_TC_URL: usize = 4096;

/// A name that is longer than any real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The application.
    #[error("application name of {0} bytes is longer than {MAX_APP}")]
    App(usize),
    /// The stream.
    #[error("stream name of {0} bytes is longer than {MAX_STREAM}")]
    Stream(usize),
    /// The URL of `connect`.
    #[error("tcUrl of {0} bytes is longer than {MAX_TC_URL}")]
    TcUrl(usize),
}

/// Application, stream and query of a request.
///
/// The names are plain text, whatever is in them; they are not paths, and are only ever compared. `Debug` shows
/// nothing but the application: the others may hold a stream key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StreamAddress {
    /// The application, without slashes around it and without the stream where that was in it; may be empty.
    pub app: String,
    /// The stream, without slashes around it; may be empty.
    pub stream: String,
    /// The query parameters, percent-decoded: those at the stream's name first, then at the application's, then
    /// at the `tcUrl`'s.
    pub query: Vec<(String, String)>,
}

impl StreamAddress {
    /// Reads the address from `connect`'s `app` and `tcUrl`, and the name given to `publish` or `play`.
    ///
    /// Encoders differ: the query may stand behind any of the three; without a stream name, the last part of the
    /// application is it (`rtmp://host/live/KEY` with no key, `rtmp://host/KEY`); players and FFmpeg write
    /// `flv:` or `mp4:` before the name.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn read(app: &str, tc_url: Option<&str>, stream: &str) -> Result<Self, AddressError> {
        check_length(app, MAX_APP, AddressError::App)?;
        check_length(stream, MAX_STREAM, AddressError::Stream)?;
        check_length(tc_url.unwrap_or_default(), MAX_TC_URL, AddressError::TcUrl)?;

        let (app, app_query) = split_query(app);
        let (stream, stream_query) = split_query(stream);
        let (_, url_query) = split_query(tc_url.unwrap_or_default());
        let mut query = Vec::new();
        for part in [stream_query, app_query, url_query] {
            add_parameters(part, &mut query);
        }

        let app = app.trim_matches('/');
        let stream = ["flv:", "mp4:"].iter().find_map(|prefix| stream.strip_prefix(prefix)).unwrap_or(stream);
        let (app, stream) = match stream.trim_matches('/') {
            "" => app.rsplit_once('/').unwrap_or(("", app)),
            stream => (app, stream),
        };
        let app = app.trim_end_matches('/');
        Ok(Self { app: percent_decode(app), stream: percent_decode(stream), query })
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What the client offers as its stream key: the parameter `key`, or else the name of the stream.
    pub fn key(&self) -> Option<&str> {
        let stream = Some(self.stream.as_str());
        self.parameter("key").filter(|key| !key.is_empty()).or(stream).filter(|key| !key.is_empty())
    }
}

impl std::fmt::Debug for StreamAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StreamAddress").field("app", &self.app).finish_non_exhaustive()
    }
}

/// The application in a `tcUrl`, for clients that send no `app`: all that follows the host.
pub fn app_of_url(tc_url: &str) -> &str {
    let after_scheme = tc_url.split_once("://").map_or(tc_url, |(_, rest)| rest);
    after_scheme.split_once('/').map_or("", |(_, path)| path)
}

fn check_length(
    text: &str,
    limit: usize,
    error: impl FnOnce(usize) -> AddressError,
) -> Result<(), AddressError> {
    if text.len() > limit { Err(error(text.len())) } else { Ok(()) }
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

/// Adds what is not there yet: the same query often stands in several places.
fn add_parameters(query: &str, parameters: &mut Vec<(String, String)>) {
    let known = parameters.len();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode(name);
        if !parameters[..known].iter().any(|(known, _)| *known == name) {
            parameters.push((name, percent_decode(value)));
        }
    }
}

/// Replaces `%XX`. What is not an escape stays, and so does all of it if the result were not text.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        match escaped(rest) {
            Some(byte) => {
                decoded.push(byte);
                rest = &rest[3..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low] = text.first_chunk::<3>()? else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    //! Where real encoders put the key, and what nobody's key looks like.

    use super::*;

    fn read(app: &str, tc_url: &str, stream: &str) -> (String, String, Option<String>) {
        let address = StreamAddress::read(app, Some(tc_url), stream).unwrap();
        let key = address.key().map(str::to_owned);
        (address.app, address.stream, key)
    }

    fn expect(app: &str, stream: &str, key: &str) -> (String, String, Option<String>) {
        (app.to_owned(), stream.to_owned(), Some(key.to_owned()))
    }

    #[test]
    fn the_key_is_found_wherever_encoders_put_it() {
        let url = "rtmp://host/live";
        assert_eq!(read("live", url, "KEY"), expect("live", "KEY", "KEY"));
        assert_eq!(read("live/", url, "/KEY/"), expect("live", "KEY", "KEY"));
        assert_eq!(read("live", url, "show?key=KEY"), expect("live", "show", "KEY"));
        assert_eq!(read("live?key=KEY", url, "show"), expect("live", "show", "KEY"));
        assert_eq!(read("live", "rtmp://host/live?key=KEY", "show"), expect("live", "show", "KEY"));
        assert_eq!(read("live/KEY", "rtmp://host/live/KEY", ""), expect("live", "KEY", "KEY"));
        assert_eq!(read("live/KEY/", "", ""), expect("live", "KEY", "KEY"));
        assert_eq!(read("KEY", "", ""), expect("", "KEY", "KEY"));
        assert_eq!(read("", "", "KEY"), expect("", "KEY", "KEY"));
        assert_eq!(read("live", "", "flv:KEY"), expect("live", "KEY", "KEY"));
        assert_eq!(read("live", "", "?key=KEY"), expect("", "live", "KEY"));
        assert_eq!(read("live", "", "a/KEY"), expect("live", "a/KEY", "a/KEY"));
    }

    #[test]
    fn the_application_is_also_in_the_url() {
        assert_eq!(app_of_url("rtmp://host:1935/live/KEY?a=b"), "live/KEY?a=b");
        assert_eq!(app_of_url("rtmp://host"), "");
        assert_eq!(app_of_url(""), "");
    }

    #[test]
    fn nothing_at_all_has_no_key() {
        assert_eq!(read("", "", ""), (String::new(), String::new(), None));
        assert_eq!(read("/", "", "/?key="), (String::new(), String::new(), None));
    }

    #[test]
    fn the_nearest_query_wins_and_escapes_are_read_once() {
        let address =
            StreamAddress::read("live?a=app&b=2", Some("rtmp://h/live?a=url&c=%2526"), "s?a=own&a=two")
                .unwrap();
        assert_eq!(address.parameter("a"), Some("own"));
        assert_eq!(address.parameter("b"), Some("2"));
        assert_eq!(address.parameter("c"), Some("%26"));
        assert_eq!(address.query.len(), 4);
        assert_eq!(read("live", "", "a%2Db+c"), expect("live", "a-b+c", "a-b+c"));
        assert_eq!(read("live", "", "100%"), expect("live", "100%", "100%"));
        assert_eq!(read("live", "", "%ff%zz"), expect("live", "%ff%zz", "%ff%zz"));
    }

    #[test]
    fn b10_names_are_text_and_never_paths() {
        for name in ["../..", "a\\b", "a\0b", "..", "ключ", "a#b", "a;b", "$(reboot)", "..%2fetc"] {
            let address = StreamAddress::read("live", None, name).unwrap();
            assert_eq!(address.stream, name.replace("%2f", "/"));
        }
        assert_eq!(read("live", "", "%2e%2e"), expect("live", "..", ".."));
    }

    #[test]
    fn b10_names_beyond_all_measure_are_refused() {
        let long = "x".repeat(65_536);
        assert_eq!(StreamAddress::read(&long, None, ""), Err(AddressError::App(65_536)));
        assert_eq!(StreamAddress::read("", None, &long), Err(AddressError::Stream(65_536)));
        assert_eq!(StreamAddress::read("", Some(&long), ""), Err(AddressError::TcUrl(65_536)));
    }

    #[test]
    fn b34_debug_output_holds_no_key() {
        let address = StreamAddress::read("live", None, "SECRET?key=SECRET").unwrap();
        assert!(!format!("{address:?}").contains("SECRET"));
    }
}
