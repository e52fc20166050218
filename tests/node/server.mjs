// The real binary, started on a free loopback port.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const START_DEADLINE = 20_000;
const STOP_DEADLINE = 30_000;
const READY = /^cosine is ready: http:\/\/(127\.0\.0\.1:\d+)\s*$/;

// A signal ends a process without its exit handlers, and what it has started goes on.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** Starts the server; returns its address, and what stops it and finds fault with how it ended. */
export async function startServer(binary, args, { cwd, env }) {
  const server = spawn(binary, [...args, '--listen', '127.0.0.1:0'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  process.on('exit', () => server.kill('SIGKILL'));
  let complaints = '';
  server.stderr.on('data', (piece) => (complaints += piece));
  const lines = createInterface({ input: server.stdout });
  const address = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${why}: ${complaints}`));
    const timer = setTimeout(fail, START_DEADLINE, 'not ready in time').unref();
    server.on('error', reject);
    server.on('exit', (status) => fail(`ended with ${status}`));
    lines.on('line', (line) => {
      const ready = READY.exec(line);
      if (!ready) return;
      clearTimeout(timer);
      resolve(ready[1]);
    });
  });
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const timer = setTimeout(() => server.kill('SIGKILL'), STOP_DEADLINE);
      server.kill('SIGTERM');
      await once(server, 'exit');
      clearTimeout(timer);
    }
    assert.equal(server.exitCode, 0, `${server.signalCode}: ${complaints}`);
    assert.doesNotMatch(complaints, /panicked/);
  };
  return { address, stop };
}
