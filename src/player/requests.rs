//! Requests under way: ids, attempts, time-outs. Says what failed for good; what may pass is asked again after a pause.

use super::io::{Command, FetchFailure, FetchId, FetchKind, Now, Output};
use crate::error::{Code, PlayerError};
use crate::manifest::ByteRange;
use crate::time::tenths;
use std::borrow::Cow;
use std::collections::VecDeque;

/// Names a request over all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u32);

impl Ticket {
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Limits of trying, from the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    pub max_attempts: u32,
    pub timeout: f64,
}

/// Pause before the second attempt, in seconds; it doubles each time. Short, since most failures are a reset connection that
/// works at once; bounded, so that a server that comes back is found within seconds.
const FIRST_PAUSE: f64 = 0.5;
const LONGEST_PAUSE: f64 = 8.0;

#[derive(Debug)]
enum Phase {
    /// Sent; no head yet, or body running.
    Active { id: FetchId, last_sign: Now },
    /// Its response is not read at present, at the caller's wish: silence is no failure.
    #[cfg(feature = "progressive")]
    Held { id: FetchId },
    /// Waiting to be sent again.
    Paused { until: Now },
}

impl Phase {
    /// The attempt under way.
    fn active(&self) -> Option<FetchId> {
        match self {
            Self::Active { id, .. } => Some(*id),
            #[cfg(feature = "progressive")]
            Self::Held { id } => Some(*id),
            Self::Paused { .. } => None,
        }
    }
}

#[derive(Debug)]
struct Request {
    ticket: Ticket,
    kind: FetchKind,
    url: String,
    range: Option<ByteRange>,
    phase: Phase,
    attempts: u32,
    first_sent: Now,
    head_ok: bool,
    /// Seconds that it may be silent beyond the time-out: its server waits for something itself.
    patience: f64,
    /// Another request follows where it fails, rather than another attempt, and sooner.
    once: bool,
    /// It asks for a part of what it is about, and an answer with all of it will do.
    lenient: bool,
}

impl Request {
    /// Of a first attempt: under way, or yet to be sent.
    fn new(
        ticket: Ticket,
        kind: FetchKind,
        url: String,
        range: Option<ByteRange>,
        phase: Phase,
        first_sent: Now,
    ) -> Self {
        Self {
            ticket,
            kind,
            url,
            range,
            attempts: u32::from(phase.active().is_some()),
            phase,
            first_sent,
            head_ok: false,
            patience: 0.0,
            once: false,
            lenient: false,
        }
    }

    /// Seconds of silence after which it has failed.
    fn timeout(&self, policy: RetryPolicy) -> f64 {
        self.patience + if cfg!(feature = "live") && self.once { 1.0 } else { policy.timeout }
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It will be tried again.
    Again(Ticket),
    /// It is being tried again.
    Sent(Ticket),
    /// It has failed for good.
    Failed(Ticket, PlayerError),
}

/// All requests of a load.
#[derive(Debug, Default)]
pub(super) struct Requests {
    list: Vec<Request>,
    next: u32,
}

impl Requests {
    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Sends a request.
    pub fn send(
        &mut self,
        now: Now,
        kind: FetchKind,
        url: String,
        range: Option<ByteRange>,
        out: &mut VecDeque<Output>,
    ) -> Ticket {
        let ticket = Ticket(self.fresh());
        let id = FetchId(self.fresh());
        out.push_back(Output::Command(Command::Fetch { id, url: url.clone(), range, kind }));
        self.list.push(Request::new(ticket, kind, url, range, Phase::Active { id, last_sign: now }, now));
        ticket
    }

    /// Allows for silence: the server answers when something is there.
    pub fn wait_longer(&mut self, ticket: Ticket, patience: f64) {
        if let Some(request) = self.list.iter_mut().find(|r| r.ticket == ticket) {
            request.patience = patience;
        }
    }

    /// Has a request fail that its server does not answer within the time that it may wait, at the first attempt.
    #[cfg(all(feature = "hls", feature = "live"))]
    pub fn wait_once(&mut self, ticket: Ticket, patience: f64) {
        if let Some(request) = self.list.iter_mut().find(|r| r.ticket == ticket) {
            (request.patience, request.once) = (patience, true);
        }
    }

    /// Whether a request is under way, or will be made again.
    #[cfg(all(feature = "hls", feature = "live"))]
    pub fn has(&self, ticket: Ticket) -> bool {
        self.list.iter().any(|r| r.ticket == ticket)
    }

    /// Cancels a request; unknown tickets are ignored.
    pub fn cancel(&mut self, ticket: Ticket, out: &mut VecDeque<Output>) {
        if let Some(i) = self.list.iter().position(|r| r.ticket == ticket)
            && let Some(id) = self.list.swap_remove(i).phase.active()
        {
            out.push_back(Output::Command(Command::AbortFetch { id }));
        }
    }

    /// Cancels everything.
    pub fn cancel_all(&mut self, out: &mut VecDeque<Output>) {
        for request in self.list.drain(..) {
            if let Some(id) = request.phase.active() {
                out.push_back(Output::Command(Command::AbortFetch { id }));
            }
        }
    }

    fn index_of(&self, id: FetchId) -> Option<usize> {
        self.list.iter().position(|r| r.phase.active() == Some(id))
    }

    /// The request of an attempt that is under way.
    pub fn ticket_of(&self, id: FetchId) -> Option<Ticket> {
        self.index_of(id).map(|i| self.list[i].ticket)
    }

    /// A status line came. `Ok(None)`: the reply is to cancelled work.
    pub fn head(
        &mut self,
        now: Now,
        id: FetchId,
        status: u16,
        policy: RetryPolicy,
        out: &mut VecDeque<Output>,
    ) -> Result<Option<Ticket>, Verdict> {
        let Some(i) = self.index_of(id) else { return Ok(None) };
        let request = &mut self.list[i];
        // A 200 to a Range request would hand over the wrong bytes, unless the range starts at 0: then the caller stops reading in time.
        let usable = match request.range {
            Some(r) if r.first > 0 && !request.lenient => status == 206,
            _ => (200..300).contains(&status),
        };
        if usable {
            request.head_ok = true;
            if matches!(request.phase, Phase::Active { .. }) {
                request.phase = Phase::Active { id, last_sign: now };
            }
            return Ok(Some(request.ticket));
        }
        out.push_back(Output::Command(Command::AbortFetch { id }));
        let (code, message) = match status {
            200 => (Code::HttpClient, "the server ignores Range requests, which this stream needs".into()),
            500.. => (Code::HttpServer, answered(status)),
            _ => (Code::HttpClient, answered(status)),
        };
        // 408, 425 and 429 ask for another try (RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4).
        let may_pass = status >= 500 || matches!(status, 408 | 425 | 429);
        let mut error = PlayerError::new(code, message);
        error.status = Some(status);
        Err(self.fail(now, i, error, may_pass, policy))
    }

    /// Bytes came.
    pub fn body(&mut self, now: Now, id: FetchId) -> Option<Ticket> {
        let i = self.index_of(id)?;
        let request = &mut self.list[i];
        // What was on its way when reading was stopped.
        if matches!(request.phase, Phase::Active { .. }) {
            request.phase = Phase::Active { id, last_sign: now };
        }
        Some(request.ticket)
    }

    /// Stops reading a response; it stays open.
    #[cfg(feature = "progressive")]
    pub fn hold(&mut self, ticket: Ticket, out: &mut VecDeque<Output>) {
        if let Some(request) = self.list.iter_mut().find(|r| r.ticket == ticket)
            && let Phase::Active { id, .. } = request.phase
        {
            request.phase = Phase::Held { id };
            out.push_back(Output::Command(Command::PauseFetch { id }));
        }
    }

    /// Goes on reading a response.
    #[cfg(feature = "progressive")]
    pub fn release(&mut self, now: Now, ticket: Ticket, out: &mut VecDeque<Output>) {
        if let Some(request) = self.list.iter_mut().find(|r| r.ticket == ticket)
            && let Phase::Held { id } = request.phase
        {
            request.phase = Phase::Active { id, last_sign: now };
            out.push_back(Output::Command(Command::ResumeFetch { id }));
        }
    }

    /// A further attempt asks for `range`; `lenient`: an answer with all of the resource will do too. `progress`: what came by this one is kept, so
    /// that it and those before count no more.
    pub fn go_on_at(&mut self, ticket: Ticket, range: Option<ByteRange>, lenient: bool, progress: bool) {
        if let Some(request) = self.list.iter_mut().find(|r| r.ticket == ticket) {
            (request.range, request.lenient) = (range, lenient);
            if progress {
                request.attempts = u32::from(request.phase.active().is_some());
            }
        }
    }

    /// A request that is sent after a pause.
    #[cfg(feature = "progressive")]
    pub fn send_at(&mut self, at: Now, kind: FetchKind, url: String, range: Option<ByteRange>) -> Ticket {
        let ticket = Ticket(self.fresh());
        self.list.push(Request::new(ticket, kind, url, range, Phase::Paused { until: at }, at));
        ticket
    }

    /// The body is complete.
    pub fn end(&mut self, id: FetchId) -> Option<Ticket> {
        let i = self.index_of(id)?;
        Some(self.list.swap_remove(i).ticket)
    }

    /// The browser says that it failed.
    pub fn failed(
        &mut self,
        now: Now,
        id: FetchId,
        failure: FetchFailure,
        message: &str,
        policy: RetryPolicy,
    ) -> Option<Verdict> {
        let i = self.index_of(id)?;
        let (code, what) = match failure {
            FetchFailure::Truncated => (Code::Truncated, "the response broke off"),
            FetchFailure::Network if self.list[i].head_ok => (Code::Truncated, "the connection was lost"),
            FetchFailure::Network => (Code::Network, "the request failed"),
        };
        let text = if message.is_empty() { what.to_owned() } else { [what, " (", message, ")"].concat() };
        Some(self.fail(now, i, PlayerError::new(code, text), true, policy))
    }

    /// Ends requests that have been silent for too long, and sends those again whose pause is over.
    pub fn tick(&mut self, now: Now, policy: RetryPolicy, out: &mut VecDeque<Output>) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut i = 0;
        while i < self.list.len() {
            match self.list[i].phase {
                Phase::Active { id, last_sign } if now >= last_sign + self.list[i].timeout(policy) => {
                    out.push_back(Output::Command(Command::AbortFetch { id }));
                    let error = PlayerError::new(Code::Timeout, "no bytes came for too long");
                    let before = self.list.len();
                    verdicts.push(self.fail(now, i, error, true, policy));
                    i += usize::from(self.list.len() == before);
                }
                Phase::Paused { until } if now >= until => {
                    let id = FetchId(self.fresh());
                    let request = &mut self.list[i];
                    request.attempts += 1;
                    request.head_ok = false;
                    request.phase = Phase::Active { id, last_sign: now };
                    out.push_back(Output::Command(Command::Fetch {
                        id,
                        url: request.url.clone(),
                        range: request.range,
                        kind: request.kind,
                    }));
                    verdicts.push(Verdict::Sent(request.ticket));
                    i += 1;
                }
                _ => i += 1,
            }
        }
        verdicts
    }

    /// When `tick` is next needed.
    pub fn deadline(&self, policy: RetryPolicy) -> Now {
        self.list.iter().fold(f64::INFINITY, |soonest, r| {
            soonest.min(match r.phase {
                Phase::Active { last_sign, .. } => last_sign + r.timeout(policy),
                #[cfg(feature = "progressive")]
                Phase::Held { .. } => f64::INFINITY,
                Phase::Paused { until } => until,
            })
        })
    }

    fn fail(
        &mut self,
        now: Now,
        i: usize,
        mut error: PlayerError,
        may_pass: bool,
        policy: RetryPolicy,
    ) -> Verdict {
        let request = &mut self.list[i];
        if may_pass && !(cfg!(feature = "live") && request.once) && request.attempts < policy.max_attempts {
            let pause = (FIRST_PAUSE * f64::from(1u32 << request.attempts.saturating_sub(1).min(10)))
                .min(LONGEST_PAUSE);
            request.phase = Phase::Paused { until: now + pause };
            return Verdict::Again(request.ticket);
        }
        let request = self.list.swap_remove(i);
        error.tried = Some(if request.attempts == 1 {
            "1 attempt".into()
        } else {
            let (attempts, seconds) = (request.attempts.to_string(), tenths(now - request.first_sent));
            [&attempts, " attempts over ", &seconds, " s"].concat()
        });
        Verdict::Failed(request.ticket, error.with_url(&request.url))
    }
}

fn answered(status: u16) -> Cow<'static, str> {
    ["the server answered with status ", &status.to_string()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3, timeout: 10.0 };

    fn sent(out: &mut VecDeque<Output>) -> Vec<FetchId> {
        out.drain(..)
            .filter_map(|o| match o {
                Output::Command(Command::Fetch { id, .. }) => Some(id),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn server_errors_are_tried_again_with_growing_pauses_then_reported() {
        let (mut requests, mut out) = (Requests::default(), VecDeque::new());
        let ticket = requests.send(0.0, FetchKind::Segment, "http://h/s".into(), None, &mut out);
        let mut now = 0.0;
        for pause in [0.5, 1.0] {
            let id = sent(&mut out)[0];
            assert!(
                matches!(requests.head(now, id, 503, POLICY, &mut out), Err(Verdict::Again(t)) if t == ticket)
            );
            assert_eq!(requests.deadline(POLICY), now + pause);
            out.clear();
            now += pause;
            assert!(matches!(requests.tick(now, POLICY, &mut out)[..], [Verdict::Sent(t)] if t == ticket));
        }
        let id = sent(&mut out)[0];
        let Err(Verdict::Failed(_, error)) = requests.head(now, id, 503, POLICY, &mut out) else { panic!() };
        assert_eq!((error.code, error.status), (Code::HttpServer, Some(503)));
        assert_eq!(error.tried.as_deref(), Some("3 attempts over 1.5 s"));
        assert_eq!(requests.deadline(POLICY), f64::INFINITY);
    }

    #[test]
    fn client_errors_are_not_tried_again_and_replies_to_cancelled_work_are_ignored() {
        let (mut requests, mut out) = (Requests::default(), VecDeque::new());
        let a = requests.send(0.0, FetchKind::Segment, "http://h/a".into(), None, &mut out);
        let _b = requests.send(0.0, FetchKind::Segment, "http://h/b".into(), None, &mut out);
        let ids = sent(&mut out);
        requests.cancel(a, &mut out);
        assert!(matches!(requests.head(0.1, ids[0], 200, POLICY, &mut out), Ok(None)));
        assert!(matches!(requests.head(0.1, ids[1], 404, POLICY, &mut out), Err(Verdict::Failed(..))));
    }

    #[test]
    fn a_silent_server_times_out_but_a_slow_one_does_not() {
        let (mut requests, mut out) = (Requests::default(), VecDeque::new());
        requests.send(0.0, FetchKind::Manifest, "http://h/a".into(), None, &mut out);
        let id = sent(&mut out)[0];
        for t in 1..30 {
            assert!(requests.tick(f64::from(t), POLICY, &mut out).is_empty());
            assert!(requests.body(f64::from(t), id).is_some());
        }
        assert_eq!(requests.tick(39.0, POLICY, &mut out).len(), 1);
    }
}
