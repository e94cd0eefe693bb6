// Builds one of the native tools of the core and runs it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './steps.mjs';

/** Runs `millrace-NAME` with this process's arguments and `env` besides its own, built with a profile of Cargo.toml and the feature NAME; ends the process as the tool ends. */
export function runNative(name, profile, env = {}) {
  const args = ['--profile', profile, '--features', name, '--bin', `millrace-${name}`, '--manifest-path', join(root, 'Cargo.toml')];
  const build = spawnSync('cargo', ['build', '--quiet', ...args], { stdio: ['ignore', 2, 2] });
  if (build.error) {
    console.error('cargo is missing: install Rust with rustup (https://rustup.rs)');
    process.exit(2);
  }
  if (build.status !== 0) process.exit(2);
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
  // Relative paths mean the directory that the user stands in; npm changes it to the package's.
  const cwd = process.env.INIT_CWD ?? process.cwd();
  const run = spawnSync(join(target, profile, `millrace-${name}`), process.argv.slice(2), { stdio: 'inherit', cwd, env: { ...process.env, ...env } });
  process.exit(run.status ?? 2);
}
