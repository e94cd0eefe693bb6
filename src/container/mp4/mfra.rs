//! The random access table at the end of a fragmented file (ISO/IEC 14496-12 §8.8.9 to §8.8.11).

use crate::container::TrackInfo;
use crate::time::{Seconds, Ticks};

use super::boxes::{Mp4Box, boxes, find};

/// The `mfra` box that a file ends with, from the last bytes of the file: for each of `tracks` in their order, if it is in the table, when
/// its fragments are presented (edit list applied) and where their `moof` boxes begin. Empty without one, or where the bytes do not reach back
/// to its start.
pub fn random_access(tail: &[u8], tracks: &[TrackInfo]) -> Vec<Vec<(Seconds, u64)>> {
    table(tail, tracks).unwrap_or_default()
}

fn table(tail: &[u8], tracks: &[TrackInfo]) -> Option<Vec<Vec<(Seconds, u64)>>> {
    // `mfro` ends the file and tells how far from the end `mfra` begins.
    let (_, end) = tail.split_last_chunk::<16>()?;
    let size = find(end, b"mfro")?.body.last_chunk().map(|b| u32::from_be_bytes(*b))?;
    let mfra = tail.get(tail.len().checked_sub(usize::try_from(size).ok()?)?..)?;
    let mfra = boxes(mfra).next().filter(|b| b.name == *b"mfra")?;
    let of = |info| boxes(mfra.body).filter(|b| b.name == *b"tfra").find_map(|b| fragments(&b, info));
    Some(tracks.iter().filter_map(of).filter(|table| !table.is_empty()).collect())
}

/// `tfra` (§8.8.10), if it is that of the track.
fn fragments(tfra: &Mp4Box<'_>, info: &TrackInfo) -> Option<Vec<(Seconds, u64)>> {
    let (version, _, mut r) = tfra.full()?;
    if r.u32()? != info.id.0 {
        return None;
    }
    // Bytes of each of the three numbers that tell which sample it is, less one.
    let lengths = r.u32()?;
    let numbers = (0..3).map(|i| (lengths >> (2 * i) & 3) as usize + 1).sum();
    let count = r.u32()?;
    let mut table: Vec<(Seconds, u64)> = Vec::new();
    for _ in 0..count {
        // What is cut off is left out.
        let entry = if version == 1 {
            r.u64().zip(r.u64())
        } else {
            r.u32().zip(r.u32()).map(|(time, at)| (time.into(), at.into()))
        };
        let Some((time, at)) = entry.filter(|_| r.skip(numbers).is_some()) else { break };
        let Ok(time) = Ticks::try_from(time) else { break };
        let time = info.timescale.seconds(time.saturating_sub(info.edit_start));
        // Several places in one fragment are one.
        if table.last().is_none_or(|last| time >= last.0 && at > last.1) {
            table.push((time, at));
        }
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::ByteWriter;
    use crate::container::{TrackId, TrackKind};
    use crate::time::Timescale;

    /// Track, count that is told, entries of time and place.
    type Told<'a> = (u32, u32, &'a [(u64, u64)]);

    /// These tables, and what `mfro` tells beyond their true size.
    fn mfra(version: u8, tables: &[Told<'_>], lie: u32) -> Vec<u8> {
        let mut w = ByteWriter::new();
        w.boxed(b"mfra", |w| {
            for (id, count, entries) in tables {
                w.full_boxed(b"tfra", version, 0, |w| {
                    w.u32(*id);
                    w.u32(0b01_10_11);
                    w.u32(*count);
                    for (time, at) in *entries {
                        for v in [*time, *at] {
                            if version == 1 { w.u64(v) } else { w.u32(v as u32) }
                        }
                        w.zeros(4 + 3 + 2);
                    }
                });
            }
            w.full_boxed(b"mfro", 0, 0, |w| w.u32(0));
        });
        let mut bytes = w.into_vec();
        let size = (bytes.len() as u32).wrapping_add(lie);
        bytes.truncate(bytes.len() - 4);
        bytes.extend(size.to_be_bytes());
        bytes
    }

    fn track(id: u32, edit_start: Ticks) -> TrackInfo {
        let scale = Timescale::new(1000).expect("not 0");
        TrackInfo { edit_start, ..TrackInfo::new(TrackId(id), TrackKind::Video, scale) }
    }

    #[test]
    fn tables_come_in_the_order_of_the_tracks_with_the_edit_list_applied() {
        for (version, far) in [(0, 1 << 31), (1, 1 << 40)] {
            let tables: [Told<'_>; 3] =
                [(2, 1, &[(500, 9)]), (1, 2, &[(2000, 7), (6000, far)]), (1, 1, &[(0, 1)])];
            let tail = [b"what lies before".as_slice(), &mfra(version, &tables, 0)].concat();
            let told = random_access(&tail, &[track(1, 2000), track(3, 0), track(2, -500)]);
            assert_eq!(told, [vec![(0.0, 7), (4.0, far)], vec![(1.0, 9)]]);
        }
    }

    #[test]
    fn what_does_not_ascend_is_left_out() {
        let entries = [(10, 5), (10, 5), (5, 9), (20, 4), (20, 6), (30, u64::MAX), (u64::MAX, 8), (40, 9)];
        let tail = mfra(1, &[(1, 8, &entries)], 0);
        assert_eq!(random_access(&tail, &[track(1, 0)]), [[(0.01, 5), (0.02, 6), (0.03, u64::MAX)]]);
    }

    #[test]
    fn more_entries_than_there_are_bytes_for_are_not_read() {
        for version in [0, 1] {
            let tail = mfra(version, &[(1, u32::MAX, &[(0, 1), (1000, 2)])], 0);
            assert_eq!(random_access(&tail, &[track(1, 0)]), [[(0.0, 1), (1.0, 2)]]);
        }
        assert!(random_access(&mfra(1, &[(1, u32::MAX, &[])], 0), &[track(1, 0)]).is_empty());
    }

    #[test]
    fn a_size_that_is_not_its_own_finds_no_table() {
        let tables: [Told<'_>; 1] = [(1, 1, &[(0, 1)])];
        for lie in [1, 8, 1000, u32::MAX, u32::MAX / 2] {
            let tail = [vec![0; 100], mfra(1, &tables, lie)].concat();
            assert!(random_access(&tail, &[track(1, 0)]).is_empty(), "{lie}");
        }
        let whole = mfra(1, &tables, 0);
        for cut in 1..whole.len() {
            assert!(random_access(&whole[cut..], &[track(1, 0)]).is_empty());
            assert!(random_access(&whole[..cut], &[track(1, 0)]).is_empty());
        }
    }
}
