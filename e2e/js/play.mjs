// Plays a URL in headless Chromium with a real player and takes a screenshot.
//
//   node play.mjs PLAYER URL SCREENSHOT.png
//
// PLAYER is hls.js, shaka or dash.js (with its Smooth plug-in). Prints one
// line of JSON: {currentTime, width, height, colours, switched, errors}. colours is the
// number of distinct colours in a small copy of the picture: a black or empty
// video has one.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [player, url, screenshot] = process.argv.slice(2);
const dir = (name) => new URL(`node_modules/${name}/dist/`, import.meta.url).pathname;
const scripts = {
  'hls.js': [dir('hls.js') + 'hls.js'],
  shaka: [dir('shaka-player') + 'shaka-player.compiled.js'],
  'dash.js': [dir('dashjs') + 'modern/umd/dash.all.min.js', dir('dashjs') + 'modern/umd/dash.mss.min.js'],
}[player];
if (!scripts) throw new Error(`no player ${player}`);

const page = `<!doctype html><body style="margin:0;background:#333"><video id=v muted width=640 height=360></video>
${scripts.map((_, i) => `<script src=/${i}.js></script>`).join('')}<script>
window.errors = [];
const v = document.getElementById('v');
// hls.js takes the first DTS of TS video as 0, so that pictures with B-frames
// start after a small hole; it reports that and goes on, with any packager.
const benign = /^buffer(Stalled|Nudge|SeekOverHole|AppendNoProgress)/;
v.addEventListener('error', () => errors.push('video: ' + v.error?.message));
const start = {
  'hls.js': (u) => { const h = new Hls(); h.on(Hls.Events.ERROR, (_, d) => { if (d.fatal || !benign.test(d.details)) errors.push(d.type + ' ' + d.details + ' ' + (d.error?.message ?? d.reason ?? '')); }); h.loadSource(u); h.attachMedia(v); },
  shaka: async (u) => { const p = new shaka.Player(); await p.attach(v); p.addEventListener('error', (e) => errors.push('shaka ' + e.detail.code + ' ' + e.detail.data)); await p.load(u); },
  'dash.js': (u) => { const p = dashjs.MediaPlayer().create(); p.on('error', (e) => errors.push('dash.js ' + JSON.stringify(e.error))); p.initialize(v, u, false); },
}[${JSON.stringify(player)}];
Promise.resolve(start(${JSON.stringify(url)})).then(() => v.play()).catch((e) => errors.push(String(e.message ?? e) + ' ' + (e.code ?? '')));
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
  const messages = [];
  tab.on('pageerror', (e) => messages.push('page: ' + e.message));
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  // Played means: time has advanced by 4 s over at least two segments' worth, or the end was reached.
  await tab.waitForFunction(() => document.getElementById('v').currentTime > 4 || window.errors.length > 0, null, { timeout: 60_000 }).catch(() => {});
  // Far seek: the segments in between must not be needed.
  await tab.evaluate(() => { const v = document.getElementById('v'); window.seekTo = Math.max(0, v.duration - 3); v.currentTime = window.seekTo; });
  await tab.waitForFunction(() => { const v = document.getElementById('v'); return (v.currentTime > window.seekTo + 0.5 && !v.seeking) || window.errors.length > 0; }, null, { timeout: 60_000 }).catch(() => {});
  const result = await tab.evaluate(() => {
    const v = document.getElementById('v');
    const c = document.createElement('canvas');
    c.width = 64; c.height = 36;
    const g = c.getContext('2d');
    g.drawImage(v, 0, 0, 64, 36);
    const d = g.getImageData(0, 0, 64, 36).data;
    const seen = new Set();
    for (let i = 0; i < d.length; i += 4) seen.add((d[i] << 16) | (d[i + 1] << 8) | d[i + 2]);
    return { currentTime: v.currentTime, seekTo: window.seekTo, duration: v.duration, width: v.videoWidth, height: v.videoHeight, colours: seen.size, errors: window.errors };
  });
  result.errors.push(...messages);
  if (screenshot) await tab.screenshot({ path: screenshot });
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
  server.close();
}
