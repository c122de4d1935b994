//! The types of values, each read from text.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Reads a value from its text; the error says what is wanted.
pub(super) trait FromText: Sized {
    /// Whether such values are never shown.
    const SECRET: bool = false;
    fn from_text(text: &str) -> Result<Self, &'static str>;
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut.
    Full,
    /// A crash of the process.
    Relaxed,
}

/// What confines the programs of sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxWalls {
    /// Whichever of the others holds on this machine.
    Auto,
    /// bubblewrap, which must be installed.
    Bubblewrap,
    /// Landlock alone, though bubblewrap may be there.
    Landlock,
    /// Nothing is run.
    Off,
    /// As on a machine that has neither, for tests of the refusal.
    #[cfg(feature = "faults")]
    None,
}

/// What the server is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Trying and developing.
    Development,
    /// Data that somebody needs.
    Production,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStyle {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub usize);

impl ByteSize {
    /// A number of bytes above 0, e.g. `512KiB` or `16MiB`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_text(text).ok()
    }
}

/// A time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub u32);

/// Words separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List(pub Vec<String>);

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text. Not for logs, errors or replies.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromText for PathBuf {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Err("a path") } else { Ok(text.into()) }
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(text.to_owned())
    }
}

impl FromText for IpAddr {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text == "localhost" {
            return Ok(Self::V4(std::net::Ipv4Addr::LOCALHOST));
        }
        text.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| "an IP address, e.g. 127.0.0.1 or ::1")
    }
}

impl FromText for u16 {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| "a port from 0 to 65535")
    }
}

impl FromText for u32 {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| "a whole number from 0")
    }
}

impl FromText for u64 {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse().ok().filter(|number| i64::try_from(*number).is_ok()).ok_or("a whole number from 0")
    }
}

impl FromText for Seconds {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.trim_end_matches('s').parse().map(Self).map_err(|_| "whole seconds, e.g. 10")
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("true or false"),
        }
    }
}

impl FromText for Durability {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        match text {
            "full" => Ok(Self::Full),
            "relaxed" => Ok(Self::Relaxed),
            _ => Err("full or relaxed"),
        }
    }
}

impl FromText for SandboxWalls {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        match text {
            "auto" => Ok(Self::Auto),
            "bubblewrap" => Ok(Self::Bubblewrap),
            "landlock" => Ok(Self::Landlock),
            "off" => Ok(Self::Off),
            #[cfg(feature = "faults")]
            "none" => Ok(Self::None),
            _ => Err("auto, bubblewrap, landlock or off"),
        }
    }
}

impl FromText for Option<PathBuf> {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok((!text.is_empty()).then(|| text.into()))
    }
}

impl FromText for Environment {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err("development or production"),
        }
    }
}

impl FromText for LogStyle {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        match text {
            "auto" => Ok(Self::Auto),
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err("auto, pretty or json"),
        }
    }
}

impl FromText for ByteSize {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "a number of bytes above 0, e.g. 16777216, 512KiB or 16MiB";
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
        let unit: usize = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "KiB" | "K" | "k" => 1 << 10,
            "MiB" | "M" => 1 << 20,
            "GiB" | "G" => 1 << 30,
            _ => return Err(WANTED),
        };
        let number: usize = digits.parse().map_err(|_| WANTED)?;
        number.checked_mul(unit).filter(|bytes| *bytes > 0).map(Self).ok_or(WANTED)
    }
}

/// A size that may be left to the server, or 0.
impl FromText for Option<ByteSize> {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        match text {
            "" => Ok(None),
            "0" => Ok(Some(ByteSize(0))),
            _ => ByteSize::from_text(text).map(Some).map_err(|_| "0 or a number of bytes, e.g. 512KiB or 16MiB"),
        }
    }
}

impl FromText for Option<u64> {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Ok(None) } else { u64::from_text(text).map(Some) }
    }
}

impl FromText for List {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(Self(text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()))
    }
}

impl FromText for Option<Secret> {
    const SECRET: bool = true;
    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(if text.is_empty() { None } else { Some(Secret(text.to_owned())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("1", 1), ("16MiB", 16 << 20), ("2 K", 2048), ("1GiB", 1 << 30)] {
            assert_eq!(ByteSize::from_text(text), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "0", "-1", "1.5M", "MiB", "16MB", "99999999999GiB"] {
            assert!(ByteSize::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = <Option<Secret>>::from_text("sk-hidden").expect("any text");
        assert!(!format!("{secret:?}").contains("hidden"));
        assert_eq!(secret.expect("set").expose(), "sk-hidden");
    }
}
