// The element's side: sets its source, reports its state coarsely. The engine extrapolates between reports, so that a page
// that plays costs its thread next to nothing.
import type { State, ToEngine } from './types.ts';

const reported = ['play', 'pause', 'seeking', 'seeked', 'waiting', 'playing', 'ratechange', 'ended', 'loadedmetadata', 'loadeddata', 'resize',
  'enterpictureinpicture', 'leavepictureinpicture'];
/** Milliseconds between looks at it while it plays. */
const LOOK_EVERY = 1000;
/** Milliseconds that a change of size may wait. */
const SIZE_AFTER = 250;

/** @internal A player's hold on its element. */
export class Media {
  readonly element: HTMLMediaElement;
  /** When the first frame of this load was shown, on the clock of `performance.now()`. */
  firstFrame: number | undefined;
  readonly #post: (message: ToEngine) => void;
  readonly #listening = new AbortController();
  readonly #size: ResizeObserver | undefined;
  #sizeTimer: ReturnType<typeof setTimeout> | undefined;
  #tick: ReturnType<typeof setInterval> | undefined;
  /** Where it was at the last look, and whether that was left unreported. */
  #seen = 0;
  #skipped = false;
  #frame = 0;
  /** The element plays what the engine sent for the present load. */
  #active = false;
  #set = false;
  /** Listeners of a source that the element plays by itself. */
  #plain: AbortController | undefined;
  /** Whether it played, and how fast, when its source was taken away. */
  #kept: { plays: boolean; rate: number } | undefined;
  /** The address of the source that was set last. */
  #url = '';
  #width = 0;
  #height = 0;

  constructor(element: HTMLMediaElement, post: (message: ToEngine) => void) {
    this.element = element;
    this.#post = post;
    const options = { signal: this.#listening.signal };
    for (const type of reported) element.addEventListener(type, () => this.#report(type), options);
    element.addEventListener('error', () => {
      const { error } = element;
      // What the element plays by itself has a listener of its own.
      if (!this.#active || this.#plain || !error) return;
      // Whatever comes of it, this source is done with; and an element with an error forgets a play(). First, as the engine may set another at once.
      this.source(null);
      post({ type: 'elementerror', code: error.code, message: error.message });
    }, options);
    document.addEventListener('visibilitychange', () => this.#report('visibility'), options);
    if (typeof ResizeObserver === 'function') {
      this.#size = new ResizeObserver(() => {
        this.#sizeTimer ??= setTimeout(() => {
          this.#sizeTimer = undefined;
          this.#measure();
          this.#report('size');
        }, SIZE_AFTER);
      });
      this.#size.observe(element);
    }
  }

  /** A load begins: whatever the element still shows is not of it. `another`: it is another source of the same load. */
  begin(another = false): void {
    this.#active = false;
    if (!another) this.#kept = undefined;
    this.firstFrame = undefined;
    this.element.addEventListener('timeupdate', this.#onTime, { signal: this.#listening.signal });
    this.#measure();
  }

  /** What the engine should know before it chooses a first quality. */
  introduce(): void {
    this.#post({ type: 'state', state: [0, 0, this.#paused, this.element.playbackRate, this.#width, this.#height] });
  }

  /** Sets a MediaSource or its handle; `null` takes away what was set. */
  source(handle: MediaSourceHandle | MediaSource | null): void {
    const { element } = this;
    this.#active = false;
    this.#plain?.abort();
    this.#plain = undefined;
    this.#rest();
    URL.revokeObjectURL(this.#url);
    if (!handle) {
      if (!this.#set) return;
      this.#set = false;
      this.#kept = { plays: !element.paused, rate: element.playbackRate };
      element.srcObject = null;
      element.removeAttribute('src');
      element.load();
      return;
    }
    this.#play(() => {
      if ('addSourceBuffer' in handle) {
        const url = this.#url = URL.createObjectURL(handle);
        handle.addEventListener('sourceopen', () => URL.revokeObjectURL(url), { once: true });
        // Safari opens a ManagedMediaSource only where the element cannot be sent elsewhere (AirPlay).
        if (typeof MediaSource === 'undefined') element.disableRemotePlayback = true;
        // Setting it, to nothing too, refuses a play() that waits.
        if (element.srcObject) element.srcObject = null;
        element.src = url;
      } else {
        element.srcObject = handle as MediaProvider;
      }
    });
    this.#pace();
  }

  /** Lets the element play a URL by itself, from `startTime` on. Nothing is told after another source was set. */
  plain(url: string, startTime: number | undefined, told: { ready(): void; ended(): void; failed(): void }): void {
    const { element } = this;
    this.source(null);
    const { signal } = this.#plain = new AbortController();
    element.addEventListener('loadedmetadata', () => {
      if (startTime) element.currentTime = startTime < 0 ? Math.max(0, element.duration + startTime) : startTime;
      told.ready();
    }, { signal, once: true });
    element.addEventListener('ended', () => told.ended(), { signal });
    element.addEventListener('error', () => told.failed(), { signal });
    this.#play(() => { element.src = url; });
  }

  /** Sets a source. Another one for the same load: to the user nothing has stopped. And what was done to the element before its source
   * came must count: setting it makes Firefox and WebKit forget a play(), and all of them the rate. */
  #play(set: () => void): void {
    const { element } = this;
    const { plays, rate } = this.#kept ?? { plays: false, rate: element.playbackRate };
    const play = plays || !element.paused;
    this.#kept = undefined;
    this.#set = this.#active = true;
    set();
    element.playbackRate = rate;
    if (play) element.play().catch(() => {});
    if ('requestVideoFrameCallback' in element) this.#frame = (element as HTMLVideoElement).requestVideoFrameCallback((now) => this.#shown(now));
  }

  /** Seeks; with a negative time to where it is. */
  seek(time: number): void {
    if (this.#active) this.element.currentTime = time < 0 ? this.element.currentTime : time;
  }

  /** Plays faster or slower, with the same pitch. */
  rate(rate: number): void {
    if (this.#active) this.element.playbackRate = rate;
  }

  /** Lets go of the element for good. */
  release(): void {
    this.source(null);
    this.#listening.abort();
    this.#size?.disconnect();
    clearTimeout(this.#sizeTimer);
  }

  frames(): { total: number; dropped: number } {
    const quality = this.#active ? (this.element as Partial<HTMLVideoElement>).getVideoPlaybackQuality?.() : undefined;
    return { total: quality?.totalVideoFrames ?? 0, dropped: quality?.droppedVideoFrames ?? 0 };
  }

  #rest(): void {
    clearInterval(this.#tick);
    this.#tick = undefined;
    if (this.#frame) (this.element as HTMLVideoElement).cancelVideoFrameCallback(this.#frame);
    this.#frame = 0;
  }

  #measure(): void {
    this.#width = Math.round(this.element.clientWidth * devicePixelRatio);
    this.#height = Math.round(this.element.clientHeight * devicePixelRatio);
  }

  /** Looks once a second while it plays, never while it rests. */
  #pace(): void {
    const playing = this.#active && !this.element.paused && !this.element.ended;
    if (playing && this.#tick === undefined) {
      this.#tick = setInterval(() => this.#look(), LOOK_EVERY);
    } else if (!playing && this.#tick !== undefined) {
      clearInterval(this.#tick);
      this.#tick = undefined;
    }
  }

  /** Reports what stands still, and every other time what moves on: the engine knows where that is. */
  #look(): void {
    const { currentTime } = this.element;
    this.#skipped = currentTime !== this.#seen && !this.#skipped;
    this.#seen = currentTime;
    if (!this.#skipped) this.#report('tick');
  }

  /** Without video there is no frame, and none is presented in a hidden tab: then time that was played counts. */
  readonly #onTime = () => {
    const { played } = this.element;
    if (this.firstFrame === undefined && played.length > 0 && played.end(0) > played.start(0)) this.#shown(performance.now());
    if (this.firstFrame !== undefined) this.element.removeEventListener('timeupdate', this.#onTime);
  };

  #shown(now: number): void {
    if (!this.#active || this.firstFrame !== undefined) return;
    this.#frame = 0;
    this.firstFrame = now;
    this.#report('frame');
  }

  /** 1 if it is not to play. With `autoplay` an element is paused until it has media enough, and yet wants to. */
  get #paused(): 0 | 1 {
    const { paused, autoplay, readyState, played } = this.element;
    return paused && !(autoplay && readyState < 3 && !played.length) ? 1 : 0;
  }

  /** Whether nobody sees it. In picture-in-picture somebody may; where scripts are not told of that (Firefox), always. */
  get #hidden(): boolean {
    const { element } = this;
    return element.ownerDocument.hidden && (element.getRootNode() as Document).pictureInPictureElement === null;
  }

  #report(why: string): void {
    if (!this.#active) return;
    const { element } = this;
    if (why === 'loadeddata' && !this.#frame && 'videoWidth' in element && this.firstFrame === undefined) this.firstFrame = performance.now();
    const flags = this.#paused | (element.seeking ? 2 : 0) | (element.ended ? 4 : 0) | (this.firstFrame === undefined ? 0 : 8) | (this.#hidden ? 16 : 0);
    const state: State = [element.currentTime, element.readyState, flags, element.playbackRate, this.#width, this.#height];
    this.#post({ type: 'state', state });
    this.#pace();
  }
}
