// Chromium without a window. It is driven by its own protocol over a pair of pipes: JSON, each message ended by a
// zero byte. When the pipes close, it ends by itself.

import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const CALL_DEADLINE = 60_000;
const STOP_DEADLINE = 10_000;
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const FLAGS = [
  '--headless=new',
  '--remote-debugging-pipe',
  // As root in a container there is neither a sandbox, nor much in /dev/shm, nor a graphics card.
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  // Nothing but the loopback, and nothing but what the tests ask for.
  '--no-proxy-server',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-breakpad',
  '--no-first-run',
];

/** The binary: CHROMIUM, or the first of the usual names in PATH. */
function binary() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const directories = process.env.PATH.split(path.delimiter);
  for (const candidate of NAMES.flatMap((name) => directories.map((directory) => path.join(directory, name)))) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {}
  }
  throw new Error(`none of ${NAMES} is in PATH: install Chromium, or set CHROMIUM to its path`);
}

export class Chromium {
  #process;
  #exited;
  /** Why it has ended. */
  #end;
  #complaints = '';
  #calls = new Map();
  #lastId = 0;
  #events = new EventEmitter();

  /** Starts one. All that it writes, its profile too, goes below the directory. */
  constructor(directory) {
    const args = [...FLAGS, `--user-data-dir=${path.join(directory, 'profile')}`];
    const env = { PATH: process.env.PATH, HOME: directory, TMPDIR: directory };
    // With a group of its own: it is many processes, and none may be left.
    const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'];
    this.#process = spawn(binary(), args, { cwd: directory, env, detached: true, stdio });
    process.on('exit', () => this.#kill());
    const [, , stderr, orders, answers] = this.#process.stdio;
    stderr.on('data', (piece) => (this.#complaints += piece));
    // What cannot be sent is not answered either, and the end says why.
    orders.on('error', () => {});
    let rest = '';
    answers.setEncoding('utf8').on('data', (piece) => {
      const messages = (rest + piece).split('\0');
      rest = messages.pop();
      for (const message of messages) this.#receive(JSON.parse(message));
    });
    this.#exited = new Promise((resolve) => {
      const end = (why) => {
        this.#end = this.#error(`Chromium ended: ${why}`);
        for (const { reject } of this.#calls.values()) reject(this.#end);
        resolve();
      };
      this.#process.on('error', (error) => end(error.message));
      this.#process.on('exit', (status, signal) => end(signal ?? status));
    });
  }

  /** Opens a page of its own and waits until it is there. */
  async open(url) {
    const { targetId } = await this.#call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.#call('Target.attachToTarget', { targetId, flatten: true });
    await this.#call('Page.enable', {}, sessionId);
    const signal = AbortSignal.timeout(CALL_DEADLINE);
    const loaded = once(this.#events, `${sessionId} Page.loadEventFired`, { signal });
    const [{ errorText }] = await Promise.all([this.#call('Page.navigate', { url }, sessionId), loaded]);
    if (errorText) throw this.#error(`${url}: ${errorText}`);
    return {
      run: (body, ...args) => this.#run(sessionId, body, args),
      close: () => this.#call('Target.closeTarget', { targetId }),
    };
  }

  async close() {
    this.#call('Browser.close').catch(() => {});
    const timer = setTimeout(() => this.#kill(), STOP_DEADLINE);
    await this.#exited;
    clearTimeout(timer);
    this.#kill();
  }

  /** Calls a function in the page, which sees nothing of what is around it here; arguments and result go as JSON. */
  async #run(sessionId, body, args) {
    const expression = `(${body})(...${JSON.stringify(args)})`;
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails: thrown } = await this.#call('Runtime.evaluate', options, sessionId);
    if (!thrown) return result.value;
    const { description, value } = thrown.exception ?? {};
    throw new Error(`in the page: ${description ?? value ?? thrown.text}`);
  }

  #call(method, params = {}, sessionId) {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end);
      const id = ++this.#lastId;
      const timer = setTimeout(() => reject(this.#error(`${method}: no answer`)), CALL_DEADLINE).unref();
      const settle = (how) => (what) => (clearTimeout(timer), how(what));
      this.#calls.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  #receive({ id, result, error, method, params, sessionId }) {
    if (id === undefined) return void this.#events.emit(`${sessionId} ${method}`, params);
    const { resolve, reject } = this.#calls.get(id);
    this.#calls.delete(id);
    if (error) reject(this.#error(error.message));
    else resolve(result);
  }

  #error(what) {
    return new Error(`${what}\n${this.#complaints.slice(-2000)}`);
  }

  #kill() {
    try {
      process.kill(-this.#process.pid, 'SIGKILL');
    } catch {}
  }
}
