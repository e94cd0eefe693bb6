// hls.js: the `abrController` of its default configuration, with a stub of the player around it that has what the controller asks for.
//
// What the stub does itself follows level-controller.ts and stream-controller.ts: `nextLoadLevel` is taken before each fragment, and
// forces the automatic level when the controller sets it. A level's playlist is loaded before its first fragment; its initialization segment
// comes beside that, which costs nothing.
import { EventEmitter } from 'node:events';
import Hls from 'hls.js';
import * as clock from './clock.mjs';

const { Events, DefaultConfig } = Hls;
const silent = () => {};
const logger = { trace: silent, debug: silent, log: silent, warn: silent, info: silent, error: silent };

/** As much of an `Hls` as the controller needs. */
class Stub extends EventEmitter {
  logger = logger;
  autoLevelEnabled = true;
  allAudioTracks = [];
  minAutoLevel = 0;
  firstLevel = 0;
  loadLevel = -1;
  media = { paused: false, playbackRate: 1, readyState: 1 };
  mainForwardBufferInfo = { len: 0, start: 0, end: 0 };

  constructor({ kbps, segment, ahead }) {
    super();
    this.config = { ...DefaultConfig, maxBufferLength: ahead, maxMaxBufferLength: ahead };
    const details = { live: false, averagetargetduration: segment, targetduration: segment };
    this.latestLevelDetails = details;
    this.levels = kbps.map((k) => ({
      bitrate: k * 1000, maxBitrate: k * 1000, averageBitrate: k * 1000, codecSet: 'avc1', codecs: 'avc1.64001f', videoRange: 'SDR', frameRate: 0, height: 0,
      loadError: 0, fragmentError: 0, details, attrs: {}, supportedResult: { supported: true, configurations: [], decodingInfoResults: [] },
    }));
    this.maxAutoLevel = kbps.length - 1;
  }

  on(event, listener, context) { return super.on(event, context ? listener.bind(context) : listener); }

  trigger(event, data) { return this.emit(event, event, data); }

  get loadLevelObj() { return this.levels[this.loadLevel] ?? null; }

  get nextAutoLevel() { return this.abr.nextAutoLevel; }

  set nextAutoLevel(level) { this.abr.nextAutoLevel = level; }

  get nextLoadLevel() { return this.nextAutoLevel; }

  set nextLoadLevel(level) {
    const switches = level !== this.loadLevel;
    this.loadLevel = level;
    if (switches) this.trigger(Events.LEVEL_SWITCHING, { level });
    this.nextAutoLevel = level;
  }
}

class Player {
  name = `hls.js ${Hls.version}`;

  begin(movie) {
    this.hls?.abr.destroy();
    const hls = new Stub(movie);
    hls.abr = new DefaultConfig.abrController(hls);
    this.hls = hls;
    this.segment = movie.segment;
    this.frag = null;
    this.started = false;
    /** Levels whose playlists are there, and when the one that is on its way was asked for. */
    this.known = new Set();
    this.asked = undefined;
    hls.trigger(Events.MANIFEST_LOADING, {});
    // level-controller.ts, onManifestParsed: the first variant's bitrate is the first estimate, if it is higher than the default.
    const first = Math.min(hls.levels[0].bitrate, hls.config.abrEwmaDefaultEstimateMax);
    if (first > hls.abr.bwEstimator.getEstimate()) hls.abr.resetEstimator(first);
  }

  update({ position, buffer, playing, loaded, total, first }) {
    const { hls, frag } = this;
    hls.mainForwardBufferInfo = { len: buffer, start: position, end: position + buffer };
    hls.media.readyState = playing ? 4 : Math.min(hls.media.readyState, buffer > 0 ? 2 : 1);
    if (!frag || loaded === undefined) return;
    Object.assign(frag.stats, { loaded, total: total ?? 0 });
    frag.stats.loading.first = first ?? 0;
  }

  next(segment) {
    const { hls } = this;
    if (!this.started) {
      this.started = true;
      hls.nextLoadLevel = hls.abr.firstAutoLevel;
    } else if (this.asked !== undefined) {
      const now = clock.elapsed();
      hls.trigger(Events.LEVEL_LOADED, { details: hls.latestLevelDetails, levelInfo: hls.loadLevelObj, stats: { loading: { start: this.asked, first: now, end: now } } });
      this.asked = undefined;
    }
    const level = hls.nextLoadLevel;
    hls.nextLoadLevel = level;
    if (!this.known.has(level)) {
      this.known.add(level);
      this.asked = clock.elapsed();
      return { small: true };
    }
    const stats = { aborted: false, loaded: 0, total: 0, retry: 0, loading: { start: clock.elapsed(), first: 0, end: 0 }, parsing: { start: 0, end: 0 }, buffering: { start: 0, first: 0, end: 0 } };
    const { segment: duration } = this;
    this.frag = {
      type: 'main', sn: segment, level, duration, start: segment * duration, stats,
      // fragment.ts: known once the head of the response is.
      get bitrate() { return stats.total ? (stats.total * 8) / duration : null; },
      abortRequests() { stats.aborted = true; },
    };
    hls.trigger(Events.FRAG_LOADING, { frag: this.frag, part: null, targetBufferTime: null });
    return { quality: level };
  }

  progress() {
    // The controller looks each 100 ms by a timer of its own.
    return this.frag.stats.aborted;
  }

  loaded() {
    const { hls, frag } = this;
    const { stats } = frag;
    const now = clock.elapsed();
    stats.total = stats.loaded;
    stats.loading.end = now;
    stats.parsing = { start: now, end: now };
    stats.buffering = { start: now, first: now, end: now };
    hls.trigger(Events.FRAG_LOADED, { frag, part: null });
    hls.mainForwardBufferInfo.len += this.segment;
    hls.trigger(Events.FRAG_BUFFERED, { frag, part: null, stats, id: 'main' });
  }

  estimate() { return this.hls.abr.bwEstimator.getEstimate() / 1000; }
}

export const load = () => new Player();
