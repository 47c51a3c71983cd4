import { BlobServiceClient, StorageSharedKeyCredential, newPipeline } from '@azure/storage-blob';
const [url, account, key] = process.argv.slice(2);
const c = new BlobServiceClient(url, newPipeline(new StorageSharedKeyCredential(account, key))).getContainerClient('names');
await c.createIfNotExists();
for (const n of ["it's \"q\" & <b>.mp4", "tab\there", "nl\nx", "é😀", "a&#39;b", "cr\rx", "\u0000nul", " lead"]) await c.getBlockBlobClient(n).upload('x', 1);
for await (const b of c.listBlobsFlat()) console.log(JSON.stringify(b.name));
