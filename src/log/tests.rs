//! Records that cannot be read, that differ, and that end early. That whole sessions replay is asserted by tests/core/scenarios.

use super::{Bodies, Fault, LogError, Outcome, Replay, VERSION, header, input, output, requests, tell};
use crate::player::{Config, FetchId, Input, LoadRequest, Output, Player};
use serde_json::{Value, json};

fn config() -> Config {
    Config { live_latency: Some(3.5), icy: Some(true), ..Config::default() }
}

/// A record with a header and these lines.
fn log(lines: &[Value]) -> String {
    let mut first = Vec::new();
    header(&mut first, &config());
    let lines = std::iter::once(Value::from(first)).chain(lines.iter().cloned());
    lines.map(|line| format!("{line}\n")).collect()
}

const URL: &str = "https://example.test/list.m3u8?token=one";

/// A load and what comes of it; then the response, if there is one.
fn load(response: Vec<Input>) -> Vec<Value> {
    let mut player = Player::new(config());
    let mut lines = Vec::new();
    let request = LoadRequest { url: URL.into(), ..LoadRequest::default() };
    let mut now = 5.25;
    let mut send = |now, given: Input| {
        let mut line = Vec::new();
        input(&mut line, now, &given);
        lines.push(Value::from(line));
        player.handle_input(now, given);
        loop {
            let told = player.poll_output();
            if matches!(told, Output::Wait { .. }) {
                return;
            }
            let mut line = Vec::new();
            output(&mut line, &told);
            lines.push(Value::from(line));
        }
    };
    send(now, Input::Load(request));
    for given in response {
        now += 0.25;
        send(now, given);
    }
    lines
}

/// The number of the first request.
fn first() -> FetchId {
    let lines = load(vec![]);
    let fetch = lines.iter().find(|l| l[0] == "<fetch").expect("there is a request");
    FetchId(fetch[1].as_u64().expect("a number") as u32)
}

fn head(status: u16) -> Input<'static> {
    let (content_type, length, date) = (None, None, None);
    Input::FetchHead { id: first(), status, url: URL, content_type, length, ranges: false, date, icy: None }
}

/// A load whose playlist is refused.
fn refused() -> Vec<Value> {
    load(vec![head(404)])
}

fn replay(text: &str) -> Result<Replay, LogError> {
    Replay::of(text, &Bodies::new(), f64::INFINITY)
}

fn fault(text: &str) -> (usize, Fault) {
    let error = replay(text).expect_err("it cannot be read");
    assert!(error.to_string().starts_with(&format!("line {}: ", error.line)), "{error}");
    (error.line, error.fault)
}

#[test]
fn what_is_recorded_is_done_again() {
    let mut lines = refused();
    let done = replay(&log(&lines)).expect("it can be read");
    assert_eq!((done.outcome, done.inputs, done.seconds, done.cut), (Outcome::Same, 2, 0.25, false));
    lines.push(json!(["cut"]));
    assert!(replay(&log(&lines)).expect("it can be read").cut);
}

#[test]
fn the_first_difference_is_named() {
    let mut lines = refused();
    let open = lines.iter().position(|l| *l == json!(["<open"])).expect("a source is opened");
    lines[open] = json!(["<close"]);
    let differs = |lines: &[Value]| match replay(&log(lines)).expect("it can be read").outcome {
        Outcome::Differs(found) => found,
        Outcome::Same => panic!("they are not the same"),
    };
    let found = differs(&lines);
    assert_eq!((found.line, found.time), (open + 2, 0.0));
    assert_eq!(
        (found.recorded.as_deref(), found.replayed.as_deref()),
        (Some("[\"<close\"]"), Some("[\"<open\"]"))
    );
    // The last output is missing.
    let mut lines = refused();
    let last = lines.pop().expect("there are lines");
    let found = differs(&lines);
    assert_eq!((found.recorded, found.replayed), (None, Some(last.to_string())));
    // There is one too many.
    lines.extend([last, json!(["!ended"])]);
    let found = differs(&lines);
    assert_eq!(
        (found.line, found.recorded.as_deref(), found.replayed),
        (lines.len() + 1, Some("[\"!ended\"]"), None)
    );
    // Another query is no difference: it may be masked.
    let fetch = lines.iter().position(|l| l[0] == "<fetch").expect("there is a request");
    lines.pop();
    lines[fetch][2] = json!("https://example.test/list.m3u8?token=other");
    assert_eq!(replay(&log(&lines)).expect("it can be read").outcome, Outcome::Same);
}

#[test]
fn until_a_time_and_in_words() {
    let lines = refused();
    let (done, story) = tell(&log(&lines), &Bodies::new(), 0.2).expect("it can be read");
    assert_eq!((done.inputs, done.seconds), (1, 0.0));
    assert!(
        story.starts_with(&format!(
            "    0.000 load {URL}\n    0.000 ask for manifest example.test/list.m3u8\n"
        )),
        "{story}"
    );
    let (_, story) = tell(&log(&lines), &Bodies::new(), f64::INFINITY).expect("it can be read");
    assert!(
        story.contains("    0.250 the server answers manifest example.test/list.m3u8 with status 404\n"),
        "{story}"
    );
    assert!(story.contains("ERROR: HTTP_CLIENT_ERROR: "), "{story}");
}

#[test]
fn what_is_no_record_is_refused_with_its_line() {
    assert_eq!(fault(""), (1, Fault::NotALog));
    assert_eq!(fault("#EXTM3U\n"), (1, Fault::NotALog));
    assert_eq!(fault("[\"another-log\",1]\n"), (1, Fault::NotALog));
    assert_eq!(fault("[\"millrace-log\",99,\"9.9\",{}]\n"), (1, Fault::Version("99".into())));
    assert_eq!(
        fault(&format!("[\"millrace-log\",{VERSION},\"0.1.0\",30]\n")),
        (1, Fault::Malformed("a number is missing"))
    );
    let whole = log(&refused());
    assert_eq!(fault(&whole[..whole.len() - 20]), (whole.lines().count(), Fault::CutShort));
    let wrong = |line: &str| fault(&format!("{}{line}\n", log(&[])));
    assert_eq!(wrong("{}"), (2, Fault::Malformed("the line is no JSON array")));
    assert_eq!(wrong("[0,\">jump\"]"), (2, Fault::Malformed("an input that is none")));
    assert_eq!(wrong("[0,\">load\",7]"), (2, Fault::Malformed("a text is missing")));
    assert_eq!(wrong("[0,\">end\",-1]"), (2, Fault::Malformed("a number is not a whole one")));
    assert_eq!(wrong("[0,\">done\",\"text\"]"), (2, Fault::Malformed("a buffer that is none")));
    assert_eq!(
        wrong("[\"=\",1,\"text\"]"),
        (2, Fault::Malformed("content of a request that is not in the log"))
    );
}

#[test]
fn bodies_come_from_the_record_or_from_elsewhere_and_are_verified() {
    let id = first().0;
    let with = |body: &[u8], more: &[Value]| {
        let mut lines = load(vec![head(200), Input::FetchBody { id: first(), data: body }]);
        lines.extend_from_slice(more);
        log(&lines)
    };
    let other = |text: &str, bytes: &[u8]| Replay::of(text, &Bodies::from([(id, bytes.to_vec())]), 1e9);
    let body = b"#EXTM3U\n";
    let text = with(body, &[]);
    assert!(matches!(fault(&text).1, Fault::NoBody(request) if request.id == id && request.range.is_none()));
    assert_eq!(requests(&text).expect("it can be read").len(), 1);
    assert!(other(&text, body).is_ok());
    assert!(matches!(other(&text, b"#EXTM4U\n").map_err(|e| e.fault), Err(Fault::OtherBody(_))));
    assert!(matches!(other(&text, b"#EXT").map_err(|e| e.fault), Err(Fault::OtherBody(_))));
    for content in [json!("#EXTM3U\n"), json!({ "b64": "I0VYVE0zVQo=" })] {
        let text = with(body, &[json!(["=", id, content])]);
        assert!(replay(&text).is_ok());
        assert_eq!(requests(&text), Ok(vec![]));
    }
    // A second reading as pieces of the first one.
    let again = [
        json!(["=", id, "#EXTM3U\n#EXT-X-ENDLIST\n"]),
        json!(["<fetch", 99, "https://example.test/list.m3u8?again", "manifest"]),
        json!(["=", 99, { "from": [[0, 8], "x", [8, 3]] }]),
    ];
    let lines = super::read::Lines::read(&with(body, &again)).expect("it can be read");
    let told = super::read::Told::of(&lines).expect("it can be read");
    assert_eq!(told.0[&99], b"#EXTM3U\nx#EX");
    let outside = with(body, &[json!(["=", id, "a"]), json!(["=", id, { "from": [[0, 2]] }])]);
    assert_eq!(fault(&outside).1, Fault::Malformed("pieces outside of what they are of"));
}
