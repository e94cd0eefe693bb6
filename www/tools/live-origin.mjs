// A low-latency live origin: LL-HLS (RFC 8216bis) and LL-DASH of one encoder, with faults on request. `node www/tools/live-origin.mjs --help`
import { createServer } from 'node:http';
import { Track, fps, peak } from './live-encoder.mjs';
import { Household } from './processes.mjs';
import { Told, isMain, main } from './steps.mjs';

const defaults = {
  port: 0,
  host: '127.0.0.1',
  /** Seconds. A part has as many frames as fit; `chunkDuration` (a part if undefined) is what a `moof` holds and what LL-DASH gets as it is made. */
  segmentDuration: 2,
  partDuration: 0.33,
  chunkDuration: undefined,
  /** kbit/s of each quality of the pictures, from the lowest up. */
  rungs: [600],
  /** Segments in a playlist. */
  window: 12,
  /** How many segments exist at the start; more than the window if undefined: ffmpeg's DASH reader cannot read a stream that is younger than its time shift buffer. */
  prefill: undefined,
  /** What of LL-HLS there is. */
  parts: true,
  block: true,
  skip: true,
  hints: true,
  reports: true,
  dates: true,
  /** Parts are byte ranges of their segment instead of resources of their own. */
  byteRanges: false,
  /** LL-DASH: the latency that the manifest asks for, in seconds. */
  latency: 1.5,
  producerTime: true,
};

const cors = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, OPTIONS',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Expose-Headers': '*',
  'Access-Control-Max-Age': '600',
  'Timing-Allow-Origin': '*',
  'Cache-Control': 'no-store',
};

/** The last byte of a range without end, where an answer must name one (RFC 8673 §2). */
const ENDLESS = Number.MAX_SAFE_INTEGER;
const MAX_CONTROL_BYTES = 10_000;

const number = (seconds) => String(Math.round(seconds * 1e5) / 1e5);
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const before = (a, b) => a.msn < b.msn || (a.msn === b.msn && a.part < b.part);

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class Origin {
  faults = [];
  /** What is added to the media sequence numbers of playlists. */
  shift = 0;

  constructor(options) {
    Object.assign(this, options);
    const audioFrame = 1024 / 48_000;
    const frames = (seconds, frame) => Math.max(1, Math.floor(seconds / frame + 1e-6));
    const chunk = Math.min(this.chunkDuration ?? this.partDuration, this.partDuration);
    const track = (name, timescale, frame, kbps) => new Track(name, { kbps, timescale, frame, epoch: this.epoch, segmentDuration: this.segmentDuration,
      partFrames: frames(this.partDuration, frame), chunkFrames: frames(chunk, frame), keep: 2 * this.window + 2 });
    const names = this.rungs.map((kbps) => [this.rungs.length > 1 ? `video${kbps}` : 'video', kbps]);
    this.pictures = names.map(([name, kbps]) => track(name, 90_000, 1 / fps, kbps));
    this.tracks = Object.fromEntries([...this.pictures, track('audio', 48_000, audioFrame)].map((one) => [one.name, one]));
    const all = Object.values(this.tracks);
    // The same in all playlists: a part has at least 0.85 of it, and none is longer (§4.4.4.9).
    this.partTarget = Math.max(...all.map(({ partFrames, frame }) => partFrames * frame));
    // An audio segment begins up to a frame after its nominal time.
    this.chunkLate = Math.max(...all.map(({ chunkFrames, frame, kind }) => (chunkFrames + (kind === 'audio' ? 1 : 0)) * frame));
    this.target = Math.round(this.segmentDuration);
    this.advance = this.partTarget >= 1 ? 3 : Math.ceil(3 / this.partTarget);
  }

  // ---- Faults ----

  /** Takes a fault that waits for such a request. */
  hit(track, ...names) {
    const index = this.faults.findIndex((one) => names.includes(one.fault) && (one.track ?? track.name) === track.name);
    if (index < 0) return undefined;
    const fault = this.faults[index];
    fault.times -= 1;
    if (fault.times <= 0) this.faults.splice(index, 1);
    return fault;
  }

  control({ fault, track, times = 1, seconds = 5, status = 404, by = 3 }) {
    switch (fault) {
      case 'status': case 'hang': case 'back': case 'late':
        this.faults.push({ fault, track, times, seconds, status, by });
        break;
      case 'freeze':
        this.frozen = { until: Date.now() + seconds * 1000, edges: Object.fromEntries(Object.values(this.tracks).map((track) => [track.name, track.edge])) };
        break;
      case 'stall':
        for (const track of Object.values(this.tracks)) track.stall(seconds);
        break;
      case 'renumber':
        this.shift -= by;
        break;
      case 'none':
        Object.assign(this, { faults: [], frozen: undefined, shift: 0 });
        break;
      default:
        throw new Refused(400, `unknown fault ${JSON.stringify(fault)}: status, hang, freeze, back, renumber, late, stall, none`);
    }
    return this.state();
  }

  state() {
    const tracks = Object.fromEntries(Object.values(this.tracks).map((track) => [track.name, { ...track.edge, end: track.end, oldest: track.segments[0]?.msn, codec: track.codec }]));
    return { epoch: this.epoch, now: Date.now(), fps, segmentDuration: this.segmentDuration, partTarget: this.partTarget, shift: this.shift, faults: this.faults,
      frozen: Boolean(this.frozen && Date.now() < this.frozen.until), tracks };
  }

  // ---- HLS ----

  /** The next part that playlists do not have yet. */
  edge(track) { return this.frozen && Date.now() < this.frozen.until ? this.frozen.edges[track.name] : track.edge; }

  master() {
    const { audio } = this.tracks;
    return ['#EXTM3U', '#EXT-X-VERSION:9', '#EXT-X-INDEPENDENT-SEGMENTS',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Tone",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/media.m3u8"',
      ...this.pictures.flatMap(({ name, kbps, codec }) => [
        `#EXT-X-STREAM-INF:BANDWIDTH=${(peak(kbps) + 80) * 1000},AVERAGE-BANDWIDTH=${(kbps + 80) * 1000},CODECS="${codec},${audio.codec}",RESOLUTION=640x360,FRAME-RATE=${fps.toFixed(3)},AUDIO="sound"`,
        `${name}/media.m3u8`]), ''].join('\n');
  }

  /** The playlist up to `edge`; `delta`: segments that the client has are left out. */
  playlist(track, edge, delta) {
    const { parts, block, skip, hints, reports, dates, byteRanges, target, partTarget, shift } = this;
    // Whole segments of the window, and the one that is being made.
    const shown = track.segments.filter(({ msn }) => msn < edge.msn || (parts && msn === edge.msn && edge.part > 0));
    const whole = shown.filter(({ msn }) => msn < edge.msn);
    const list = shown.slice(Math.max(0, whole.length - this.window));
    const last = list.at(-1);
    const end = last && last.msn === edge.msn ? last.start + last.parts.slice(0, edge.part).reduce((sum, { duration }) => sum + duration, 0) : (last?.start ?? 0) + (last?.duration ?? 0);
    const skipUntil = 6 * target;
    const skipped = delta && skip ? list.filter(({ msn, start, duration }) => msn < edge.msn && end - start - duration >= skipUntil).length : 0;
    const control = [
      ...(block ? ['CAN-BLOCK-RELOAD=YES'] : []),
      ...(skip ? [`CAN-SKIP-UNTIL=${number(skipUntil)}`] : []),
      ...(parts ? [`PART-HOLD-BACK=${number(3 * partTarget)}`] : []),
      `HOLD-BACK=${number(3 * target)}`,
    ];
    const lines = ['#EXTM3U', '#EXT-X-VERSION:9', `#EXT-X-TARGETDURATION:${target}`, `#EXT-X-SERVER-CONTROL:${control.join(',')}`,
      ...(parts ? [`#EXT-X-PART-INF:PART-TARGET=${number(partTarget)}`] : []),
      '#EXT-X-INDEPENDENT-SEGMENTS', `#EXT-X-MEDIA-SEQUENCE:${(list[0]?.msn ?? 0) + shift}`];
    // Tags of skipped segments are skipped with them.
    if (skipped) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`);
    else lines.push('#EXT-X-MAP:URI="init.mp4"');
    for (const segment of list.slice(skipped)) {
      const open = segment.msn === edge.msn;
      if (dates) lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(this.epoch + segment.start * 1000).toISOString()}`);
      // Parts further from the end than three target durations are of no use (§4.4.4.9).
      if (parts && (open || end - segment.start - segment.duration <= 3 * target)) {
        segment.parts.slice(0, open ? edge.part : undefined).forEach((part, index) => {
          const where = byteRanges ? `URI="${segment.msn}.m4s",BYTERANGE="${part.size}@${part.offset}"` : `URI="${segment.msn}.${index}.m4s"`;
          lines.push(`#EXT-X-PART:DURATION=${number(part.duration)},${where}${part.independent ? ',INDEPENDENT=YES' : ''}`);
        });
      }
      if (!open) lines.push(`#EXTINF:${number(segment.duration)},`, `${segment.msn}.m4s`);
    }
    if (parts && hints) {
      const start = edge.part > 0 ? last.parts[edge.part - 1].offset + last.parts[edge.part - 1].size : 0;
      lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${edge.msn}.${byteRanges ? `m4s",BYTERANGE-START=${start}` : `${edge.part}.m4s"`}`);
    }
    if (parts && reports) {
      for (const other of Object.values(this.tracks)) {
        if (other === track) continue;
        const next = this.edge(other);
        const latest = next.part > 0 ? { msn: next.msn, part: next.part - 1 } : { msn: next.msn - 1, part: (other.segment(next.msn - 1)?.parts.length ?? 1) - 1 };
        lines.push(`#EXT-X-RENDITION-REPORT:URI="../${other.name}/media.m3u8",LAST-MSN=${latest.msn + shift},LAST-PART=${latest.part}`);
      }
    }
    return `${lines.join('\n')}\n`;
  }

  /** Whether a playlist up to `edge` has what a reload waits for (§6.2.5.2); a part past the last of its segment is the first of the next. */
  contains(track, edge, msn, part) {
    if (part === undefined) return edge.msn > msn;
    if (edge.msn <= msn) return edge.msn === msn && edge.part > part;
    return part < (track.segment(msn)?.parts.length ?? Infinity) || before({ msn: msn + 1, part: 0 }, edge);
  }

  /** A media playlist, once it has what the query asks for. */
  async reload(track, query, gone) {
    const ask = (name) => {
      const text = query.get(name);
      if (text === null) return undefined;
      if (!/^\d{1,15}$/.test(text)) throw new Refused(400, `${name} is not a number`);
      return Number(text);
    };
    let [msn, part] = this.block ? [ask('_HLS_msn'), this.parts ? ask('_HLS_part') : undefined] : [];
    if (part !== undefined && msn === undefined) throw new Refused(400, '_HLS_part without _HLS_msn');
    if (msn !== undefined) {
      if (this.hit(track, 'hang')) return undefined;
      msn -= this.shift;
      const edge = this.edge(track);
      const latest = edge.part > 0 ? edge.msn : edge.msn - 1;
      if (msn > latest + 2 || (msn === edge.msn && part !== undefined && part > edge.part - 1 + this.advance)) throw new Refused(400, 'too far ahead');
      const deadline = Date.now() + 3000 * this.target;
      while (!this.contains(track, this.edge(track), msn, part)) {
        await Promise.race([track.moved(), sleep(100)]);
        if (gone()) return undefined;
        if (Date.now() > deadline) throw new Refused(503, 'not within three target durations');
      }
    }
    const stale = this.hit(track, 'back');
    const edge = stale ? { msn: Math.max(1, this.edge(track).msn - stale.by), part: 0 } : this.edge(track);
    return this.playlist(track, edge, ['YES', 'v2'].includes(query.get('_HLS_skip')));
  }

  // ---- DASH ----

  manifest(url) {
    const { audio } = this.tracks;
    const offset = Math.max(0, Math.floor((this.segmentDuration - this.chunkLate) * 1000) / 1000);
    // `$RepresentationID$` is the name of the track.
    const template = ({ timescale }) => `<SegmentTemplate timescale="${timescale}" duration="${Math.round(this.segmentDuration * timescale)}" startNumber="0" `
      + `availabilityTimeOffset="${offset}" availabilityTimeComplete="false" initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/$Number$.m4s"/>`;
    const epoch = new Date(this.epoch).toISOString();
    const timing = `<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="${url}/time"/>`;
    const produced = (id) => (this.producerTime ? `<ProducerReferenceTime id="${id}" type="encoder" wallClockTime="${epoch}" presentationTime="0">${timing}</ProducerReferenceTime>` : '');
    return `<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011,http://www.dashif.org/guidelines/low-latency-live-v5" type="dynamic"
  availabilityStartTime="${epoch}" publishTime="${epoch}" minimumUpdatePeriod="PT10S" minBufferTime="PT1S" timeShiftBufferDepth="PT${this.window * this.segmentDuration}S"
  suggestedPresentationDelay="PT${this.latency}S" maxSegmentDuration="PT${this.segmentDuration}S">
  <ServiceDescription id="0">
    <Latency target="${Math.round(this.latency * 1000)}" min="${Math.round(this.latency * 500)}" max="${Math.round(this.latency * 3000)}"${this.producerTime ? ' referenceId="0"' : ''}/>
    <PlaybackRate min="0.95" max="1.05"/>
  </ServiceDescription>
  <Period id="0" start="PT0S">
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" startWithSAP="1" segmentAlignment="true">
      ${produced(0)}
      ${template(this.pictures[0])}
      ${this.pictures.map(({ name, kbps, codec }) => `<Representation id="${name}" codecs="${codec}" bandwidth="${peak(kbps) * 1000}" width="640" height="360" frameRate="${fps}"/>`).join('\n      ')}
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" lang="en" startWithSAP="1" segmentAlignment="true">
      ${produced(1)}
      ${template(audio)}
      <Representation id="audio" codecs="${audio.codec}" bandwidth="72000" audioSamplingRate="48000"><AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/></Representation>
    </AdaptationSet>
  </Period>
  ${timing}
</MPD>
`;
  }

  // ---- Media ----

  /** A segment, or one whose first chunk comes within moments. */
  async find(track, msn, gone) {
    // Early by no more than a chunk: the time that clocks and timers are off.
    const due = this.epoch + (msn * this.segmentDuration + this.chunkLate) * 1000;
    while (!track.segment(msn)) {
      const { edge } = track;
      // The one after the next: an encoder that is late by the end of a segment.
      if (gone() || msn < edge.msn || msn > edge.msn + 1 || due - Date.now() > this.chunkLate * 1000) throw new Refused(404, 'no such segment');
      await track.moved();
    }
    return track.segment(msn);
  }

  /** A part, which is waited for where a playlist may have hinted at it. */
  async part(track, msn, index, gone) {
    const far = { msn: track.edge.msn, part: track.edge.part + this.advance };
    if (before(far, { msn, part: index }) && !(msn === track.edge.msn + 1 && index === 0)) throw new Refused(404, 'no such part yet');
    for (;;) {
      const segment = track.segment(msn);
      if (segment?.parts[index]?.done) return segment.bytes(segment.parts[index].offset, segment.parts[index].offset + segment.parts[index].size);
      if (gone() || segment?.done || msn < track.edge.msn) throw new Refused(404, 'no such part');
      await track.moved();
    }
  }

  /** A segment as it is made, or a range of it. */
  async sendSegment(track, segment, request, response) {
    const range = /^bytes=(\d{1,16})-(\d{0,16})$/.exec(request.headers.range ?? '');
    const head = { 'Content-Type': `${track.kind}/mp4`, 'Accept-Ranges': 'bytes' };
    const from = range ? Number(range[1]) : 0;
    let to = range?.[2] ? Math.min(Number(range[2]), ENDLESS) : ENDLESS;
    // A closed range is answered once all of it exists, with its length; what has no end is sent as it is made.
    while (!segment.done && (to === ENDLESS ? segment.size < from : segment.size <= to)) await track.moved();
    if (segment.done) {
      if (range && (from >= segment.size || to < from)) {
        response.writeHead(416, { ...head, 'Content-Range': `bytes */${segment.size}` }).end();
        return;
      }
      to = Math.min(to, segment.size - 1);
    }
    if (segment.done || to !== ENDLESS) head['Content-Length'] = to - from + 1;
    if (range) head['Content-Range'] = `bytes ${from}-${to}/${segment.done ? segment.size : '*'}`;
    response.writeHead(range ? 206 : 200, head);
    if (request.method === 'HEAD') { response.end(); return; }
    response.flushHeaders();
    for (let at = from; ;) {
      const bytes = segment.bytes(at, to + 1);
      if (bytes.length) response.write(bytes);
      at += bytes.length;
      if (segment.done || at > to || response.destroyed) break;
      await track.moved();
    }
    response.end();
  }

  async handle(request, response) {
    const url = new URL(request.url, this.url);
    const gone = () => response.destroyed;
    for (const [name, value] of Object.entries(cors)) response.setHeader(name, value);
    if (request.method === 'OPTIONS') { response.writeHead(204).end(); return; }
    const send = (type, body) => {
      const bytes = Buffer.from(body);
      response.writeHead(200, { 'Content-Type': type, 'Content-Length': bytes.length });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    };
    if (url.pathname === '/control') {
      if (request.method !== 'POST') { send('application/json', JSON.stringify(this.state())); return; }
      let text = '';
      for await (const piece of request) {
        text += piece;
        if (text.length > MAX_CONTROL_BYTES) throw new Refused(413, 'too long');
      }
      let fault;
      try { fault = JSON.parse(text); } catch { throw new Refused(400, 'not JSON'); }
      send('application/json', JSON.stringify(this.control(fault ?? {})));
      return;
    }
    if (url.pathname === '/time') { send('text/plain', new Date().toISOString()); return; }
    if (url.pathname === '/hls/master.m3u8') { send('application/vnd.apple.mpegurl', this.master()); return; }
    if (url.pathname === '/dash/manifest.mpd') { send('application/dash+xml', this.manifest(this.url)); return; }
    const [, kind, name, file, msn, part] = /^\/(hls|dash)\/(video\d*|audio)\/(init\.mp4|media\.m3u8|(\d{1,15})(?:\.(\d{1,6}))?\.m4s)$/.exec(url.pathname) ?? [];
    const track = Object.hasOwn(this.tracks, name ?? '') ? this.tracks[name] : undefined;
    if (!track) throw new Refused(404, 'not found');
    if (file === 'init.mp4') { send(`${track.kind}/mp4`, track.init); return; }
    if (file === 'media.m3u8') {
      if (kind !== 'hls') throw new Refused(404, 'not found');
      const text = await this.reload(track, url.searchParams, gone);
      if (text !== undefined) send('application/vnd.apple.mpegurl', text);
      return;
    }
    const fault = this.hit(track, 'status', 'late');
    if (fault?.fault === 'status') throw new Refused(fault.status, 'as ordered');
    if (fault) await sleep(fault.seconds * 1000);
    if (part !== undefined) send(`${track.kind}/mp4`, await this.part(track, Number(msn), Number(part), gone));
    else await this.sendSegment(track, await this.find(track, Number(msn), gone), request, response);
  }
}

/**
 * Starts an encoder and serves it: { url, hls, dash, epoch, state(), control(fault), processes(), close() }. `options` are those of `defaults`; frame N of the picture (its number is what
 * frame-strip.mjs reads) was taken at `epoch` + N * 40 ms. Faults for `control`, or for POST /control:
 * { fault: 'status', status, times } for segments and parts, { fault: 'late', seconds, times } for the same, { fault: 'hang', times } for blocking reloads, { fault: 'freeze', seconds }
 * for all playlists, { fault: 'back', by, times }: playlists that are `by` segments old, { fault: 'renumber', by }: media sequence numbers from now on, { fault: 'stall', seconds }: the encoder, { fault: 'none' }.
 * Those with `times` take `track` too ('video', 'audio'): requests of that one.
 */
export async function startLiveOrigin(options = {}) {
  const settings = { ...defaults, ...options };
  settings.prefill ??= settings.window + 1;
  const gop = settings.segmentDuration * fps;
  if (!(gop >= 1) || Math.abs(gop - Math.round(gop)) > 1e-6) throw new Told(`a segment of ${settings.segmentDuration} s is no whole number of frames (${fps} a second)`);
  const household = new Household();
  const origin = new Origin({ ...settings, epoch: Date.now() - settings.prefill * settings.segmentDuration * 1000 });
  const tracks = Object.values(origin.tracks);
  const server = createServer((request, response) => {
    origin.handle(request, response).catch((error) => {
      if (response.headersSent || response.destroyed) { response.destroy(); return; }
      response.writeHead(error.status ?? 500, { 'Content-Type': 'text/plain' }).end(`${error.status ? error.message : error.stack}\n`);
    });
  });
  // A client's next request must not meet a connection that ends for having waited.
  server.keepAliveTimeout = 60_000;
  let closing = false;
  const close = async () => {
    closing = true;
    for (const track of tracks) track.stop();
    server.closeAllConnections();
    await Promise.all([household.end(), new Promise((resolve) => { server.close(resolve); })]);
  };
  try {
    for (const track of tracks) track.run(household);
    const ended = tracks.map(({ child, name }) => new Promise((_, reject) => { child.once('exit', () => reject(new Told(`the encoder of ${name} ended\n${child.output}`))); }));
    const caughtUp = async (track) => { while (!(track.end * 1000 + origin.epoch > Date.now() - 1000)) await track.moved(); };
    await Promise.race([...ended, Promise.all(tracks.map(caughtUp))]);
    for (const one of ended) one.catch(({ message }) => { if (!closing) process.stderr.write(`${message}\n`); });
    await new Promise((resolve, reject) => { server.once('error', reject).listen(settings.port, settings.host, resolve); });
  } catch (error) {
    await close();
    throw error;
  }
  origin.url = `http://${settings.host}:${server.address().port}`;
  return {
    url: origin.url, hls: `${origin.url}/hls/master.m3u8`, dash: `${origin.url}/dash/manifest.mpd`, epoch: origin.epoch,
    state: () => origin.state(), control: (fault) => origin.control(fault), processes: () => household.processes(), close,
  };
}

const usage = `Usage: node www/tools/live-origin.mjs [--port N] [--part SECONDS] [--segment SECONDS] [--chunk SECONDS] [--window SEGMENTS] [--latency SECONDS] [--rungs KBPS,KBPS…]
  [--no-parts] [--no-block] [--no-skip] [--no-hints] [--no-reports] [--no-dates] [--byte-ranges]`;

function readArgs(args) {
  const names = { port: 'port', host: 'host', part: 'partDuration', segment: 'segmentDuration', chunk: 'chunkDuration', window: 'window', prefill: 'prefill', latency: 'latency' };
  const options = { port: 8093 };
  for (let at = 0; at < args.length; at++) {
    const flag = /^--(.+)$/.exec(args[at])?.[1];
    const off = /^no-(parts|block|skip|hints|reports|dates)$/.exec(flag ?? '')?.[1];
    if (off) options[off] = false;
    else if (flag === 'byte-ranges') options.byteRanges = true;
    else if (flag === 'rungs' && /^[1-9]\d*(,[1-9]\d*)*$/.test(args[at + 1] ?? '')) options.rungs = [...new Set(args[++at].split(',').map(Number))].sort((a, b) => a - b);
    else if (names[flag] && args[at + 1] !== undefined) {
      const value = args[++at];
      options[names[flag]] = flag === 'host' ? value : Number(value);
      if (flag !== 'host' && !(Number(value) >= 0)) throw new Told(usage);
    } else throw new Told(usage);
  }
  return options;
}

if (isMain(import.meta)) {
  await main(async () => {
    const { url, hls, dash } = await startLiveOrigin(readArgs(process.argv.slice(2)));
    console.log(`${hls}\n${dash}\n${url}/control`);
    await new Promise(() => {});
  });
}
