// Plays an HLS presentation that may still grow in headless Chromium with hls.js,
// from where the player starts by itself to the end.
//
//   node early.mjs URL
//
// Prints a line "playing" when the picture moves, then one line of JSON: {start,
// time, ended, frames, audio, errors}. start is where the player began, audio is
// decoded bytes.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const script = readFileSync(new URL('node_modules/hls.js/dist/hls.js', import.meta.url));
const page = `<!doctype html><video id=v muted width=320 height=180></video><script src=/hls.js></script><script>
const v = document.getElementById('v');
const errors = window.errors = [];
const h = new Hls();
h.on(Hls.Events.ERROR, (_, d) => { if (d.fatal) errors.push(d.type + ' ' + d.details + ' ' + (d.error?.message ?? d.reason ?? '')); });
v.addEventListener('playing', () => { window.start ??= v.currentTime; }, { once: true });
v.defaultPlaybackRate = v.playbackRate = 3;
h.loadSource(${JSON.stringify(process.argv[2])});
h.attachMedia(v);
v.play();
</script>`;
const server = createServer((req, res) => {
  if (req.url === '/hls.js') res.setHeader('Content-Type', 'text/javascript').end(script);
  else res.setHeader('Content-Type', 'text/html').end(page);
});
await new Promise((r) => server.listen(0, '127.0.0.1', r));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required'],
});
try {
  const tab = await (await browser.newContext()).newPage();
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const until = (f, timeout) => tab.waitForFunction(f, null, { timeout, polling: 100 }).catch(() => {});
  await until(() => document.getElementById('v').currentTime > 0.5 || window.errors.length > 0, 60_000);
  console.log('playing');
  await until(() => document.getElementById('v').ended || window.errors.length > 0, 120_000);
  console.log(JSON.stringify(await tab.evaluate(() => {
    const v = document.getElementById('v');
    return { start: window.start, time: v.currentTime, ended: v.ended, frames: v.getVideoPlaybackQuality().totalVideoFrames, audio: v.webkitAudioDecodedByteCount, errors: window.errors };
  })));
} finally {
  await browser.close();
  server.close();
}
