// npm: `millrace/element`. <millrace-player src="…" controls>: behaves like a media element, so that what drives <video>
// (media-chrome and its like) drives it too.
import { Player, PlayerError } from './index.ts';
import type { PlayerConfig, PlayerEventMap, Source } from './types.ts';

/** Where there is no DOM (rendering on a server) the module can be loaded all the same. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

const forwarded = ['controls', 'autoplay', 'loop', 'muted', 'playsinline', 'poster', 'preload', 'crossorigin', 'controlslist',
  'disablepictureinpicture', 'disableremoteplayback', 'width', 'height'];

const mediaEvents = ['abort', 'canplay', 'canplaythrough', 'durationchange', 'emptied', 'ended', 'loadeddata', 'loadedmetadata', 'loadstart',
  'pause', 'play', 'playing', 'progress', 'ratechange', 'resize', 'seeked', 'seeking', 'stalled', 'suspend', 'timeupdate', 'volumechange',
  'waiting', 'enterpictureinpicture', 'leavepictureinpicture'];

const playerEvents = ['loaded', 'sourcechange', 'tracks', 'qualitychange', 'stall', 'recovered', 'gap', 'metadata', 'fallback', 'stats', 'live'];

/** Of the host; what the page says of it comes first. */
const style = ':host{display:inline-block;position:relative;max-width:100%}:host([hidden]){display:none}video{display:block;width:100%;height:100%;object-fit:inherit;object-position:inherit}';

/** MediaError.code by whose fault it is; anything else is a source that is not supported. */
const mediaErrors: Record<string, number> = { network: 2, media: 3 };

/** `<millrace-player>`. Properties, methods and events are those of `<video>`; `player` is the `Player` behind them. */
export class MillracePlayerElement extends Base {
  static readonly observedAttributes = ['src', 'type', ...forwarded];

  /** Properties that were set before the element was defined. */
  readonly #early: [string, unknown][] = Object.entries(this);
  /** The inner element. Parts of the page that need a real one (canvas, captions) use it. */
  readonly video: HTMLVideoElement;
  /** Options for the player; set before the element is connected. */
  config: PlayerConfig = {};
  #player: Player | undefined;
  #error: PlayerError | undefined;
  #pending = false;
  #children: MutationObserver | undefined;
  readonly #sheet: CSSStyleSheet;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    // Not a <style>: a strict style-src would refuse that.
    this.#sheet = new CSSStyleSheet();
    this.#sheet.replaceSync(style);
    root.adoptedStyleSheets = [this.#sheet];
    this.video = document.createElement('video');
    this.video.setAttribute('part', 'video');
    root.append(this.video);
    for (const type of mediaEvents) this.video.addEventListener(type, () => this.dispatchEvent(new Event(type)));
    for (const [key, value] of this.#early) {
      // They hide those of the class.
      delete (this as Record<string, unknown>)[key];
      (this as Record<string, unknown>)[key] = value;
    }
  }

  /** The player behind this element, from when it is connected until it is removed. */
  get player(): Player | undefined { return this.#player; }

  get src(): string { return this.#url('src'); }
  set src(value: string) { this.setAttribute('src', value); }
  get currentSrc(): string { return this.#player ? this.#player.url ?? this.src : ''; }
  get error(): { code: number; message: string; cause: PlayerError } | null {
    const cause = this.#error;
    return cause ? { code: mediaErrors[cause.category] ?? 4, message: cause.message, cause } : null;
  }

  /** Loads `src`, or else the first of the `<source>` children that can be played, again. */
  load(): void {
    if (this.#pending) return;
    this.#pending = true;
    // Attributes are set one by one: wait for the last.
    queueMicrotask(() => {
      this.#pending = false;
      if (!this.#player) return;
      this.#error = undefined;
      const type = this.getAttribute('type') ?? undefined;
      // Errors come as events.
      const sources = this.#sources();
      if (this.hasAttribute('src')) void this.#player.load(this.src, { type });
      else if (sources.length) void this.#player.load(sources);
      else this.#player.detach(), this.#player.attach(this.video);
    });
  }

  connectedCallback(): void {
    if (this.#player) return;
    const player = this.#player = new Player(this.video, this.config);
    for (const type of playerEvents) {
      player.addEventListener(type, (event) => this.dispatchEvent(new CustomEvent(type, { detail: (event as CustomEvent).detail })));
    }
    player.addEventListener('error', ({ detail }) => {
      if (detail.severity === 'fatal') this.#error = detail;
      this.dispatchEvent(new CustomEvent('error', { detail }));
    });
    if (this.hasAttribute('src') || this.#sources().length) this.load();
    // The parser may still be on its way to them; later ones count only while there is nothing to play, as for <video>.
    this.#children = new MutationObserver(() => {
      if (!this.hasAttribute('src') && this.#player?.url === undefined && !this.#error && this.#sources().length) this.load();
    });
    this.#children.observe(this, { childList: true });
  }

  disconnectedCallback(): void {
    // An element that is only moved is connected again by then.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#children?.disconnect();
      void this.#player?.destroy();
      this.#player = undefined;
    });
  }

  attributeChangedCallback(name: string, old: string | null, value: string | null): void {
    if (name === 'src' || name === 'type') {
      if (value !== old && this.#player) this.load();
    } else if (value === null) {
      this.video.removeAttribute(name);
    } else {
      this.video.setAttribute(name, value);
    }
    if (name === 'width' || name === 'height') {
      const size = (side: 'width' | 'height') => (this.hasAttribute(side) ? `${side}:${this.video[side]}px;` : '');
      this.#sheet.replaceSync(`${style}:host{${size('width')}${size('height')}}`);
    }
    // The attribute only sets the default, which the inner element has taken already.
    if (name === 'muted' && (value === null) !== (old === null)) this.video.muted = value !== null;
  }

  /** The `<source>` children. */
  #sources(): Source[] {
    return [...this.children].flatMap((child) => {
      const src = child.localName === 'source' ? child.getAttribute('src') : null;
      return src ? [{ src, type: child.getAttribute('type') || undefined }] : [];
    });
  }

  #url(name: string): string {
    const value = this.getAttribute(name);
    if (value === null) return '';
    try {
      return new URL(value, document.baseURI).href;
    } catch {
      return value;
    }
  }
}

/** Attributes that are properties too: set on the element itself, so that its attributes tell its state. */
const reflected: Record<string, string> = { controls: 'controls', autoplay: 'autoplay', loop: 'loop', playsInline: 'playsinline', defaultMuted: 'muted',
  poster: 'poster', preload: 'preload', crossOrigin: 'crossorigin', width: 'width', height: 'height' };

/** Everything else that `<video>` has is passed on as it is. */
for (const of of ['HTMLMediaElement', 'HTMLVideoElement'] as const) {
  const source = globalThis[of]?.prototype as object | undefined;
  const target = MillracePlayerElement.prototype;
  for (const [key, { value, get }] of source ? Object.entries(Object.getOwnPropertyDescriptors(source)) : []) {
    if (Object.hasOwn(target, key) || key === 'constructor' || key in Object.prototype) continue;
    const attribute = reflected[key];
    Object.defineProperty(target, key, typeof value === 'function' ? {
      configurable: true, writable: true,
      value(this: MillracePlayerElement, ...args: unknown[]) { return value.apply(this.video, args); },
    } : {
      configurable: true, enumerable: true,
      get(this: MillracePlayerElement) { return get ? this.video[key as keyof HTMLVideoElement] : value; },
      set(this: MillracePlayerElement, to: unknown) {
        if (attribute === undefined) (this.video as unknown as Record<string, unknown>)[key] = to;
        else if (typeof to === 'boolean') this.toggleAttribute(attribute, to);
        else this.setAttribute(attribute, String(to));
      },
    });
  }
}

/** The events of `<video>`, but for `error`, and the player's. */
type Events = Omit<HTMLVideoElementEventMap, 'error'> & Omit<PlayerEventMap, 'ended'>;

export interface MillracePlayerElement extends Pick<HTMLVideoElement, Exclude<keyof HTMLVideoElement, keyof HTMLElement | 'src' | 'currentSrc' | 'error' | 'load'>> {
  addEventListener<K extends keyof Events>(type: K, listener: (this: MillracePlayerElement, event: Events[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof Events>(type: K, listener: (this: MillracePlayerElement, event: Events[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap { 'millrace-player': MillracePlayerElement }
}

if (typeof customElements !== 'undefined' && !customElements.get('millrace-player')) customElements.define('millrace-player', MillracePlayerElement);

export { Player, PlayerError };
