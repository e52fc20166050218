// The official browser SDK, and the forms of COS, in a real Chromium against the real binary. The page has temporary
// credentials for what is below page/, and comes from another origin than the bucket: what it may do, and what it sees
// of the answers, the browser enforces.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { Chromium } from './chromium.mjs';
import { startServer } from './server.mjs';

const require = createRequire(import.meta.url);
const COS = require('cos-nodejs-sdk-v5');
const STS = require('qcloud-cos-sts');

const APPID = '1250000000';
const SECRET_ID = 'AKIDcosineBrowserSuite0123456789ab';
const SECRET_KEY = 'cosineBrowserSuiteSecretKey01234';
const Region = 'ap-guangzhou';
const Bucket = `page-${APPID}`;
const MIB = 1 << 20;
const IO_TIMEOUT = 60_000;
const LARGE = randomBytes(2.5 * MIB);
const EXPOSED = ['ETag', 'x-cos-request-id', 'x-cos-hash-crc64ecma', 'Content-Length', 'x-cos-version-id'];
const ACTIONS = [
  'PutObject',
  'GetObject',
  'HeadObject',
  'DeleteObject',
  'PostObject',
  'GetBucket',
  'InitiateMultipartUpload',
  'ListMultipartUploads',
  'ListParts',
  'UploadPart',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
];

// What would send requests elsewhere, or steer Cosine.
const { COSINE_BIN } = process.env;
for (const name of Object.keys(process.env)) {
  if (/^COSINE_|_proxy$/i.test(name)) delete process.env[name];
}

const directory = mkdtempSync(path.join(tmpdir(), 'cosine-browser-'));
/** What the pages' own server has. */
const FILES = {
  '/': ['text/html', '<!doctype html><meta charset=utf-8><title>page</title><script src=/sdk.js></script><body>'],
  '/sdk.js': ['text/javascript', readFileSync(require.resolve('cos-js-sdk-v5/dist/cos-js-sdk-v5.min.js'))],
  '/large.bin': ['application/octet-stream', LARGE],
  '/done.html': ['text/html', '<!doctype html><title>done</title>'],
};
const site = http.createServer(({ url }, response) => {
  const [type, file] = FILES[url.split('?')[0]] ?? [];
  if (file) response.writeHead(200, { 'Content-Type': type }).end(file);
  else response.writeHead(404).end();
});
let server;
let chromium;
/** The bucket, as the browser names it. */
let domain;
/** Where the page is from, and where one is from that no rule allows. */
let origin;
let strange;
/** Keys of a user who may do everything in the bucket, and temporary ones made with them. */
let lasting;
let temporary;
/** The Node.js SDK with the root's keys: it sees what has become of the bucket. */
let cos;

process.on('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 10 }));

before(async () => {
  assert.ok(COSINE_BIN, 'set COSINE_BIN to the path of the cosine binary');
  const binary = path.resolve(COSINE_BIN);
  const env = { ...process.env, COSINE_SECRET_ID: SECRET_ID, COSINE_SECRET_KEY: SECRET_KEY, COSINE_APPID: APPID };
  server = await startServer(binary, ['serve', '--data', 'data'], { cwd: directory, env });
  const { address } = server;
  domain = `${Bucket}.cos.${Region}.localhost:${address.split(':')[1]}`;

  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  const { port } = site.address();
  origin = `http://page.localhost:${port}`;
  strange = `http://strange.localhost:${port}`;
  cos = clientOf({ SecretId: SECRET_ID, SecretKey: SECRET_KEY });
  await cos.putBucket({ Bucket, Region });
  const rule = {
    AllowedOrigin: [origin],
    AllowedMethod: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'],
    AllowedHeader: ['*'],
    ExposeHeader: EXPOSED,
    MaxAgeSeconds: '5',
  };
  await cos.putBucketCors({ Bucket, Region, CORSRules: [rule] });

  const statement = { effect: 'allow', action: 'name/cos:*', resource: `qcs::cos:${Region}:uid/${APPID}:${Bucket}/*` };
  writeFileSync(path.join(directory, 'policy.json'), JSON.stringify({ version: '2.0', statement: [statement] }));
  const add = ['admin', 'user', 'add', '--name', 'page', '--policy', 'policy.json', '--json'];
  const options = { cwd: directory, env, timeout: IO_TIMEOUT };
  const user = JSON.parse(execFileSync(binary, [...add, '--endpoint', `http://${address}`], options));
  lasting = { SecretId: user.secret_id, SecretKey: user.secret_key };
  temporary = await narrowed(lasting);

  chromium = new Chromium(directory);
});

after(async () => {
  await chromium?.close();
  site.close();
  site.closeAllConnections();
  await server?.stop();
});

function clientOf(keys) {
  return new COS({ ...keys, Protocol: 'http:', Ip: server.address, Timeout: IO_TIMEOUT, ConfCwd: directory });
}

/** Temporary credentials for what is below page/, from the official package, which knows https only. */
async function narrowed({ SecretId, SecretKey }) {
  const axios = createRequire(require.resolve('qcloud-cos-sts'))('axios');
  const direct = { url: `http://${server.address}/`, timeout: IO_TIMEOUT };
  axios.interceptors.request.use((config) => Object.assign(config, direct));
  const action = ACTIONS.map((name) => `name/cos:${name}`);
  const policy = STS.getPolicy([{ action, bucket: Bucket, region: Region, prefix: 'page/*' }]);
  const options = { secretId: SecretId, secretKey: SecretKey, region: Region, policy };
  const { credentials, startTime, expiredTime } = await STS.getCredential(options);
  return {
    TmpSecretId: credentials.tmpSecretId,
    TmpSecretKey: credentials.tmpSecretKey,
    SecurityToken: credentials.sessionToken,
    StartTime: startTime,
    ExpiredTime: expiredTime,
  };
}

/** One test, with a page of its own. */
function check(name, body) {
  test(name, { timeout: 2 * IO_TIMEOUT }, async () => {
    const page = await chromium.open(`${origin}/`);
    await page.run(prepare, domain, temporary);
    await body(page);
    await page.close();
  });
}

/** Runs in a page, as all that `run` is given: its client, and what makes results small and errors results. */
function prepare(domain, credentials) {
  window.clientOf = (credentials) =>
    new COS({
      Protocol: 'http:',
      Domain: domain,
      getAuthorization: (_, give) => give(credentials),
      CopySourceParser(source) {
        const [, Bucket, Region, Key] = /^([^.]+)\.cos\.([^.]+)\.localhost:\d+\/(.+)$/.exec(source);
        return { Bucket, Region, Key };
      },
    });
  window.client = clientOf(credentials);
  window.large = async () => new File([await (await fetch('/large.bin')).blob()], 'large.bin');
  window.digest = async (data) => {
    const digest = await crypto.subtle.digest('SHA-256', data);
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  };
  window.refusal = (promise) =>
    promise.then(
      () => 'not refused',
      ({ statusCode, code }) => ({ statusCode, code }),
    );
}

const hash = (algorithm, data) => createHash(algorithm).update(data).digest('hex');
const sha256 = (data) => hash('sha256', data);
const hmac = (key, data) => createHmac('sha1', key).update(data).digest('hex');
const etagOf = (data) => `"${hash('md5', data)}"`;
const at = (Key) => ({ Bucket, Region, Key });
const denied = { statusCode: 403, code: 'AccessDenied' };
const mismatch = { statusCode: 403, code: 'SignatureDoesNotMatch' };

/** What the ETag of an object made of parts is: the digest of theirs, and their number. */
function etagOfParts(data) {
  const parts = Array.from({ length: Math.ceil(data.length / MIB) }, (_, n) => data.subarray(n * MIB, (n + 1) * MIB));
  const digests = parts.map((part) => createHash('md5').update(part).digest());
  return `"${hash('md5', Buffer.concat(digests))}-${parts.length}"`;
}

/** The server has these bytes, with these headers. */
async function expectObject(Key, data, wanted) {
  const { Body, headers } = await cos.getObject(at(Key));
  assert.ok(Body.equals(data), `${Key}: ${Body.length} bytes of ${data.length}`);
  for (const [name, value] of Object.entries(wanted)) assert.equal(headers[name], value, name);
}

async function expectNothing(Key) {
  await assert.rejects(cos.headObject(at(Key)), { statusCode: 404 });
}

/** The request that a page would make of a signed URL, made by no browser. */
async function requestFromNode(url, { method, body, Origin }) {
  const { host, pathname, search } = new URL(url);
  const options = { method, path: pathname + search, headers: { Host: host, Origin }, timeout: IO_TIMEOUT };
  return new Promise((resolve, reject) => {
    const request = http.request(`http://${server.address}`, options, (response) => {
      const { statusCode: status, headers } = response;
      response.toArray().then((pieces) => resolve({ status, headers, body: Buffer.concat(pieces) }), reject);
    });
    request.on('error', reject).on('timeout', () => request.destroy(new Error('timeout')));
    request.end(body);
  });
}

check('a page puts, heads, gets, copies and deletes objects', async (page) => {
  const Key = 'page/dir/a b+c&腾讯云?#%41.txt';
  const text = '腾讯云 page\n'.repeat(1000);
  const data = Buffer.from(text);
  const headers = { 'content-type': 'text/x-page', 'x-cos-meta-color': 'green' };
  const put = await page.run((more) => client.putObject(more), { ...at(Key), Body: text, Headers: headers });
  assert.equal(put.statusCode, 200);
  assert.equal(put.ETag, etagOf(data));
  await expectObject(Key, data, { ...headers, etag: etagOf(data) });

  const head = await page.run((at) => client.headObject(at), at(Key));
  assert.equal(head.statusCode, 200);
  assert.equal(head.headers.etag, etagOf(data));
  assert.equal(head.headers['content-length'], String(data.length));
  assert.equal(head.headers['content-type'], 'text/x-page');
  assert.equal(head.headers['x-cos-hash-crc64ecma'], put.headers['x-cos-hash-crc64ecma']);
  assert.match(head.headers['x-cos-hash-crc64ecma'], /^\d+$/);
  assert.ok(head.headers['x-cos-request-id']);
  // It was sent, and is not among what the rule exposes.
  assert.equal(head.headers['x-cos-meta-color'], undefined);

  const got = await page.run((at) => client.getObject(at), at(Key));
  assert.equal(got.Body, text);
  assert.equal(got.ETag, etagOf(data));
  const range = await page.run((at) => client.getObject({ ...at, Range: 'bytes=10-14' }), at(Key));
  assert.equal(range.statusCode, 206);
  assert.equal(range.Body, data.subarray(10, 15).toString());
  assert.equal(range.headers['content-length'], '5');

  const CopySource = `${domain}/${Key.split('/').map(encodeURIComponent).join('/')}`;
  const copy = await page.run((more) => client.putObjectCopy(more), { ...at('page/copy'), CopySource });
  assert.equal(copy.ETag, etagOf(data));
  await expectObject('page/copy', data, headers);

  const { Contents } = await page.run((more) => client.getBucket(more), { Bucket, Region, Prefix: 'page/dir/' });
  const listed = Contents.map(({ Key, ETag, Size }) => [Key, ETag, Size]);
  assert.deepEqual(listed, [[Key, etagOf(data), String(data.length)]]);

  const deleted = await page.run((at) => client.deleteObject(at), at(Key));
  assert.equal(deleted.statusCode, 204);
  await expectNothing(Key);
  const gone = await page.run((at) => refusal(client.getObject(at)), at(Key));
  assert.deepEqual(gone, { statusCode: 404, code: 'NoSuchKey' });
});

check('a page uploads a file in parts, and downloads it', async (page) => {
  const Key = 'page/large.bin';
  const done = await page.run(
    async (at, size) => {
      const progress = [];
      const onProgress = ({ loaded }) => progress.push(loaded);
      const sizes = { SliceSize: size, ChunkSize: size };
      const { ETag } = await client.sliceUploadFile({ ...at, Body: await large(), ...sizes, onProgress });
      return { ETag, last: progress.at(-1) };
    },
    at(Key),
    MIB,
  );
  assert.deepEqual(done, { ETag: etagOfParts(LARGE), last: LARGE.length });
  await expectObject(Key, LARGE, { etag: etagOfParts(LARGE) });
  const got = await page.run(async (at) => {
    const { Body, ETag } = await client.getObject({ ...at, DataType: 'arraybuffer' });
    return { ETag, digest: await digest(Body) };
  }, at(Key));
  assert.deepEqual(got, { ETag: etagOfParts(LARGE), digest: sha256(LARGE) });
});

check('a page sees its uploads under way, and aborts them', async (page) => {
  const Key = 'page/under way';
  const { UploadId } = await page.run((at) => client.multipartInit(at), at(Key));
  const part = { ...at(Key), UploadId, PartNumber: 1, Body: 'one' };
  const one = await page.run((part) => client.multipartUpload(part), part);
  assert.equal(one.ETag, etagOf('one'));
  const list = async () => {
    const { Upload } = await page.run((more) => client.multipartList(more), { Bucket, Region, Prefix: Key });
    return Upload.map(({ Key, UploadId }) => [Key, UploadId]);
  };
  assert.deepEqual(await list(), [[Key, UploadId]]);
  const { Part } = await page.run((upload) => client.multipartListPart(upload), { ...at(Key), UploadId });
  assert.deepEqual(Part.map(({ PartNumber, ETag, Size }) => [PartNumber, ETag, Size]), [['1', etagOf('one'), '3']]);
  await page.run((upload) => client.multipartAbort(upload), { ...at(Key), UploadId });
  assert.deepEqual(await list(), []);
});

check('a page reads why it is refused what is not below its prefix', async (page) => {
  await cos.putObject({ ...at('private/key'), Body: 'private' });
  // The user may: it is the temporary credentials that may not.
  assert.equal((await clientOf(lasting).getObject(at('private/key'))).Body.toString(), 'private');
  const refused = await page.run(
    async (at, all, CopySource) => ({
      put: await refusal(client.putObject({ ...at, Body: 'page' })),
      // The answer is there long before the end of the body.
      large: await refusal(client.putObject({ ...at, Body: await large() })),
      slice: await refusal(client.sliceUploadFile({ ...at, Body: await large() })),
      get: await refusal(client.getObject(at)),
      remove: await refusal(client.deleteObject(at)),
      copy: await refusal(client.putObjectCopy({ ...at, Key: 'page/stolen', CopySource })),
      list: await refusal(client.getBucket(all)),
    }),
    at('private/key'),
    { Bucket, Region },
    `${domain}/private/key`,
  );
  for (const [name, refusal] of Object.entries(refused)) assert.deepEqual(refusal, denied, name);
  const head = await page.run((at) => refusal(client.headObject(at)), at('private/key'));
  assert.equal(head.statusCode, 403);
  const forged = { ...temporary, TmpSecretKey: 'forged' };
  const stolen = { ...at('page/stolen'), Body: 'page' };
  const put = await page.run((forged, stolen) => refusal(clientOf(forged).putObject(stolen)), forged, stolen);
  assert.deepEqual(put, mismatch);
  await expectObject('private/key', Buffer.from('private'), {});
  await expectNothing('page/stolen');
});

check('a page of an origin that no rule allows sees and changes nothing', async (page) => {
  const data = Buffer.from('seen');
  await cos.putObject({ ...at('page/seen'), Body: data });
  const sign = (more) => new Promise((give) => client.getObjectUrl(more, (_, { Url }) => give(Url)));
  const get = await page.run(sign, { ...at('page/seen'), Method: 'GET', Sign: true });
  const put = await page.run(sign, { ...at('page/put'), Method: 'PUT', Sign: true });
  const ask = (url, init) =>
    fetch(url, init).then(
      async (response) => ({ status: response.status, body: await response.text() }),
      (error) => error.name,
    );
  const write = { method: 'PUT', body: 'put' };

  const stranger = await chromium.open(`${strange}/`);
  assert.equal(await stranger.run(() => location.origin), strange);
  assert.equal(await stranger.run(ask, get), 'TypeError');
  assert.equal(await stranger.run(ask, put, write), 'TypeError');
  await stranger.close();
  await expectNothing('page/put');

  // The same requests are fine by themselves: it is the browser that asks first, and then does not show.
  const seen = await requestFromNode(get, { method: 'GET', Origin: strange });
  assert.deepEqual([seen.status, seen.body], [200, data]);
  assert.equal(seen.headers['access-control-allow-origin'], undefined);
  const written = await requestFromNode(put, { ...write, Origin: strange });
  assert.deepEqual([written.status, written.headers.etag], [200, etagOf('put')]);
  // And so they are from the page that a rule allows.
  assert.deepEqual(await page.run(ask, get), { status: 200, body: 'seen' });
  assert.deepEqual(await page.run(ask, put, write), { status: 200, body: '' });
});

/** The fields of a form that these keys sign, for this key alone. The policy is made as in COS's demonstration. */
function signedFields({ SecretId, SecretKey, Token }, key) {
  const now = Math.floor(Date.now() / 1000);
  const keyTime = `${now - 60};${now + 900}`;
  const policy = JSON.stringify({
    expiration: new Date((now + 900) * 1000).toISOString(),
    conditions: [
      { 'q-sign-algorithm': 'sha1' },
      { 'q-ak': SecretId },
      { 'q-sign-time': keyTime },
      { bucket: Bucket },
      { key },
    ],
  });
  return {
    key,
    policy: Buffer.from(policy).toString('base64'),
    'q-sign-algorithm': 'sha1',
    'q-ak': SecretId,
    'q-key-time': keyTime,
    'q-signature': hmac(hmac(SecretKey, keyTime), hash('sha1', policy)),
    ...(Token && { 'x-cos-security-token': Token }),
  };
}

/** By name, the keys that sign forms. */
function signers() {
  const { TmpSecretId: SecretId, TmpSecretKey: SecretKey, SecurityToken: Token } = temporary;
  return { lasting, temporary: { SecretId, SecretKey, Token } };
}

/** Runs in a page: sends a form, whose answer goes into a frame; returns where that is then. */
async function submit(action, fields, { text, name }) {
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const frame = make('iframe', { name: 'answer' });
  const form = make('form', { method: 'post', enctype: 'multipart/form-data', target: 'answer', action });
  for (const [name, value] of Object.entries(fields)) form.append(make('input', { type: 'hidden', name, value }));
  const file = make('input', { type: 'file', name: 'file' });
  const chosen = new DataTransfer();
  chosen.items.add(new File([text], name));
  file.files = chosen.files;
  form.append(file);
  document.body.append(frame, form);
  const answered = new Promise((resolve) => (frame.onload = resolve));
  form.submit();
  await answered;
  // Throws where the answer is not of this page's origin.
  const { href } = frame.contentWindow.location;
  frame.remove();
  form.remove();
  return href;
}

/** Runs in a page: sends the fields and a file by a script, a large one without a text; returns what it sees. */
async function send(url, fields, text) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', text === undefined ? await large() : new File([text], 'file'));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    // Who watches the progress has the browser ask first.
    let sent = 0;
    request.upload.onprogress = ({ loaded }) => (sent = loaded);
    request.onerror = () => reject(new Error('nothing to be seen of the answer'));
    request.onload = () => {
      const code = request.responseXML?.querySelector('Error > Code')?.textContent;
      resolve({ statusCode: request.status, etag: request.getResponseHeader('etag'), code, sent });
    };
    request.send(form);
  });
}

check('a form is sent, and its answer leads back to the page', async (page) => {
  for (const [name, keys] of Object.entries(signers())) {
    const [key, text] = [`page/form/腾讯 & ${name}`, `form ${name} 腾讯`];
    const fields = {
      ...signedFields(keys, key),
      'Content-Type': 'text/x-form',
      success_action_redirect: `${origin}/done.html`,
    };
    const href = await page.run(submit, `http://${domain}/`, fields, { text, name: '照片 "1".txt' });
    const url = new URL(href);
    assert.equal(url.origin + url.pathname, `${origin}/done.html`);
    assert.deepEqual(Object.fromEntries(url.searchParams), { bucket: Bucket, key, etag: etagOf(text) });
    await expectObject(key, Buffer.from(text), { 'content-type': 'text/x-form', etag: etagOf(text) });
  }
});

check('a form is sent by a script, which sees the answer', async (page) => {
  for (const [name, keys] of Object.entries(signers())) {
    const [key, text] = [`page/script/${name}`, `script ${name}`.repeat(10_000)];
    const fields = { ...signedFields(keys, key), 'Content-Type': 'text/x-script' };
    const { sent, ...answer } = await page.run(send, `http://${domain}/`, fields, text);
    assert.deepEqual(answer, { statusCode: 204, etag: etagOf(text) });
    assert.ok(sent > text.length, `${sent} bytes were seen to go`);
    await expectObject(key, Buffer.from(text), { 'content-type': 'text/x-script', etag: etagOf(text) });
  }
});

check('a form is refused that its policy or its signer does not allow, and a script sees why', async (page) => {
  const keys = signers();
  const expect = async (fields, wanted) => {
    for (const text of [['refused'], []]) {
      const { statusCode, code } = await page.run(send, `http://${domain}/`, fields, ...text);
      assert.deepEqual({ statusCode, code }, wanted);
    }
    await expectNothing(fields.key);
  };
  for (const signer of Object.values(keys)) {
    const fields = signedFields(signer, 'page/allowed');
    await expect({ ...fields, key: 'page/refused' }, denied);
    await expect({ ...fields, 'q-signature': hmac('other', 'key') }, mismatch);
  }
  await expect(signedFields(keys.temporary, 'private/refused'), denied);
});
