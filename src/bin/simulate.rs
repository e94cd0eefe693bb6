//! `millrace-simulate`: plays movies over recorded or made-up links with the player's core, and tells how good that was.
//!
//! `--help` tells the options.

use millrace::sim::{
    Field, Group, KINDS, Listing, METRICS, Metrics, Movie, Options, PeerError, Plot, Process, Random, Report,
    Rule, Run, Sensitivity, Session, Site, Trace, play, play_peer, synthetic_movie, synthetic_traces,
};
use std::collections::BTreeMap;
use std::process::ExitCode;

const USAGE: &str = "\
usage: npm run simulate [-- options]
       npm run simulate -- --traces FILE… --movie FILE [--traces FILE… …] [options]

Without --traces: links and a movie that are made up. Each --traces begins a set; the --movie, --segments and --first that follow it
hold for it and the sets after it.
  --traces FILE…     JSON lines, a link each: {\"id\",\"rtt_ms\",\"ms\":[…],\"kbps\":[…]}
  --movie FILE       {\"segment_ms\",\"bitrates_kbps\":[…],\"sizes_bits\":[[…],…]}
  --segments N       only the first N segments of the movie
  --first N          only the first N links of each file
  --synthetic SEED   20 links of each kind (steps, ramps, outages, markov) and a movie, made from a seed (1)
  --rules A,B        default, throughput, bola, lowest, highest, fixed:N (N from 0), default:NAME=VALUE:… (another value for a number that
                     --sensitivity names), and those of other players: hls.js, shaka, dash.js (their own code
                     from node_modules in a plain loop; no --live, no --audio); the first is the one to compare with
  --buffer S         seconds that are buffered at most (25)
  --live             the movie is live: it began a minute ago
  --audio KBPS       sound besides, on the same link
  --listing KIND     list (all sizes known), index (sidx) or template (no sizes known)
  --slow-start, --connections, --jitter MS, --cache SHARE, --seed N
                     the link: TCP's slow start after a second idle, a round trip for each new connection, random delay of each response,
                     share of responses from a cache
  --sensitivity      instead: the default rule with each of its tuned numbers larger and smaller; and the best change with one set left out
  --against FILE     compare with an earlier --json, link by link
  --json             print JSON
  --html FILE        write a report with plots: the distribution of each set, its worst and its median session
  --story TRACE      tell what happens on one link";

/// Other players whose own rules can be driven.
const PEERS: [&str; 3] = ["hls.js", "shaka", "dash.js"];
/// What is run for each of them, as a JSON array: a program and its first arguments; the player's name is one more.
const PEERS_COMMAND: &str = "MILLRACE_PEERS";

/// A set as it was asked for.
#[derive(Clone, Default)]
struct Wanted {
    files: Vec<String>,
    movie: Option<String>,
    segments: Option<usize>,
    first: Option<usize>,
}

#[derive(Default)]
struct Arguments {
    sets: Vec<Wanted>,
    synthetic: Option<u64>,
    rules: Vec<String>,
    options: Options,
    listing: Option<Listing>,
    audio: Option<f64>,
    against: Option<String>,
    json: bool,
    html: Option<String>,
    story: Option<String>,
    sensitivity: bool,
}

fn main() -> ExitCode {
    let list: Vec<String> = std::env::args().skip(1).collect();
    if list.iter().any(|a| a == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(list) {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("{text}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match simulate(&arguments, &mut Peers::default()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn parse(list: Vec<String>) -> Result<Self, String> {
        let mut all = Self::default();
        let mut list = list.into_iter().peekable();
        while let Some(arg) = list.next() {
            let mut value = || list.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--traces" => {
                    let before = all.sets.last().cloned().unwrap_or_default();
                    let mut set = Wanted { files: Vec::new(), ..before };
                    while let Some(file) = list.next_if(|a| !a.starts_with("--")) {
                        set.files.push(file);
                    }
                    // What was told before the first set holds for it.
                    if all.sets.last().is_some_and(|s| s.files.is_empty()) {
                        all.sets.pop();
                    }
                    if set.files.is_empty() {
                        return Err("--traces needs a file".into());
                    }
                    all.sets.push(set);
                }
                "--movie" => all.set().movie = Some(value()?),
                "--segments" => all.set().segments = Some(number(&arg, &value()?)?),
                "--first" => all.set().first = Some(number(&arg, &value()?)?),
                "--synthetic" => all.synthetic = Some(number(&arg, &value()?)?),
                "--rules" => all.rules = value()?.split(',').map(str::to_owned).collect(),
                "--buffer" => all.options.buffer = positive(&arg, &value()?)?,
                "--live" => all.options.live = true,
                "--audio" => all.audio = Some(positive(&arg, &value()?)?),
                "--listing" => {
                    all.listing = Some(match value()?.as_str() {
                        "list" => Listing::List,
                        "index" => Listing::Index,
                        "template" => Listing::Template,
                        other => return Err(format!("--listing: {other} is none of list, index, template")),
                    });
                }
                "--slow-start" => all.options.link.slow_start = true,
                "--connections" => all.options.link.connections = true,
                "--jitter" => all.options.link.jitter = positive(&arg, &value()?)? / 1000.0,
                "--cache" => all.options.link.cache = positive(&arg, &value()?)?.min(1.0),
                "--seed" => all.options.link.seed = number(&arg, &value()?)?,
                "--against" => all.against = Some(value()?),
                "--sensitivity" => all.sensitivity = true,
                "--json" => all.json = true,
                "--html" => all.html = Some(value()?),
                "--story" => all.story = Some(value()?),
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        if all.rules.is_empty() {
            all.rules.push("default".into());
        }
        let peer = |rule: &String| PEERS.contains(&rule.as_str());
        if let Some(unknown) = all.rules.iter().find(|r| Rule::parse(r).is_none() && !peer(r)) {
            return Err(format!("--rules: {unknown} is not known"));
        }
        if let Some(rule) = all.rules.iter().find(|r| peer(r) && (all.options.live || all.audio.is_some())) {
            return Err(format!("--rules: {rule} plays neither with --live nor with --audio"));
        }
        all.sets.retain(|s| !s.files.is_empty());
        if all.sets.is_empty() {
            all.synthetic.get_or_insert(1);
        }
        Ok(all)
    }

    /// The set that options are told for.
    fn set(&mut self) -> &mut Wanted {
        if self.sets.is_empty() {
            self.sets.push(Wanted::default());
        }
        let last = self.sets.len() - 1;
        &mut self.sets[last]
    }

    fn site(&self, movie: Movie) -> Site {
        Site::new(movie, self.audio, self.listing.unwrap_or(Listing::List))
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{option}: {text} is not a whole number"))
}

fn positive(option: &str, text: &str) -> Result<f64, String> {
    let value: Option<f64> = text.parse().ok();
    value
        .filter(|v| v.is_finite() && *v > 0.0)
        .ok_or_else(|| format!("{option}: {text} is not a number above 0"))
}

fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))
}

/// A set that is ready to be played.
struct Set {
    name: String,
    movie: String,
    site: Site,
    traces: Vec<Trace>,
}

fn sets(arguments: &Arguments) -> Result<Vec<Set>, String> {
    const LINKS: usize = 20;
    const SEGMENTS: usize = 150;
    let mut all = Vec::new();
    if let Some(seed) = arguments.synthetic {
        let movie = synthetic_movie(seed, SEGMENTS);
        for kind in KINDS {
            all.push(Set {
                name: kind.into(),
                movie: format!("{} ({SEGMENTS} segments)", movie.name),
                site: arguments.site(movie.clone()),
                traces: synthetic_traces(kind, Random::new(seed).bits(), LINKS),
            });
        }
    }
    for wanted in &arguments.sets {
        let file = wanted.movie.as_ref().ok_or("--movie is missing")?;
        let movie = Movie::read(file, &read(file)?).map_err(|e| e.to_string())?;
        let movie = movie.shortened(wanted.segments.unwrap_or(usize::MAX));
        let mut traces = Vec::new();
        for file in &wanted.files {
            let first = wanted.first.unwrap_or(usize::MAX);
            traces.extend(Trace::read_all(file, &read(file)?, first).map_err(|e| e.to_string())?);
        }
        all.push(Set {
            name: traces.first().map_or(String::new(), |t| t.set().to_owned()),
            movie: format!("{} ({} segments)", movie.name, movie.bytes.len()),
            site: arguments.site(movie),
            traces,
        });
    }
    Ok(all)
}

/// Processes of other players, each started when it is first asked for.
#[derive(Default)]
struct Peers(BTreeMap<String, Process>);

impl Peers {
    fn process(&mut self, rule: &str) -> Result<&mut Process, String> {
        if !self.0.contains_key(rule) {
            let command = std::env::var(PEERS_COMMAND).ok();
            let command: Option<Vec<String>> = command.and_then(|c| serde_json::from_str(&c).ok());
            let mut command = command.ok_or_else(|| {
                format!("{rule}: {PEERS_COMMAND} names no command to run; npm run simulate sets it")
            })?;
            command.push(rule.to_owned());
            let process = Process::start(&command).map_err(|e| told(rule, &e))?;
            self.0.insert(rule.to_owned(), process);
        }
        self.0.get_mut(rule).ok_or_else(|| format!("{rule}: {}", PeerError::Gone))
    }

    /// Plays a session with this rule, of whoever it is.
    fn play(&mut self, rule: &str, site: &Site, trace: &Trace, options: &Options) -> Result<Session, String> {
        if let Some(rule) = Rule::parse(rule) {
            return Ok(play(site, trace, &Options { rule, ..options.clone() }));
        }
        play_peer(site, trace, options, self.process(rule)?).map_err(|e| told(rule, &e))
    }

    /// What a rule is called: with its version, if it is another player's.
    fn name(&self, rule: &str) -> String {
        self.0.get(rule).map_or(rule, |p| p.name.as_str()).to_owned()
    }
}

fn told(rule: &str, error: &PeerError) -> String {
    format!("{rule}: {error}")
}

fn simulate(arguments: &Arguments, peers: &mut Peers) -> Result<String, String> {
    let sets = sets(arguments)?;
    if let Some(name) = &arguments.story {
        return story(arguments, peers, &sets, name);
    }
    if arguments.sensitivity {
        let fields: Vec<_> =
            sets.iter().map(|s| Field { name: &s.name, site: &s.site, traces: &s.traces }).collect();
        let done = |share: f64| eprint!("\r{:3.0} % ", share * 100.0);
        let result = Sensitivity::of(&fields, &arguments.options, &done);
        eprintln!("\r100 % ");
        return Ok(if arguments.json { format!("{:#}\n", result.json()) } else { result.text() });
    }
    let mut report = Report { title: title(arguments), groups: Vec::new() };
    let mut plots = Vec::new();
    for set in &sets {
        let mut group = Group {
            set: set.name.clone(),
            movie: set.movie.clone(),
            traces: set.traces.iter().map(|t| t.id.clone()).collect(),
            runs: Vec::new(),
        };
        for name in &arguments.rules {
            let options = &arguments.options;
            let sessions = set.traces.iter().map(|t| peers.play(name, &set.site, t, options));
            let sessions: Vec<_> = sessions.collect::<Result<_, _>>()?;
            let metrics: Vec<_> =
                sessions.iter().map(|s| Metrics::of(s, set.site.movie(), options.live)).collect();
            if arguments.html.is_some() {
                plots.extend(plots_of(set, name, options, &metrics, peers)?);
            }
            group.runs.push(Run { rule: peers.name(name), metrics, sessions });
        }
        report.groups.push(group);
    }
    if let Some(file) = &arguments.against {
        report.add_earlier(file, &read(file)?).map_err(|e| e.to_string())?;
    }
    if let Some(file) = &arguments.html {
        std::fs::write(file, report.html(&plots)).map_err(|e| format!("{file}: {e}"))?;
    }
    Ok(if arguments.json { format!("{:#}\n", report.json()) } else { report.text() })
}

fn title(arguments: &Arguments) -> String {
    let o = &arguments.options;
    let mut text = format!("at most {} s buffered", o.buffer);
    for (holds, what) in [
        (o.live, "live".to_owned()),
        (o.link.slow_start, "slow start".to_owned()),
        (o.link.connections, "new connections".to_owned()),
        (o.link.jitter > 0.0, format!("jitter up to {:.0} ms", o.link.jitter * 1000.0)),
        (o.link.cache > 0.0, format!("{:.0} % from a cache", o.link.cache * 100.0)),
        (arguments.audio.is_some(), format!("sound of {} kbit/s", arguments.audio.unwrap_or(0.0))),
        (arguments.listing.is_some(), format!("listing: {:?}", arguments.listing.unwrap_or(Listing::List))),
    ] {
        if holds {
            text.push_str(", ");
            text.push_str(&what);
        }
    }
    text
}

/// The worst and the median session by QoE_log.
fn plots_of(
    set: &Set,
    rule: &str,
    options: &Options,
    metrics: &[Metrics],
    peers: &mut Peers,
) -> Result<Vec<Plot>, String> {
    let mut order: Vec<usize> = (0..metrics.len()).collect();
    order.sort_by(|a, b| metrics[*a].0[0].total_cmp(&metrics[*b].0[0]));
    let options = Options { record: true, ..options.clone() };
    let places = [("worst", 0), ("median", order.len() / 2)];
    let chosen = places.into_iter().filter_map(|(which, place)| Some((which, *order.get(place)?)));
    let mut plots = Vec::new();
    for (which, i) in chosen {
        let trace = &set.traces[i];
        let session = peers.play(rule, &set.site, trace, &options)?;
        let name = peers.name(rule);
        plots.push(Plot {
            title: format!("{}, {name}, {which}: {} ({:.2})", set.name, trace.id, metrics[i].0[0]),
            session,
            ladder: set.site.movie().kbps.clone(),
        });
    }
    Ok(plots)
}

/// One session in words.
fn story(arguments: &Arguments, peers: &mut Peers, sets: &[Set], name: &str) -> Result<String, String> {
    use std::fmt::Write;
    let found = sets.iter().find_map(|s| Some((s, s.traces.iter().find(|t| t.id == name)?)));
    let (set, trace) = found.ok_or_else(|| format!("{name} is none of the traces"))?;
    let mut out = String::new();
    for name in &arguments.rules {
        let options = Options { record: true, ..arguments.options.clone() };
        let session = peers.play(name, &set.site, trace, &options)?;
        let name = peers.name(name);
        let _ = writeln!(out, "{name} on {}: {} of {} s", trace.id, set.movie, set.site.movie().duration());
        let mut events = session.story.iter().peekable();
        for instant in &session.record {
            while let Some((at, what)) = events.next_if(|e| e.0 <= instant.at) {
                let _ = writeln!(out, "{at:9.3} {what}");
            }
            if instant.at % 5.0 < 1.0 {
                let _ = writeln!(
                    out,
                    "{:9.3}   link {:6.0} kbit/s, estimate {:6.0}, buffer {:5.1} s, plays {}",
                    instant.at,
                    instant.kbps,
                    instant.estimate,
                    instant.buffer,
                    instant.rung.map_or("nothing".into(), |r| format!("rung {r}"))
                );
            }
        }
        for (at, what) in events {
            let _ = writeln!(out, "{at:9.3} {what}");
        }
        for stall in &session.stalls {
            let _ = writeln!(out, "{:9.3} the element waited for {:.3} s", stall.at, stall.seconds);
        }
        let metrics = Metrics::of(&session, set.site.movie(), options.live);
        for (metric, value) in METRICS.iter().zip(metrics.0) {
            let _ = writeln!(out, "{:>18} {value:.3}", metric.name);
        }
        let _ = writeln!(
            out,
            "{} requests, {} given up, {} bytes, {} errors that it went on after{}",
            session.requests,
            session.abandoned,
            session.bytes,
            session.recovered,
            session.error.map_or(String::new(), |e| format!("; ended by: {e}"))
        );
    }
    Ok(out)
}
