//! `millrace-inspect`: prints what the core understands of a manifest or a media file.
//!
//! Usage: `millrace-inspect FILE-or-URL [--json] [--now RFC3339] [--init FILE-or-URL] [--type dash|hls]`

use millrace::container::{self, Demuxer, Format, Metadata, Sample, Sink, TrackId, TrackInfo};
use millrace::error::{Code, PlayerError, Result};
use millrace::manifest::{
    self, AdaptationSet, ByteRange, IndexKind, Presentation, PresentationType, Protocol, Representation,
    SegmentIndex, dash, hls,
};
use millrace::player::{self, IndexReader, Variables};
use millrace::time::Ticks;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::process::ExitCode;
use std::rc::Rc;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match inspect(&options) {
        Ok(report) if options.json => {
            println!("{report:#}");
            ExitCode::SUCCESS
        }
        Ok(report) => {
            print!("{}", text::render(&report));
            ExitCode::SUCCESS
        }
        Err(error) => {
            if options.json {
                println!("{:#}", json!({ "kind": "error", "error": describe(&error) }));
            } else {
                eprintln!("{error}");
                if let Some(url) = &error.url {
                    eprintln!("  in {url}{}", error.position.map_or(String::new(), |p| format!(" at {p}")));
                }
            }
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str =
    "usage: inspect FILE-or-URL [--json] [--now 2026-01-01T00:00:00Z] [--init FILE-or-URL] [--type dash|hls]";

#[derive(Default)]
struct Options {
    target: String,
    json: bool,
    now: Option<f64>,
    init: Option<String>,
    kind: Option<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--json" => options.json = true,
                "--now" => {
                    let text = value()?;
                    options.now = Some(
                        manifest::date_time(&text)
                            .ok_or_else(|| format!("--now: {text} is no RFC 3339 date"))?,
                    );
                }
                "--init" => options.init = Some(value()?),
                "--type" => options.kind = Some(value()?),
                _ if arg.starts_with("--") => return Err(format!("unknown option {arg}")),
                _ if options.target.is_empty() => options.target = arg,
                _ => return Err("one file or URL at a time".into()),
            }
        }
        if options.target.is_empty() {
            return Err("name a file or a URL".into());
        }
        Ok(options)
    }
}

fn describe(error: &PlayerError) -> Value {
    json!({
        "code": error.code.as_str(),
        "category": format!("{:?}", error.code.category()).to_lowercase(),
        "message": error.message,
        "advice": error.code.advice(),
        "url": error.url,
        "status": error.status,
        "position": error.position,
    })
}

fn inspect(options: &Options) -> Result<Value> {
    let (url, body) = fetch(&absolute(&options.target), None)?;
    let is_dash = || dash::looks_like(&body) || extension(&url).eq_ignore_ascii_case("mpd");
    match options.kind.as_deref() {
        Some("dash") => return inspect_dash(options, &url, &body),
        Some("hls") => return inspect_hls(&url, &body),
        Some(other) => {
            return Err(PlayerError::new(
                Code::FormatUnsupported,
                format!("the type \"{other}\" is not known"),
            ));
        }
        None => {}
    }
    if hls::looks_like(&body) {
        inspect_hls(&url, &body)
    } else if container::sniff(&body).is_some() {
        let init = options.init.as_deref().map(|i| fetch(&absolute(i), None)).transpose()?;
        media::inspect(&url, init.as_ref().map_or(&[][..], |(_, b)| b), &body)
    } else if is_dash() {
        inspect_dash(options, &url, &body)
    } else if body.is_empty() {
        Err(PlayerError::new(Code::ManifestEmpty, "the file is empty").with_url(&url))
    } else {
        Err(PlayerError::new(Code::FormatUnknown, "the content is of no known format").with_url(&url))
    }
}

fn extension(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit_once('.').map_or("", |(_, e)| e)
}

/// A local path becomes a `file:` URL, so that references resolve against it.
fn absolute(target: &str) -> String {
    match manifest::url::scheme(target) {
        Some(scheme) if scheme.len() > 1 => target.to_owned(),
        _ => {
            let path = std::path::absolute(target).unwrap_or_else(|_| target.into());
            format!("file://{}", path.display())
        }
    }
}

/// Reads a URL or file; gives the URL after redirects.
fn fetch(url: &str, range: Option<ByteRange>) -> Result<(String, Vec<u8>)> {
    if let Some(path) = url.strip_prefix("file://") {
        let all = std::fs::read(path).map_err(|e| {
            PlayerError::new(Code::Network, format!("the file cannot be read: {e}")).with_url(url)
        })?;
        let Some(range) = range else { return Ok((url.to_owned(), all)) };
        let first = usize::try_from(range.first).unwrap_or(usize::MAX).min(all.len());
        let end =
            range.last.map_or(all.len(), |l| usize::try_from(l).unwrap_or(usize::MAX).saturating_add(1));
        return Ok((url.to_owned(), all[first..end.min(all.len()).max(first)].to_vec()));
    }
    if !matches!(manifest::url::scheme(url), Some("http" | "https")) {
        return Err(PlayerError::new(Code::UrlScheme, "only http, https and files can be read").with_url(url));
    }
    let mut request = ureq::get(url);
    if let Some(range) = range {
        let last = range.last.map_or(String::new(), |l| l.to_string());
        request = request.header("Range", format!("bytes={}-{last}", range.first));
    }
    let mut response = request.call().map_err(|e| match e {
        ureq::Error::StatusCode(status) => {
            let code = if status >= 500 { Code::HttpServer } else { Code::HttpClient };
            let mut error = PlayerError::new(code, format!("the server answered with status {status}"));
            error.status = Some(status);
            error.with_url(url)
        }
        other => PlayerError::new(Code::Network, format!("the request failed: {other}")).with_url(url),
    })?;
    use ureq::ResponseExt;
    let last = response.get_uri().to_string();
    let mut body = Vec::new();
    response.body_mut().as_reader().read_to_end(&mut body).map_err(|e| {
        PlayerError::new(Code::Truncated, format!("the response broke off: {e}")).with_url(url)
    })?;
    Ok((last, body))
}

fn inspect_dash(options: &Options, url: &str, body: &[u8]) -> Result<Value> {
    let mut presentation = dash::parse_at(body, url, Some(options.now.unwrap_or_else(unix_now)))?;
    let playlists = complete(&mut presentation, &Rc::new(Variables::default()));
    Ok(report(&presentation, &playlists))
}

#[expect(clippy::disallowed_methods, reason = "a command-line tool, not the core: `--now` replaces it")]
fn unix_now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn inspect_hls(url: &str, body: &[u8]) -> Result<Value> {
    let (mut presentation, variables, own) = match hls::parse(body, url, &Variables::default())? {
        hls::Playlist::Multivariant(presentation, variables) => (presentation, variables, None),
        hls::Playlist::Media(list) => (list.into_presentation(), Variables::default(), Some(url.to_owned())),
    };
    let mut playlists = complete(&mut presentation, &Rc::new(variables));
    if let Some(own) = own {
        playlists.push(((0, 0, 0), own));
    }
    if presentation.duration.is_none() {
        presentation.duration = presentation
            .periods
            .iter()
            .flat_map(|p| &p.sets)
            .filter(|s| matches!(s.content, manifest::ContentType::Video | manifest::ContentType::Audio))
            .flat_map(|s| &s.representations)
            .filter_map(|r| r.index.end())
            .reduce(f64::max);
        if let Some(period) = presentation.periods.first_mut() {
            period.duration = presentation.duration;
        }
    }
    Ok(report(&presentation, &playlists))
}

type Place = (usize, usize, usize);

/// Fetches the indexes that stand apart. What cannot be read becomes a warning. Gives the playlists' URLs.
fn complete(presentation: &mut Presentation, variables: &Rc<Variables>) -> Vec<(Place, String)> {
    let mut playlists = Vec::new();
    let mut dynamic = false;
    for (p, period) in presentation.periods.iter_mut().enumerate() {
        for (s, set) in period.sets.iter_mut().enumerate() {
            for (r, rep) in set.representations.iter_mut().enumerate() {
                let SegmentIndex::Pending(source) = &rep.index else { continue };
                if source.kind == IndexKind::MediaPlaylist {
                    playlists.push(((p, s, r), source.url.clone()));
                }
                let mut reader = IndexReader::new(source, variables.clone());
                let read = loop {
                    let (_, url, range) = reader.request();
                    match fetch(&url, range).and_then(|(url, body)| reader.read(&body, &url)) {
                        Ok(None) => {}
                        Ok(Some(list)) => break Ok(list),
                        Err(error) => break Err(error),
                    }
                };
                match read {
                    Ok(player::Read::List(list, _)) => rep.index = SegmentIndex::List(list),
                    Ok(player::Read::Playlist(playlist)) => {
                        dynamic |= !playlist.is_complete();
                        rep.index = SegmentIndex::List(playlist.index);
                    }
                    Err(error) => presentation
                        .warnings
                        .push(format!("{}: {error}", error.url.as_deref().unwrap_or(&reader.request().1))),
                }
            }
        }
    }
    if dynamic {
        presentation.kind = PresentationType::Dynamic;
    }
    playlists
}

fn report(presentation: &Presentation, playlists: &[(Place, String)]) -> Value {
    let periods: Vec<Value> = presentation
        .periods
        .iter()
        .enumerate()
        .map(|(p, period)| {
            let sets: Vec<Value> = period
                .sets
                .iter()
                .enumerate()
                .map(|(s, set)| {
                    let representations: Vec<Value> = set
                        .representations
                        .iter()
                        .enumerate()
                        .map(|(r, rep)| {
                            let playlist =
                                playlists.iter().find(|(at, _)| *at == (p, s, r)).map(|(_, u)| u.as_str());
                            representation(rep, playlist)
                        })
                        .collect();
                    adaptation_set(set, representations)
                })
                .collect();
            json!({ "id": period.id, "start": period.start, "duration": period.duration, "sets": sets })
        })
        .collect();
    json!({
        "kind": "presentation",
        "protocol": match presentation.protocol { Protocol::Dash => "dash", Protocol::Hls => "hls", Protocol::File => "file" },
        "type": match presentation.kind {
            PresentationType::Static => "static",
            PresentationType::Dynamic => "dynamic",
        },
        "duration": presentation.duration,
        "start": presentation.start_hint,
        "periods": periods,
        "warnings": presentation.warnings,
    })
}

fn adaptation_set(set: &AdaptationSet, representations: Vec<Value>) -> Value {
    json!({
        "id": set.id,
        "type": set.content.as_str(),
        "lang": set.lang,
        "label": set.label,
        "roles": set.roles,
        "default": set.default,
        "encrypted": set.encrypted,
        "representations": representations,
    })
}

fn range(range: Option<ByteRange>) -> Value {
    range.map_or(Value::Null, |r| json!([r.first, r.last]))
}

fn known(value: impl Into<f64>) -> Value {
    let value = value.into();
    if value == 0.0 {
        Value::Null
    } else if value.fract() == 0.0 {
        json!(value as u64)
    } else {
        json!(value)
    }
}

fn text_or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn representation(rep: &Representation, playlist: Option<&str>) -> Value {
    let segments: Vec<_> = (0..rep.index.len()).filter_map(|i| rep.index.segment(i)).collect();
    let init = match &rep.index {
        SegmentIndex::Pending(source) => source.init.clone(),
        _ => segments.iter().find_map(|s| s.init.clone()),
    };
    let listed: Vec<Value> = segments
        .iter()
        .map(|s| {
            let keys: Vec<Value> = s
                .keys
                .iter()
                .map(|k| {
                    let iv = k.iv.map(|iv| iv.iter().map(|b| format!("{b:02x}")).collect::<String>());
                    json!({ "method": k.method, "uri": k.uri, "keyFormat": k.key_format, "iv": iv })
                })
                .collect();
            let mut entry = Map::new();
            entry.insert("url".into(), json!(s.url));
            entry.insert("range".into(), range(s.range));
            entry.insert("start".into(), json!(s.start));
            entry.insert("duration".into(), json!(s.duration));
            entry.insert("discontinuity".into(), json!(s.discontinuity));
            entry.insert("gap".into(), json!(s.gap));
            entry.insert("keys".into(), json!(keys));
            // Named where it differs from the representation's first one.
            if s.init != init
                && let Some(own) = &s.init
            {
                entry.insert("init".into(), json!({ "url": own.url, "range": range(own.range) }));
            }
            Value::Object(entry)
        })
        .collect();
    json!({
        "id": rep.id,
        "bandwidth": rep.bandwidth,
        "averageBandwidth": rep.average_bandwidth,
        "codecs": text_or_null(&rep.codecs),
        "mimeType": text_or_null(&rep.mime_type),
        "width": known(rep.width),
        "height": known(rep.height),
        "frameRate": known(rep.frame_rate),
        "sampleRate": known(rep.sample_rate),
        "channels": known(rep.channels),
        "playlist": playlist,
        "init": init.map(|i| json!({ "url": i.url, "range": range(i.range) })),
        "segments": listed,
    })
}

/// Media files: every sample with its times and the hash of its bytes.
mod media {
    use super::*;
    use md5::{Digest, Md5};

    #[derive(Default)]
    struct Dump {
        tracks: Vec<(TrackInfo, Vec<Value>, Vec<u8>)>,
        warnings: Vec<String>,
        stray: Vec<u8>,
        metadata: Vec<Value>,
    }

    impl Dump {
        fn add(&mut self, track: TrackId, sample: Sample, bytes: &[u8]) {
            if let Some((_, samples, _)) = self.tracks.iter_mut().find(|(t, ..)| t.id == track) {
                let md5: String = Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
                samples.push(json!({
                    "dts": sample.dts, "pts": sample.pts, "duration": sample.duration, "size": sample.size,
                    "sync": sample.sync, "md5": md5,
                }));
            }
        }
    }

    impl Sink for Dump {
        fn track(&mut self, info: TrackInfo) {
            match self.tracks.iter_mut().find(|(t, ..)| t.id == info.id) {
                Some(known) => known.0 = info,
                None => self.tracks.push((info, Vec::new(), Vec::new())),
            }
        }

        fn tracks_complete(&mut self) {}

        fn buffer(&mut self, track: TrackId) -> &mut Vec<u8> {
            match self.tracks.iter_mut().find(|(t, ..)| t.id == track) {
                Some((_, _, buffer)) => buffer,
                None => &mut self.stray,
            }
        }

        fn sample(&mut self, track: TrackId, sample: Sample) {
            let buffer = std::mem::take(self.buffer(track));
            let start = buffer.len().saturating_sub(sample.size as usize);
            self.add(track, sample, &buffer[start..]);
            let info = self.tracks.iter().find(|(t, ..)| t.id == track);
            let captions = info.map_or_else(Vec::new, |(t, ..)| container::captions(t, &buffer[start..]));
            if !captions.is_empty() {
                self.metadata(Some(track), Some(sample.pts), Metadata::Captions(captions));
            }
        }

        fn metadata(&mut self, track: Option<TrackId>, at: Option<Ticks>, data: Metadata) {
            let bytes = |kind: &str, data: &[u8]| {
                let hex: String = data.iter().map(|b| format!("{b:02x}")).collect();
                (kind.to_owned(), json!(hex))
            };
            let pairs = |kind: &str, list: &[(String, String)]| (kind.to_owned(), json!(list));
            let (kind, data) = match &data {
                Metadata::Id3(data) => bytes("id3", data),
                Metadata::Scte35(data) => bytes("scte35", data),
                Metadata::Klv(data) => bytes("klv", data),
                Metadata::Captions(data) => bytes("captions", data),
                Metadata::Event(e) => {
                    let event = json!({
                        "schemeIdUri": e.scheme_id_uri, "value": e.value, "id": e.id, "duration": e.duration,
                        "data": bytes("", &e.data).1,
                    });
                    ("emsg".to_owned(), event)
                }
                Metadata::Comments(list) => pairs("comments", list),
                Metadata::Script(list) => pairs("script", list),
            };
            self.metadata.push(json!({ "track": track.map(|t| t.0), "at": at, "kind": kind, "data": data }));
        }

        fn warning(&mut self, offset: u64, what: &'static str) {
            self.warnings.push(format!("at byte {offset}: {what}"));
        }
    }

    pub fn inspect(url: &str, init: &[u8], body: &[u8]) -> Result<Value> {
        let format = container::sniff(body);
        let mut dump = Dump::default();
        let demux = |dump: &mut Dump, demuxer: &mut dyn Demuxer| {
            demuxer.push(init, dump)?;
            demuxer.push(body, dump)?;
            demuxer.finish(dump)
        };
        let Some((format, mut demuxer)) = format.and_then(|f| Some((f, container::open(f)?))) else {
            return Err(
                PlayerError::new(Code::ContainerUnsupported, "this kind of media is not read").with_url(url)
            );
        };
        let whole = format == Format::Mp4
            && container::mp4::progressive::demux(body, &mut dump).map_err(|e| e.with_url(url))?;
        if !whole {
            demux(&mut dump, demuxer.as_mut()).map_err(|e| e.with_url(url))?;
        }
        if dump.tracks.is_empty() {
            return Err(PlayerError::new(Code::MediaEmpty, "the file has no tracks").with_url(url));
        }
        let duration = dump
            .tracks
            .iter()
            .filter_map(|(info, samples, _)| {
                let time = |s: &Value, key: &str| s.get(key).and_then(Value::as_i64);
                let first = samples.iter().filter_map(|s| time(s, "pts")).min()?;
                let step = samples.windows(2).last().map_or(0, |w| {
                    time(&w[1], "dts").unwrap_or(0).saturating_sub(time(&w[0], "dts").unwrap_or(0))
                });
                let end = samples
                    .iter()
                    .filter_map(|s| Some(time(s, "pts")? + time(s, "duration").unwrap_or(step)))
                    .max()?;
                Some(info.timescale.seconds(end - first))
            })
            .reduce(f64::max);
        let tracks: Vec<Value> = dump
            .tracks
            .into_iter()
            .map(|(info, samples, _)| {
                json!({
                    "id": info.id.0,
                    "type": info.kind.as_str(),
                    "codec": info.codec,
                    "timescale": info.timescale.get(),
                    "width": known(info.width),
                    "height": known(info.height),
                    "sampleRate": known(info.sample_rate),
                    "channels": known(info.channels),
                    "language": info.language,
                    "label": info.label,
                    "editStart": info.edit_start,
                    "encrypted": info.encrypted,
                    "samples": samples,
                })
            })
            .collect();
        Ok(json!({
            "kind": "media",
            "container": format.as_str(),
            "duration": duration,
            "tracks": tracks,
            "metadata": dump.metadata,
            "warnings": dump.warnings,
        }))
    }
}

/// The report for people.
mod text {
    use super::*;
    use std::fmt::Write;

    pub fn render(report: &Value) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ =
            if report["kind"] == "media" { media(&mut out, report) } else { presentation(&mut out, report) };
        for warning in items(&report["warnings"]) {
            let _ = writeln!(out, "warning: {}", plain(warning));
        }
        out
    }

    fn items(value: &Value) -> impl Iterator<Item = &Value> {
        value.as_array().into_iter().flatten()
    }

    fn plain(value: &Value) -> String {
        match value {
            Value::Null => "-".into(),
            Value::String(s) => s.clone(),
            other => other.to_string(),
        }
    }

    fn media(out: &mut String, report: &Value) -> std::fmt::Result {
        writeln!(out, "{}, {} s", plain(&report["container"]), plain(&report["duration"]))?;
        for track in items(&report["tracks"]) {
            let samples: Vec<&Value> = items(&track["samples"]).collect();
            let bytes: u64 = samples.iter().filter_map(|s| s["size"].as_u64()).sum();
            let sync = samples.iter().filter(|s| s["sync"] == true).count();
            let shape = match track["type"].as_str() {
                Some("video") => format!("{}x{}", plain(&track["width"]), plain(&track["height"])),
                _ => format!("{} Hz, {} channels", plain(&track["sampleRate"]), plain(&track["channels"])),
            };
            writeln!(
                out,
                "  track {} {} {} {shape}, timescale {}: {} samples, {sync} sync, {bytes} bytes",
                plain(&track["id"]),
                plain(&track["type"]),
                plain(&track["codec"]),
                plain(&track["timescale"]),
                samples.len(),
            )?;
        }
        Ok(())
    }

    fn presentation(out: &mut String, report: &Value) -> std::fmt::Result {
        writeln!(
            out,
            "{} {}, {} s",
            plain(&report["protocol"]),
            plain(&report["type"]),
            plain(&report["duration"])
        )?;
        for period in items(&report["periods"]) {
            writeln!(
                out,
                "period {} from {} s for {} s",
                plain(&period["id"]),
                plain(&period["start"]),
                plain(&period["duration"])
            )?;
            for set in items(&period["sets"]) {
                writeln!(
                    out,
                    "  {} {} lang {} label {}",
                    plain(&set["type"]),
                    plain(&set["id"]),
                    plain(&set["lang"]),
                    plain(&set["label"])
                )?;
                for rep in items(&set["representations"]) {
                    writeln!(
                        out,
                        "    {} {} bit/s {} {}x{}: {} segments",
                        plain(&rep["id"]),
                        plain(&rep["bandwidth"]),
                        plain(&rep["codecs"]),
                        plain(&rep["width"]),
                        plain(&rep["height"]),
                        items(&rep["segments"]).count(),
                    )?;
                }
            }
        }
        Ok(())
    }
}
