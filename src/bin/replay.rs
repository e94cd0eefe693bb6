//! `millrace-replay`: plays a session log again with the core, and compares what it does with what the log says.
//!
//! `--help` tells the options.

use millrace::log::{Bodies, LogError, Outcome, Replay, Requested, requests, tell};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: npm run replay -- LOG [options]

Plays a session log (what player.log() gives) again and compares all outputs with those in the log. Status: 0 they are the same, 1 they
differ or the log cannot be read, 2 wrong usage.
  --until T      stop T seconds after the first input
  --explain      tell what happens: what the player knew, what it chose, why
  --media DIR    bodies of responses that the log has by reference, as DIR/NUMBER of the request; without it they are fetched again
  --requests     print those requests, as JSON: [{\"id\",\"url\",\"first\",\"last\"}…]
  --json         print the result as JSON";

#[derive(Default)]
struct Arguments {
    log: Option<String>,
    until: Option<f64>,
    media: Option<String>,
    explain: bool,
    requests: bool,
    json: bool,
}

impl Arguments {
    fn parse(mut list: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut all = Self::default();
        while let Some(arg) = list.next() {
            let mut value = || list.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--until" => {
                    let text = value()?;
                    let seconds = text.parse().ok().filter(|s: &f64| *s >= 0.0);
                    all.until = Some(seconds.ok_or_else(|| format!("--until: {text} is no time"))?);
                }
                "--media" => all.media = Some(value()?),
                "--explain" => all.explain = true,
                "--requests" => all.requests = true,
                "--json" => all.json = true,
                _ if arg.starts_with("--") => return Err(format!("unknown option {arg}")),
                _ if all.log.is_some() => return Err("one log at a time".into()),
                _ => all.log = Some(arg),
            }
        }
        if all.log.is_none() { Err("which log?".into()) } else { Ok(all) }
    }
}

fn main() -> ExitCode {
    let list: Vec<String> = std::env::args().skip(1).collect();
    if list.iter().any(|a| a == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(list.into_iter()) {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("{text}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(same) => ExitCode::from(u8::from(!same)),
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is the same.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let file = arguments.log.as_deref().unwrap_or_default();
    let log = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
    let log =
        String::from_utf8(log).map_err(|_| format!("{file}: this is not text, so it is no session log"))?;
    let told = |e: LogError| format!("{file}: {e}");
    if arguments.requests {
        let wanted = requests(&log).map_err(told)?;
        println!("{}", serde_json::Value::from_iter(wanted.iter().map(as_json)));
        return Ok(true);
    }
    let bodies = match &arguments.media {
        Some(dir) => read_bodies(dir, &requests(&log).map_err(told)?),
        None => Bodies::new(),
    };
    let (replay, story) = tell(&log, &bodies, arguments.until.unwrap_or(f64::INFINITY)).map_err(told)?;
    if arguments.explain {
        print!("{story}");
    }
    println!("{}", if arguments.json { result(&replay).to_string() } else { words(&replay) });
    Ok(replay.outcome == Outcome::Same)
}

fn as_json(request: &Requested) -> serde_json::Value {
    let (first, last) = request.range.unzip();
    serde_json::json!({ "id": request.id, "url": request.url, "first": first, "last": last.flatten() })
}

/// Those that are missing are told of where they are needed.
fn read_bodies(dir: &str, wanted: &[Requested]) -> Bodies {
    let read = |r: &Requested| Some((r.id, std::fs::read(Path::new(dir).join(r.id.to_string())).ok()?));
    wanted.iter().filter_map(read).collect()
}

fn words(replay: &Replay) -> String {
    let Replay { inputs, outputs, seconds, .. } = replay;
    let cut = if replay.cut { "; there was room for no more in the log" } else { "" };
    match &replay.outcome {
        Outcome::Same => format!("the same: {inputs} inputs and {outputs} outputs in {seconds:.3} s{cut}"),
        Outcome::Differs(d) => {
            let or_nothing = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".into());
            format!(
                "line {}, {:.3} s: a difference after {outputs} outputs that are the same\n  in the log: {}\n  replayed:   {}",
                d.line,
                d.time,
                or_nothing(&d.recorded),
                or_nothing(&d.replayed)
            )
        }
    }
}

fn result(replay: &Replay) -> serde_json::Value {
    let difference = match &replay.outcome {
        Outcome::Same => None,
        Outcome::Differs(d) => Some(
            serde_json::json!({ "line": d.line, "time": d.time, "recorded": d.recorded, "replayed": d.replayed }),
        ),
    };
    serde_json::json!({
        "same": difference.is_none(),
        "inputs": replay.inputs,
        "outputs": replay.outputs,
        "seconds": replay.seconds,
        "cut": replay.cut,
        "difference": difference,
    })
}
