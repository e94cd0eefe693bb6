// The rewriters of each player by themselves, in the page: what has been fetched to fragmented MP4. Bundled by bench.mjs.
import initWasm, { BenchRemux } from 'bench:wasm';
import { hlsDefaultConfig } from 'bench:hls.js/src/config.ts';
import HlsTransmuxer, { TransmuxConfig, TransmuxState } from 'bench:hls.js/src/demux/transmuxer.ts';
import { ChunkMetadata } from 'bench:hls.js/src/types/transmuxer.ts';
import { createDefaultConfig } from 'bench:mpegts.js/src/config.js';
import MpegtsController from 'bench:mpegts.js/src/core/transmuxing-controller.js';
import MpegtsEvents from 'bench:mpegts.js/src/core/transmuxing-events.ts';
import MpegtsLog from 'bench:mpegts.js/src/utils/logger.js';
import { Transmuxer as MuxTransmuxer } from 'mux.js/lib/mp4';

/** Bytes as a response gives them. */
const CHUNK = 64 << 10;
/** What mpegts.js gathers before it parses: its stash. */
const STASH = 384 << 10;

const quiet = Object.fromEntries(['trace', 'debug', 'log', 'warn', 'info', 'error'].map((name) => [name, () => {}]));
const observer = { on() {}, once() {}, off() {}, emit() {}, trigger() {}, removeAllListeners() {}, listenerCount: () => 0 };
MpegtsLog.ENABLE_VERBOSE = MpegtsLog.ENABLE_DEBUG = MpegtsLog.ENABLE_INFO = MpegtsLog.ENABLE_WARN = false;

const script = (src) => new Promise((resolve, reject) => {
  document.head.append(Object.assign(document.createElement('script'), { src, onload: resolve, onerror: () => reject(new Error(`no ${src}`)) }));
});

/** Each makes a rewriter of one stream: a function that takes a part (a segment, or the file) and gives, or promises, the bytes that it wrote. */
const rewriters = {
  millrace: () => {
    let remux;
    return (bytes) => {
      remux ??= BenchRemux.of(bytes.subarray(0, CHUNK));
      let out = 0;
      for (let at = 0; at < bytes.length; at += CHUNK) {
        for (const part of remux.push(bytes.subarray(at, at + CHUNK), at + CHUNK >= bytes.length)) out += part.length;
      }
      return out;
    };
  },

  'hls.js': () => {
    const transmuxer = new HlsTransmuxer(observer, { mpeg: true, mp3: true, ac3: false, m4a: true }, { ...hlsDefaultConfig }, '', 'main', quiet);
    let sn = 0;
    transmuxer.configure(new TransmuxConfig(undefined, undefined, undefined, 60, null));
    return (bytes) => {
      const meta = new ChunkMetadata(0, sn, sn, bytes.length);
      const results = [transmuxer.push(bytes.slice().buffer, null, meta, new TransmuxState(sn === 0, sn > 0, true, false, sn * 4, sn === 0)), ...transmuxer.flush(meta)];
      sn++;
      let out = 0;
      for (const { remuxResult } of results) {
        for (const track of [remuxResult.video, remuxResult.audio]) out += (track?.data1?.length ?? 0) + (track?.data2?.length ?? 0);
      }
      return out;
    };
  },

  // It reads a stream, not segments: what is not taken comes again with what follows.
  'mpegts.js': () => {
    const controller = new MpegtsController({ url: '' }, createDefaultConfig());
    controller._ioctl = { destroy() {} };
    let out = 0;
    controller.on(MpegtsEvents.MEDIA_SEGMENT, (type, { data }) => { out += data.byteLength; });
    controller.on(MpegtsEvents.DEMUX_ERROR, (type, info) => { throw new Error(`mpegts.js: ${type} ${info}`); });
    let position = 0;
    let rest = new Uint8Array();
    const take = (chunk) => (position === 0 ? controller._onInitChunkArrival(chunk, 0) : controller._demuxer.parseChunks(chunk, position));
    return (bytes, last) => {
      out = 0;
      for (let at = 0; at < bytes.length; at += STASH) {
        const next = bytes.subarray(at, at + STASH);
        const chunk = new Uint8Array(rest.length + next.length);
        chunk.set(rest);
        chunk.set(next, rest.length);
        const consumed = take(chunk.buffer);
        position += consumed;
        rest = chunk.subarray(consumed);
      }
      if (last) controller._onIOComplete(0);
      return out;
    };
  },

  shaka: () => {
    const transmuxer = new window.shaka.transmuxer.TsTransmuxer('video/mp2t');
    let n = 0;
    return async (bytes) => {
      const reference = { startTime: n * 4, endTime: n * 4 + 4, discontinuitySequence: 0, getUris: () => [''] };
      n++;
      let out = 0;
      // It asks for each track by itself.
      for (const [id, type, codecs] of [[1, 'video', 'avc1.640028'], [2, 'audio', 'mp4a.40.2']]) {
        const result = await transmuxer.transmux(bytes, { id, type, codecs, language: 'und' }, reference, 60, type);
        out += (result.data ?? result).byteLength;
      }
      return out;
    };
  },

  'mux.js': () => {
    const transmuxer = new MuxTransmuxer({ remux: false, keepOriginalTimestamps: true });
    let out = 0;
    transmuxer.on('data', ({ data }) => { out += data.byteLength; });
    return (bytes) => {
      out = 0;
      transmuxer.push(bytes);
      transmuxer.flush();
      return out;
    };
  },
};

window.bench = {
  async init(wasm) { await Promise.all([initWasm({ module_or_path: wasm }), script('/peers/shaka-player/dist/shaka-player.hls-es2021.js')]); },

  /** One rewriter over what has been fetched, a segment or a file a URL; MB/s, the median of some rounds after one that is not counted. */
  async rewrite(name, urls, rounds) {
    const parts = await Promise.all(urls.map(async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer())));
    const pass = async () => {
      const rewrite = rewriters[name]();
      let [took, into, out] = [0, 0, 0];
      for (const [i, bytes] of parts.entries()) {
        const started = performance.now();
        const made = rewrite(bytes, i === parts.length - 1);
        out += typeof made === 'number' ? made : await made;
        took += performance.now() - started;
        into += bytes.length;
      }
      // Packets and headers are no media, and some players drop the last frames.
      if (out < into * 0.8 || out > into * 1.2) throw new Error(`${name} made ${out} bytes of ${into}`);
      return into / 1e3 / took;
    };
    await pass();
    const rates = [];
    for (let i = 0; i < rounds; i++) rates.push(await pass());
    rates.sort((a, b) => a - b);
    return { rate: rates[rounds >> 1] };
  },
};
window.pageReady = true;
