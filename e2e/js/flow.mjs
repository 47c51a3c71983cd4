// The main job with the official JavaScript SDKs: upload a file, encode it,
// publish it, and print the paths as JSON. Usage: node flow.mjs FILE
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AzureMediaServices } from '@azure/arm-mediaservices';
import { ClientSecretCredential } from '@azure/identity';
import { ContainerClient } from '@azure/storage-blob';
import { endpoints as e } from './endpoints.mjs';

const file = process.argv[2];
const credential = new ClientSecretCredential(e.tenantId, e.clientId, e.clientSecret, {
  authorityHost: e.authority,
  disableInstanceDiscovery: true, // or the SDK asks login.microsoftonline.com about the authority
});
const client = new AzureMediaServices(credential, e.subscriptionId, {
  endpoint: e.management,
  credentialScopes: [`${e.management}/.default`],
});
const at = [e.resourceGroup, e.accountName];

const account = await client.mediaservices.get(...at);
console.error(`account ${account.name} in ${account.location}`);

const input = await client.assets.createOrUpdate(...at, 'js-input', { description: 'from JavaScript' });
const sas = await client.assets.listContainerSas(...at, 'js-input', {
  permissions: 'ReadWrite',
  expiryTime: new Date(Date.now() + 3600_000),
});
const blob = new ContainerClient(sas.assetContainerSasUrls[0]).getBlockBlobClient(basename(file));
await blob.uploadFile(file, { maxSingleShotSize: 1 << 16, blockSize: 1 << 18, concurrency: 4, blobHTTPHeaders: { blobContentType: 'video/mp4' } });
const properties = await blob.getProperties();
console.error(`uploaded ${properties.contentLength} bytes to ${input.container}`);

await client.transforms.createOrUpdate(...at, 'js-transform', {
  outputs: [{ preset: { odataType: '#Microsoft.Media.BuiltInStandardEncoderPreset', presetName: 'AdaptiveStreaming' } }],
});
await client.assets.createOrUpdate(...at, 'js-output', {});
await client.jobs.create(...at, 'js-transform', 'js-job', {
  input: { odataType: '#Microsoft.Media.JobInputAsset', assetName: 'js-input', files: [basename(file)] },
  outputs: [{ odataType: '#Microsoft.Media.JobOutputAsset', assetName: 'js-output' }],
  correlationData: { who: 'js' },
});
for (;;) {
  const job = await client.jobs.get(...at, 'js-transform', 'js-job');
  if (job.state === 'Finished') break;
  if (job.state === 'Error' || job.state === 'Canceled') {
    throw new Error(`job ended ${job.state}: ${JSON.stringify(job.outputs[0].error)}`);
  }
  await sleep(250);
}

await client.streamingLocators.create(...at, 'js-locator', { assetName: 'js-output', streamingPolicyName: 'Predefined_ClearStreamingOnly' });
const paths = await client.streamingLocators.listPaths(...at, 'js-locator');

await client.streamingEndpoints.beginStopAndWait(...at, 'default');
await client.streamingEndpoints.beginStartAndWait(...at, 'default');
const endpoint = await client.streamingEndpoints.get(...at, 'default');

// Paging: more assets than one page holds, each seen once.
const pad = (i) => `many ${String(i).padStart(4, '0')}`;
for (let i = 0; i < 1500; i += 50) {
  await Promise.all(Array.from({ length: 50 }, (_, k) => client.assets.createOrUpdate(...at, pad(i + k), {})));
}
const seen = new Set();
let pages = 0;
for await (const page of client.assets.list(...at, { filter: "name ge 'many 0000'", orderby: 'name desc' }).byPage()) {
  pages++;
  for (const asset of page) {
    if (seen.has(asset.name)) throw new Error(`${asset.name} listed twice`);
    seen.add(asset.name);
  }
}
for (let i = 0; i < 1500; i++) if (!seen.has(pad(i))) throw new Error(`${pad(i)} is missing from the list`);

const names = [];
for await (const asset of client.assets.list(...at, { filter: "name lt 'many'", orderby: 'name' })) names.push(asset.name);

console.log(JSON.stringify({ state: endpoint.resourceState, hostName: endpoint.hostName, names, paged: seen.size, pages, streamingPaths: paths.streamingPaths, downloadPaths: paths.downloadPaths }));
