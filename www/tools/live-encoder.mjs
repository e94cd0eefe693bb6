// A live encoder under our clock: ffmpeg makes frames as fast as we take them, and each is published when it would end, so that frame N is always at epoch + N / fps.
import { EventEmitter } from 'node:events';
import { clockFilters, strip } from './frame-strip.mjs';
import { tool } from './setup.mjs';

export const fps = 25;
const [width, height] = [640, 360];
/** Frames that wait between ffmpeg and their time: what a busy machine may fall behind without anybody noticing. */
const AHEAD = 75;

// ---- MP4 ----------------------------------------------------------------------------------------------------------

/** The boxes within bytes: [type, start of the content, end]. */
function* boxes(bytes, from = 0, to = bytes.length) {
  for (let at = from; at + 8 <= to;) {
    const size = bytes.readUInt32BE(at);
    if (size < 8 || at + size > to) return;
    yield [bytes.toString('latin1', at + 4, at + 8), at + 8, at + size];
    at += size;
  }
}

const inside = (bytes, [, from, to], type) => [...boxes(bytes, from, to)].find(([name]) => name === type);

/** What the `moof` of a fragment with one sample says: { dts, duration, sync }. */
function readSample(moof) {
  const traf = inside(moof, ['moof', 8, moof.length], 'traf');
  const [tfhd, tfdt, trun] = ['tfhd', 'tfdt', 'trun'].map((type) => inside(moof, traf, type)[1]);
  const dts = moof[tfdt] ? Number(moof.readBigUInt64BE(tfdt + 4)) : moof.readUInt32BE(tfdt + 4);
  const defaults = {};
  let at = tfhd + 8;
  for (const [bit, name, length] of [[1, 'base', 8], [2, 'description', 4], [8, 'duration', 4], [16, 'size', 4], [32, 'flags', 4]]) {
    if (!(moof.readUInt32BE(tfhd) & bit)) continue;
    defaults[name] = moof.readUInt32BE(at);
    at += length;
  }
  const has = moof.readUInt32BE(trun);
  if (moof.readUInt32BE(trun + 4) !== 1) throw new Error('the encoder put several samples into a fragment');
  at = trun + 8 + (has & 1 ? 4 : 0);
  let { duration, flags } = defaults;
  for (const [bit, take] of [[4, (value) => { flags = value; }], [0x100, (value) => { duration = value; }], [0x200, () => {}], [0x400, (value) => { flags = value; }]]) {
    if (!(has & bit)) continue;
    take(moof.readUInt32BE(at));
    at += 4;
  }
  return { dts, duration, sync: !(flags & 0x10000) };
}

const box = (type, ...content) => {
  const body = Buffer.concat(content);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
};
const words = (...numbers) => {
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((number, index) => bytes.writeUInt32BE(number, index * 4));
  return bytes;
};

/** One `moof` and `mdat` with these samples of track 1. */
function writeChunk(samples, sequence) {
  const { dts } = samples[0];
  const moof = (offset) => box('moof', box('mfhd', words(0, sequence)), box('traf',
    box('tfhd', words(0x020000, 1)),
    box('tfdt', words(0x01000000, Math.floor(dts / 2 ** 32), dts % 2 ** 32)),
    box('trun', words(0x000701, samples.length, offset, ...samples.flatMap(({ duration, data, sync }) => [duration, data.length, sync ? 0x02000000 : 0x01010000])))));
  return Buffer.concat([moof(moof(0).length + 8), box('mdat', ...samples.map(({ data }) => data))]);
}

/** RFC 6381 name of the codec in an initialization segment. */
function codecOf(init) {
  const at = init.indexOf('avcC');
  return at < 0 ? 'mp4a.40.2' : `avc1.${init.toString('hex', at + 5, at + 8).toUpperCase()}`;
}

/** The most that a track of so many kbit/s has in a second. */
export const peak = (kbps) => Math.round((kbps * 7) / 6);

// ---- What ffmpeg is told ------------------------------------------------------------------------------------------

const mp4 = ['-movflags', '+frag_every_frame+empty_moov+default_base_moof', '-use_editlist', '0', '-flush_packets', '1', '-f', 'mp4', 'pipe:1'];

/** A moving picture of so many kbit/s with its time and its frame number, each in words and as a strip of blocks (frame-strip.mjs reads them). */
function videoArgs(epoch, gop, kbps) {
  const { bits, height: share } = strip;
  const stripHeight = Math.round(height * share);
  const block = `if(eq(X,0),255,if(eq(X,${bits + 1}),0,255*mod(floor(N/pow(2,${bits}-X)),2)))`.replaceAll(',', '\\,');
  const graph = `testsrc2=s=${width}x${height}:r=${fps},settb=1/1000,setpts=${epoch}+N*${1000 / fps},${clockFilters()},settb=1/${fps},setpts=N,`
    + `drawtext=font=DejaVu Sans:text='%{frame_num}':fontsize=30:fontcolor=white:borderw=3:bordercolor=black:x=(w-tw)/2:y=h*0.8[picture];`
    + `nullsrc=s=${bits + 2}x1:r=${fps},format=gray,geq=lum=${block},scale=${width}:${stripHeight}:flags=neighbor[strip];`
    + `[picture][strip]overlay=0:${height - stripHeight},format=yuv420p[out]`;
  return ['-filter_complex', graph, '-map', '[out]', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-threads', '1', '-g', String(gop), '-keyint_min', String(gop),
    '-sc_threshold', '0', '-b:v', `${kbps}k`, '-maxrate', `${peak(kbps)}k`, '-bufsize', `${peak(kbps)}k`, '-video_track_timescale', '90000', ...mp4];
}

/** A tone that steps every second. Its times begin with the encoder's delay, so that the first packet is at 0. */
const audioArgs = ['-f', 'lavfi', '-i', 'aevalsrc=0.1*sin(2*PI*220*(1+mod(floor(t)\\,8)/4)*t)|0.1*sin(2*PI*110*(1+mod(floor(t)\\,5)/4)*t):s=48000',
  '-af', 'asetpts=PTS+1024/(SR*TB)', '-c:a', 'aac', '-b:a', '64k', ...mp4];

// ---- Tracks -------------------------------------------------------------------------------------------------------

/**
 * A segment that is made or ready: `chunks` are its bytes so far, `parts` have { offset, size, duration (s), independent, done }, the last one may still grow.
 * `start` and `duration` are in seconds.
 */
class Segment {
  chunks = [];
  parts = [];
  size = 0;
  duration = 0;
  done = false;

  constructor(msn, start) { Object.assign(this, { msn, start }); }

  /** Bytes of it, `to` excluded; fewer where they do not exist yet. */
  bytes(from = 0, to = Infinity) { return Buffer.concat(this.chunks).subarray(from, Math.min(to, this.size)); }

  /** How many parts are complete. */
  get ready() { return this.parts.length - (this.parts.at(-1)?.done === false ? 1 : 0); }

  add(chunk, duration, independent, partEnds) {
    let part = this.parts.at(-1);
    if (!part || part.done) this.parts.push(part = { offset: this.size, size: 0, duration: 0, independent, done: false });
    this.chunks.push(chunk);
    this.size += chunk.length;
    this.duration += duration;
    part.size += chunk.length;
    part.duration += duration;
    part.done = partEnds;
  }
}

/** One elementary stream, cut into segments, parts and chunks. Emits `move` after each chunk. */
export class Track extends EventEmitter {
  segments = [];
  #queue = [];
  #waiting = [];
  #rest = Buffer.alloc(0);
  #moof;
  #sequence = 0;
  #until = 0;
  #timer;

  /** `kbps`: of pictures; `frame`: seconds of a frame; `partFrames`, `chunkFrames`: frames of a part and of a chunk; `keep`: segments that stay. */
  constructor(name, { kbps, timescale, frame, epoch, segmentDuration, partFrames, chunkFrames, keep }) {
    super();
    this.setMaxListeners(0);
    Object.assign(this, { name, kbps, kind: kbps ? 'video' : 'audio', timescale, frame, epoch, segmentDuration, partFrames, chunkFrames, keep });
    this.initialized = new Promise((resolve) => { this.once('init', resolve); });
  }

  /** The next part to come. */
  get edge() {
    const last = this.segments.at(-1);
    if (!last) return { msn: 0, part: 0 };
    return last.done ? { msn: last.msn + 1, part: 0 } : { msn: last.msn, part: last.ready };
  }

  segment(msn) { return this.segments.find((one) => one.msn === msn); }

  /** Resolves after the next chunk. */
  moved() { return new Promise((resolve) => { this.once('move', resolve); }); }

  /** Nothing is published for so long; then what is due comes at once. */
  stall(seconds) { this.#until = Date.now() + seconds * 1000; }

  run(household) {
    const args = this.kbps ? videoArgs(this.epoch, Math.round(this.segmentDuration * fps), this.kbps) : audioArgs;
    this.child = household.spawn(tool('ffmpeg'), ['-hide_banner', '-loglevel', 'error', '-nostdin', ...args], { binary: true });
    this.child.stdout.on('data', (bytes) => this.#read(bytes));
  }

  stop() {
    clearTimeout(this.#timer);
    this.child?.stdout.removeAllListeners('data');
  }

  #read(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    let used = 0;
    for (const [type, from, to] of boxes(this.#rest)) {
      if (type === 'moov') {
        this.init = Buffer.from(this.#rest.subarray(0, to));
        this.codec = codecOf(this.init);
        this.emit('init');
      } else if (type === 'moof') this.#moof = Buffer.from(this.#rest.subarray(from - 8, to));
      else if (type === 'mdat') this.#queue.push({ ...readSample(this.#moof), data: Buffer.from(this.#rest.subarray(from, to)) });
      if (type !== 'ftyp') used = to;
    }
    this.#rest = this.#rest.subarray(used);
    this.#release();
  }

  /** Publishes what is due, and comes back for the rest. */
  #release() {
    clearTimeout(this.#timer);
    const { stdout } = this.child;
    for (;;) {
      const now = Date.now();
      const due = this.#queue.length ? Math.max(this.#until, this.epoch + ((this.#queue[0].dts + this.#queue[0].duration) / this.timescale) * 1000) : undefined;
      if (this.#queue.length < AHEAD) stdout.resume(); else stdout.pause();
      if (due === undefined) return;
      if (due > now) {
        this.#timer = setTimeout(() => this.#release(), Math.ceil(due - now));
        return;
      }
      this.#take(this.#queue.shift());
    }
  }

  #take(sample) {
    const length = this.segmentDuration * this.timescale;
    let segment = this.segments.at(-1);
    if (!segment || segment.done) {
      if (!sample.sync) throw new Error(`${this.name}: a segment begins without a key frame`);
      this.segments.push(segment = new Segment((segment?.msn ?? -1) + 1, sample.dts / this.timescale));
      if (this.segments.length > this.keep) this.segments.shift();
      segment.frames = 0;
    }
    this.#waiting.push(sample);
    segment.frames++;
    // Segment N has what begins from N times its duration on.
    const ends = sample.dts + sample.duration >= (segment.msn + 1) * length;
    const partEnds = ends || segment.frames % this.partFrames === 0;
    if (!partEnds && (segment.frames % this.partFrames) % this.chunkFrames !== 0) return;
    const samples = this.#waiting.splice(0);
    const duration = samples.reduce((sum, one) => sum + one.duration, 0) / this.timescale;
    segment.add(writeChunk(samples, ++this.#sequence), duration, samples[0].sync, partEnds);
    segment.done = ends;
    this.end = segment.start + segment.duration;
    this.emit('move');
  }
}
