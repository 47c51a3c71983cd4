// The blob endpoint with the unmodified @azure/storage-blob.
//   node blob.mjs test URL ACCOUNT KEY                every operation, once
//   node blob.mjs bench URL ACCOUNT KEY MIB CONTAINER  times one big blob, as JSON
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AccountSASPermissions, BlobServiceClient, BlockBlobClient, ContainerSASPermissions, StorageSharedKeyCredential, newPipeline,
} from '@azure/storage-blob';

const [mode, url, account, key, ...rest] = process.argv.slice(2);
const service = new BlobServiceClient(url, newPipeline(new StorageSharedKeyCredential(account, key), { retryOptions: { maxTries: 1 } }));
const BLOCK = 8 << 20;

async function fails(status, code, promise) {
  await assert.rejects(promise, (e) => {
    assert.equal(e.statusCode, status, e.message);
    assert.equal(e.code ?? e.details?.errorCode, code);
    return true;
  });
}

async function names(iterator) {
  const list = [];
  for await (const b of iterator) list.push(b.name);
  return list;
}

async function drain(stream) {
  const parts = [];
  for await (const p of stream) parts.push(p);
  return Buffer.concat(parts);
}

async function test() {
  const c = service.getContainerClient('js-' + Date.now());
  await c.create({ metadata: { owner: 'me' } });
  await fails(409, 'ContainerAlreadyExists', c.create());
  assert.equal((await c.getProperties()).metadata.owner, 'me');
  const data = randomBytes(3 << 20);
  const b = c.getBlockBlobClient('dir/ein Film ü.mp4');
  await b.upload(data, data.length, { blobHTTPHeaders: { blobContentType: 'video/mp4' }, metadata: { a_b: '1', ab: '2' }, tags: { k: 'v' } });
  await fails(409, 'BlobAlreadyExists', b.upload('x', 1, { conditions: { ifNoneMatch: '*' } }));
  assert.deepEqual(await b.downloadToBuffer(), data);
  assert.deepEqual(await drain((await b.download(5, 10)).readableStreamBody), data.subarray(5, 15));
  assert.equal((await b.getProperties()).contentType, 'video/mp4');
  assert.deepEqual((await b.getTags()).tags, { k: 'v' });
  const summed = { contentChecksumAlgorithm: 'StorageCrc64' };
  await b.upload(data, data.length, summed);
  assert.deepEqual(await drain((await b.download(0, undefined, summed)).readableStreamBody), data);
  assert.deepEqual(await drain((await b.download(5, 10, summed)).readableStreamBody), data.subarray(5, 15));
  await b.setTags({ k: 'v' });
  assert.deepEqual((await b.getTags()).tags, { k: 'v' });
  await b.setMetadata({ m: 'n' });
  await b.setHTTPHeaders({ blobContentType: 'text/plain' });
  await b.setAccessTier('Cool');
  assert.equal((await b.getProperties()).accessTier, 'Cool');
  // blocks
  const big = c.getBlockBlobClient('big');
  await big.uploadStream(Readable.from([data, data]), 1 << 20, 4);
  assert.deepEqual(await big.downloadToBuffer(), Buffer.concat([data, data]));
  assert.equal((await big.getBlockList('all')).committedBlocks.length, 6);
  await big.stageBlock(Buffer.from('a').toString('base64'), 'x', 1);
  await fails(400, 'InvalidBlockList', big.commitBlockList([Buffer.from('z').toString('base64')]));
  // leases
  const lease = b.getBlobLeaseClient();
  await lease.acquireLease(15);
  await fails(412, 'LeaseIdMissing', b.upload('y', 1));
  await b.upload('y', 1, { conditions: { leaseId: lease.leaseId } });
  await lease.renewLease();
  await lease.releaseLease();
  const box = c.getBlobLeaseClient();
  await box.acquireLease(-1);
  await fails(412, 'LeaseIdMissing', c.delete());
  await box.breakLease(0);
  // snapshots
  const { snapshot } = await b.createSnapshot();
  await b.upload('z', 1);
  assert.equal(String(await b.withSnapshot(snapshot).downloadToBuffer()), 'y');
  assert.equal((await names(c.listBlobsFlat({ includeSnapshots: true, prefix: 'dir/' }))).length, 2);
  await fails(409, 'SnapshotsPresent', b.delete());
  // copies
  const poller = await c.getBlobClient('copy').beginCopyFromURL(big.url);
  assert.equal((await poller.pollUntilDone()).copyStatus, 'success');
  const sas = await c.generateSasUrl({ permissions: ContainerSASPermissions.parse('rcwl'), expiresOn: new Date(Date.now() + 3600e3) });
  const [base, query] = sas.split('?');
  await c.getBlockBlobClient('from-url').syncUploadFromURL(`${base}/big?${query}`);
  const parts = c.getBlockBlobClient('parts');
  await parts.stageBlockFromURL('AAAA', `${base}/big?${query}`, 1, 4);
  await parts.commitBlockList(['AAAA']);
  assert.deepEqual(await parts.downloadToBuffer(), data.subarray(1, 5));
  await fails(404, 'CannotVerifyCopySource', parts.syncCopyFromURL(`${base}/absent?${query}`));
  // lists
  assert.deepEqual(await names(c.listBlobsFlat()), ['big', 'copy', 'dir/ein Film ü.mp4', 'from-url', 'parts']);
  const pages = [];
  for await (const p of c.listBlobsByHierarchy('/').byPage({ maxPageSize: 2 })) {
    pages.push((p.segment.blobPrefixes ?? []).length + p.segment.blobItems.length);
  }
  assert.deepEqual(pages, [2, 2, 1]);
  const strange = ['\u0000nul', ' lead', "a&#39;b's", 'cr\rx', 'nl\nx', 'q"<&>.mp4', 'tab\tx', 'é😀'];
  const odd = service.getContainerClient('odd-' + Date.now());
  await odd.create();
  for (const name of strange) await odd.getBlockBlobClient(name).upload(name, Buffer.byteLength(name), { metadata: { m: `it's "x"` } });
  for await (const found of odd.listBlobsFlat({ includeMetadata: true })) {
    assert.equal(found.name, strange.shift());
    assert.equal(found.metadata.m, `it's "x"`);
    assert.equal(String(await odd.getBlobClient(found.name).downloadToBuffer()), found.name);
  }
  assert.deepEqual(strange, []);
  // signatures
  const only = new BlobServiceClient(service.generateAccountSasUrl(new Date(Date.now() + 3600e3), AccountSASPermissions.parse('rl'), 'sco'));
  assert.ok((await names(only.listContainers())).includes(c.containerName));
  await fails(403, 'AuthorizationPermissionMismatch', only.getContainerClient(c.containerName).getBlobClient('big').delete());
  await c.setAccessPolicy(undefined, [{ id: 'reads', accessPolicy: { permissions: 'r', expiresOn: new Date(Date.now() + 3600e3) } }]);
  assert.deepEqual((await c.getAccessPolicy()).signedIdentifiers.map((p) => p.id), ['reads']);
  const byPolicy = await c.generateSasUrl({ identifier: 'reads' }).then((u) => u.split('?'));
  const policed = new BlockBlobClient(`${byPolicy[0]}/big?${byPolicy[1]}`);
  assert.equal((await policed.download(0, 1)).contentLength, 1);
  await fails(403, 'AuthorizationPermissionMismatch', policed.upload('x', 1));
  await c.setAccessPolicy('blob');
  await fails(403, 'AuthenticationFailed', policed.download(0, 1));
  assert.equal((await new BlockBlobClient(big.url).download(0, 1)).contentLength, 1); // public
  await c.setAccessPolicy();
  await fails(401, 'NoAuthenticationInformation', new BlockBlobClient(big.url).download(0, 1));
  // conditions, ranges and sums that do not hold
  const etag = (await big.getProperties()).etag;
  await fails(304, 'ConditionNotMet', big.download(0, 1, { conditions: { ifNoneMatch: etag } }));
  await fails(412, 'ConditionNotMet', big.download(0, 1, { conditions: { ifMatch: '"0x1"' } }));
  await fails(412, 'ConditionNotMet', big.upload('x', 1, { conditions: { ifUnmodifiedSince: new Date(0) } }));
  await fails(412, 'ConditionNotMet', big.delete({ conditions: { ifMatch: '"0x1"' } }));
  await fails(416, 'InvalidRange', big.download(2 * data.length, 1));
  await fails(400, 'Md5Mismatch', big.stageBlock('AAAA', 'x', 1, { transactionalContentMD5: new Uint8Array(16) }));
  await fails(400, 'Crc64Mismatch', big.stageBlock('AAAA', 'x', 1, { transactionalContentCrc64: new Uint8Array(8) }));
  assert.equal((await big.download(0, 4, { rangeGetContentMD5: true })).contentMD5.length, 16);
  await fails(404, 'BlobNotFound', c.getBlobClient('absent').getProperties());
  await fails(404, 'ContainerNotFound', service.getContainerClient('absent').create().then(() => service.getContainerClient('absent').delete()).then(() => service.getContainerClient('absent').getProperties()));
  await fails(409, 'NoPendingCopyOperation', big.abortCopyFromURL('00000000-0000-0000-0000-000000000000'));
  await fails(400, 'InvalidHeaderValue', c.getPageBlobClient('page').create(512));
  await fails(400, 'InvalidHeaderValue', c.getAppendBlobClient('append').create());
  await c.setMetadata({ owner: 'you' });
  assert.equal((await c.getProperties()).metadata.owner, 'you');
  // service
  await service.setProperties({ cors: [{ allowedOrigins: '*', allowedMethods: 'GET', allowedHeaders: '', exposedHeaders: '', maxAgeInSeconds: 5 }] });
  assert.equal((await service.getProperties()).cors[0].allowedOrigins, '*');
  await service.setProperties({ cors: [] });
  assert.equal((await service.getAccountInfo()).accountKind, 'StorageV2');
  const batch = await service.getBlobBatchClient().deleteBlobs([c.getBlobClient('parts'), c.getBlobClient('absent'), c.getBlobClient('copy')]);
  assert.deepEqual(batch.subResponses.map((r) => r.status), [202, 404, 202]);
  assert.equal(batch.subResponses[1].errorCode, 'BlobNotFound');
  await b.delete({ deleteSnapshots: 'include' });
  assert.equal(await b.exists(), false);
  await c.delete();
  console.log('ok');
}

async function bench(mib, container) {
  const c = service.getContainerClient(container);
  await c.createIfNotExists();
  const b = c.getBlockBlobClient('js');
  const block = randomBytes(BLOCK);
  const seconds = async (f) => {
    const from = process.hrtime.bigint();
    await f();
    return Number(process.hrtime.bigint() - from) / 1e9;
  };
  const upload = await seconds(() => b.uploadStream(Readable.from((function* () {
    for (let i = 0; i < mib / 8; i++) yield block;
  })()), BLOCK, 8));
  const slice = Math.min(mib, 128) << 20;
  const buffer = Buffer.alloc(slice);
  const before = process.cpuUsage();
  const download = await seconds(async () => {
    for (let at = 0; at < mib * 2 ** 20; at += slice) {
      await b.downloadToBuffer(buffer, at, slice, { blockSize: BLOCK, concurrency: 8 });
    }
  });
  const used = process.cpuUsage(before);
  const stream = await seconds(async () => {
    for await (const p of (await b.download()).readableStreamBody) void p;
  });
  await b.delete();
  console.log(JSON.stringify({ upload: mib / upload, download: mib / download, stream: mib / stream, downloadCPU: (used.user + used.system) / 1e6 }));
}

await (mode === 'test' ? test() : bench(Number(rest[0]), rest[1]));
