import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { BlobServiceClient, StorageSharedKeyCredential, newPipeline } from '@azure/storage-blob';
const [url, account, key, mibs, what] = process.argv.slice(2);
const mib = Number(mibs);
const service = new BlobServiceClient(url, newPipeline(new StorageSharedKeyCredential(account, key)));
const c = service.getContainerClient('dlx');
await c.createIfNotExists();
const b = c.getBlockBlobClient('js');
const BLOCK = 8 << 20;
const block = randomBytes(BLOCK);
await b.uploadStream(Readable.from((function* () { for (let i = 0; i < mib / 8; i++) yield block; })()), BLOCK, 8);
const slice = Math.min(mib, 128) << 20;
const buffer = Buffer.alloc(slice);
for (let round = 0; round < 3; round++) {
  const t = process.hrtime.bigint(), c0 = process.cpuUsage();
  for (let at = 0; at < mib * 2 ** 20; at += slice) await b.downloadToBuffer(buffer, at, slice, { blockSize: BLOCK, concurrency: 8 });
  const s = Number(process.hrtime.bigint() - t) / 1e9, u = process.cpuUsage(c0);
  console.log(what, 'download MiB/s', (mib / s).toFixed(0), 'client cpu ms/GiB user', (u.user / mib * 1.024).toFixed(0), 'sys', (u.system / mib * 1.024).toFixed(0));
}
