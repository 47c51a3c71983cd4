// Plays an encrypted URL in headless Chromium with a real player.
//
//   node protected.mjs '{"player":"shaka","url":"…","keys":"http://host/keys", …}'
//
// player      hls.js, shaka or dash.js
// url         of the manifest; a token in its query is carried on by the server
// keys        URL of key delivery
// token       sent as "Authorization: Bearer …" with requests for keys
// licence     true: the player is told where W3C ClearKey licences are, instead of
//             by the manifest
// wrongKey    true: keys are changed on their way
// fail        true: do not wait long for a picture
// screenshot  file
//
// Prints one line of JSON: {currentTime, seekTo, width, height, keyStatuses, errors}.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const o = JSON.parse(process.argv[2]);
const dir = (name) => new URL(`node_modules/${name}/dist/`, import.meta.url).pathname;
const scripts = {
  'hls.js': [dir('hls.js') + 'hls.js'],
  shaka: [dir('shaka-player') + 'shaka-player.compiled.js'],
  'dash.js': [dir('dashjs') + 'modern/umd/dash.all.min.js', dir('dashjs') + 'modern/umd/dash.mss.min.js'],
}[o.player];
if (!scripts) throw new Error(`no player ${o.player}`);

const page = `<!doctype html><body style="margin:0;background:#333"><video id=v muted width=640 height=360></video>
${scripts.map((_, i) => `<script src=/${i}.js></script>`).join('')}<script>
window.errors = [];
const o = ${JSON.stringify(o)};
const v = document.getElementById('v');
const benign = /^buffer(Stalled|Nudge|SeekOverHole|AppendNoProgress)/;
const system = 'org.w3.clearkey', licences = o.keys + '/ClearKey/';
v.addEventListener('error', () => errors.push('video: ' + v.error?.message));
const start = {
  'hls.js': (u) => {
    const h = new Hls({
      xhrSetup: (x, url) => { if (o.token && url.startsWith(o.keys)) x.setRequestHeader('Authorization', 'Bearer ' + o.token); },
      emeEnabled: !!o.licence, drmSystems: o.licence ? { [system]: { licenseUrl: licences } } : {},
      licenseXhrSetup: (x) => { if (o.token) x.setRequestHeader('Authorization', 'Bearer ' + o.token); },
    });
    h.on(Hls.Events.ERROR, (_, d) => { if (d.fatal || !benign.test(d.details)) errors.push(d.type + ' ' + d.details + ' ' + (d.error?.message ?? d.reason ?? '')); });
    h.loadSource(u);
    h.attachMedia(v);
  },
  shaka: async (u) => {
    const p = new shaka.Player();
    await p.attach(v);
    p.addEventListener('error', (e) => errors.push('shaka ' + e.detail.code + ' ' + e.detail.data));
    if (o.licence) p.configure({ drm: { servers: { [system]: licences } } });
    p.getNetworkingEngine().registerRequestFilter((type, r) => {
      if (o.token && type === shaka.net.NetworkingEngine.RequestType.LICENSE) r.headers.Authorization = 'Bearer ' + o.token;
    });
    await p.load(u);
  },
  'dash.js': (u) => {
    const p = dashjs.MediaPlayer().create();
    p.on('error', (e) => errors.push('dash.js ' + JSON.stringify(e.error)));
    p.initialize(v, null, false);
    if (o.licence) p.setProtectionData({ [system]: { serverURL: licences, httpRequestHeaders: o.token ? { Authorization: 'Bearer ' + o.token } : {} } });
    p.attachSource(u);
  },
}[o.player];
Promise.resolve(start(o.url)).then(() => v.play()).catch((e) => errors.push(String(e.message ?? e) + ' ' + (e.code ?? '')));
</script>`;
const server = createServer((req, res) => {
  const m = /^\/(\d+)\.js$/.exec(req.url);
  if (m) res.setHeader('Content-Type', 'text/javascript').end(readFileSync(scripts[+m[1]]));
  else if (req.url === '/') res.setHeader('Content-Type', 'text/html').end(page);
  else res.writeHead(404).end();
});
await new Promise((r) => server.listen(0, '127.0.0.1', r));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
});
try {
  const tab = await browser.newPage({ viewport: { width: 640, height: 360 } });
  const messages = [], keyStatuses = [];
  tab.on('pageerror', (e) => messages.push('page: ' + e.message));
  tab.on('response', (r) => { if (r.url().startsWith(o.keys) && r.request().method() !== 'OPTIONS') keyStatuses.push(r.status()); });
  if (o.wrongKey) {
    await tab.route((u) => u.href.startsWith(o.keys), async (route) => {
      if (route.request().method() === 'OPTIONS') return route.continue();
      const answer = await route.fetch();
      let body = await answer.body();
      if (body.length === 16) body = Buffer.alloc(16, 7);
      else {
        const licence = JSON.parse(body);
        for (const k of licence.keys) k.k = Buffer.alloc(16, 7).toString('base64url');
        body = Buffer.from(JSON.stringify(licence));
      }
      await route.fulfill({ response: answer, body });
    });
  }
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const wait = o.fail ? 20_000 : 60_000;
  await tab.waitForFunction(() => document.getElementById('v').currentTime > 4 || window.errors.length > 0, null, { timeout: wait }).catch(() => {});
  if (!o.fail) {
    await tab.evaluate(() => { const v = document.getElementById('v'); window.seekTo = Math.max(0, v.duration - 3); v.currentTime = window.seekTo; });
    await tab.waitForFunction(() => { const v = document.getElementById('v'); return (v.currentTime > window.seekTo + 0.5 && !v.seeking) || window.errors.length > 0; }, null, { timeout: wait }).catch(() => {});
  }
  const result = await tab.evaluate(() => {
    const v = document.getElementById('v');
    return { currentTime: v.currentTime, seekTo: window.seekTo ?? 0, width: v.videoWidth, height: v.videoHeight, errors: window.errors };
  });
  result.errors.push(...messages);
  result.keyStatuses = keyStatuses;
  if (o.screenshot) await tab.screenshot({ path: o.screenshot });
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
  server.close();
}
