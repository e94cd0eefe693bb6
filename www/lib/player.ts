// The player: owns the element, starts engines, turns their messages into events. All decisions are made in the core.
import { check } from './config.ts';
import { PlayerError, failure, noSource } from './errors.ts';
import { type Build, Host } from './host.ts';
import { Media } from './media.ts';
import { lacking, listOf, resolve } from './sources.ts';
import type { AudioTrack, BuildName, ErrorDetail, Fetched, FromEngine, Live, LoadOptions, PlayerConfig, PlayerEventDetails, PlayerEventMap,
  Quality, Source, Sources, Stats, ToEngine } from './types.ts';

/** @internal The builds that an entry offers. */
export type Builds = Partial<Record<BuildName, Build>>;

/** A manifest larger than this is fetched by the engine, which reads it while it arrives. */
const PREFETCH_BYTES = 4e6;
/** Lists of stations that one load opens. */
const MAX_LISTS = 5;

/** What one `load()` asks for: the first of some sources that can be played. */
interface Request {
  /** Those not tried yet. */
  rest: readonly Source[];
  options: LoadOptions;
  readonly began: number;
  /** Lists that were opened. */
  lists: number;
  /** The audio track to play once it is there, and what was made at this time. */
  audio?: string | undefined;
  date?: Date | undefined;
  /** Why those before were passed over. */
  readonly causes: PlayerError[];
  /** Settles the promise; gone once it is settled. */
  settle: ((error?: PlayerError) => void) | undefined;
}

/** The load of one source, until another one or its end. */
interface Load {
  readonly number: number;
  readonly url: string;
  readonly type: string | undefined;
  readonly request: Request;
  /** Cancels the page's own fetch of the manifest. */
  readonly prefetch: AbortController;
}

const noStats = { stalls: { count: 0, seconds: 0 }, switches: 0, averageBitrate: 0, bytes: 0, estimate: 0, buffer: 0, totalFrames: 0,
  droppedFrames: 0, position: 0, inWorker: false };

/** The smallest build that can play what the URL (or its declared type) looks like. */
function wanted(url: URL, type: string | undefined): BuildName {
  const hint = (type ?? url.pathname).toLowerCase();
  return /mpegurl|m3u8?$|^hls$/.test(hint) ? 'hls' : /\.mpd$|dash/.test(type ? hint : hint.slice(-4)) ? 'dash' : 'full';
}

const isElement = (value: object): value is HTMLMediaElement => 'canPlayType' in value;

export interface BasePlayer {
  addEventListener<K extends keyof PlayerEventMap>(type: K, listener: (event: PlayerEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof PlayerEventMap>(type: K, listener: (event: PlayerEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** What all entries share; see `Player`. */
export class BasePlayer extends EventTarget {
  readonly #builds: Builds;
  #config: Omit<PlayerConfig, 'worker'>;
  readonly #worker: boolean;
  #host: Host | undefined;
  #media: Media | undefined;
  /** A source that came before an element was attached. */
  #source: MediaSourceHandle | MediaSource | null = null;
  #load: Load | undefined;
  #number = 0;
  #destroyed = false;
  #qualities: readonly Quality[] = [];
  #audio: readonly AudioTrack[] = [];
  #quality: string | undefined;
  #auto = true;
  #stats: Stats = noStats;
  #live: Live | undefined;

  /** @internal */
  constructor(builds: Builds, elementOrConfig: HTMLMediaElement | PlayerConfig = {}, config: PlayerConfig = {}) {
    super();
    this.#builds = builds;
    const element = isElement(elementOrConfig) ? elementOrConfig : undefined;
    const { worker = true, ...rest } = check({ ...(element ? undefined : elementOrConfig as PlayerConfig), ...config });
    this.#config = rest;
    this.#worker = worker;
    if (element) this.attach(element);
    // The engine warms up while the page decides what to play; a load() right after this line chooses its own build.
    setTimeout(() => {
      const build = builds.full ?? builds.hls ?? builds.dash ?? builds.live;
      if (build && !this.#host && !this.#destroyed && this.#number === 0) this.#start(build);
    });
  }

  /** Plays in this element from now on. A presentation that runs in another one goes on here, after a moment. */
  attach(element: HTMLMediaElement): void {
    if (this.#destroyed || this.#media?.element === element) return;
    const load = this.#load;
    const old = this.#media;
    // What has no end is joined at the edge, or by date: its times begin anew.
    const startTime = old && old.element.duration < Infinity ? old.element.currentTime : undefined;
    old?.release();
    this.#media = new Media(element, (message) => this.#post(message));
    if (!load) return;
    if (old) {
      // A MediaSource cannot move to another element: the same request begins again, with what was chosen.
      const { request, url, type } = load;
      const quality = this.#auto ? undefined : this.#quality;
      request.audio = this.#audio.find(({ active }) => active)?.id;
      request.date = this.#live?.atEdge === false ? this.#live.date : undefined;
      if (!request.settle) request.options = { ...request.options, startTime };
      request.rest = [{ src: url, type }, ...request.rest];
      this.#clear(load);
      this.#take(request, false);
      if (quality) this.selectQuality(quality);
    } else {
      this.#media.begin();
      this.#media.introduce();
      if (this.#source) this.#media.source(this.#source);
      this.#source = null;
    }
  }

  /** Ends the load and gives the element back. */
  detach(): void {
    this.#stop('the element was detached.');
    this.#media?.release();
    this.#media = undefined;
  }

  /** The URL that plays, or is being loaded: of several sources the present one. */
  get url(): string | undefined { return this.#load?.url; }

  /**
   * Plays a URL, or the first of several that can be played here: one that fails before its first frame is passed over. Resolves when
   * the manifest is read and the first segments are under way; rejects with a `PlayerError`, which an `error` event carries too (except
   * LOAD_ABORTED, when another `load()`, `detach()`, `destroy()` or the signal ended this load). Of several sources the error is
   * NO_SOURCE, with the `causes`.
   */
  load(source: Sources, options: LoadOptions = {}): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => this.#begin(listOf(source, options.type), options, (error) => (error ? reject(error) : resolve())));
    // Who listens for `error` events need not catch this as well.
    promise.catch(() => {});
    return promise;
  }

  /** Ends everything: worker, requests, timers, listeners. Safe at any moment and any number of times. */
  destroy(): Promise<void> {
    if (!this.#destroyed) {
      this.detach();
      this.#destroyed = true;
      this.#host?.close();
      this.#host = undefined;
    }
    return Promise.resolve();
  }

  /** Numbers of the running load. */
  stats(): Stats {
    const { total: totalFrames = 0, dropped: droppedFrames = 0 } = this.#media?.frames() ?? {};
    const first = this.#media?.firstFrame;
    return { ...this.#stats, totalFrames, droppedFrames, inWorker: this.#host?.inWorker ?? false, position: this.#media?.element.currentTime ?? 0,
      ...(first !== undefined && this.#load ? { startupTime: Math.max(0, first - this.#load.request.began) / 1000 } : undefined) };
  }

  /** The element that is attached. */
  get element(): HTMLMediaElement | undefined { return this.#media?.element; }
  /** What can be chosen, by ascending bandwidth. */
  get qualities(): readonly Quality[] { return this.#qualities; }
  /** Audio tracks. */
  get audioTracks(): readonly AudioTrack[] { return this.#audio; }
  /** The quality that is fetched now. */
  get quality(): Quality | undefined { return this.#qualities.find(({ id }) => id === this.#quality); }
  /** Whether the quality is chosen automatically. */
  get auto(): boolean { return this.#auto; }

  /** Where a live presentation is now; `undefined` on demand, and before the first picture is under way. */
  get live(): Live | undefined { return this.#live; }

  /** Plays at the live edge. */
  goLive(): void {
    this.#post({ type: 'golive' });
  }

  /** Plays what was made at this time, or the nearest that can be played; for live streams whose manifest tells the time. */
  seekToDate(date: Date): void {
    this.#post({ type: 'date', date: date.getTime() / 1000 });
  }

  /** Plays this quality only; `null`: automatic. With `keepBuffer` from the next segment on: what is buffered is played as it is. */
  selectQuality(id: string | null, { keepBuffer: keep = false } = {}): void {
    if (id !== null && this.#qualities.length > 0 && !this.#qualities.some((quality) => quality.id === id)) {
      throw failure('CONFIG_INVALID', `There is no quality \`${id}\`.`);
    }
    this.#auto = id === null;
    this.#post({ type: 'quality', id: id ?? undefined, keep });
  }

  /** Plays this audio track. */
  selectAudio(id: string): void {
    if (this.#audio.length > 0 && !this.#audio.some((track) => track.id === id)) throw failure('CONFIG_INVALID', `There is no audio track \`${id}\`.`);
    this.#post({ type: 'audio', id });
  }

  /** Changes options; those not named keep their values. */
  configure(config: Omit<PlayerConfig, 'worker'>): void {
    this.#config = { ...this.#config, ...check(config) };
    this.#post({ type: 'configure', config: this.#settings() });
  }

  /** The configuration as the engine takes it. */
  #settings(): object {
    const { dataSaver } = this.#config;
    const { connection } = navigator as { connection?: { saveData?: boolean } };
    // Numbers come also where no events are wanted.
    return { ...this.#config, statsInterval: this.#config.statsInterval || 1, dataSaver: dataSaver === true || (dataSaver !== false && connection?.saveData === true) };
  }

  #post(message: ToEngine): void {
    this.#host?.post(message);
  }

  #begin(rest: readonly Source[], options: LoadOptions, settle: (error?: PlayerError) => void): void {
    this.#stop('another load began.');
    const { signal } = options;
    const given = rest[0] && String(rest[0].src);
    if (this.#destroyed) return settle(failure('LOAD_ABORTED', 'The player is destroyed.', given));
    if (signal?.aborted) return settle(failure('LOAD_ABORTED', 'The signal is aborted.', given, signal.reason));
    const onAbort = () => this.#stop('the signal was aborted.', signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const request: Request = {
      rest, options, began: performance.now(), lists: 0, causes: [],
      settle: (error) => {
        request.settle = undefined;
        signal?.removeEventListener('abort', onAbort);
        settle(error);
      },
    };
    if (rest.length) return this.#take(request, rest.length > 1);
    const error = noSource([]);
    this.#dispatch('error', error);
    request.settle?.(error);
  }

  /** Loads the next source of a request; `choosy`: what its type says of codecs decides too. */
  #take(request: Request, choosy: boolean): void {
    const [source, ...rest] = request.rest;
    if (!source) return;
    request.rest = rest;
    const { type } = source;
    const given = String(source.src);
    const url = resolve(given);
    this.#media?.begin(request.causes.length + request.lists > 0);
    const load: Load = this.#load = { number: ++this.#number, url: url?.href ?? given, type, request, prefetch: new AbortController() };
    const lacks = choosy ? lacking(type) : undefined;
    const wrong = !url || !given.trim() ? failure('URL_INVALID', `\`${given}\` is not a URL.`, given)
      : !/^(https?|wss?|blob|data):$/.test(url.protocol) ? failure('URL_SCHEME', `\`${url.protocol}\` cannot be played.`, url.href)
      : typeof MediaSource === 'undefined' && !('ManagedMediaSource' in globalThis) ? failure('MSE_UNAVAILABLE', 'MediaSource is missing.', url.href)
      : lacks ? failure('CODEC_UNSUPPORTED', `The browser cannot decode ${lacks}.`, url.href)
      : undefined;
    if (wrong || !url) {
      if (wrong && wrong.code === 'MSE_UNAVAILABLE') this.#plain(load, load.url, type, wrong);
      else if (wrong) this.#fail(wrong);
      return;
    }
    const name = wanted(url, type);
    // A build that runs already is better than a smaller one that has to be fetched.
    const present = this.#host?.build.name;
    const running = present === name || present === 'full' || (present === 'live' && name !== 'full');
    const build = this.#builds[name] ?? this.#builds.full ?? this.#builds.live ?? this.#builds.hls ?? this.#builds.dash;
    if (!running && build && this.#host?.build !== build) this.#start(build);
    this.#open(load);
  }

  /** Sends a load to the engine; while that is still loading, the page fetches the manifest. */
  #open(load: Load): void {
    const { number, url, type, request: { options: { startTime } } } = load;
    const prefetch = !this.#host?.ready && !url.startsWith('ws');
    this.#post({ type: 'load', load: number, url, kind: type, startTime, prefetch });
    this.#media?.introduce();
    if (prefetch) void this.#prefetch(load);
  }

  async #prefetch({ number, url, prefetch: { signal } }: Load): Promise<void> {
    const answer = (result: { response?: Fetched; error?: string }) => this.#post({ type: 'prefetched', load: number, ...result });
    try {
      const response = await fetch(url, { signal });
      const type = response.headers.get('content-type');
      // Media goes to the engine as it comes, and a stream without an end would never be handed over.
      const length = Number(response.headers.get('content-length') ?? NaN);
      const manifest = /mpegurl|dash|xml|json|^text\//i.test(type ?? '');
      if (length > PREFETCH_BYTES || !(manifest || length <= PREFETCH_BYTES) || /^(video|audio)\/(?!.*mpegurl)/i.test(type ?? '')) {
        response.body?.cancel().catch(() => {});
        return answer({});
      }
      answer({ response: { status: response.status, url: response.url, type, body: await response.arrayBuffer() } });
    } catch (error) {
      if (!signal.aborted) answer({ error: (error as Error).message });
    }
  }

  #start(build: Build): void {
    this.#host?.close();
    const host: Host = new Host(build, this.#settings(), this.#worker, (message) => this.#host === host && this.#told(message), (error) => this.#host === host && this.#fail(error));
    this.#host = host;
  }

  /** Ends the present load, whatever its state. */
  #stop(why: string, cause?: unknown): void {
    const load = this.#load;
    if (!load) return;
    this.#clear(load);
    load.request.settle?.(failure('LOAD_ABORTED', `The load ended because ${why}`, load.url, cause));
  }

  /** Leaves nothing of a load behind. */
  #clear(load: Load): void {
    this.#load = undefined;
    load.prefetch.abort();
    this.#source = null;
    this.#qualities = this.#audio = [];
    this.#quality = undefined;
    this.#auto = true;
    this.#stats = noStats;
    this.#live = undefined;
    this.#post({ type: 'stop' });
    this.#media?.source(null);
  }

  #fail(error: PlayerError): void {
    const load = this.#load;
    // A defect may have left anything behind: the next load gets a new engine.
    if (error.code === 'INTERNAL' || error.code === 'ENGINE_LOAD') {
      this.#host?.close();
      this.#host = undefined;
    }
    if (!load && error.code === 'ENGINE_LOAD') return; // Warming up failed: the next load tells.
    if (load && this.#passOver(load, error)) return;
    const { request } = load ?? {};
    const told = request?.causes.length ? noSource([...request.causes, error]) : error;
    this.#dispatch('error', told);
    if (load && this.#load === load) request?.settle?.(told);
  }

  /** Goes on with the next source, where there is one and nothing was shown of this one. */
  #passOver(load: Load, error: PlayerError): boolean {
    const { request } = load;
    const [next] = request.rest;
    // What has played is the right source, whatever becomes of it.
    if (this.#media?.firstFrame !== undefined) request.rest = [], request.causes.length = 0;
    if (!next || !request.rest.length) return false;
    request.causes.push(error);
    const to = String(next.src);
    this.#dispatch('sourcechange', { from: load.url, to: resolve(to)?.href ?? to, error });
    // Unless the listener had another wish.
    if (this.#load === load) {
      this.#clear(load);
      this.#take(request, true);
    }
    return true;
  }

  #dispatch<K extends keyof PlayerEventDetails>(name: K, detail: PlayerEventDetails[K]): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #told(message: FromEngine): void {
    const load = this.#load;
    if (!load || !('load' in message) || message.load !== load.number) return;
    if (message.type === 'source') {
      if (this.#media) this.#media.source(message.handle);
      else this.#source = message.handle;
    } else if (message.type === 'seek') {
      this.#media?.seek(message.value);
    } else if (message.type === 'rate') {
      this.#media?.rate(message.value);
    } else if (message.type === 'event') {
      this.#event(load, message.name as keyof PlayerEventDetails, message.detail);
    }
  }

  /** The last resort: the element plays by itself what it says it can. */
  #plain(load: Load, url: string, type: string | undefined, error: PlayerError): void {
    const media = this.#media;
    const { request } = load;
    if (!media || url.startsWith('ws') || (type && !media.element.canPlayType(type))) return this.#fail(error);
    media.plain(url, request.options.startTime, {
      ready: () => {
        const { duration } = media.element;
        this.#dispatch('loaded', { protocol: 'element', duration, live: duration === Infinity });
        request.settle?.();
      },
      ended: () => this.#dispatch('ended', {}),
      failed: () => this.#fail(error),
    });
    this.#dispatch('fallback', { url, type: type ?? '', error });
  }

  #event(load: Load, name: keyof PlayerEventDetails | 'needsfeature' | 'sources' | 'lastresort', detail: unknown): void {
    switch (name) {
      case 'sources': {
        // Lists may name lists, but not without an end.
        const { urls } = detail as { urls: string[] };
        const { request } = load;
        if (++request.lists > MAX_LISTS) return this.#fail(failure('FORMAT_UNSUPPORTED', 'There are lists within lists here.', load.url));
        request.rest = [...urls.map((src) => ({ src })), ...request.rest];
        this.#clear(load);
        return this.#take(request, false);
      }
      case 'lastresort': {
        const { url, mime, error } = detail as { url: string; mime: string; error: ErrorDetail };
        return this.#plain(load, url, mime, new PlayerError(error));
      }
      case 'needsfeature': {
        const { feature } = detail as { feature: string };
        const { full, live } = this.#builds;
        const build = feature === 'live' ? live : full;
        if (build && this.#host?.build !== build) {
          this.#media?.source(null);
          this.#start(build);
          this.#open(load);
        } else {
          this.#fail(failure('FORMAT_UNSUPPORTED', `The content needs the player's \`${feature}\` build.`, load.url));
        }
        return;
      }
      case 'error': {
        const error = new PlayerError(detail as ErrorDetail);
        if (error.severity === 'fatal') this.#fail(error);
        else this.#dispatch(name, error);
        return;
      }
      case 'tracks': {
        const tracks = detail as PlayerEventDetails['tracks'];
        this.#qualities = tracks.qualities;
        this.#audio = tracks.audio;
        const { audio } = load.request;
        load.request.audio = undefined;
        if (this.#audio.some(({ id }) => id === audio)) this.#post({ type: 'audio', id: audio! });
        break;
      }
      case 'qualitychange': {
        const change = detail as PlayerEventDetails['qualitychange'];
        this.#quality = change.to;
        this.#auto = change.auto;
        break;
      }
      case 'live': {
        const { start, end, date, ...rest } = detail as Omit<Live, 'window' | 'date'> & { start: number; end: number; date?: number };
        this.#live = { ...rest, window: { start, end }, ...(date !== undefined && { date: new Date(date * 1000) }) };
        return this.#dispatch(name, this.#live);
      }
      case 'stats': {
        this.#stats = detail as Stats;
        if (this.#config.statsInterval === 0) return;
        let stats: Stats | undefined;
        // Made where somebody looks: it asks the element, which costs more than all the rest.
        this.dispatchEvent(Object.defineProperty(new CustomEvent(name), 'detail', { get: () => stats ??= this.stats() }));
        return;
      }
    }
    this.#dispatch(name, detail as never);
    if (name !== 'loaded') return;
    load.request.settle?.();
    const { date } = load.request;
    load.request.date = undefined;
    if (date) this.seekToDate(date);
  }
}
