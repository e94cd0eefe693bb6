// `npm run simulate [-- --traces FILE… --movie FILE …]`: builds the simulator and runs it; `--help` tells its options.
import { runNative } from './native.mjs';

// Quick to run: thousands of sessions.
runNative('simulate', 'simulate');
