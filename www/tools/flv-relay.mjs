// RTMP to HTTP-FLV and FLV over WebSocket: what browsers can reach of an RTMP server. Each client gets an ffmpeg that copies the stream.
//
//     node www/tools/flv-relay.mjs rtmp://server/live [--port N]      then http://…/NAME.flv and ws://…/NAME.flv
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { Household } from './processes.mjs';
import { tool } from './setup.mjs';
import { Told, isMain, main } from './steps.mjs';

/** Bytes that may wait for a slow client before it is dropped. */
const MAX_WAITING = 16 << 20;

/** A frame of RFC 6455 §5.2, from server to client and so without a mask. */
export function frame(opcode, payload) {
  const { length } = payload;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = 0x80 | opcode;
  if (length < 126) header[1] = length;
  else if (length < 65_536) { header[1] = 126; header.writeUInt16BE(length, 2); } else { header[1] = 127; header.writeBigUInt64BE(BigInt(length), 2); }
  return Buffer.concat([header, payload]);
}

/** Answers the handshake of RFC 6455 §4.2.2; false where it is none. */
function accept(request, socket) {
  const key = request.headers['sec-websocket-key'];
  if (!key || request.headers.upgrade?.toLowerCase() !== 'websocket') return false;
  const answer = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${answer}\r\n\r\n`);
  return true;
}

/** Starts a relay of what lies below `rtmp`; `household` ends the copies. `log` has an entry per client. */
export async function startRelay(household, rtmp, { port = 0, host = '127.0.0.1' } = {}) {
  const clients = new Set();
  const log = [];
  /** `send` takes chunks and says whether more may come at once; `end` is for the end of the copy. */
  const copy = (request, socket, send, end) => {
    const name = /^\/([\w-]+)\.flv$/.exec(new URL(request.url, 'http://relay').pathname)?.[1];
    if (!name) return false;
    const entry = { url: request.url, socket: Boolean(request.headers.upgrade), bytes: 0 };
    log.push(entry);
    const child = household.spawn(tool('ffmpeg'), ['-hide_banner', '-loglevel', 'error', '-nostdin', '-fflags', 'nobuffer', '-probesize', '100000',
      '-analyzeduration', '1000000', '-i', `${rtmp}/${name}`, '-c', 'copy', '-flush_packets', '1', '-f', 'flv', 'pipe:1'], { stdio: ['ignore', 'pipe', 'ignore'], binary: true });
    child.stdout.on('data', (bytes) => {
      entry.bytes += bytes.length;
      send(bytes);
      if (socket.writableLength > MAX_WAITING) socket.destroy();
    });
    const client = { drop: () => socket.destroy(), end };
    clients.add(client);
    child.on('exit', () => { if (!socket.destroyed) end(); });
    socket.on('error', () => {});
    socket.on('close', () => { clients.delete(client); child.kill('SIGKILL'); });
    return true;
  };
  const server = createServer((request, response) => {
    const head = { 'Content-Type': 'video/x-flv', 'Cache-Control': 'no-store', 'Access-Control-Allow-Origin': '*' };
    if (!copy(request, response.socket, (chunk) => { if (!response.headersSent) response.writeHead(200, head); response.write(chunk); }, () => response.end())) {
      response.writeHead(404).end();
    }
  });
  server.on('upgrade', (request, socket) => {
    if (!accept(request, socket)) { socket.destroy(); return; }
    const close = (code) => { if (!socket.writableEnded) socket.end(frame(8, Buffer.from([code >> 8, code & 255]))); };
    // What a client sends is of no interest but for its close.
    socket.on('data', (data) => { if ((data[0] & 15) === 8) close(1000); });
    // 1001: the source went away, and may come back.
    if (!copy(request, socket, (chunk) => { if (!socket.writableEnded) socket.write(frame(2, chunk)); }, () => close(1001))) close(1008);
  });
  await new Promise((resolve, reject) => { server.once('error', reject); server.listen(port, host, resolve); });
  const actual = server.address().port;
  return {
    port: actual, log,
    /** How many are connected. */
    clients: () => clients.size,
    url: (name) => `http://${host}:${actual}/${name}.flv`,
    socketUrl: (name) => `ws://${host}:${actual}/${name}.flv`,
    /** Breaks all connections. */
    drop: () => { for (const client of [...clients]) client.drop(); },
    /** Ends all streams in good order. */
    end: () => { for (const client of [...clients]) client.end(); },
    close: () => new Promise((resolve) => { for (const client of [...clients]) client.drop(); server.close(resolve); server.closeAllConnections(); }),
  };
}

if (isMain(import.meta)) {
  await main(async () => {
    const args = process.argv.slice(2);
    const at = args.indexOf('--port');
    const port = at < 0 ? 8090 : Number(args.splice(at, 2)[1]);
    if (args.length !== 1 || Number.isNaN(port)) throw new Told('Usage: node www/tools/flv-relay.mjs rtmp://SERVER/APPLICATION [--port N]');
    const relay = await startRelay(new Household(), args[0].replace(/\/$/, ''), { port });
    console.log(relay.url('NAME'));
    await new Promise(() => {});
  });
}
