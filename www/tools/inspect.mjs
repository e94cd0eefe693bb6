// `npm run inspect -- FILE-or-URL [--now DATE] [--init FILE] [--type dash|hls] [--json]`: builds the native tool and runs it.
import { runNative } from './native.mjs';

// Quick to build, quick enough on large files.
runNative('inspect', 'tool');
