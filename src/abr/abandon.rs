//! When to give up a segment that arrives too late, for a smaller version of it.

use crate::time::Seconds;

/// Time (seconds) that a response must have been arriving before it is judged: about three round trips of a mobile link, within
/// which TCP has not reached its pace. Smaller: downloads are given up in their slow start.
const SETTLED: Seconds = 0.5;

/// Part of the buffer that a download may use up. All of it, because its own bytes are played as they come. Origin: replays of
/// 260 recorded links; 0.8 gave up a fifth more downloads and had as many stalls. Larger: stalls.
const BUFFER_SHARE: f64 = 1.0;

/// The smaller version is to be expected in at most this part of the time that the present one would still need. Larger:
/// bytes are thrown away for little.
const WORTHWHILE: f64 = 0.5;

/// A media segment on its way.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// Bytes received.
    pub received: u64,
    /// Bytes in all, from Content-Length or bandwidth × duration.
    pub size: u64,
    /// Seconds since the first byte of the body; `None` before it.
    pub receiving: Option<Seconds>,
    /// Seconds since the request.
    pub elapsed: Seconds,
    /// Seconds of media ahead of the playhead, this download's own part included.
    pub buffer: Seconds,
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
/// would, the smallest is taken if that shortens the stall by much.
pub fn abandon(d: &Download) -> Option<usize> {
    let receiving = d.receiving.filter(|t| *t >= SETTLED)?;
    if d.current == 0 || d.rate <= 0.0 || d.received >= d.size {
        return None;
    }
    // Its own pace may be below the estimate's, which looks back further and at other responses too.
    let own = d.received as f64 * 8.0 / receiving;
    let pace = own.min(d.estimate).max(1.0);
    let remaining = (d.size - d.received) as f64 * 8.0 / pace;
    let time_left = d.buffer / d.rate;
    if remaining <= time_left * BUFFER_SHARE {
        return None;
    }
    let wait = (d.elapsed - receiving).max(0.0);
    let needs = |size: u64| wait + size as f64 * 8.0 / pace;
    let lower = d.lower.get(..d.current.min(d.lower.len()))?;
    let worthwhile = |size: u64| needs(size) <= remaining * WORTHWHILE;
    let in_time = lower.iter().rposition(|s| needs(*s) <= time_left * BUFFER_SHARE && worthwhile(*s));
    in_time.or_else(|| lower.first().is_some_and(|s| worthwhile(*s)).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 720p, 4 s at 3 Mbit/s, after one second on a link of 0.8 Mbit/s.
    fn slow() -> Download<'static> {
        Download {
            received: 100_000,
            size: 1_500_000,
            receiving: Some(1.0),
            elapsed: 1.05,
            buffer: 6.0,
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
    fn with_an_empty_buffer_the_smallest_shortens_the_stall() {
        assert_eq!(abandon(&Download { buffer: 0.0, ..slow() }), Some(0));
    }
}
