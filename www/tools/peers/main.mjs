// The decision code of another player as a child of the simulator: `node main.mjs hls.js|shaka|dash.js`.
//
// Lines of JSON come in, each has one as its answer; src/sim/decider.rs tells what is in them. A player here is an object with
//   name               name and version
//   begin(movie)       a session begins: { kbps, segment, segments, ahead }, seconds and kbit/s; below `ahead` more is fetched
//   update(state)      before anything else: { position, buffer, playing } have changed, and { loaded, total, first } of the download
//   next(segment)      → { quality, segment?, delay? }, or { small: true }: a small file is fetched first, and it is asked again
//   progress()         → true: the request is to be given up
//   loaded()           all of it has come, and will be in the buffer by the next update
//   estimate()         → kbit/s
import { writeSync } from 'node:fs';
import * as clock from './clock.mjs';

const PLAYERS = { 'hls.js': 'hls', shaka: 'shaka', 'dash.js': 'dash' };

/** Writes a line at once, even if the process is about to end. */
const write = (message) => { writeSync(1, `${JSON.stringify(message)}\n`); };

function fail(error) {
  write({ error: /MODULE_NOT_FOUND|ENOENT/.test(error?.code) ? `${error.message.split('\n')[0]} (npm install)` : String(error?.stack ?? error) });
  process.exit(1);
}
process.on('uncaughtException', fail);

function answer(player, message) {
  const { type, at, position, buffer, playing } = message;
  const ms = at * 1000;
  if (type === 'begin') clock.reset();
  const load = message.loaded === undefined ? {} : { loaded: message.loaded, total: message.total, first: message.first === null ? null : message.first * 1000 };
  clock.advance(ms, () => {
    if (type === 'begin') player.begin(message);
    player.update({ position, buffer, playing, ...load });
  });
  const reply = {};
  if (type === 'next') Object.assign(reply, player.next(message.next));
  else if (type === 'progress') reply.abandon = player.progress();
  else if (type === 'loaded') player.loaded();
  reply.estimate = player.estimate();
  return reply;
}

// No player's log belongs on the standard output.
for (const level of ['log', 'info', 'debug', 'warn', 'error']) console[level] = () => {};
globalThis.self = globalThis;
globalThis.window = globalThis;

const file = PLAYERS[process.argv[2]];
if (!file) fail(`${process.argv[2]} is none of ${Object.keys(PLAYERS).join(', ')}`);
let player;
try {
  player = await (await import(`./${file}.mjs`)).load();
} catch (error) {
  fail(error);
}
clock.install();
write({ name: player.name });

let rest = '';
process.stdin.setEncoding('utf8').on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  for (const line of lines) write(answer(player, JSON.parse(line)));
});
