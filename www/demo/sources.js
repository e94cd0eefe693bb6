// The lists of streams: this server's samples, over links of several speeds, and what was played last.

/** Links that the server of `npm start` imitates (www/tools/server.mjs): [first part of the path, name]. */
export const shapes = [
  ['', 'full speed'],
  ['kbps=10000,rtt=40', '10 Mbit/s, 40 ms'],
  ['kbps=3000,rtt=80', '3 Mbit/s, 80 ms'],
  ['kbps=900,rtt=120', '0.9 Mbit/s, 120 ms'],
  ['steps=12x5000_12x1000_12x3000_12x700,rtt=60', 'changing, 5 to 0.7 Mbit/s'],
];

/** A link that loads in place, and can be copied and opened elsewhere as any link. */
function entry(kind, text, url, type, pick) {
  const link = document.createElement('a');
  const query = new URLSearchParams({ url, ...(type && { type }) });
  link.href = `?${query}`;
  const parts = [['kind', kind], ['what', text]].map(([className, content]) => Object.assign(document.createElement('span'), { className, textContent: content }));
  link.append(...parts);
  link.addEventListener('click', (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    pick();
  });
  const item = document.createElement('li');
  item.append(link);
  return { item, link };
}

/** A list that the server may have. */
async function listed(file) {
  try {
    const response = await fetch(file);
    if (response.ok) return await response.json();
  } catch { /* there is none */ }
  return [];
}

/**
 * Shows what `samples/samples.json` names, and the live sources that the server starts on demand; without them there is a note, and the page
 * works all the same.
 */
export async function listSamples({ list, note, liveList, liveSection }, onPick) {
  const [files, live] = await Promise.all([listed('./samples/samples.json'), listed('./live/sources.json')]);
  const found = [...files.map((sample) => ({ ...sample, path: `samples/${sample.url}` })), ...live.map((sample) => ({ ...sample, path: sample.url }))];
  note.hidden = files.length > 0;
  liveSection.hidden = live.length === 0;
  note.textContent = 'This server has no samples: `npm start` makes some. Any URL can be loaded above.';
  let spec = '';
  let present = '';
  let loads = 0;
  // Every load gets a link of its own, so that steps begin with it.
  const address = (path, fresh = false) => `${spec ? `~${spec}${fresh ? `,id=${++loads}` : ''}/` : ''}${path}`;
  const pathIn = (url) => /(?:^|\/)((?:samples|live)\/.+)$/.exec(url)?.[1];
  const rows = found.map((sample) => {
    const title = sample.title.replace(/^(HLS|DASH),? /, '');
    const { item, link } = entry(sample.protocol.toUpperCase(), /^[a-z](?![A-Z])/.test(title) ? title[0].toUpperCase() + title.slice(1) : title, address(sample.path), '', () => onPick(address(sample.path, true), '', { remember: false }));
    return { item, link, sample };
  });
  list.replaceChildren(...rows.slice(0, files.length).map(({ item }) => item));
  liveList.replaceChildren(...rows.slice(files.length).map(({ item }) => item));
  const isHere = (url) => !/^[a-z]+:/i.test(url) || url.startsWith(new URL('./', location.href).href);
  return {
    count: rows.length,
    has: (url) => isHere(url) && rows.some(({ sample }) => sample.path === pathIn(url)),
    mark(url) {
      present = url;
      for (const { link, sample } of rows) {
        if (isHere(present) && sample.path === pathIn(present)) link.setAttribute('aria-current', 'true'); else link.removeAttribute('aria-current');
      }
    },
    /** The link that a sample's address names; undefined for what is no sample. */
    specOf(url) { return this.has(url) ? /(?:^|\/)~([^/]*?)(?:,id=[^/,]*)?\/(?:samples|live)\//.exec(url)?.[1] ?? '' : undefined; },
    /** Over which link samples come from now on. */
    shape(next) {
      spec = next;
      for (const { link, sample } of rows) link.href = `?${new URLSearchParams({ url: address(sample.path) })}`;
    },
    /** The address of a sample, given as any of its addresses, over the present link. */
    urlOf(url) { return this.has(url) ? address(pathIn(url), true) : undefined; },
  };
}

const KEY = 'millrace.recent';
const MOST = 6;

/** URLs that were typed and could be loaded, the newest first. */
export class Recent {
  onPick = () => {};
  #list; #section;
  #items = [];

  constructor(list, section, forget) {
    this.#list = list;
    this.#section = section;
    try {
      const stored = JSON.parse(localStorage.getItem(KEY) ?? '[]');
      if (Array.isArray(stored)) this.#items = stored.filter(({ url }) => typeof url === 'string').slice(0, MOST);
    } catch { /* nothing stored, or storage is forbidden */ }
    forget.addEventListener('click', () => { this.#items = []; this.#changed(); });
    this.#draw();
  }

  add(url, type, isSample) {
    if (isSample) return;
    this.#items = [{ url, type }, ...this.#items.filter((one) => one.url !== url)].slice(0, MOST);
    this.#changed();
  }

  #changed() {
    try { localStorage.setItem(KEY, JSON.stringify(this.#items)); } catch { /* it lasts as long as the page, then */ }
    this.#draw();
  }

  #draw() {
    this.#section.hidden = this.#items.length === 0;
    this.#list.replaceChildren(...this.#items.map(({ url, type }) => {
      const kind = (type || (/\.m3u8/i.test(url) ? 'hls' : /\.mpd/i.test(url) ? 'dash' : 'url')).toUpperCase();
      return entry(kind, url.replace(/^https?:\/\//, ''), url, type, () => this.onPick(url, type)).item;
    }));
  }
}
