//! What is wrong with a file that was to be read.

use std::fmt;

/// A trace, movie or earlier result that cannot be used, and the line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Name of the file, as it was given.
    pub file: String,
    /// From 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file cannot be read; in the system's words.
    Unreadable(String),
    /// It is not JSON; in the parser's words.
    NotJson(String),
    /// The JSON ends in its middle.
    CutShort,
    /// A field is missing or is of another type.
    Field(&'static str),
    /// What it tells is impossible.
    Impossible(&'static str),
    /// There is nothing in it.
    Empty,
}

impl ReadError {
    pub(super) fn new(file: &str, line: usize, fault: Fault) -> Self {
        Self { file: file.to_owned(), line, fault }
    }

    /// From what the JSON parser says of the text that begins at `line`.
    pub(super) fn json(file: &str, line: usize, error: &serde_json::Error) -> Self {
        let fault = if error.is_eof() { Fault::CutShort } else { Fault::NotJson(error.to_string()) };
        Self::new(file, line + error.line().saturating_sub(1), fault)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        match &self.fault {
            Fault::Unreadable(why) => write!(f, ": cannot be read: {why}"),
            Fault::NotJson(why) => write!(f, ": is not JSON: {why}"),
            Fault::CutShort => f.write_str(": is cut short"),
            Fault::Field(name) => write!(f, ": \"{name}\" is missing or of another type"),
            Fault::Impossible(why) => write!(f, ": {why}"),
            Fault::Empty => f.write_str(": is empty"),
        }
    }
}

impl std::error::Error for ReadError {}
