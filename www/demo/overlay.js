// A stats overlay for any Millrace player. Stands alone: import it, give it a box that is positioned, and the player.
//
//     const overlay = new StatsOverlay(box, player);
//     overlay.toggle();
import { bits, bytes, choiceLine, clock, qualityLine, rung, seconds } from './words.js';

const css = `
:host { position: absolute; inset: 10px auto auto 10px; z-index: 2; max-width: calc(100% - 20px); pointer-events: none; contain: content;
  padding: 9px 12px; border-radius: 4px; background: rgb(6 12 11 / .84); color: #e4eeeb; font: 12px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
:host([hidden]) { display: none }
dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 14px; margin: 0; font-variant-numeric: tabular-nums }
dt { color: #9db2ad } dd { margin: 0; overflow-wrap: anywhere } .warm { color: #f0b64c }
@media (max-width: 640px) { :host { font-size: 10.5px; line-height: 1.35; padding: 5px 9px; inset: 6px auto auto 6px }
  dl { grid-template-columns: auto 1fr auto 1fr; gap: 0 9px } dt:nth-of-type(-n+3) + dd { grid-column: span 3 } }`;

/** Milliseconds between updates while it is shown. */
const EVERY = 500;

export class StatsOverlay {
  #host = document.createElement('div');
  #cells = new Map();
  #player;
  #timer;
  #change;
  #listening = new AbortController();

  /** `box`: a positioned element over the picture. */
  constructor(box, player) {
    this.#player = player;
    this.#host.hidden = true;
    const root = this.#host.attachShadow({ mode: 'open' });
    // A constructed sheet: no style element, which a strict CSP would refuse.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    const list = document.createElement('dl');
    for (const name of ['quality', 'chosen', 'picture', 'buffer', 'estimate', 'average', 'start-up', 'stalls', 'switches', 'frames', 'received', 'position', 'live', 'engine']) {
      const term = document.createElement('dt');
      const value = document.createElement('dd');
      term.textContent = name;
      list.append(term, value);
      this.#cells.set(name, value);
    }
    root.append(list);
    box.append(this.#host);
    player.addEventListener('qualitychange', ({ detail }) => { this.#change = detail; }, { signal: this.#listening.signal });
  }

  get visible() { return !this.#host.hidden; }

  /** Shows or hides it; resolves what is asked for to what is now. */
  toggle(on = !this.visible) {
    this.#host.hidden = !on;
    clearInterval(this.#timer);
    if (on) {
      this.#timer = setInterval(() => this.#draw(), EVERY);
      this.#draw();
    }
    return on;
  }

  remove() {
    this.toggle(false);
    this.#listening.abort();
    this.#host.remove();
  }

  #draw() {
    if (document.hidden) return;
    const player = this.#player;
    const stats = player.stats();
    const { quality, element } = player;
    const set = (name, text, warm = false) => {
      const cell = this.#cells.get(name);
      if (cell.textContent !== text) cell.textContent = text;
      cell.classList.toggle('warm', warm);
    };
    set('quality', quality ? `${qualityLine(quality)} (${player.auto ? 'auto' : 'fixed'}${this.#change ? `, ${this.#change.reason}` : ''})` : '–');
    set('chosen', this.#change ? choiceLine(this.#change, (id) => rung(player.qualities.find((one) => one.id === id))) : '–');
    const ratio = globalThis.devicePixelRatio ?? 1;
    set('picture', element?.videoWidth ? `${element.videoWidth}×${element.videoHeight} in ${Math.round(element.clientWidth * ratio)}×${Math.round(element.clientHeight * ratio)} px` : '–');
    set('buffer', `${stats.buffer.toFixed(1)} s`, stats.buffer < 3);
    set('estimate', bits(stats.estimate));
    set('average', bits(stats.averageBitrate));
    set('start-up', seconds(stats.startupTime));
    set('stalls', `${stats.stalls.count}${stats.stalls.count ? `, ${seconds(stats.stalls.seconds)}` : ''}`, stats.stalls.count > 0);
    set('switches', String(stats.switches));
    set('frames', `${stats.totalFrames}, ${stats.droppedFrames} dropped`, stats.droppedFrames > stats.totalFrames / 50);
    set('received', bytes(stats.bytes));
    set('position', `${clock(stats.position)} of ${clock(element?.duration, 0)}`);
    const { live } = player;
    const cell = this.#cells.get('live');
    cell.hidden = cell.previousSibling.hidden = !live;
    if (live) set('live', `${seconds(live.latency)} behind, ${seconds(live.target)} aimed at`, live.atEdge && live.latency > live.target * 1.5);
    set('engine', stats.inWorker ? 'in a worker' : 'on the page');
  }
}
