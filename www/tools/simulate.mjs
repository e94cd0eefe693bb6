// `npm run simulate [-- --traces FILE… --movie FILE …]`: builds the simulator and runs it; `--help` tells its options.
import { fileURLToPath } from 'node:url';
import { runNative } from './native.mjs';

// The rules of other players are theirs, in JavaScript.
const peers = [process.execPath, fileURLToPath(new URL('peers/main.mjs', import.meta.url))];
// Quick to run: thousands of sessions.
runNative('simulate', 'simulate', { MILLRACE_PEERS: JSON.stringify(peers) });
