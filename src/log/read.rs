//! Lines back to inputs, with the bodies of responses.

use super::{MAGIC, VERSION, digest};
use crate::player::{
    BufferId, Config, FetchFailure, FetchId, IcyHeaders, Input, LoadRequest, MediaState, Now, Player, Rule,
    UserIntent,
};
use crate::time::TimeRanges;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Why a record cannot be read, or not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its first line is not that of a record.
    NotALog,
    /// It is of another version of the format.
    Version(String),
    /// The file ends in the middle of a line.
    CutShort,
    /// A line is not what it should be.
    Malformed(&'static str),
    /// It tells of the media of this request by reference, and nobody has given the bytes.
    NoBody(Requested),
    /// The bytes that were given for this request are not those that the player got.
    OtherBody(Requested),
}

/// A fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.fault {
            Fault::NotALog => {
                write!(f, "this is not a session log of Millrace (it begins with [\"{MAGIC}\",…)")
            }
            Fault::Version(found) => {
                write!(
                    f,
                    "the log is of version {found} of its format, and this tool reads version {VERSION}"
                )
            }
            Fault::CutShort => f.write_str("the log ends in the middle of a line: the file was cut short"),
            Fault::Malformed(what) => write!(f, "malformed: {what}"),
            Fault::NoBody(request) => {
                write!(
                    f,
                    "the media of request {} ({}) is not in the log: give it with --media, or record with `media: true`",
                    request.id, request.url
                )
            }
            Fault::OtherBody(request) => {
                write!(
                    f,
                    "the bytes given for request {} ({}) are not those that were played",
                    request.id, request.url
                )
            }
        }
    }
}

impl std::error::Error for LogError {}

pub(super) type Result<T> = std::result::Result<T, LogError>;

/// A request that a record tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Its number in the record.
    pub id: u32,
    /// Absolute; secrets may be masked.
    pub url: String,
    /// First byte and last, where a part was asked for.
    pub range: Option<(u64, Option<u64>)>,
}

/// Whether a line is an output, or a content, of this name.
pub(super) fn is(values: &[Value], name: &str) -> bool {
    values.first().and_then(Value::as_str) == Some(name)
}

/// The lines of a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// Number of the line, from 1, and what it holds; the first line is not among them.
    pub all: Vec<(usize, Vec<Value>)>,
    pub config: Config,
    /// There was room for no more.
    pub cut: bool,
}

impl Lines {
    pub fn read(text: &str) -> Result<Self> {
        let mut lines = Self::default();
        let count = text.lines().count();
        for (i, line) in text.lines().enumerate() {
            let number = i + 1;
            let fail = |fault| LogError { line: number, fault };
            let values = match serde_json::from_str(line) {
                Ok(Value::Array(values)) => values,
                _ if i == 0 => return Err(fail(Fault::NotALog)),
                Err(e) if e.is_eof() && number == count => return Err(fail(Fault::CutShort)),
                _ => return Err(fail(Fault::Malformed("the line is no JSON array"))),
            };
            if i == 0 {
                lines.config = header(&values)?;
            } else if is(&values, "cut") {
                lines.cut = true;
            } else {
                lines.all.push((number, values));
            }
        }
        if count == 0 { Err(LogError { line: 1, fault: Fault::NotALog }) } else { Ok(lines) }
    }

    /// All requests.
    pub fn requests(&self) -> Result<Vec<Requested>> {
        let fetches = self.all.iter().filter(|(_, v)| is(v, "<fetch"));
        fetches
            .map(|(line, values)| {
                let mut fields = Fields::new(*line, values, 1);
                let (id, url) = (fields.whole()? as u32, fields.text()?.to_owned());
                let _kind = fields.text()?;
                let first = fields.more().then(|| fields.whole()).transpose()?;
                let range = match first {
                    Some(first) => Some((first, fields.maybe()?.map(|l| l as u64))),
                    None => None,
                };
                Ok(Requested { id, url, range })
            })
            .collect()
    }
}

fn header(values: &[Value]) -> Result<Config> {
    let mut fields = Fields::new(1, values, 0);
    if fields.text() != Ok(MAGIC) {
        return Err(LogError { line: 1, fault: Fault::NotALog });
    }
    match values.get(1) {
        Some(version) if version.as_f64() == Some(VERSION.into()) => {}
        found => {
            let found = found.map_or(String::new(), Value::to_string);
            return Err(LogError { line: 1, fault: Fault::Version(found) });
        }
    }
    fields.at = 3;
    configuration(&mut fields)
}

/// The requests whose bodies are not in a record.
///
/// # Errors
/// The first line that cannot be read.
pub fn requests(log: &str) -> std::result::Result<Vec<Requested>, LogError> {
    let lines = Lines::read(log)?;
    let told = Told::of(&lines)?;
    // Media that never came need not be had.
    let bodies = lines.all.iter().filter(|(_, v)| v.get(1).and_then(Value::as_str) == Some(">body"));
    let came: HashSet<u64> = bodies.filter_map(|(_, v)| v.get(2)?.as_u64()).collect();
    let mut all = lines.requests()?;
    all.retain(|r| !told.0.contains_key(&r.id) && came.contains(&r.id.into()));
    Ok(all)
}

/// Bodies of responses by the number of their request, from their first byte.
pub type Bodies = HashMap<u32, Vec<u8>>;

/// Those that are in the record.
pub(super) struct Told(pub Bodies);

impl Told {
    pub fn of(lines: &Lines) -> Result<Self> {
        let urls: HashMap<u32, String> =
            lines.requests()?.into_iter().map(|r| (r.id, place(&r.url))).collect();
        let mut bodies = Bodies::default();
        // Of each URL, what came last.
        let mut last: HashMap<&str, Vec<u8>> = HashMap::new();
        for (line, values) in lines.all.iter().filter(|(_, v)| is(v, "=")) {
            let fail = |what| LogError { line: *line, fault: Fault::Malformed(what) };
            let mut fields = Fields::new(*line, values, 1);
            let id = fields.whole()? as u32;
            let url = urls.get(&id).ok_or_else(|| fail("content of a request that is not in the log"))?;
            let content = match values.get(2) {
                Some(Value::String(text)) => text.clone().into_bytes(),
                Some(Value::Object(object)) => {
                    if let Some(Value::String(text)) = object.get("b64") {
                        base64(text).ok_or_else(|| fail("base64"))?
                    } else if let Some(Value::Array(pieces)) = object.get("from") {
                        let before =
                            last.get(url.as_str()).ok_or_else(|| fail("pieces of what is not there"))?;
                        patched(before, pieces).ok_or_else(|| fail("pieces outside of what they are of"))?
                    } else {
                        return Err(fail("content that is none"));
                    }
                }
                _ => return Err(fail("content that is none")),
            };
            last.insert(url, content.clone());
            // A long body comes in several.
            bodies.entry(id).or_default().extend_from_slice(&content);
        }
        Ok(Self(bodies))
    }
}

/// A URL without its query: readings of one list differ there.
fn place(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
}

fn patched(before: &[u8], pieces: &[Value]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    for piece in pieces {
        match piece {
            Value::String(text) => whole.extend_from_slice(text.as_bytes()),
            Value::Array(range) => {
                let [first, length] = [range.first()?.as_u64()?, range.get(1)?.as_u64()?];
                let end = first.checked_add(length)?;
                whole
                    .extend_from_slice(before.get(usize::try_from(first).ok()?..usize::try_from(end).ok()?)?);
            }
            _ => return None,
        }
    }
    Some(whole)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for four in digits.chunks(4) {
        let mut bits = 0u32;
        for c in four {
            bits = bits << 6 | u32::from(value(*c)?);
        }
        bits <<= 6 * (4 - four.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

/// The values of a line, one after another.
pub(super) struct Fields<'a> {
    line: usize,
    values: &'a [Value],
    at: usize,
}

impl<'a> Fields<'a> {
    pub fn new(line: usize, values: &'a [Value], at: usize) -> Self {
        Self { line, values, at }
    }

    pub fn fail<T>(&self, what: &'static str) -> Result<T> {
        Err(LogError { line: self.line, fault: Fault::Malformed(what) })
    }

    pub fn more(&self) -> bool {
        self.at < self.values.len()
    }

    fn next(&mut self) -> Option<&'a Value> {
        let value = self.values.get(self.at);
        self.at += 1;
        value
    }

    pub fn text(&mut self) -> Result<&'a str> {
        self.next().and_then(Value::as_str).map_or_else(|| self.fail("a text is missing"), Ok)
    }

    pub fn maybe_text(&mut self) -> Result<Option<&'a str>> {
        match self.next() {
            Some(Value::Bool(false)) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            _ => self.fail("a text is missing"),
        }
    }

    pub fn number(&mut self) -> Result<f64> {
        match self.next() {
            Some(Value::Null) => Ok(f64::INFINITY),
            Some(value) => value.as_f64().map_or_else(|| self.fail("a number is missing"), Ok),
            None => self.fail("a number is missing"),
        }
    }

    pub fn whole(&mut self) -> Result<u64> {
        let number = self.number()?;
        let fits = number >= 0.0 && number.fract() == 0.0 && number < 9e15;
        if fits { Ok(number as u64) } else { self.fail("a number is not a whole one") }
    }

    pub fn maybe(&mut self) -> Result<Option<f64>> {
        if matches!(self.values.get(self.at), Some(Value::Bool(false))) {
            self.at += 1;
            return Ok(None);
        }
        self.number().map(Some)
    }

    pub fn flag(&mut self) -> Result<bool> {
        self.next().and_then(Value::as_bool).map_or_else(|| self.fail("true or false is missing"), Ok)
    }

    fn maybe_flag(&mut self) -> Result<Option<bool>> {
        match self.next() {
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(word)) if word == "auto" => Ok(None),
            _ => self.fail("true, false or \"auto\" is missing"),
        }
    }

    fn buffer(&mut self) -> Result<BufferId> {
        match self.text()? {
            "video" => Ok(BufferId::Video),
            "audio" => Ok(BufferId::Audio),
            _ => self.fail("a buffer that is none"),
        }
    }

    fn fetch(&mut self) -> Result<FetchId> {
        self.whole().map(|id| FetchId(id as u32))
    }
}

fn configuration(fields: &mut Fields) -> Result<Config> {
    Ok(Config {
        buffer_ahead: fields.number()?,
        buffer_behind: fields.number()?,
        buffer_bytes: fields.number()? as u64,
        max_bandwidth: fields.maybe()?.map(|b| b as u64),
        cap_to_element: fields.flag()?,
        initial_bandwidth: fields.number()?,
        language: fields.maybe_text()?.map(str::to_owned),
        max_attempts: fields.whole()? as u32,
        request_timeout: fields.number()?,
        max_gap: fields.number()?,
        stats_interval: fields.number()?,
        icy: fields.maybe_flag()?,
        live_latency: fields.maybe()?,
        catch_up: fields.maybe_flag()?,
        data_saver: fields.flag()?,
        rule: match Rule::named(fields.text()?) {
            Some(rule) => rule,
            None => return fields.fail("a rule that is none"),
        },
    })
}

/// Where the bytes of `>body` lines come from.
pub(super) struct Source<'a> {
    pub told: Told,
    pub given: &'a Bodies,
    pub requests: Vec<Requested>,
    /// How much of each body has been handed in.
    pub served: HashMap<u32, usize>,
}

impl Source<'_> {
    /// The bytes of a `>body` line.
    fn piece(&mut self, fields: &mut Fields, id: FetchId) -> Result<&[u8]> {
        let (length, expected) = (fields.whole()? as usize, fields.whole()? as u32);
        let requested = || {
            let of = self.requests.iter().find(|r| r.id == id.0).cloned();
            of.unwrap_or(Requested { id: id.0, url: String::new(), range: None })
        };
        let fail = |fault| Err(LogError { line: fields.line, fault });
        let told = self.told.0.get(&id.0);
        let Some(body) = told.or_else(|| self.given.get(&id.0)) else {
            return fail(Fault::NoBody(requested()));
        };
        let from = self.served.entry(id.0).or_default();
        match body.get(*from..from.saturating_add(length)) {
            // What is masked in a text has other bytes, and as many.
            Some(piece) if told.is_some() || digest(piece) == expected => {
                *from += length;
                Ok(piece)
            }
            _ => fail(Fault::OtherBody(requested())),
        }
    }
}

/// Hands the input that a line tells of to the player.
pub(super) fn feed(
    player: &mut Player,
    (line, values): (usize, &[Value]),
    source: &mut Source,
) -> Result<()> {
    let mut fields = Fields::new(line, values, 0);
    let now: Now = fields.number()?;
    let mut send = |input| player.handle_input(now, input);
    match fields.text()? {
        ">load" => send(Input::Load(LoadRequest {
            url: fields.text()?.to_owned(),
            kind: fields.maybe_text()?.map(str::to_owned),
            start_time: fields.maybe()?,
            wall: fields.number()?,
        })),
        ">head" => {
            let (id, status) = (fields.fetch()?, fields.whole()? as u16);
            let (url, content_type) = (fields.text()?, fields.maybe_text()?);
            let length = fields.maybe()?.map(|l| l as u64);
            let (ranges, date) = (fields.flag()?, fields.maybe()?);
            let mut icy = None;
            if fields.more() {
                let mut headers = IcyHeaders { interval: fields.whole()? as u32, ..IcyHeaders::default() };
                while fields.more() {
                    headers.fields.push((fields.text()?.to_owned(), fields.text()?.to_owned()));
                }
                icy = Some(headers);
            }
            let icy = icy.as_ref();
            send(Input::FetchHead { id, status, url, content_type, length, ranges, date, icy });
        }
        ">body" => {
            let id = fields.fetch()?;
            let data = source.piece(&mut fields, id)?;
            send(Input::FetchBody { id, data });
        }
        ">end" => send(Input::FetchEnd { id: fields.fetch()? }),
        ">failed" => {
            let id = fields.fetch()?;
            let failure = match fields.text()? {
                "network" => FetchFailure::Network,
                "truncated" => FetchFailure::Truncated,
                _ => return fields.fail("a failure that is none"),
            };
            send(Input::FetchFailed { id, failure, message: fields.text()? });
        }
        ">open" => send(Input::SourceOpen),
        ">closed" => send(Input::SourceClosed),
        ">types" => {
            let mut supported = Vec::new();
            while fields.more() {
                supported.push(fields.flag()?);
            }
            send(Input::TypesChecked(&supported));
        }
        ">done" => {
            let buffer = fields.buffer()?;
            let mut pairs = Vec::new();
            while fields.more() {
                pairs.push((fields.number()?, fields.number()?));
            }
            send(Input::BufferDone { buffer, buffered: TimeRanges::from_pairs(pairs) });
        }
        ">refused" => {
            let (buffer, quota, message) = (fields.buffer()?, fields.flag()?, fields.text()?);
            send(Input::BufferFailed { buffer, quota, message });
        }
        ">state" => send(Input::MediaState(MediaState {
            position: fields.number()?,
            ready_state: fields.whole()? as u8,
            paused: fields.flag()?,
            seeking: fields.flag()?,
            ended: fields.flag()?,
            rate: fields.number()?,
            width: fields.whole()? as u32,
            height: fields.whole()? as u32,
            first_frame: fields.flag()?,
            hidden: fields.flag()?,
            wall: fields.number()?,
        })),
        ">elementerror" => {
            let (code, message) = (fields.whole()? as u8, fields.text()?);
            send(Input::ElementError { code, message });
        }
        ">quality" => {
            let id = fields.maybe_text()?.map(str::to_owned);
            let keep = fields.flag()?;
            send(Input::Intent(if keep {
                UserIntent::UseQuality(id)
            } else {
                UserIntent::SelectQuality(id)
            }));
        }
        ">audio" => send(Input::Intent(UserIntent::SelectAudio(fields.text()?.to_owned()))),
        ">golive" => send(Input::Intent(UserIntent::GoLive)),
        ">date" => send(Input::Intent(UserIntent::SeekToDate(fields.number()?))),
        ">configure" => {
            let config = configuration(&mut fields)?;
            send(Input::Intent(UserIntent::Configure(Box::new(config))));
        }
        ">stop" => send(Input::Intent(UserIntent::Stop)),
        ">time" => send(Input::Timeout),
        _ => return fields.fail("an input that is none"),
    }
    Ok(())
}
