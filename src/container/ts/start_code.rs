//! The search for start codes, the hot loop of the demuxer: 16 bytes at a step where the target has vectors.

/// Position of the first `00 00 01` that lies wholly in `data` at or after `from`.
///
/// Emulation prevention keeps `00 00` out of coded data but for start codes and `00 00 03` (ISO/IEC 14496-10 §7.4.1), so two
/// zeros in a row are rare: the vector loop looks for those alone and leaves the rest to [`scalar`].
#[inline]
pub fn find(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // One byte more than a block, for the comparison with the next byte.
    while let Some(window) = data.get(at..at + 17) {
        if has_zero_pair(window) {
            // The pair may start at any of the 16 places; its third byte may lie one byte beyond the window.
            if let Some(found) = scalar(&data[..data.len().min(at + 18)], at) {
                return Some(found);
            }
        }
        at += 16;
    }
    scalar(data, at)
}

/// Whether two zeros in a row start in the first 16 of 17 bytes.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
fn has_zero_pair(window: &[u8]) -> bool {
    use core::arch::wasm32::{i8x16_eq, u8x16_splat, v128_any_true, v128_load, v128_or};
    debug_assert!(window.len() >= 17);
    // SAFETY: `window` has 17 bytes, so both loads of 16 are within it; v128_load has no alignment demand.
    let (a, b) = unsafe { (v128_load(window.as_ptr().cast()), v128_load(window.as_ptr().add(1).cast())) };
    v128_any_true(i8x16_eq(v128_or(a, b), u8x16_splat(0)))
}

/// Whether two zeros in a row start in the first 16 of 17 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has_zero_pair(window: &[u8]) -> bool {
    use core::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_setzero_si128,
    };
    debug_assert!(window.len() >= 17);
    // SAFETY: `window` has 17 bytes, so both unaligned loads of 16 are within it; SSE2 is part of x86-64.
    unsafe {
        let a = _mm_loadu_si128(window.as_ptr().cast());
        let b = _mm_loadu_si128(window.as_ptr().add(1).cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_or_si128(a, b), _mm_setzero_si128())) != 0
    }
}

/// Whether two zeros in a row may start in the first 16 of 17 bytes.
#[cfg(not(any(all(target_arch = "wasm32", target_feature = "simd128"), target_arch = "x86_64")))]
#[inline(always)]
fn has_zero_pair(window: &[u8]) -> bool {
    window.windows(2).any(|pair| pair == [0, 0])
}

fn scalar(data: &[u8], from: usize) -> Option<usize> {
    data.get(from..)?.windows(3).position(|w| w == [0, 0, 1]).map(|i| from + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_start_code_at_every_place_of_every_length() {
        for len in 0..70usize {
            for at in 0..len {
                let mut data = vec![0xa5u8; len];
                for (i, b) in [0, 0, 1].into_iter().enumerate() {
                    if let Some(d) = data.get_mut(at + i) {
                        *d = b;
                    }
                }
                let expected = (at + 3 <= len).then_some(at);
                assert_eq!(find(&data, 0), expected, "len {len} at {at}");
                assert_eq!(find(&data, at.min(1)), expected, "len {len} at {at}");
                assert_eq!(find(&data, at + 1), None);
            }
        }
    }

    #[test]
    fn zeros_that_start_no_code_are_passed_over() {
        let mut data = [0, 0, 3, 0, 0, 2, 0, 0].repeat(40);
        assert_eq!(find(&data, 0), None);
        data.extend([0, 0, 0, 1]);
        assert_eq!(find(&data, 0), Some(data.len() - 3));
        assert_eq!(find(&[0; 300], 0), None);
    }
}
