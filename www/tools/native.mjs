// Builds the native tools of the core and runs them.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { root } from './steps.mjs';

/** Where relative paths of the user begin: npm changes the directory to the package's. */
const userDir = process.env.INIT_CWD ?? process.cwd();

/** A path as the user means it. */
export const userPath = (given) => resolve(userDir, given);

/** Builds `millrace-NAME` with a profile of Cargo.toml and the feature NAME, and gives its path; ends the process where that fails. */
export function buildNative(name, profile) {
  const args = ['--profile', profile, '--features', name, '--bin', `millrace-${name}`, '--manifest-path', join(root, 'Cargo.toml')];
  const build = spawnSync('cargo', ['build', '--quiet', ...args], { stdio: ['ignore', 2, 2] });
  if (build.error) {
    console.error('cargo is missing: install Rust with rustup (https://rustup.rs)');
    process.exit(2);
  }
  if (build.status !== 0) process.exit(2);
  const folder = profile === 'dev' ? 'debug' : profile;
  return join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), folder, `millrace-${name}`);
}

/** Runs a tool with `env` besides this process's own; gives its status. */
export function startNative(tool, args, env = {}) {
  return spawnSync(tool, args, { stdio: 'inherit', cwd: userDir, env: { ...process.env, ...env } }).status ?? 2;
}

/** Builds a tool and runs it with this process's arguments; ends the process as the tool ends. */
export function runNative(name, profile, env = {}) {
  process.exit(startNative(buildNative(name, profile), process.argv.slice(2), env));
}
