// SPDX-License-Identifier: MIT
// What the tests share: a served engine, and programs that are ended by process id.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = process.env.SOURCE_ROOT;
export const build = process.env.B_ABSOLUTE;
export const mcpServer = join(build, 'examples/mcp_server');

const environment = {
  ...process.env, RECOPTOUT_LIBRARY: join(build, 'librecoptout.so.2'), PYTHONPATH: join(root, 'examples/python'),
  PYTHONDONTWRITEBYTECODE: '1',
};

/** An engine with these calls in a process of its own, until the test ends. */
export async function engine(t, ...callIds) {
  const folder = mkdtempSync(join(tmpdir(), 'rco-node-'));
  const child = spawn('/usr/bin/python3', [join(import.meta.dirname, 'serve.py'), folder, ...callIds], {
    env: environment, stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value;
  if ((await next()) !== 'ready') throw new Error('the engine did not start');
  t.after(async () => {
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.stdin.end();
    await ended;
    rmSync(folder, { recursive: true });
  });
  return {
    socket: join(folder, 'sock'),
    async ask(command) { child.stdin.write(command + '\n'); return next(); },
  };
}

/** A program's exit code and what it wrote. */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'], ...options });
    let out = '', err = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { err += data; });
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin.on('error', () => {}); // it ended without reading
    child.stdin.end(options.input ?? '');
  });
}
