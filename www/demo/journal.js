// The log: what happened when, where and why. The newest comes first.
import { because, clock } from './words.js';

/** Lines that are kept: a long session must not grow the page for ever. */
const MOST = 400;

export class Journal {
  #list; #note;
  /** What `Copy report` copies, the oldest first. */
  entries = [];

  constructor(list, note) {
    this.#list = list;
    this.#note = note;
  }

  clear() {
    this.entries = [];
    this.#list.replaceChildren();
    this.#note.hidden = false;
  }

  /** `t`: seconds since the load began; `kind`: a mark's class of style.css. */
  add({ t, position, kind, title, reason, detail, bad }) {
    this.entries.push({ t: Math.round(t * 1000) / 1000, position: Math.round(position * 1000) / 1000, what: title, reason, detail });
    this.#note.hidden = true;
    const make = (tag, className, ...content) => { const made = document.createElement(tag); if (className) made.className = className; made.append(...content); return made; };
    const text = make('div', '', make('p', '', title));
    const why = [];
    if (reason) why.push(make('code', '', reason), because(reason) === reason ? '' : ` ${because(reason)}`);
    if (why.length) text.append(make('p', 'why', ...why));
    if (detail) text.append(make('p', 'why', detail));
    const time = make('time', '', clock(t));
    time.dateTime = `PT${t.toFixed(1)}S`;
    time.title = `playhead at ${clock(position)}`;
    this.#list.prepend(make('li', bad ? 'bad' : '', time, make('i', `m ${kind}`), text));
    if (this.entries.length > MOST) { this.entries.shift(); this.#list.lastElementChild.remove(); }
  }
}
