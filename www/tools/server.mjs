// A static file server that can also be a bad one: rates, round trips and faults on demand, for the demo, tests and benchmark.
//
// Shaping by path, inherited by relative URLs:  /~kbps=3000,rtt=40/samples/hls-ts/master.m3u8   (requests with the same
// first part share one link; add id=x for another). Faults by rules, from a test (`server.rules.push(…)`) or over HTTP (POST /~rules).
import { createHash } from 'node:crypto';
import { createReadStream, statSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { Link } from './link.mjs';
import { samplesDir } from './samples.mjs';
import { Told, isMain, main, root } from './steps.mjs';

/** Requests that the log keeps: a live stream makes some every second. */
const MOST_LOGGED = 100_000;

/** Content types by extension. */
export const types = {
  html: 'text/html; charset=utf-8', js: 'text/javascript', mjs: 'text/javascript', css: 'text/css', json: 'application/json', map: 'application/json',
  wasm: 'application/wasm', svg: 'image/svg+xml', png: 'image/png', ico: 'image/x-icon', txt: 'text/plain; charset=utf-8', md: 'text/plain; charset=utf-8',
  mpd: 'application/dash+xml', m3u8: 'application/vnd.apple.mpegurl', mp4: 'video/mp4', m4s: 'video/mp4', m4v: 'video/mp4', m4a: 'audio/mp4', cmfv: 'video/mp4',
  cmfa: 'audio/mp4', webm: 'video/webm', ts: 'video/mp2t', aac: 'audio/aac', mp3: 'audio/mpeg', ac3: 'audio/ac3', vtt: 'text/vtt', ttml: 'application/ttml+xml',
};
const compressible = new Set(['html', 'js', 'mjs', 'css', 'json', 'wasm', 'svg', 'mpd', 'm3u8']);
const extension = (name) => path.extname(name).slice(1).toLowerCase();

/** The one byte range of a Range header as [first, last], null for none or one to be ignored, undefined for one out of reach. */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  const [first, last] = match[1] === '' ? [Math.max(0, size - Number(match[2])), size - 1]
    : [Number(match[1]), match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1)];
  return first <= last && first < size ? [first, last] : undefined;
}

/**
 * A rule spoils the requests it matches. All fields but one are optional.
 * @typedef {object} Rule
 * @property {string | RegExp} match part of the URL path, or a pattern for it
 * @property {number} [skip] leaves the first so many matching requests alone
 * @property {number} [times] then spoils so many (default: all)
 * @property {number} [status] answers with this status and no file
 * @property {string} [body] answers with this text in place of the file
 * @property {string} [type] this Content-Type
 * @property {string} [redirect] answers 302 to here
 * @property {boolean} [cors] false: without the headers that let other origins read it
 * @property {number} [delay] milliseconds before anything is answered; Infinity: never answers
 * @property {number} [truncate] the file ends, cleanly, after so many bytes
 * @property {number} [reset] the connection breaks after so many bytes
 * @property {number} [stall] nothing more comes after so many bytes, and the connection stays open
 * @property {[number, number]} [corrupt] offset in the body, and how many bytes from there on are inverted
 */

/**
 * Starts a server. `mounts` maps URL prefixes to folders (the longest that fits wins), `pages` maps paths to {type, body};
 * `proxies` maps URL prefixes to the origin that answers for them, or to what finds it (live-on-demand.mjs), which then is asked for what
 * follows the prefix; `link` shapes every request that names no link of its own; `csp` goes with documents and scripts (so also workers).
 * @param {{ mounts?: Record<string, string>, pages?: Record<string, { type?: string, body: string }>, port?: number, host?: string,
 *   proxies?: Record<string, string | { open(response: import('node:http').ServerResponse): Promise<string> }>, csp?: string, link?: Link, compress?: boolean, rules?: Rule[] }} [options]
 */
export async function startServer({ mounts = { '/': path.join(root, 'www/demo'), '/dist': path.join(root, 'dist'), '/samples': samplesDir },
  pages = {}, proxies = {}, port = 0, host = '127.0.0.1', csp, link = new Link(), compress = false, rules = [] } = {}) {
  const log = [];
  const links = new Map();
  const packed = new Map();
  const sockets = new Set();

  const linkFor = (spec) => {
    if (!links.has(spec)) {
      const options = Object.fromEntries(spec.split(',').map((pair) => pair.split('=')));
      links.set(spec, new Link({ kbps: options.kbps ? Number(options.kbps) : Infinity, rtt: Number(options.rtt ?? 0),
        steps: options.steps?.split('_').map((step) => step.split('x').map(Number)) }));
    }
    return links.get(spec);
  };

  const resolveFile = (pathname) => {
    const prefix = Object.keys(mounts).sort((a, b) => b.length - a.length).find((one) => pathname === one || pathname.startsWith(one.endsWith('/') ? one : `${one}/`));
    if (prefix === undefined) return undefined;
    const base = mounts[prefix];
    let file = path.join(base, path.normalize(`/${pathname.slice(prefix.length)}`));
    let info = statSync(file, { throwIfNoEntry: false });
    if (info?.isDirectory()) info = statSync(file = path.join(file, 'index.html'), { throwIfNoEntry: false });
    return info?.isFile() ? { file, info } : undefined;
  };

  /** A small file as a browser would get it from a good host; packed once. */
  const packFile = (file, info, accepts) => {
    const encoding = /\bbr\b/.test(accepts) ? 'br' : /\bgzip\b/.test(accepts) ? 'gzip' : undefined;
    if (!compress || !encoding || !compressible.has(extension(file))) return undefined;
    const key = `${encoding} ${file} ${info.mtimeMs}`;
    if (!packed.has(key)) {
      const bytes = readFileSync(file);
      packed.set(key, { encoding, bytes: encoding === 'gzip' ? gzipSync(bytes, { level: 9 })
        : brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }) });
    }
    return packed.get(key);
  };

  const ruleFor = (pathname) => rules.find((rule) => {
    if (!(typeof rule.match === 'string' ? pathname.includes(rule.match) : rule.match.test(pathname))) return false;
    rule.seen = (rule.seen ?? 0) + 1;
    const turn = rule.seen - (rule.skip ?? 0);
    return turn > 0 && turn <= (rule.times ?? Infinity);
  });

  /** Sends `chunks` over the link as the rule has it. */
  const send = async (response, chunks, via, rule, entry) => {
    const stop = Math.min(rule.reset ?? Infinity, rule.stall ?? Infinity);
    let sent = 0;
    const closed = new Promise((resolve) => { response.on('close', resolve); });
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length && !response.destroyed;) {
        const piece = Buffer.from(chunk.subarray(at, at + Math.min(via.piece, stop - sent)));
        if (rule.corrupt) {
          const [from, count] = rule.corrupt;
          for (let i = Math.max(0, from - sent); i < Math.min(piece.length, from + count - sent); i++) piece[i] ^= 0xff;
        }
        if (piece.length) {
          await via.pass(piece.length);
          if (response.destroyed) return;
          sent += piece.length;
          entry.bytes = sent;
          at += piece.length;
          if (!response.write(piece)) await Promise.race([new Promise((resolve) => { response.once('drain', resolve); }), closed]);
        }
        if (sent >= stop) {
          if (rule.reset !== undefined && sent >= rule.reset) response.socket?.resetAndDestroy();
          await closed;
          return;
        }
      }
      if (response.destroyed) break;
    }
    response.end();
  };

  /** Hands a request on to another server, and its answer back over the link. */
  const relay = async (request, response, prefix, pathname, via, rule, entry, plain) => {
    const onward = new AbortController();
    response.on('close', () => onward.abort());
    const target = proxies[prefix];
    const { search } = new URL(request.url, 'http://server');
    const headers = Object.fromEntries(['icy-metadata', 'range'].flatMap((name) => (request.headers[name] ? [[name, request.headers[name]]] : [])));
    let reply;
    try {
      const url = typeof target === 'string' ? new URL(request.url, target) : `${await target.open(response)}${pathname.slice(prefix.length)}${search}`;
      const body = request.method === 'POST' ? { body: request, duplex: 'half' } : {};
      reply = await fetch(url, { method: request.method, signal: onward.signal, headers, ...body });
    } catch (error) { await plain(502, `502: ${error.message}\n`); return; }
    entry.icy = headers['icy-metadata'];
    const kept = /^(content-(type|range|length)|accept-ranges|cache-control|date|icy-.*)$/;
    response.writeHead(reply.status, Object.fromEntries([...reply.headers].filter(([name]) => kept.test(name))));
    response.flushHeaders();
    try { await send(response, reply.body ?? [], via, rule, entry); } catch { response.destroy(); } // either side went away
  };

  const answer = async (request, response, entry) => {
    let pathname;
    try { pathname = decodeURIComponent(new URL(request.url, 'http://server').pathname); } catch { pathname = '/'; }
    const shaped = /^\/~([^/]*=[^/]*)(\/.*)$/.exec(pathname);
    const via = shaped ? linkFor(shaped[1]) : link;
    if (shaped) pathname = shaped[2];
    entry.path = pathname;
    const rule = ruleFor(pathname) ?? {};
    await via.arrive(request.socket);
    if (rule.delay === Infinity) return;
    if (rule.delay) await new Promise((resolve) => { setTimeout(resolve, rule.delay); });
    if (response.destroyed) return;

    if (rule.cors !== false) {
      response.setHeader('Access-Control-Allow-Origin', '*');
      response.setHeader('Access-Control-Expose-Headers', 'Content-Length, Content-Range, ETag, Date, Age');
      response.setHeader('Timing-Allow-Origin', '*');
    }
    const plain = (status, text, type = 'text/plain') => {
      response.writeHead(status, { 'Content-Type': rule.type ?? type, 'Content-Length': Buffer.byteLength(text) });
      return send(response, [Buffer.from(request.method === 'HEAD' ? '' : text)], via, rule, entry);
    };
    if (rule.redirect) { response.setHeader('Location', rule.redirect); await plain(302, ''); return; }
    if (rule.status) { await plain(rule.status, rule.body ?? `${rule.status}\n`); return; }
    if (request.method === 'OPTIONS') {
      if (rule.cors !== false) response.writeHead(204, { 'Access-Control-Allow-Headers': 'Range', 'Access-Control-Allow-Methods': 'GET, HEAD', 'Access-Control-Max-Age': '600' });
      response.end();
      return;
    }
    if (request.method === 'POST' && pathname === '/~rules') {
      let text = '';
      for await (const chunk of request) text += chunk;
      rules.splice(0, rules.length, ...JSON.parse(text));
      await plain(200, 'ok\n');
      return;
    }
    if (pathname === '/~log') { await plain(200, JSON.stringify(log), types.json); return; }
    const proxy = Object.hasOwn(pages, pathname) ? undefined : Object.keys(proxies).find((prefix) => pathname.startsWith(prefix));
    if (proxy !== undefined) { await relay(request, response, proxy, pathname, via, rule, entry, plain); return; }
    if (request.method !== 'GET' && request.method !== 'HEAD') { await plain(405, '405\n'); return; }
    const document = (type) => { if (csp && /html|javascript/.test(type)) response.setHeader('Content-Security-Policy', csp); };
    if (Object.hasOwn(pages, pathname)) {
      const page = pages[pathname];
      document(page.type ?? types.html);
      response.setHeader('Cache-Control', 'no-store');
      await plain(200, page.body, page.type ?? types.html);
      return;
    }
    const found = resolveFile(pathname);
    if (!found) { await plain(404, `404: ${pathname}\n`); return; }

    const { file, info } = found;
    const type = rule.type ?? types[extension(file)] ?? 'application/octet-stream';
    const etag = `"${createHash('sha1').update(`${file} ${info.size} ${info.mtimeMs}`).digest('base64url').slice(0, 16)}"`;
    response.setHeader('Content-Type', type);
    response.setHeader('ETag', etag);
    response.setHeader('Last-Modified', info.mtime.toUTCString());
    // A shaped request is there to be measured: no cache may answer in its place. What a rule spoils must neither come from one nor stay in it.
    const spoilt = ['body', 'truncate', 'reset', 'stall', 'corrupt'].some((field) => rule[field] !== undefined);
    response.setHeader('Cache-Control', spoilt || shaped || link.rate !== Infinity ? 'no-store' : 'no-cache');
    document(type);
    if (request.headers['if-none-match'] === etag && !spoilt) { response.writeHead(304).end(); return; }

    const replaced = rule.body === undefined ? packFile(file, info, request.headers['accept-encoding'] ?? '') : { bytes: Buffer.from(rule.body) };
    if (replaced?.encoding) { response.setHeader('Content-Encoding', replaced.encoding); response.setHeader('Vary', 'Accept-Encoding'); }
    const whole = Math.min(replaced?.bytes.length ?? info.size, rule.truncate ?? Infinity);
    const range = replaced ? null : parseRange(request.headers.range, whole);
    response.setHeader('Accept-Ranges', 'bytes');
    if (range === undefined) { response.setHeader('Content-Range', `bytes */${whole}`); await plain(416, '416\n'); return; }
    const [first, last] = range ?? [0, whole - 1];
    if (range) response.setHeader('Content-Range', `bytes ${first}-${last}/${whole}`);
    response.writeHead(range ? 206 : 200, { 'Content-Length': last - first + 1 });
    if (request.method === 'HEAD' || whole === 0) { response.end(); return; }
    const chunks = replaced ? [replaced.bytes.subarray(0, whole)] : createReadStream(file, { start: first, end: last, highWaterMark: 65_536 });
    await send(response, chunks, via, rule, entry);
  };

  const server = createServer((request, response) => {
    const entry = { at: Date.now(), method: request.method, url: request.url, path: request.url, range: request.headers.range, status: 0, bytes: 0, ended: false };
    log.push(entry);
    if (log.length > MOST_LOGGED) log.splice(0, MOST_LOGGED / 10);
    const started = performance.now();
    response.on('close', () => Object.assign(entry, { status: response.headersSent ? response.statusCode : 0, ms: performance.now() - started, ended: response.writableFinished }));
    answer(request, response, entry).catch((error) => {
      if (!response.headersSent) response.writeHead(500, { 'Content-Type': 'text/plain' });
      response.end(`${error.message}\n`);
    });
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {}); // a browser that goes away is nothing to report
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise((resolve, reject) => {
    server.once('error', (error) => reject(error.code === 'EADDRINUSE' ? new Told(`Port ${port} is in use.`) : error));
    server.listen(port, host, resolve);
  });
  const actual = server.address().port;
  return {
    url: `http://127.0.0.1:${actual}`, port: actual, log, rules, pages, mounts, proxies,
    /** Links by the first part of a shaped path, without its tilde: one that is put here needs not be told in the path. */
    links,
    /** The same server under another origin. */
    otherOrigin: `http://localhost:${actual}`,
    close: () => new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(resolve);
    }),
  };
}

if (isMain(import.meta)) {
  await main(async () => {
    const args = process.argv.slice(2);
    const option = (name) => { const at = args.indexOf(`--${name}`); return at < 0 ? undefined : args.splice(at, 2)[1]; };
    const port = Number(option('port') ?? 8080);
    const host = option('host') ?? '127.0.0.1';
    const kbps = Number(option('kbps') ?? Infinity);
    const rtt = Number(option('rtt') ?? 0);
    const mounts = args.length ? { '/': path.resolve(args[0]) } : undefined;
    if (args.length > 1 || Number.isNaN(port + rtt) || Number.isNaN(kbps)) throw new Told('Usage: npm run serve -- [FOLDER] [--port N] [--host ADDRESS] [--kbps N] [--rtt MS]');
    const { url } = await startServer({ ...(mounts && { mounts }), port, host, link: new Link({ kbps, rtt }) });
    console.log(url);
    await new Promise(() => {});
  });
}
