// Keeps the lines of a session's log; their form is told in src/log/mod.rs. Bundled with the build `log` only.
import type { LogOptions } from './types.ts';

/** Characters that a log may have before it is cut: hours of play; and with the media in it, minutes. */
const LIMIT = 16e6;
const LIMIT_WITH_MEDIA = 64e6;
/** Bytes of one body that are gathered before they are written. */
const GATHERED = 1e6;
/** Texts that are kept to write later ones as what has changed. */
const TEXTS = 100;
/** The shortest piece of an earlier text that is worth pointing to. */
const PIECE = 40;
/** Lines that are looked for in vain before a text counts as another one: each costs a way through all of the earlier one. */
const MISSES = 200;

/** Bytes as characters: quick, and small enough for the stack. */
function base64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/** `after` as pieces of `before` ([first, length]) and new text. */
function pieces(before: string, after: string): (string | [number, number])[] {
  const all: (string | [number, number])[] = [];
  let fresh = '';
  let misses = 0;
  for (let i = 0; i < after.length;) {
    const at = i + PIECE <= after.length ? before.indexOf(after.slice(i, i + PIECE)) : -1;
    if (at < 0) {
      if (++misses > MISSES) return [after];
      // Lists and manifests change by whole lines or elements.
      const end = after.slice(i).search(/[\n>]/);
      const next = end < 0 ? after.length : i + end + 1;
      fresh += after.slice(i, next);
      i = next;
    } else {
      let length = PIECE;
      while (i + length < after.length && before[at + length] === after[i + length]) length++;
      if (fresh) all.push(fresh);
      fresh = '';
      all.push([at, length]);
      i += length;
    }
  }
  if (fresh) all.push(fresh);
  return all;
}

export class Recorder {
  readonly media: boolean;
  readonly #secrets: boolean;
  readonly #limit: number;
  readonly #salt = crypto.getRandomValues(new Uint32Array(2));
  readonly #lines: string[] = [];
  #size = 0;
  #cut = false;
  /** Of requests: where to, without the query, in which readings of one list differ. */
  readonly #places = new Map<number, string>();
  /** Bodies that come. */
  readonly #open = new Map<number, Uint8Array[]>();
  /** What came last from each place. */
  readonly #texts = new Map<string, string>();

  constructor({ media = false, secrets = false, limit = media ? LIMIT_WITH_MEDIA : LIMIT }: LogOptions) {
    this.media = media;
    this.#secrets = secrets;
    this.#limit = limit;
  }

  /** Takes the next line. */
  readonly add = (line: unknown[]): void => {
    if (this.#cut) return;
    const isInput = typeof line[0] === 'number';
    if (isInput && this.#size > this.#limit) {
      this.#cut = true;
      this.#push(['cut']);
      return;
    }
    const [name, id] = (isInput ? line.slice(1) : line) as [string, number];
    if (name === '<fetch') this.#places.set(id, String(line[2]).split('?')[0] as string);
    const bytes = line.at(-1);
    if (bytes instanceof Uint8Array) {
      line.pop();
      const all = this.#open.get(id) ?? [];
      all.push(bytes);
      this.#open.set(id, all);
      if (all.reduce((sum, { length }) => sum + length, 0) > GATHERED) this.#close(id);
    }
    if (name === '>end' || name === '>failed' || name === '<abort') {
      this.#close(id);
      this.#places.delete(id);
    }
    this.#push(line);
  };

  /** All lines so far. */
  text(): string {
    const open = [...this.#open].map(([id, all]) => JSON.stringify(['=', id, this.#content(all).content]));
    return [...this.#lines, ...open, ''].join('\n');
  }

  #push(line: unknown[]): void {
    const text = JSON.stringify(line.map((value) => (typeof value === 'string' ? this.#masked(value) : value)));
    this.#lines.push(text);
    this.#size += text.length + 1;
  }

  /** Writes what has come of a body. */
  #close(id: number): void {
    const all = this.#open.get(id);
    if (!all) return;
    this.#open.delete(id);
    const place = this.#places.get(id) ?? '';
    const { content, text } = this.#content(all, this.#texts.get(place));
    const line = JSON.stringify(['=', id, content]);
    this.#lines.push(line);
    this.#size += line.length + 1;
    this.#texts.delete(place);
    if (text !== undefined) this.#texts.set(place, text);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > TEXTS) this.#texts.delete(oldest as string);
  }

  #content(all: Uint8Array[], before?: string): { content: unknown; text?: string } {
    const bytes = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
    all.reduce((at, chunk) => (bytes.set(chunk, at), at + chunk.length), 0);
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return { content: { b64: base64(bytes) } };
    }
    text = this.#masked(text);
    // Places are told in bytes.
    if (text.length !== bytes.length) return { content: text };
    const from = before && pieces(before, text);
    return { content: from && from.length < text.length / PIECE ? { from } : text, text };
  }

  /** Puts others in the place of values in URLs that may be secrets: as long, and the same for the same. */
  #masked(text: string): string {
    if (this.#secrets) return text;
    const mask = (_: string, name: string, value: string) => name + (/^\d+$|[${}]|[^ -~]/.test(value) ? value : this.#mask(value));
    return text
      .replace(/((?:[?&]|&amp;)[\w.~%-]+=)([^\s"'<>&#]{8,})/g, mask)
      .replace(/([/~;][\w.-]+=)([^\s"'<>&#~/;?]{8,})/g, mask)
      .replace(/(:\/\/)([^\s"'<>/?#@]+)(?=@)/g, (_, slashes: string, user: string) => slashes + this.#mask(user));
  }

  #mask(value: string): string {
    let [a, b] = [...this.#salt] as [number, number];
    for (const char of value) {
      a = Math.imul(a ^ char.charCodeAt(0), 0x9e3779b1);
      b = Math.imul(b ^ (a >>> 15), 0x85ebca6b);
    }
    let out = '';
    while (out.length < value.length) {
      a = Math.imul(a ^ (a >>> 16) ^ b, 0xc2b2ae35);
      b = Math.imul(b ^ (b >>> 13) ^ a, 0x27d4eb2f);
      out += (a >>> 0).toString(36);
    }
    return out.slice(0, value.length);
  }
}
