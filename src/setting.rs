//! How settings are written: durations, sizes, addresses and paths as text with units.
//!
//! Each module here is for `#[serde(with = "…")]` on a field of a feature's `Config`.

/// A duration: a whole number and one of the units `ms`, `s`, `m`, `h`, as in `"250ms"`.
pub mod duration {
    use std::time::Duration;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

    /// Writes the duration in the largest unit that divides it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*duration))
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// When it is no text of the form above.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            D::Error::custom(format_args!("{text:?} is no duration: expected a whole number and ms, s, m or h, like \"10s\" or \"250ms\""))
        })
    }

    /// The duration as it is written in the configuration, rounded down to milliseconds.
    pub fn text(duration: Duration) -> String {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return "0s".to_owned();
        }
        let fitting = UNITS.iter().rev().find(|(_, size)| millis.is_multiple_of(*size));
        let (unit, size) = fitting.copied().unwrap_or(UNITS[0]);
        format!("{}{unit}", millis / size)
    }

    fn parse(text: &str) -> Option<Duration> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(split);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
        Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*size)?))
    }
}

/// A size in bytes: a whole number and one of the units `B`, `KiB`, `MiB`, `GiB`, as in `"64MiB"`.
pub mod byte_size {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    const UNITS: [(&str, usize); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

    /// Writes the size in the largest unit that divides it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        let fitting = UNITS.iter().rev().find(|(_, size)| *bytes >= *size && bytes.is_multiple_of(*size));
        let (unit, size) = fitting.copied().unwrap_or(UNITS[0]);
        serializer.collect_str(&format_args!("{}{unit}", bytes / size))
    }

    /// Reads a size.
    ///
    /// # Errors
    /// When it is no text of the form above.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "{text:?} is no size: expected a whole number and B, KiB, MiB or GiB, like \"64MiB\""
            ))
        })
    }

    fn parse(text: &str) -> Option<usize> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(split);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
        number.parse::<usize>().ok()?.checked_mul(*size)
    }
}

/// An address to listen on, `"IP:PORT"`; the empty text is "off".
pub mod address {
    use std::net::SocketAddr;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    /// Writes the address, or the empty text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }

    /// Reads an address.
    ///
    /// # Errors
    /// When it is neither an address nor empty.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            D::Error::custom(format_args!(
                "{text:?} is no address: expected IP:PORT, like \"0.0.0.0:8080\", \"[::]:8080\" or \"127.0.0.1:0\", or \"\" for off"
            ))
        })
    }
}

/// A path that may be absent: the empty text is "none".
pub mod optional_path {
    use std::path::PathBuf;

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    /// Writes the path, or the empty text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => serializer.collect_str(&path.display()),
            None => serializer.serialize_str(""),
        }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// When it is no text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok((!text.is_empty()).then(|| text.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::time::Duration;

    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        #[serde(with = "super::duration")]
        wait: Duration,
        #[serde(with = "super::byte_size")]
        size: usize,
        #[serde(with = "super::address")]
        listen: Option<SocketAddr>,
        #[serde(with = "super::optional_path")]
        file: Option<PathBuf>,
    }

    fn read(wait: &str, size: &str, listen: &str) -> Result<Sample, toml::de::Error> {
        toml::from_str(&format!("wait = \"{wait}\"\nsize = \"{size}\"\nlisten = \"{listen}\"\nfile = \"\""))
    }

    #[test]
    fn settings_come_back_as_they_were_written() {
        for (wait, size, listen) in [
            ("250ms", "64MiB", "0.0.0.0:8080"),
            ("10s", "1500B", "[::1]:0"),
            ("2h", "1GiB", ""),
            ("0s", "0B", ""),
        ] {
            let sample = read(wait, size, listen).unwrap();
            let text = toml::to_string(&sample).unwrap();
            assert!(text.contains(&format!("{wait:?}")) && text.contains(&format!("{size:?}")), "{text}");
            assert_eq!(toml::from_str::<Sample>(&text).unwrap(), sample);
        }
        assert_eq!(read("1500ms", "1KiB", "").unwrap().wait, Duration::from_millis(1500));
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for (wait, size, listen, hint) in [
            ("10", "1B", "", "10s"),
            ("-1s", "1B", "", "10s"),
            ("1.5s", "1B", "", "10s"),
            ("99999999999999999999h", "1B", "", "10s"),
            ("18446744073709551615h", "1B", "", "10s"),
            ("1s", "64MB", "", "64MiB"),
            ("1s", "", "", "64MiB"),
            ("1s", "99999999999999999GiB", "", "64MiB"),
            ("1s", "1B", "8080", "0.0.0.0:8080"),
            ("1s", "1B", "localhost:80", "0.0.0.0:8080"),
        ] {
            let error = read(wait, size, listen).unwrap_err().to_string();
            assert!(error.contains(hint), "{wait} {size} {listen}: {error}");
        }
    }
}
