//! The report as one HTML file: tables, distributions and single sessions, as inline SVG.

use super::metrics::METRICS;
use super::report::{Group, Report};
use super::session::Session;
use std::fmt::Write;

/// A session that is drawn second by second.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Heading.
    pub title: String,
    /// Played with `Options::record`.
    pub session: Session,
    /// The ladder in kbit/s.
    pub ladder: Vec<f64>,
}

const COLOURS: [&str; 6] = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a"];
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
/// Room for labels.
const LEFT: f64 = 60.0;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// A drawing with axes from 0 or less.
struct Chart {
    svg: String,
    x: (f64, f64),
    y: (f64, f64),
}

impl Chart {
    fn new(x: (f64, f64), y: (f64, f64), label: &str) -> Self {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\"><text x=\"{LEFT}\" y=\"14\">{}</text>",
            HEIGHT + 40.0,
            escape(label),
            escape(label)
        );
        let mut chart = Self { svg: String::new(), x, y: (y.0, if y.1 > y.0 { y.1 } else { y.0 + 1.0 }) };
        for i in 0..=4 {
            let part = f64::from(i) / 4.0;
            let (vx, vy) = (x.0 + (x.1 - x.0) * part, chart.y.0 + (chart.y.1 - chart.y.0) * part);
            let (px, py) = (chart.px(vx), chart.py(vy));
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{py:.1}\" y2=\"{py:.1}\" class=\"grid\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"end\">{}</text>\
                 <text x=\"{px:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"middle\">{}</text>",
                LEFT - 4.0,
                py + 4.0,
                digits(vy),
                HEIGHT + 36.0,
                digits(vx)
            );
        }
        chart.svg = svg;
        chart
    }

    fn px(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0).max(1e-9) * (WIDTH - LEFT - 20.0)
    }

    fn py(&self, y: f64) -> f64 {
        20.0 + HEIGHT * (1.0 - (y - self.y.0) / (self.y.1 - self.y.0))
    }

    fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, colour: &str, steps: bool) {
        let mut path = String::new();
        let mut last: Option<f64> = None;
        for (x, y) in points {
            let (px, py) = (self.px(x), self.py(y.min(self.y.1)));
            match last {
                None => {
                    let _ = write!(path, "M{px:.1} {py:.1}");
                }
                Some(_) if steps => {
                    let _ = write!(path, "H{px:.1}V{py:.1}");
                }
                Some(_) => {
                    let _ = write!(path, "L{px:.1} {py:.1}");
                }
            }
            last = Some(py);
        }
        let _ =
            write!(self.svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>");
    }

    fn band(&mut self, from: f64, to: f64) {
        let (a, b) = (self.px(from), self.px(to));
        let _ = write!(
            self.svg,
            "<rect x=\"{a:.1}\" y=\"20\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"#d1242f\" opacity=\"0.25\"/>",
            (b - a).max(1.0)
        );
    }

    fn end(self) -> String {
        self.svg + "</svg>"
    }
}

fn digits(x: f64) -> String {
    if x.abs() >= 100.0 { format!("{x:.0}") } else { format!("{x:.2}") }
}

fn legend(names: &[&str]) -> String {
    let items = names.iter().zip(COLOURS.iter().cycle());
    let items = items.map(|(n, c)| format!("<span style=\"color:{c}\">&#9632; {}</span>", escape(n)));
    format!("<p>{}</p>", items.collect::<Vec<_>>().join(" "))
}

impl Report {
    /// One file that needs no other.
    pub fn html(&self, plots: &[Plot]) -> String {
        let mut out = String::from(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Simulated sessions</title><style>\
             body{font:14px/1.4 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}\
             table{border-collapse:collapse;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}\
             td,th{padding:2px 8px;border-bottom:1px solid #d0d7de;text-align:right}td:first-child,td:nth-child(2){text-align:left}\
             small{color:#57606a;display:block}svg{width:100%;height:auto}.grid{stroke:#d0d7de}text{font:12px system-ui,sans-serif}\
             .tick{fill:#57606a}</style>",
        );
        let _ = write!(
            out,
            "<h1>Simulated sessions</h1><p>{}</p><table><tr><th>set<th>rule<th>n",
            escape(&self.title)
        );
        for m in &METRICS {
            let _ = write!(out, "<th>{}", m.name);
        }
        for group in &self.groups {
            for run in &group.runs {
                let _ = write!(
                    out,
                    "<tr><td>{}<small>{}</small><td>{}<td>{}",
                    escape(&group.set),
                    escape(&group.movie),
                    escape(&run.rule),
                    run.metrics.len()
                );
                for s in run.summaries() {
                    let _ = write!(
                        out,
                        "<td>{}<small>{} to {}</small><small>worst 10 %: {}</small>",
                        digits(s.mean),
                        digits(s.interval.0),
                        digits(s.interval.1),
                        digits(s.worst_tenth)
                    );
                }
            }
        }
        out.push_str("</table>");
        for group in &self.groups {
            out.push_str(&distribution(group));
        }
        for plot in plots {
            out.push_str(&plot.draw());
        }
        out + "</html>\n"
    }
}

/// What share of the sessions was at most so good.
fn distribution(group: &Group) -> String {
    let sorted: Vec<Vec<f64>> = group
        .runs
        .iter()
        .map(|run| {
            let mut values: Vec<f64> = run.metrics.iter().map(|m| m.0[0]).collect();
            values.sort_by(f64::total_cmp);
            values
        })
        .collect();
    let all = || sorted.iter().flatten().copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return String::new();
    }
    let mut chart =
        Chart::new((low, high.max(low + 0.01)), (0.0, 1.0), "share of sessions with at most this QoE_log");
    for (values, colour) in sorted.iter().zip(COLOURS.iter().cycle()) {
        let count = values.len() as f64;
        chart.line(values.iter().enumerate().map(|(i, v)| (*v, (i + 1) as f64 / count)), colour, true);
    }
    let names: Vec<&str> = group.runs.iter().map(|r| r.rule.as_str()).collect();
    format!("<h2>{}</h2>{}{}", escape(&group.set), legend(&names), chart.end())
}

impl Plot {
    fn draw(&self) -> String {
        let record = &self.session.record;
        let end = self.session.wall.max(1.0);
        let top = self.ladder.last().copied().unwrap_or(1.0);
        let most = record.iter().map(|i| i.kbps).fold(top, f64::max).min(2.0 * top);
        let mut rates = Chart::new((0.0, end), (0.0, most), "kbit/s over seconds; red: stalls");
        let mut buffer = Chart::new(
            (0.0, end),
            (0.0, record.iter().map(|i| i.buffer).fold(1.0, f64::max)),
            "seconds buffered",
        );
        for stall in &self.session.stalls {
            rates.band(stall.at, stall.at + stall.seconds);
            buffer.band(stall.at, stall.at + stall.seconds);
        }
        rates.line(record.iter().map(|i| (i.at, i.kbps)), COLOURS[5], true);
        rates.line(record.iter().map(|i| (i.at, i.estimate)), COLOURS[3], false);
        let rung = |i: Option<usize>| i.and_then(|r| self.ladder.get(r)).copied().unwrap_or(0.0);
        rates.line(record.iter().map(|i| (i.at, rung(i.rung))), COLOURS[0], true);
        buffer.line(record.iter().map(|i| (i.at, i.buffer)), COLOURS[0], false);
        let error = self.session.error.as_ref().map_or(String::new(), |e| format!("<p>{}</p>", escape(e)));
        let mut story = String::new();
        for (at, what) in &self.session.story {
            let _ = writeln!(story, "{at:9.3} {}", escape(what));
        }
        format!(
            "<h2>{}</h2>{error}<p><span style=\"color:{}\">&#9632; link</span> <span style=\"color:{}\">&#9632; estimate</span> \
             <span style=\"color:{}\">&#9632; played</span></p>{}{}<details><summary>Events</summary><pre>{story}</pre></details>",
            escape(&self.title),
            COLOURS[5],
            COLOURS[3],
            COLOURS[0],
            rates.end(),
            buffer.end()
        )
    }
}
