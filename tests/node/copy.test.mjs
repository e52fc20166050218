// The official Node.js SDK against the real binary, which serves from memory.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { startServer } from './server.mjs';

const COS = createRequire(import.meta.url)('cos-nodejs-sdk-v5');

const APPID = '1250000000';
const SECRET_ID = 'AKIDcosineNodeSuite0123456789abcdef';
const SECRET_KEY = 'cosineNodeSuiteSecretKey01234567';
const Region = 'ap-guangzhou';
const MIB = 1 << 20;
const IO_TIMEOUT = 60_000;
// Six parts of a mebibyte at most, the last one short.
const LARGE = randomBytes(5 * MIB + 12_345);
const META = { 'Content-Type': 'text/x-cosine', 'Cache-Control': 'max-age=60', 'x-cos-meta-color': 'green' };

// What would send requests elsewhere, or steer Cosine.
const { COSINE_BIN } = process.env;
for (const name of Object.keys(process.env)) {
  if (/^COSINE_|_proxy$/i.test(name)) delete process.env[name];
}

const directory = mkdtempSync(path.join(tmpdir(), 'cosine-node-'));
let address;
let stop;

// Not before: the SDK writes down its uploads a while after they end.
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

before(async () => {
  assert.ok(COSINE_BIN, 'set COSINE_BIN to the path of the cosine binary');
  const env = { ...process.env, COSINE_SECRET_ID: SECRET_ID, COSINE_SECRET_KEY: SECRET_KEY, COSINE_APPID: APPID };
  ({ address, stop } = await startServer(path.resolve(COSINE_BIN), ['dev'], { cwd: directory, env }));
});

after(() => stop?.());

/** One test: with a client, a bucket of its own, and what the client sent. */
function check(name, body) {
  test(name, { timeout: 2 * IO_TIMEOUT }, async () => {
    const cos = new COS({
      SecretId: SECRET_ID,
      SecretKey: SECRET_KEY,
      Protocol: 'http:',
      Ip: address,
      Timeout: IO_TIMEOUT,
      ConfCwd: directory,
    });
    const Bucket = `n${randomBytes(6).toString('hex')}-${APPID}`;
    const host = `${Bucket}.cos.${Region}.myqcloud.com`;
    const [sent, strange] = [[], []];
    cos.on('before-send', ({ method, url, qs, headers, body }) => {
      const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
      const request = { method, url, qs, headers: lower, body };
      sent.push(request);
      // The SDK hides what did not go well at once.
      const direct = lower.host === host && url.startsWith(`http://${address}/`);
      if ('x-cos-sdk-retry' in lower || !direct) strange.push(request);
    });
    await cos.putBucket({ Bucket, Region });
    await body({ cos, at: (Key) => ({ Bucket, Region, Key }), bucket: { Bucket, Region }, sent });
    assert.deepEqual(strange, []);
  });
}

const md5 = (data) => createHash('md5').update(data).digest();
const etagOf = (data) => `"${md5(data).toString('hex')}"`;

function parts(data, size = MIB) {
  return Array.from({ length: Math.ceil(data.length / size) }, (_, at) => data.subarray(at * size, (at + 1) * size));
}

/** What the ETag of an object made of parts is: the digest of theirs, and their number. */
function etagOfParts(etags) {
  for (const etag of etags) assert.match(etag, /^"[0-9a-f]{32}"$/);
  const digests = etags.map((etag) => Buffer.from(etag.slice(1, -1), 'hex'));
  return `"${md5(Buffer.concat(digests)).toString('hex')}-${etags.length}"`;
}

/**
 * The ETags of the parts of the object that was completed last. That of a copied range is no digest of its bytes,
 * which nobody has read.
 */
function etagsCompleted(sent) {
  const { body } = sent.findLast(({ method, qs }) => method === 'POST' && qs?.uploadId);
  return body.match(/(?<=<ETag>).*?(?=<\/ETag>)/g).map((etag) => etag.replaceAll('&quot;', '"'));
}

/** What the SDK wants to be told: the host of the source, and its key as it stands in a URL. */
function sourceOf({ Bucket, Key }, versionId) {
  const encoded = Key.split('/').map(encodeURIComponent).join('/');
  return `${Bucket}.cos.${Region}.myqcloud.com/${encoded}${versionId ? `?versionId=${versionId}` : ''}`;
}

/** The requests with a part number, in the order of it. */
function partsSent(sent) {
  return sent
    .filter(({ method, qs }) => method === 'PUT' && qs?.partNumber)
    .sort((one, other) => one.qs.partNumber - other.qs.partNumber);
}

/** The object has these bytes and this ETag, as GET and as HEAD see it; returns its headers. */
async function expectObject(cos, where, data, etag = etagOf(data)) {
  const got = await cos.getObject(where);
  assert.ok(got.Body.equals(data), `${where.Key}: ${got.Body.length} bytes of ${data.length}`);
  assert.equal(got.ETag, etag);
  const { headers } = await cos.headObject(where);
  assert.equal(headers.etag, etag);
  assert.equal(headers['content-length'], String(data.length));
  assert.equal(headers['x-cos-hash-crc64ecma'], got.headers['x-cos-hash-crc64ecma']);
  return headers;
}

function expectHeaders(headers, wanted) {
  for (const [name, value] of Object.entries(wanted)) assert.equal(headers[name.toLowerCase()], value, name);
}

const refused = (statusCode, code) => (error) => {
  assert.equal(error.statusCode, statusCode, error.stack);
  assert.equal(error.code, code);
  return true;
};

check('a copy has the bytes, the ETag and the metadata of its source', async ({ cos, at }) => {
  const contents = { 'dir/a b+c&腾讯云?#%41.txt': Buffer.from('text'), large: LARGE, empty: Buffer.alloc(0) };
  for (const [Key, data] of Object.entries(contents)) {
    const put = await cos.putObject({ ...at(Key), Headers: { ...META }, Body: data });
    assert.equal(put.ETag, etagOf(data));
    const source = await expectObject(cos, at(Key), data);
    expectHeaders(source, META);
    const made = await cos.putObjectCopy({ ...at(`copy/${Key}`), CopySource: sourceOf(at(Key)) });
    assert.equal(made.ETag, etagOf(data));
    const copy = await expectObject(cos, at(`copy/${Key}`), data);
    expectHeaders(copy, { ...META, 'x-cos-hash-crc64ecma': source['x-cos-hash-crc64ecma'] });
  }
  const nothing = { ...at('copy'), CopySource: sourceOf(at('nothing')) };
  await assert.rejects(cos.putObjectCopy(nothing), refused(404, 'NoSuchKey'));
  await assert.rejects(cos.headObject(at('copy')), refused(404, '404'));
});

check('Replaced keeps the bytes and takes new metadata, also onto the source itself', async ({ cos, at }) => {
  const data = Buffer.from('Replaced'.repeat(10_000));
  await cos.putObject({ ...at('source'), Headers: { ...META, 'x-cos-meta-old': 'gone' }, Body: data });
  const replaced = { 'Content-Type': 'application/x-new', 'x-cos-meta-color': 'red' };
  for (const Key of ['copy', 'source']) {
    const made = await cos.putObjectCopy({
      ...at(Key),
      CopySource: sourceOf(at('source')),
      Headers: { ...replaced, 'x-cos-metadata-directive': 'Replaced' },
    });
    assert.equal(made.ETag, etagOf(data));
    const headers = await expectObject(cos, at(Key), data);
    expectHeaders(headers, { ...replaced, 'x-cos-meta-old': undefined, 'cache-control': undefined });
  }
});

check('an old version is copied by its versionId, whole and as a part', async ({ cos, at, bucket }) => {
  assert.deepEqual((await cos.getBucketVersioning(bucket)).VersioningConfiguration, {});
  await cos.putBucketVersioning({ ...bucket, VersioningConfiguration: { Status: 'Enabled' } });
  assert.equal((await cos.getBucketVersioning(bucket)).VersioningConfiguration.Status, 'Enabled');

  const young = Buffer.from('young');
  const put = async (Body, color) => {
    const { headers } = await cos.putObject({ ...at('key'), Body, Headers: { 'x-cos-meta-color': color } });
    return headers['x-cos-version-id'];
  };
  const first = await put(LARGE, 'first');
  const second = await put(young, 'second');
  const marker = (await cos.deleteObject(at('key'))).headers['x-cos-version-id'];
  assert.equal(new Set([first, second, marker]).size, 3);
  const current = { ...at('copy'), CopySource: sourceOf(at('key')) };
  await assert.rejects(cos.putObjectCopy(current), refused(404, 'NoSuchKey'));

  for (const [version, data, color] of [[first, LARGE, 'first'], [second, young, 'second']]) {
    const made = await cos.putObjectCopy({ ...at('copy'), CopySource: sourceOf(at('key'), version) });
    assert.equal(made.ETag, etagOf(data));
    expectHeaders(await expectObject(cos, at('copy'), data), { 'x-cos-meta-color': color });
  }

  const { UploadId } = await cos.multipartInit(at('parts'));
  const CopySource = sourceOf(at('key'), first);
  const range = `bytes=7-${2 * MIB}`;
  const one = await cos.uploadPartCopy({ ...at('parts'), UploadId, PartNumber: 1, CopySource, CopySourceRange: range });
  const two = await cos.multipartUpload({ ...at('parts'), UploadId, PartNumber: 2, Body: young });
  const pieces = [LARGE.subarray(7, 2 * MIB + 1), young];
  assert.equal(two.ETag, etagOf(young));
  const Parts = [one, two].map(({ ETag }, before) => ({ PartNumber: before + 1, ETag }));
  const { ETag } = await cos.multipartComplete({ ...at('parts'), UploadId, Parts });
  assert.equal(ETag, etagOfParts([one.ETag, two.ETag]));
  await expectObject(cos, at('parts'), Buffer.concat(pieces), ETag);

  const listed = await cos.listObjectVersions({ ...bucket, Prefix: 'key' });
  assert.equal(listed.IsTruncated, 'false');
  assert.deepEqual(
    listed.Versions.map(({ VersionId, IsLatest, Size, ETag }) => [VersionId, IsLatest, Size, ETag]),
    [[second, 'false', String(young.length), etagOf(young)], [first, 'false', String(LARGE.length), etagOf(LARGE)]],
  );
  assert.deepEqual(listed.DeleteMarkers.map(({ VersionId, IsLatest }) => [VersionId, IsLatest]), [[marker, 'true']]);

  const deleted = await cos.deleteMultipleObject({ ...bucket, Objects: [{ Key: 'key', VersionId: marker }] });
  assert.equal(deleted.Deleted[0].DeleteMarkerVersionId, marker);
  await expectObject(cos, at('key'), young);
  await expectObject(cos, { ...at('key'), VersionId: first }, LARGE);
});

check('sliceCopyFile copies in parts, and keeps the metadata', async ({ cos, at, sent }) => {
  await cos.putObject({ ...at('dir/源 +'), Headers: { ...META }, Body: LARGE });
  const source = await expectObject(cos, at('dir/源 +'), LARGE);
  const copy = (Key, more) =>
    cos.sliceCopyFile({ ...at(Key), CopySource: sourceOf(at('dir/源 +')), CopyChunkSize: MIB, ...more });

  const made = await copy('copy', { CopySliceSize: MIB });
  assert.deepEqual(
    partsSent(sent).map(({ headers }) => headers['x-cos-copy-source-range']),
    parts(LARGE).map((piece, before) => `bytes=${before * MIB}-${before * MIB + piece.length - 1}`),
  );
  assert.equal(made.ETag, etagOfParts(etagsCompleted(sent)));
  const headers = await expectObject(cos, at('copy'), LARGE, made.ETag);
  expectHeaders(headers, { ...META, 'x-cos-hash-crc64ecma': source['x-cos-hash-crc64ecma'] });

  sent.length = 0;
  const whole = await copy('whole', { CopySliceSize: LARGE.length });
  assert.deepEqual(partsSent(sent), []);
  assert.equal(whole.ETag, etagOf(LARGE));
  expectHeaders(await expectObject(cos, at('whole'), LARGE), META);

  const again = await cos.putObjectCopy({ ...at('again'), CopySource: sourceOf(at('copy')) });
  assert.equal(again.ETag, made.ETag);
  await expectObject(cos, at('again'), LARGE, made.ETag);
});

check('uploadFile and sliceUploadFile upload in parts, and the result can be copied', async ({ cos, at, sent }) => {
  const FilePath = path.join(directory, 'large.bin');
  await writeFile(FilePath, LARGE);
  for (const upload of ['uploadFile', 'sliceUploadFile']) {
    sent.length = 0;
    const done = await cos[upload]({ ...at(upload), FilePath, SliceSize: MIB, Headers: { ...META } });
    assert.deepEqual(partsSent(sent).map(({ qs }) => qs.partNumber), [1, 2, 3, 4, 5, 6]);
    assert.equal(done.ETag, etagOfParts(parts(LARGE).map(etagOf)));
    expectHeaders(await expectObject(cos, at(upload), LARGE, done.ETag), META);
    const copied = { ...at(`${upload} copied`), CopySource: sourceOf(at(upload)) };
    const copy = await cos.sliceCopyFile({ ...copied, CopySliceSize: 0, CopyChunkSize: 2 * MIB });
    assert.equal(etagsCompleted(sent).length, 3);
    assert.equal(copy.ETag, etagOfParts(etagsCompleted(sent)));
    await expectObject(cos, at(`${upload} copied`), LARGE, copy.ETag);
  }
  sent.length = 0;
  const done = await cos.uploadFile({ ...at('one'), FilePath, SliceSize: 6 * MIB });
  assert.deepEqual(partsSent(sent), []);
  assert.equal(done.ETag, etagOf(LARGE));
  await expectObject(cos, at('one'), LARGE);
});

check('uploads under way are listed with their parts, and gone once they are aborted', async ({ cos, at, bucket }) => {
  const { UploadId } = await cos.multipartInit(at('dir/upload'));
  const other = await cos.multipartInit(at('other'));
  for (const [before, Body] of parts(LARGE).entries()) {
    await cos.multipartUpload({ ...at('dir/upload'), UploadId, PartNumber: before + 1, Body });
  }
  const list = async (options) => {
    const { Upload } = await cos.multipartList({ ...bucket, ...options });
    return Upload.map((upload) => [upload.Key, upload.UploadId]);
  };
  assert.deepEqual(await list({}), [['dir/upload', UploadId], ['other', other.UploadId]]);
  assert.deepEqual(await list({ Prefix: 'dir/' }), [['dir/upload', UploadId]]);

  const seen = [];
  let marker;
  for (let truncated = 'true'; truncated === 'true'; ) {
    const page = await cos.multipartListPart({ ...at('dir/upload'), UploadId, MaxParts: 4, PartNumberMarker: marker });
    seen.push(...page.Part.map(({ PartNumber, ETag, Size }) => [PartNumber, ETag, Size]));
    [truncated, marker] = [page.IsTruncated, page.NextPartNumberMarker];
  }
  const described = parts(LARGE).map((piece, before) => [String(before + 1), etagOf(piece), String(piece.length)]);
  assert.deepEqual(seen, described);

  await cos.multipartAbort({ ...at('dir/upload'), UploadId });
  assert.deepEqual(await list({}), [['other', other.UploadId]]);
  await assert.rejects(cos.multipartListPart({ ...at('dir/upload'), UploadId }), refused(404, 'NoSuchUpload'));
  await assert.rejects(cos.headObject(at('dir/upload')), refused(404, '404'));
});

check('deleteMultipleObject deletes what it names, and a copy outlives its source', async ({ cos, at, bucket }) => {
  const keys = ['a b', 'dir/腾讯&<>"', 'kept'];
  for (const Key of keys) await cos.putObject({ ...at(Key), Body: LARGE });
  await cos.putObjectCopy({ ...at('copy'), CopySource: sourceOf(at('dir/腾讯&<>"')) });
  const Objects = [...keys.slice(0, 2), 'never was'].map((Key) => ({ Key }));
  const { Deleted, Error } = await cos.deleteMultipleObject({ ...bucket, Objects });
  assert.deepEqual(Deleted.map(({ Key }) => Key), Objects.map(({ Key }) => Key));
  assert.deepEqual(Error, []);
  const { Contents } = await cos.getBucket(bucket);
  assert.deepEqual(Contents.map(({ Key }) => Key), ['copy', 'kept']);
  await expectObject(cos, at('copy'), LARGE);
});

/** A key of a customer's: as the SDK takes it, and as headers of a copy's source. */
function customerKey(fill) {
  const key = Buffer.alloc(32, fill);
  const [algorithm, base64, digest] = ['AES256', key.toString('base64'), md5(key).toString('base64')];
  const prefix = 'x-cos-copy-source-server-side-encryption-customer-';
  return {
    options: { SSECustomerAlgorithm: algorithm, SSECustomerKey: base64, SSECustomerKeyMD5: digest },
    source: { [`${prefix}algorithm`]: algorithm, [`${prefix}key`]: base64, [`${prefix}key-MD5`]: digest },
  };
}

const [ONE, TWO] = [customerKey(1), customerKey(2)];

/** The object has these bytes, opens with this key, and with nothing else. */
async function expectLocked(cos, where, data, { options }, wrong) {
  const got = await cos.getObject({ ...where, ...options });
  assert.ok(got.Body.equals(data), `${where.Key}: ${got.Body.length} bytes of ${data.length}`);
  assert.notEqual(got.ETag, etagOf(data));
  const { headers } = await cos.headObject({ ...where, ...options });
  expectHeaders(headers, {
    etag: got.ETag,
    'x-cos-server-side-encryption-customer-algorithm': 'AES256',
    'x-cos-server-side-encryption-customer-key-MD5': options.SSECustomerKeyMD5,
  });
  const range = await cos.getObject({ ...where, ...options, Range: 'bytes=7-99999' });
  assert.ok(range.Body.equals(data.subarray(7, 100_000)));
  for (const other of [{}, wrong.options]) {
    await assert.rejects(cos.getObject({ ...where, ...other }), (error) => error.statusCode === 400);
  }
  return got.ETag;
}

check('what a customer encrypts is copied under another key, and to none and back', async ({ cos, at }) => {
  await cos.putObject({ ...at('source'), ...ONE.options, Body: LARGE });
  const etag = await expectLocked(cos, at('source'), LARGE, ONE, TWO);
  const copy = (Key, from, key, options) =>
    cos.putObjectCopy({ ...at(Key), CopySource: sourceOf(at(from)), Headers: { ...key }, ...options });

  await copy('two', 'source', ONE.source, TWO.options);
  assert.notEqual(await expectLocked(cos, at('two'), LARGE, TWO, ONE), etag);
  await expectLocked(cos, at('source'), LARGE, ONE, TWO);

  await copy('plain', 'two', TWO.source, {});
  await expectObject(cos, at('plain'), LARGE);
  await copy('back', 'plain', {}, ONE.options);
  assert.equal(await expectLocked(cos, at('back'), LARGE, ONE, TWO), etag);

  await assert.rejects(copy('none', 'source', {}, TWO.options), (error) => error.statusCode === 400);
  await assert.rejects(copy('none', 'source', TWO.source, TWO.options), (error) => error.statusCode === 400);
  await assert.rejects(cos.headObject(at('none')), refused(404, '404'));
});

check('what a customer encrypts is uploaded and copied in parts', async ({ cos, at }) => {
  await cos.putObject({ ...at('source'), ...TWO.options, Body: LARGE });
  const { UploadId } = await cos.multipartInit({ ...at('parts'), ...ONE.options });
  const upload = { ...at('parts'), UploadId, ...ONE.options };
  const range = { CopySource: sourceOf(at('source')), CopySourceRange: `bytes=7-${2 * MIB}` };
  const copied = await cos.uploadPartCopy({ ...upload, PartNumber: 1, ...range, Headers: { ...TWO.source } });
  const sent = await cos.multipartUpload({ ...upload, PartNumber: 2, Body: LARGE.subarray(0, MIB) });
  const Parts = [copied, sent].map(({ ETag }, before) => ({ PartNumber: before + 1, ETag }));
  await assert.rejects(
    cos.multipartUpload({ ...upload, ...TWO.options, PartNumber: 2, Body: LARGE }),
    (error) => error.statusCode === 400,
  );
  await cos.multipartComplete({ ...at('parts'), UploadId, Parts });
  const data = Buffer.concat([LARGE.subarray(7, 2 * MIB + 1), LARGE.subarray(0, MIB)]);
  await expectLocked(cos, at('parts'), data, ONE, TWO);
});

check('SSE-COS and SSE-KMS are named in answers, and copied into one another', async ({ cos, at }) => {
  const kinds = [
    [{ ServerSideEncryption: 'AES256' }, 'AES256'],
    [{ ServerSideEncryption: 'cos/kms', SSEContext: Buffer.from('{"a":"b"}').toString('base64') }, 'cos/kms'],
  ];
  for (const [options, shown] of kinds) {
    const encrypted = { 'x-cos-server-side-encryption': shown };
    expectHeaders((await cos.putObject({ ...at(shown), ...options, Body: LARGE })).headers, encrypted);
    const { headers, Body } = await cos.getObject(at(shown));
    assert.ok(Body.equals(LARGE));
    expectHeaders(headers, encrypted);
    for (const [other, name] of kinds) {
      const made = await cos.putObjectCopy({ ...at(`to ${name}`), CopySource: sourceOf(at(shown)), ...other });
      expectHeaders(made.headers, { 'x-cos-server-side-encryption': name });
      assert.ok((await cos.getObject(at(`to ${name}`))).Body.equals(LARGE));
      expectHeaders((await cos.headObject(at(`to ${name}`))).headers, { 'x-cos-server-side-encryption': name });
    }
  }
});
