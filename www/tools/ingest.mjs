// An origin for encoders that push (ffmpeg's `-method PUT`): takes what is put, hands it on while it comes, forgets what is deleted.
import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import path from 'node:path';
import { parseRange, types } from './server.mjs';

const cors = {
  'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*', 'Access-Control-Expose-Headers': '*', 'Access-Control-Allow-Methods': 'GET, HEAD', 'Cache-Control': 'no-store',
};

/** Files kept, manifests aside: more means that the encoder does not delete. */
const MOST = 2000;

/** A file that comes or has come. */
class File extends EventEmitter {
  chunks = [];
  size = 0;
  done = false;
  broken = false;

  constructor() {
    super();
    this.setMaxListeners(0);
  }

  add(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    this.emit('more');
  }

  end(broken) {
    this.done = !broken;
    this.broken = broken;
    this.emit('more');
  }

  /** Resolves when more has come, or the end. */
  more() { return new Promise((resolve) => { this.once('more', resolve); }); }
}

/** Starts one: { url, files, close() }. GET /time answers with the time, for UTCTiming. */
export async function startIngest({ host = '127.0.0.1', port = 0 } = {}) {
  const files = new Map();

  const take = async (request, response, name) => {
    const file = new File();
    // A manifest is replaced as a whole; media can be read while it comes.
    const whole = /\.(mpd|m3u8)$/.test(name);
    if (!whole) files.set(name, file);
    try {
      for await (const chunk of request) file.add(chunk);
      file.end(false);
      if (whole) files.set(name, file);
    } catch { file.end(true); }
    if (files.size > MOST) files.delete(files.keys().next().value);
    response.writeHead(201).end();
  };

  const give = async (request, response, file, type) => {
    const { range } = request.headers;
    if (range) while (!file.done && !file.broken) await file.more();
    if (file.done) {
      const part = parseRange(range, file.size);
      if (part === undefined) { response.writeHead(416, { 'Content-Range': `bytes */${file.size}` }).end(); return; }
      const [first, last] = part ?? [0, file.size - 1];
      response.writeHead(part ? 206 : 200, { 'Content-Type': type, 'Content-Length': last - first + 1, ...(part && { 'Content-Range': `bytes ${first}-${last}/${file.size}` }) });
      response.end(request.method === 'HEAD' ? undefined : Buffer.concat(file.chunks).subarray(first, last + 1));
      return;
    }
    response.writeHead(200, { 'Content-Type': type });
    response.flushHeaders();
    for (let at = 0; request.method !== 'HEAD' && !response.destroyed;) {
      while (at < file.chunks.length) response.write(file.chunks[at++]);
      if (file.broken) { response.destroy(); return; }
      if (file.done) break;
      await file.more();
    }
    response.end();
  };

  const server = createServer((request, response) => {
    const name = new URL(request.url, 'http://ingest').pathname;
    for (const [header, value] of Object.entries(cors)) response.setHeader(header, value);
    response.on('error', () => {});
    if (request.method === 'PUT' || request.method === 'POST') { void take(request, response, name); return; }
    if (request.method === 'DELETE') { response.writeHead(files.delete(name) ? 200 : 404).end(); return; }
    if (request.method === 'OPTIONS') { response.writeHead(204).end(); return; }
    if (request.method !== 'GET' && request.method !== 'HEAD') { response.writeHead(405).end(); return; }
    if (name === '/time') { response.writeHead(200, { 'Content-Type': 'text/plain' }).end(new Date().toISOString()); return; }
    const file = files.get(name);
    if (!file) { response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404\n'); return; }
    void give(request, response, file, types[path.extname(name).slice(1)] ?? 'application/octet-stream');
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve, reject) => { server.once('error', reject).listen(port, host, resolve); });
  return {
    url: `http://${host}:${server.address().port}`, files,
    close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  };
}
