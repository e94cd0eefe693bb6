// shaka: SimpleAbrManager with its EwmaBandwidthEstimator and the default configuration, from the sources in the package.
//
// Samples come as http_fetch_plugin.js makes them: while a segment is on its way, for each tenth of a second in which enough bytes came, the wait
// for the first byte included. Each may make the manager switch, which gives the running request up (5.2 prefetches by default). Without prefetching
// StreamingEngine's own code decides about that, on a stub that knows no sizes of segments (as with templates). Nothing else of StreamingEngine runs.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';

const home = path.dirname(createRequire(import.meta.url).resolve('shaka-player/package.json'));

/** Runs the files that provide these names, and all that they need, in order. They are Closure scripts: all their names are global. */
function provide(names) {
  const files = new Map();
  const needs = new Map();
  const addDependency = (file, provides, requires) => {
    // Relative to a folder that is not in the package, four levels below its top.
    const full = path.join(home, file.replace(/^(\.\.\/)+/, ''));
    for (const name of provides) files.set(name, full);
    needs.set(full, requires);
  };
  vm.runInNewContext(readFileSync(path.join(home, 'dist/deps.js'), 'utf8'), { goog: { addDependency } });
  const space = (name) => name.split('.').reduce((object, part) => (object[part] ??= {}), globalThis);
  const define = (name, value) => {
    const at = name.lastIndexOf('.');
    space(name.slice(0, at))[name.slice(at + 1)] = value;
  };
  globalThis.goog = { provide: space, require: space, requireType: () => {}, define, DEBUG: false };
  const done = new Set();
  const visit = (name) => {
    const file = files.get(name);
    if (!file || done.has(file)) return;
    done.add(file);
    needs.get(file).forEach(visit);
    vm.runInThisContext(readFileSync(file, 'utf8'), { filename: file });
  };
  names.forEach(visit);
}

/** What the scripts look for when they are read, and the network as Chromium takes it to be where nothing was measured (1.5 Mbit/s in 156). */
function pretendBrowser() {
  const connection = { downlink: 1.5, saveData: false };
  const agent = { userAgent: '', platform: '', vendor: '', languages: [], language: 'en', mediaCapabilities: undefined, connection };
  Object.defineProperty(globalThis, 'navigator', { value: agent, configurable: true, writable: true });
  globalThis.document = { createElement: () => ({ canPlayType: () => '' }), addEventListener: () => {} };
  globalThis.screen = { width: 3840, height: 2160 };
  globalThis.matchMedia = () => ({ matches: false, addEventListener: () => {} });
  globalThis.addEventListener ??= () => {};
  globalThis.location ??= { href: 'https://sim.test/', protocol: 'https:' };
}

class Player {
  constructor(version) { this.name = `shaka ${version}`; }

  begin({ kbps, segment }) {
    const { shaka } = globalThis;
    const config = shaka.util.PlayerConfiguration.createDefault();
    this.config = config;
    this.segment = segment;
    this.variants = kbps.map((k, id) => ({ id, bandwidth: k * 1000, audio: null, video: { id, bandwidth: k * 1000 }, disabledUntilTime: 0, allowedByApplication: true, allowedByKeySystem: true }));
    this.operation = null;
    const manager = new shaka.abr.SimpleAbrManager();
    manager.configure(config.abr);
    manager.init((variant) => this.#switch(variant), () => {});
    manager.setVariants([...this.variants], false);
    this.manager = manager;
    this.current = manager.chooseVariant();
    manager.enable();
  }

  update(state) { this.state = { ...this.state, ...state }; }

  #switch(variant) {
    if (variant === this.current) return;
    this.current = variant;
    const { operation } = this;
    if (!operation) return;
    // StreamingEngine.switchInternal_: a running request is one of SegmentPrefetch, which gives it up; only without that makeAbortDecision_ is asked
    // (here without its wait for an index).
    const { engine } = this;
    if (this.config.streaming.segmentPrefetchLimit > 0 || engine.shouldAbortCurrentRequest_(this.#mediaState(operation))) operation.aborted = true;
  }

  #mediaState(operation) {
    const { segment } = this;
    const start = operation.segment * segment;
    const reference = { getSize: () => null, getStartTime: () => start, getEndTime: () => start + segment, initSegmentReference: null };
    return {
      type: 'video', operation: { getBytesRemaining: () => operation.remaining },
      stream: { bandwidth: this.current.bandwidth, segmentIndex: { find: () => 0, get: () => reference } },
    };
  }

  /** What StreamingEngine's method asks of its `this`. */
  get engine() {
    const { position, buffer } = this.state;
    return {
      shouldAbortCurrentRequest_: globalThis.shaka.media.StreamingEngine.prototype.shouldAbortCurrentRequest_,
      playerInterface_: {
        getPresentationTime: () => position,
        getBandwidthEstimate: () => this.manager.getBandwidthEstimate(),
        mediaSourceEngine: { bufferEnd: () => position + buffer },
      },
      getTimeNeeded_: () => this.operation.segment * this.segment,
      config_: this.config.streaming,
      currentVariant_: this.current,
    };
  }

  next(segment) {
    this.operation = { segment, remaining: 0, aborted: false, sampled: 0, sampledAt: Date.now() };
    return { quality: this.current.id };
  }

  #sample(done) {
    const { operation, state, config } = this;
    const bytes = state.loaded - operation.sampled;
    const now = Date.now();
    if (!done && bytes < config.networking.minBytesForProgressEvents) return;
    this.manager.segmentDownloaded(now - operation.sampledAt, bytes, true);
    // As NetworkingEngine has it: after the sample.
    operation.remaining = (state.total ?? state.loaded) - state.loaded;
    operation.sampled = state.loaded;
    operation.sampledAt = now;
  }

  progress() {
    this.#sample(false);
    return this.operation.aborted;
  }

  loaded() {
    this.#sample(true);
    // If that gave it up it is too late: it is complete.
    this.operation = null;
  }

  estimate() { return this.manager.getBandwidthEstimate() / 1000; }
}

export function load() {
  pretendBrowser();
  provide(['shaka.abr.SimpleAbrManager', 'shaka.util.PlayerConfiguration', 'shaka.media.StreamingEngine', 'shaka.device.DefaultBrowser']);
  return new Player(JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8')).version);
}
