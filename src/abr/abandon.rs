//! When to give up a segment that arrives too late, for a smaller version of it.

use super::tuned::Tuned;
use crate::time::Seconds;

/// Time (seconds) that a response must have been arriving before it is judged: about three round trips of a mobile link, within
/// which TCP has not reached its pace. Smaller: downloads are given up in their slow start.
pub(super) static SETTLED: Tuned = Tuned::new(0.5);

/// Part of the buffer that a download may use up. All of it, because its own bytes are played as they come. Origin: replays of
/// 260 recorded links; 0.8 gave up a fifth more downloads and had as many stalls. Larger: stalls.
pub(super) static BUFFER_SHARE: Tuned = Tuned::new(1.0);

/// The smaller version is to be expected in at most this part of the time that the present one would still need. Larger:
/// bytes are thrown away for little.
pub(super) static WORTHWHILE: Tuned = Tuned::new(0.5);

/// A media segment on its way.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// Bytes received.
    pub received: u64,
    /// So many of them by a request before this one, which broke off.
    pub before: u64,
    /// Bytes in all, from Content-Length or bandwidth × duration.
    pub size: u64,
    /// Seconds since the first byte of the body; `None` before it.
    pub receiving: Option<Seconds>,
    /// Seconds since the request.
    pub elapsed: Seconds,
    /// Seconds of media ahead of the playhead, this download's own part included.
    pub buffer: Seconds,
    /// Seconds of media that it is.
    pub duration: Seconds,
    /// Its pictures are being decoded: another version's take their place once as much of it has come.
    pub shown: bool,
    /// `playbackRate`; 0 while paused.
    pub rate: f64,
    /// Estimate at this moment, in bit/s.
    pub estimate: f64,
    /// Index of the representation.
    pub current: usize,
    /// Size in bytes of this segment in each representation below, by ascending bandwidth; as many as `current`.
    pub lower: &'a [u64],
}

/// The representation to fetch the segment in instead; `None`: go on.
///
/// A download is given up if the buffer runs dry before it is complete and a smaller version would be there in time. If none
/// would, the smallest is taken if that shortens the stall by much. So does what stops playback.
pub fn abandon(d: &Download) -> Option<usize> {
    let receiving = d.receiving.filter(|t| *t >= SETTLED.get())?;
    if d.current == 0 || d.rate <= 0.0 || d.received >= d.size {
        return None;
    }
    // Its own pace may be below the estimate's, which looks back further and at other responses too.
    let own = d.received.saturating_sub(d.before) as f64 * 8.0 / receiving;
    let pace = own.min(d.estimate).max(1.0);
    let remaining = (d.size - d.received) as f64 * 8.0 / pace;
    let time_left = d.buffer / d.rate;
    if remaining <= time_left * BUFFER_SHARE.get() {
        return None;
    }
    let wait = (d.elapsed - receiving).max(0.0);
    let needs = |size: u64| wait + size as f64 * 8.0 / pace;
    let lower = d.lower.get(..d.current.min(d.lower.len()))?;
    let part = d.received as f64 / d.size as f64;
    let until_stop = time_left - d.duration * (1.0 - part) / d.rate;
    let stops = |size: u64| if d.shown { wait + size as f64 * part * 8.0 / pace - until_stop } else { 0.0 };
    let worthwhile = |size: u64| {
        needs(size) <= remaining * WORTHWHILE.get()
            && stops(size) <= (remaining - time_left) * WORTHWHILE.get()
    };
    let in_time = lower.iter().rposition(|s| needs(*s) <= time_left * BUFFER_SHARE.get() && worthwhile(*s));
    in_time.or_else(|| lower.first().is_some_and(|s| worthwhile(*s)).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 720p, 4 s at 3 Mbit/s, after one second on a link of 0.8 Mbit/s.
    fn slow() -> Download<'static> {
        Download {
            received: 100_000,
            before: 0,
            size: 1_500_000,
            receiving: Some(1.0),
            elapsed: 1.05,
            buffer: 6.0,
            duration: 4.0,
            shown: false,
            rate: 1.0,
            estimate: 800_000.0,
            current: 3,
            lower: &[200_000, 400_000, 750_000],
        }
    }

    #[test]
    fn a_download_that_will_not_make_it_gives_way_to_the_largest_that_will() {
        assert_eq!(abandon(&slow()), Some(1), "400 kB need 4 s of the 6 s that are left");
        assert_eq!(abandon(&Download { buffer: 3.0, ..slow() }), Some(0));
    }

    #[test]
    fn a_download_that_will_make_it_goes_on() {
        assert_eq!(abandon(&Download { buffer: 20.0, ..slow() }), None);
        assert_eq!(abandon(&Download { received: 1_300_000, receiving: Some(13.0), ..slow() }), None);
        assert_eq!(abandon(&Download { rate: 0.0, ..slow() }), None, "paused");
    }

    #[test]
    fn nothing_is_given_up_for_little() {
        let nearly = Download { received: 1_250_000, receiving: Some(12.5), buffer: 0.5, ..slow() };
        assert_eq!(abandon(&nearly), None, "2.5 s to go, the smallest would need 2 s");
        let lowest = Download { current: 0, lower: &[], ..slow() };
        assert_eq!(abandon(&lowest), None);
        let early = Download { receiving: Some(0.2), ..slow() };
        assert_eq!(abandon(&early), None, "TCP has not reached its pace");
        assert_eq!(abandon(&Download { receiving: None, ..slow() }), None);
    }

    #[test]
    fn what_is_shown_is_given_up_where_that_shortens_the_stall() {
        let shown = Download { received: 750_000, receiving: Some(7.5), buffer: 2.5, shown: true, ..slow() };
        assert_eq!(abandon(&shown), Some(0), "a stop of 0.5 s instead of one of 5 s");
        let nearly = Download { received: 1_000_000, receiving: Some(10.0), buffer: 4.0 / 3.0, ..shown };
        assert_eq!(abandon(&nearly), Some(0), "a stop of 1.3 s instead of one of 3.7 s");
        let buffer = 3.0;
        assert_eq!(abandon(&Download { buffer, ..nearly }), Some(0), "none instead of one of 2 s");
        let nearly = Download { received: 1_400_000, receiving: Some(14.0), buffer: 0.3, ..shown };
        let nearly = Download { elapsed: 14.05, current: 1, lower: &[40_000], ..nearly };
        assert_eq!(abandon(&nearly), None, "a stop of 0.4 s instead of one of 0.7 s");
        assert_eq!(abandon(&Download { shown: false, ..nearly }), Some(0));
    }

    #[test]
    fn with_an_empty_buffer_the_smallest_shortens_the_stall() {
        assert_eq!(abandon(&Download { buffer: 0.0, ..slow() }), Some(0));
    }
}
