// A SHOUTcast server as browsers meet it: byte for byte what a DNAS 2 answers (status lines, fields, which of its answers have CORS headers). The
// server itself is in no package registry. Its stream comes from an ffmpeg that encodes or copies.
import { createServer } from 'node:net';

const version = 'Shoutcast DNAS/posix(linux x64) v2.6.1.777';
const page = 'HTTP/1.1 200 OK\r\nContent-Type:text/html;charset=utf-8\r\nConnection:close\r\n\r\n'
  + '<!DOCTYPE html><html><head><title>Shoutcast Server</title></head><body>Shoutcast Server Status</body></html>';
const notFound = 'HTTP/1.1 404 Not Found\r\nConnection:close\r\n\r\n';
const notAllowed = 'HTTP/1.1 405 Method Not Allowed\r\nAllow:GET\r\nConnection:close\r\n\r\n';

/** Bytes between titles, and what a listener gets at once. */
const INTERVAL = 8192;
const BURST = 65_536;
/** Bytes that may wait for a slow listener before it is dropped. */
const MAX_WAITING = 1 << 20;

/** A block of metadata: its length in sixteenths, then the text filled up with zeros. */
function block(title) {
  const text = Buffer.from(`StreamTitle='${title}';StreamUrl='';`);
  const bytes = Buffer.alloc(1 + Math.ceil(text.length / 16) * 16);
  bytes[0] = (bytes.length - 1) / 16;
  text.copy(bytes, 1);
  return bytes;
}

/** Puts metadata between the bytes of a stream for one listener: a block where the title is new, else a zero. */
class Interleaver {
  #left = INTERVAL;
  #told;

  * pieces(bytes, title) {
    while (bytes.length) {
      const part = bytes.subarray(0, this.#left);
      bytes = bytes.subarray(part.length);
      yield part;
      if ((this.#left -= part.length) > 0) continue;
      yield this.#told === title ? Buffer.alloc(1) : block(title);
      this.#told = title;
      this.#left = INTERVAL;
    }
  }
}

/**
 * Starts a server of what `source` (a child process) writes. `station` has `name`, `genre`, `bitrate`, `rate` and `type` (its Content-Type).
 * `log` has an entry for each request: method, path, whether it asked for titles.
 */
export async function startShoutcast(source, station, { port = 0, host = '127.0.0.1' } = {}) {
  const listeners = new Set();
  const sockets = new Set();
  const log = [];
  let title = '';
  let burst = Buffer.alloc(0);
  source.stdout.on('data', (bytes) => {
    burst = Buffer.concat([burst, bytes]).subarray(-BURST);
    for (const listener of listeners) listener(bytes);
  });

  const listen = (socket, icy) => {
    socket.write(`HTTP/1.0 200 OK\r\nicy-notice1:<BR>This stream requires <a href="http://www.winamp.com">Winamp</a><BR>\r\nicy-notice2:${version}<BR>\r\n`
      + 'Accept-Ranges:none\r\nAccess-Control-Allow-Origin:*\r\nCache-Control:no-cache,no-store,must-revalidate,max-age=0\r\nConnection:close\r\n'
      + `icy-name:${station.name}\r\nicy-genre:${station.genre}\r\nicy-br:${station.bitrate}\r\nicy-sr:${station.rate}\r\nicy-url:http://127.0.0.1\r\nicy-pub:0\r\n`
      + `content-type:${station.type}\r\n${icy ? `icy-metaint:${INTERVAL}\r\n` : ''}X-Clacks-Overhead:GNU Terry Pratchett\r\n\r\n`);
    const interleaver = new Interleaver();
    const send = (bytes) => {
      for (const piece of icy ? interleaver.pieces(bytes, title) : [bytes]) socket.write(piece);
      if (socket.writableLength > MAX_WAITING) socket.destroy();
    };
    send(burst);
    listeners.add(send);
    socket.on('close', () => listeners.delete(send));
  };

  const answer = (socket, head) => {
    const [method, path] = head.split(' ');
    const field = (name) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'im').exec(head)?.[1] ?? '';
    const icy = field('icy-metadata') === '1';
    log.push({ method, path, icy });
    if (method !== 'GET') socket.end(notAllowed);
    else if (path.startsWith('/;') || /^\/stream\/1?/.test(path)) listen(socket, icy);
    // Players get the stream at the top, browsers a page.
    else if (path === '/' && !/mozilla/i.test(field('user-agent'))) listen(socket, icy);
    else if (path === '/' || path.startsWith('/index.html')) socket.end(page);
    else socket.end(notFound);
  };

  const server = createServer((socket) => {
    let head = '';
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.setEncoding('latin1').on('data', (text) => {
      if (head.endsWith('\r\n\r\n')) return;
      head = (head + text).slice(0, 16_384);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      head = head.slice(0, end + 4);
      answer(socket, head);
    });
  });
  await new Promise((resolve, reject) => { server.once('error', reject); server.listen(port, host, resolve); });
  const drop = () => { for (const socket of sockets) socket.destroy(); };
  return {
    port: server.address().port, url: `http://${host}:${server.address().port}`, log,
    /** What the station plays now. */
    setTitle(text) { title = text; },
    /** How many hear the stream. */
    listeners: () => listeners.size,
    /** Breaks all connections. */
    drop,
    close: () => new Promise((resolve) => { drop(); server.close(resolve); }),
  };
}
