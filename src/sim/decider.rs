//! Who decides for a player that is not ours: what it is told and answers, and the child process that runs its code.
//!
//! A child speaks JSON lines: each [`Event`] is one, and each has one line as its answer ([`Reply`], or `{"error":"…"}`). The first line
//! it writes is `{"name":"…"}`, the name and version of what it runs.

use super::movie::Movie;
use crate::time::Seconds;
use serde_json::{Value, json};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Why somebody else's rule could not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// The child could not be started; in the system's words.
    NotStarted(String),
    /// The child is gone.
    Gone,
    /// The child did not answer in time.
    Silent,
    /// What the child says of itself.
    Failed(String),
    /// An answer that means nothing, or that cannot be obeyed.
    Nonsense(String),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(f, "cannot be started: {why}"),
            Self::Gone => f.write_str("its process is gone"),
            Self::Silent => f.write_str("its process does not answer"),
            Self::Failed(why) => f.write_str(why),
            Self::Nonsense(what) => write!(f, "its process answered nonsense: {what}"),
        }
    }
}

impl std::error::Error for PeerError {}

/// What happens, as the page of a player sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What<'a> {
    /// A session of this movie begins: the manifest is there. More is fetched while less than so many seconds are buffered.
    Begin(&'a Movie, Seconds),
    /// There is room for this segment; the answer names its quality.
    Next(usize),
    /// The segment is on its way; told each tenth of a second. The answer may give the request up.
    Progress(Load),
    /// All of it has come; it is not in the buffer yet.
    Loaded(Load),
}

/// A download.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Bytes that came.
    pub loaded: u64,
    /// Bytes of the whole; `None`: the head is not there yet.
    pub total: Option<u64>,
    /// When the head came.
    pub first: Option<Seconds>,
}

/// Something that happens, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// Since the session began.
    pub at: Seconds,
    /// Of the playhead.
    pub position: Seconds,
    /// Seconds of media from there on.
    pub buffer: Seconds,
    /// The playhead moves.
    pub playing: bool,
    /// What it is.
    pub what: What<'a>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// To [`What::Next`], which needs it: index into the ladder.
    pub quality: Option<usize>,
    /// To [`What::Next`]: fetch this segment, which was in the buffer before, again, and go on from there.
    pub segment: Option<usize>,
    /// To [`What::Next`], instead of all else: fetch a small file first, a playlist or an initialization segment, and ask again.
    pub small: bool,
    /// To [`What::Next`]: wait so long before the request.
    pub delay: Seconds,
    /// To [`What::Progress`]: give the request up; what to do instead is asked at once.
    pub abandon: bool,
    /// What it takes the link for, in kbit/s; for plots.
    pub estimate: Option<f64>,
}

/// Somebody else's rule.
pub trait Decider {
    /// Tells it what happens.
    ///
    /// # Errors
    /// It cannot go on.
    fn tell(&mut self, event: &Event) -> Result<Reply, PeerError>;
}

impl Event<'_> {
    fn json(&self) -> Value {
        let mut line = json!({ "at": self.at, "position": self.position, "buffer": self.buffer, "playing": self.playing });
        match self.what {
            What::Begin(movie, ahead) => {
                line["type"] = "begin".into();
                line["kbps"] = json!(movie.kbps);
                line["segment"] = json!(movie.segment());
                line["segments"] = json!(movie.bytes.len());
                line["ahead"] = json!(ahead);
            }
            What::Next(segment) => {
                line["type"] = "next".into();
                line["next"] = json!(segment);
            }
            What::Progress(load) => load.write("progress", &mut line),
            What::Loaded(load) => load.write("loaded", &mut line),
        }
        line
    }
}

impl Load {
    fn write(&self, name: &str, line: &mut Value) {
        line["type"] = name.into();
        line["loaded"] = json!(self.loaded);
        line["total"] = json!(self.total);
        line["first"] = json!(self.first);
    }
}

impl Reply {
    /// Reads a line.
    fn read(line: &str) -> Result<Self, PeerError> {
        let nonsense = || PeerError::Nonsense(line.chars().take(200).collect());
        let value: Value = serde_json::from_str(line).map_err(|_| nonsense())?;
        if let Some(error) = value["error"].as_str() {
            return Err(PeerError::Failed(error.to_owned()));
        }
        if !value.is_object() {
            return Err(nonsense());
        }
        // What is there must be of its type.
        let whole = |name: &str| match &value[name] {
            Value::Null => Ok(None),
            other => other.as_u64().and_then(|n| usize::try_from(n).ok()).map(Some).ok_or_else(nonsense),
        };
        let number = |name: &str| match &value[name] {
            Value::Null => Ok(None),
            other => other.as_f64().map(Some).ok_or_else(nonsense),
        };
        Ok(Self {
            quality: whole("quality")?,
            segment: whole("segment")?,
            small: value["small"].as_bool().unwrap_or(false),
            delay: number("delay")?.unwrap_or(0.0),
            abandon: value["abandon"].as_bool().unwrap_or(false),
            estimate: number("estimate")?,
        })
    }
}

/// A decider in a process of its own; it ends with this.
#[derive(Debug)]
pub struct Process {
    /// Name and version of what it runs, as it says.
    pub name: String,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// An answer takes microseconds, the first one the time to load all the code.
const PATIENCE: Duration = Duration::from_secs(60);

impl Process {
    /// Starts `command` with its arguments.
    ///
    /// # Errors
    /// There is no such program, or it does not tell its name.
    pub fn start(command: &[String]) -> Result<Self, PeerError> {
        let failed = |why: &dyn fmt::Display| PeerError::NotStarted(why.to_string());
        let (program, arguments) = command.split_first().ok_or_else(|| failed(&"no command"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| failed(&format!("{program}: {e}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(&"no pipes"));
        };
        // A thread of its own, so that silence can be noticed.
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { name: String::new(), child, input, lines };
        let line = process.line()?;
        Reply::read(&line)?;
        let hello: Value = serde_json::from_str(&line).unwrap_or_default();
        let name = hello["name"].as_str().ok_or(PeerError::Nonsense(line))?;
        process.name = name.to_owned();
        Ok(process)
    }

    fn line(&mut self) -> Result<String, PeerError> {
        self.lines.recv_timeout(PATIENCE).map_err(|e| match e {
            RecvTimeoutError::Timeout => PeerError::Silent,
            RecvTimeoutError::Disconnected => PeerError::Gone,
        })
    }
}

impl Decider for Process {
    fn tell(&mut self, event: &Event) -> Result<Reply, PeerError> {
        let mut line = event.json().to_string();
        line.push('\n');
        // If it is gone, it may have said why.
        let _ = self.input.write_all(line.as_bytes());
        let line = self.line()?;
        Reply::read(&line)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
