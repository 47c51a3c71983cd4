// Plays many manifests in headless Chromium, several at the same time: each
// plays 10 s, shows subtitles, changes the rendition and seeks.
//
//   node matrix.mjs < request.json
//
// The request is {keys, parallel, cells}: the URL of key delivery, how many tabs
// play at once, and of each cell
//
//   name
//   player      hls.js, shaka or dash.js (with its Smooth plug-in)
//   url         of the manifest; a token in its query is carried on by the server
//   token       sent as "Authorization: Bearer …" with requests for keys
//   licence     true: the player is told where W3C ClearKey licences are
//   lang, text  the language of the subtitles, and what they say within the first
//               10 s; absent: none wanted
//   wrongKey    true: keys are changed on their way
//   fail        true: it is not expected to play
//
// Prints one line of JSON per cell: {name, time, first, second, seeked, frames,
// audio, colours, keyStatuses, errors}. first and second are the heights of the
// picture before and after the change, audio is decoded bytes, colours those of
// a small copy of the picture (0 where scripts may not read it).
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const request = JSON.parse(readFileSync(0, 'utf8'));
const dir = (name) => new URL(`node_modules/${name}/dist/`, import.meta.url).pathname;
const scripts = {
  'hls.js': [dir('hls.js') + 'hls.js'],
  shaka: [dir('shaka-player') + 'shaka-player.compiled.js'],
  'dash.js': [dir('dashjs') + 'modern/umd/dash.all.min.js', dir('dashjs') + 'modern/umd/dash.mss.min.js'],
};

// What the page does with each player: load, and later switch.
const inPage = `
const v = document.getElementById('v');
const errors = window.errors = [];
// hls.js takes the first DTS of TS video as 0, so that pictures with B-frames
// start after a small hole; it reports that and goes on, with any packager.
// Loads that a change of the level makes useless are aborted.
const benign = /^(buffer(Stalled|Nudge|SeekOverHole|AppendNoProgress)|aborted)/;
const system = 'org.w3.clearkey', licences = o.keys + '/ClearKey/';
v.addEventListener('error', () => errors.push('video: ' + v.error?.message));
const players = {
  'hls.js': async (u) => {
    const h = new Hls({
      startLevel: 0, capLevelToPlayerSize: false,
      xhrSetup: (x, url) => { if (o.token && url.startsWith(o.keys)) x.setRequestHeader('Authorization', 'Bearer ' + o.token); },
      emeEnabled: !!o.licence, drmSystems: o.licence ? { [system]: { licenseUrl: licences } } : {},
      licenseXhrSetup: (x) => { if (o.token) x.setRequestHeader('Authorization', 'Bearer ' + o.token); },
    });
    h.on(Hls.Events.ERROR, (_, d) => { if (d.fatal || !benign.test(d.details)) errors.push(d.type + ' ' + d.details + ' ' + (d.error?.message ?? d.reason ?? '')); });
    h.on(Hls.Events.MANIFEST_PARSED, () => { h.currentLevel = 0; });
    const subtitles = () => { const n = h.subtitleTracks.findIndex((t) => t.lang?.startsWith(o.lang)); if (n >= 0 && h.subtitleTrack !== n) { h.subtitleDisplay = true; h.subtitleTrack = n; } };
    h.on(Hls.Events.FRAG_LOADED, subtitles); // by then it has chosen the default one
    h.loadSource(u);
    h.attachMedia(v);
    return () => { h.currentLevel = h.levels.length - 1; };
  },
  shaka: async (u) => {
    const p = new shaka.Player();
    await p.attach(v);
    p.addEventListener('error', (e) => errors.push('shaka ' + e.detail.code + ' ' + e.detail.data));
    p.configure({ abr: { enabled: false, defaultBandwidthEstimate: 1 } });
    if (o.licence) p.configure({ drm: { servers: { [system]: licences } } });
    p.getNetworkingEngine().registerRequestFilter((type, r) => {
      if (o.token && type === shaka.net.NetworkingEngine.RequestType.LICENSE) r.headers.Authorization = 'Bearer ' + o.token;
      if (o.token && type === shaka.net.NetworkingEngine.RequestType.KEY) r.headers.Authorization = 'Bearer ' + o.token;
    });
    await p.load(u);
    const tracks = () => p.getVariantTracks().filter((t) => t.height).sort((a, b) => a.height - b.height);
    p.selectVariantTrack(tracks()[0], true);
    const text = p.getTextTracks().find((t) => t.language === o.lang);
    if (text) { await p.selectTextTrack(text); await p.setTextTrackVisibility?.(true); }
    return () => p.selectVariantTrack(tracks().at(-1), true);
  },
  'dash.js': async (u) => {
    const p = dashjs.MediaPlayer().create();
    p.on('error', (e) => errors.push('dash.js ' + JSON.stringify(e.error)));
    p.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false }, initialBitrate: { video: 1 } }, buffer: { fastSwitchEnabled: true, bufferTimeAtTopQuality: 8, bufferTimeDefault: 8 }, text: { defaultEnabled: true } } });
    p.on('streamInitialized', () => { const n = p.getTracksFor('text').findIndex((t) => t.lang?.startsWith(o.lang)); if (n >= 0) p.setTextTrack(n); });
    p.initialize(v, null, false);
    p.attachTTMLRenderingDiv(document.getElementById('ttml'));
    if (o.licence) p.setProtectionData({ [system]: { serverURL: licences, httpRequestHeaders: o.token ? { Authorization: 'Bearer ' + o.token } : {} } });
    p.attachSource(u);
    return () => p.setRepresentationForTypeByIndex('video', p.getRepresentationsByType('video').length - 1, true);
  },
};
// What has been shown so far: players draw TTML only while it shows.
const said = new Set();
setInterval(() => {
  said.add(document.getElementById('ttml').textContent);
  for (const t of v.textTracks) for (const c of t.cues ?? []) said.add(c.text ?? '');
}, 50);
window.shown = () => [...said].filter((s) => s).join('|');
v.defaultPlaybackRate = v.playbackRate = 3;
players[o.player](o.url).then((f) => { window.change = f; return v.play(); }).catch((e) => errors.push(String(e.message ?? e) + ' ' + (e.code ?? '')));
`;

const server = createServer((req, res) => {
  const script = /^\/(hls\.js|shaka|dash\.js)\/(\d+)\.js$/.exec(req.url);
  const cell = /^\/cell\/(\d+)$/.exec(req.url);
  if (script) res.setHeader('Content-Type', 'text/javascript').end(readFileSync(scripts[script[1]][+script[2]]));
  else if (cell) {
    const o = { ...request.cells[+cell[1]], keys: request.keys };
    res.setHeader('Content-Type', 'text/html').end(`<!doctype html><body style="margin:0;background:#333"><video id=v muted width=320 height=180></video><div id=ttml style="position:absolute"></div>
${scripts[o.player].map((_, i) => `<script src=/${o.player}/${i}.js></script>`).join('')}<script>const o = ${JSON.stringify(o)};${inPage}</script>`);
  } else res.writeHead(404).end();
});
await new Promise((r) => server.listen(0, '127.0.0.1', r));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding'],
});

async function play(i) {
  const o = request.cells[i];
  const context = await browser.newContext({ viewport: { width: 320, height: 180 } });
  try {
    const tab = await context.newPage();
    const messages = [], keyStatuses = [];
    tab.on('pageerror', (e) => messages.push('page: ' + e.message));
    tab.on('response', (r) => { if (r.url().startsWith(request.keys) && r.request().method() !== 'OPTIONS') keyStatuses.push(r.status()); });
    if (o.wrongKey) {
      await tab.route((u) => u.href.startsWith(request.keys), async (route) => {
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
    await tab.goto(`http://127.0.0.1:${server.address().port}/cell/${i}`);
    const until = (f, arg, timeout = 30_000) => tab.waitForFunction(f, arg, { timeout, polling: 100 }).catch(() => {});
    const height = () => tab.evaluate(() => document.getElementById('v').videoHeight);
    const result = { name: o.name, first: 0, second: 0, seeked: false };
    if (o.fail) {
      await until(() => document.getElementById('v').currentTime > 2 || window.errors.length > 0, null, 15_000);
    } else {
      await until((text) => (document.getElementById('v').currentTime > 10 && (!text || window.shown().includes(text))) || window.errors.length > 0, o.text ?? '');
      result.text = (await tab.evaluate(() => window.shown())).slice(0, 200);
      result.first = await height();
      await tab.evaluate(() => window.change());
      await until((first) => document.getElementById('v').videoHeight !== first || window.errors.length > 0, result.first, 30_000);
      result.second = await height();
      await tab.evaluate(() => { const v = document.getElementById('v'); window.seekTo = v.duration - 3; v.currentTime = window.seekTo; });
      await until(() => { const v = document.getElementById('v'); return (v.currentTime > window.seekTo + 0.5 && !v.seeking) || window.errors.length > 0; }, null, 30_000);
    }
    Object.assign(result, await tab.evaluate(() => {
      const v = document.getElementById('v');
      const seen = new Set();
      try {
        const c = document.createElement('canvas');
        c.width = 64; c.height = 36;
        const g = c.getContext('2d');
        g.drawImage(v, 0, 0, 64, 36);
        const d = g.getImageData(0, 0, 64, 36).data;
        for (let i = 0; i < d.length; i += 4) seen.add((d[i] << 16) | (d[i + 1] << 8) | d[i + 2]);
      } catch { /* encrypted media taint the canvas */ }
      return { time: v.currentTime, duration: v.duration, seeked: v.currentTime > window.seekTo, frames: v.getVideoPlaybackQuality().totalVideoFrames, audio: v.webkitAudioDecodedByteCount, colours: seen.size, errors: window.errors };
    }));
    result.errors.push(...messages);
    result.keyStatuses = keyStatuses;
    return result;
  } catch (e) {
    return { name: o.name, errors: ['matrix: ' + e.message], keyStatuses: [] };
  } finally {
    await context.close();
  }
}

try {
  let next = 0;
  await Promise.all(Array.from({ length: request.parallel ?? 4 }, async () => {
    while (next < request.cells.length) console.log(JSON.stringify(await play(next++)));
  }));
} finally {
  await browser.close();
  server.close();
}
