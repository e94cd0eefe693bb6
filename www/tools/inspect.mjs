// `npm run inspect -- FILE-or-URL [--now DATE] [--init FILE] [--type dash|hls] [--json]`: builds the native tool and runs it.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const args = ['--profile', 'tool', '--features', 'inspect', '--bin', 'millrace-inspect'];
const manifest = ['--manifest-path', join(root, 'Cargo.toml')];

// Relative paths mean the directory that the user stands in; npm changes it to the package's.
const cwd = process.env.INIT_CWD ?? process.cwd();
const build = spawnSync('cargo', ['build', '--quiet', ...args, ...manifest], { stdio: ['ignore', 2, 2] });
if (build.error) {
  console.error('cargo is missing: install Rust with rustup (https://rustup.rs)');
  process.exit(2);
}
if (build.status !== 0) process.exit(2);
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
const run = spawnSync(join(target, 'tool', 'millrace-inspect'), process.argv.slice(2), { stdio: 'inherit', cwd });
process.exit(run.status ?? 2);
