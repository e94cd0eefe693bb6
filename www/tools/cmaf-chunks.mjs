// Takes fragmented MP4 of one track apart as it comes: the header, then chunks of `moof` and `mdat` (CMAF, ISO/IEC 23000-19 §7.3.2.3).

const ascii = (bytes, at) => bytes.toString('latin1', at, at + 4);

/** The boxes in `bytes` from `at` to `end` as [type, start of the content, end]. */
export function* boxes(bytes, at = 0, end = bytes.length) {
  while (at + 8 <= end) {
    let [size, header] = [bytes.readUInt32BE(at), 8];
    if (size === 1 && at + 16 <= end) [size, header] = [Number(bytes.readBigUInt64BE(at + 8)), 16];
    if (size === 0) size = end - at;
    if (size < header || at + size > end) throw new Error(`the box ${ascii(bytes, at + 4)} at ${at} has no proper size`);
    yield [ascii(bytes, at + 4), at + header, at + size];
    at += size;
  }
}

/** Content of the first box along a path of types, as [start, end]. */
function find(bytes, types, range = [0, bytes.length]) {
  for (const type of types) {
    const found = [...boxes(bytes, ...range)].find(([name]) => name === type);
    if (!found) return undefined;
    range = [found[1], found[2]];
  }
  return range;
}

const hex = (byte) => byte.toString(16).padStart(2, '0');

/** What a header (`ftyp` and `moov`) tells of its one track. */
export function readHeader(bytes) {
  const trak = find(bytes, ['moov', 'trak']);
  const [mdhd] = find(bytes, ['mdia', 'mdhd'], trak);
  const timescale = bytes.readUInt32BE(mdhd + (bytes[mdhd] === 1 ? 20 : 12));
  const [stsd, end] = find(bytes, ['mdia', 'minf', 'stbl', 'stsd'], trak);
  const [[entry, from, to]] = boxes(bytes, stsd + 8, end);
  if (entry === 'avc1') {
    const [avcc] = find(bytes, ['avcC'], [from + 78, to]);
    return { timescale, codec: `avc1.${hex(bytes[avcc + 1])}${hex(bytes[avcc + 2])}${hex(bytes[avcc + 3])}`, width: bytes.readUInt16BE(from + 24), height: bytes.readUInt16BE(from + 26) };
  }
  if (entry === 'mp4a') return { timescale, codec: 'mp4a.40.2', channels: bytes.readUInt16BE(from + 16), rate: bytes.readUInt16BE(from + 24) };
  return { timescale, codec: entry };
}

/** Decoding time, duration (both in ticks) of a `moof`, and whether it begins with a sync sample. */
export function readFragment(bytes, range) {
  const traf = find(bytes, ['traf'], range);
  const [tfhd] = find(bytes, ['tfhd'], traf);
  const tfhdFlags = bytes.readUInt32BE(tfhd) & 0xff_ff_ff;
  let at = tfhd + 8 + (tfhdFlags & 1 ? 8 : 0) + (tfhdFlags & 2 ? 4 : 0);
  const defaults = {};
  for (const [flag, name] of [[8, 'duration'], [0x10, 'size'], [0x20, 'flags']]) {
    if (tfhdFlags & flag) { defaults[name] = bytes.readUInt32BE(at); at += 4; }
  }
  const [tfdt] = find(bytes, ['tfdt'], traf);
  const time = bytes[tfdt] === 1 ? Number(bytes.readBigUInt64BE(tfdt + 4)) : bytes.readUInt32BE(tfdt + 4);
  let [duration, firstFlags] = [0, defaults.flags];
  for (const [type, trun] of boxes(bytes, ...traf)) {
    if (type !== 'trun') continue;
    const flags = bytes.readUInt32BE(trun) & 0xff_ff_ff;
    const count = bytes.readUInt32BE(trun + 4);
    at = trun + 8 + (flags & 1 ? 4 : 0);
    if (flags & 4) { firstFlags = bytes.readUInt32BE(at); at += 4; }
    for (let sample = 0; sample < count; sample++) {
      if (flags & 0x100) { duration += bytes.readUInt32BE(at); at += 4; } else duration += defaults.duration ?? 0;
      if (flags & 0x200) at += 4;
      if (flags & 0x400) { if (sample === 0) firstFlags = bytes.readUInt32BE(at); at += 4; }
      if (flags & 0x800) at += 4;
    }
  }
  return { time, duration, key: ((firstFlags ?? 0) & 0x1_00_00) === 0 };
}

/**
 * Splits a stream. `push` takes bytes as they come; `onHeader({ bytes, timescale, codec, … })` is called once, then
 * `onChunk({ bytes, time, duration, key })` for each fragment, with times in seconds. What stands in front of a `moof` goes with it.
 */
export class ChunkSplitter {
  #rest = Buffer.alloc(0);
  #before = [];
  #header;

  constructor({ onHeader, onChunk }) {
    this.onHeader = onHeader;
    this.onChunk = onChunk;
  }

  push(bytes) {
    this.#rest = this.#rest.length ? Buffer.concat([this.#rest, bytes]) : bytes;
    while (this.#rest.length >= 8) {
      const size = this.#rest.readUInt32BE(0);
      // A size in 64 bits, or up to the end of the file: no encoder writes these into a live stream.
      if (size < 8) throw new Error(`the box ${ascii(this.#rest, 4)} has no proper size`);
      if (this.#rest.length < size) return;
      this.#box(ascii(this.#rest, 4), this.#rest.subarray(0, size));
      this.#rest = this.#rest.subarray(size);
    }
  }

  #box(type, bytes) {
    if (type === 'mfra') return;
    this.#before.push(bytes);
    if (type === 'moov') {
      const header = Buffer.concat(this.#before.splice(0));
      this.#header = readHeader(header);
      this.onHeader({ bytes: header, ...this.#header });
    } else if (type === 'mdat' && this.#header) {
      const chunk = Buffer.concat(this.#before.splice(0));
      const range = find(chunk, ['moof']);
      if (!range) throw new Error('media without a moof');
      const { time, duration, key } = readFragment(chunk, range);
      this.onChunk({ bytes: chunk, time: time / this.#header.timescale, duration: duration / this.#header.timescale, key });
    }
  }
}
