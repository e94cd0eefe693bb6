// Real servers for the tests: icecast2, and nginx with its RTMP module, each fed by ffmpeg. Everything runs in a Household, which ends it.
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { tool } from './setup.mjs';
import { Told } from './steps.mjs';

/** A port that nobody listens on at present. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => resolve(port)); });
  });
}

/** Waits until `check` gives something truthy; `child` must live meanwhile. */
async function until(check, what, child, timeoutMs = 20_000) {
  for (const end = performance.now() + timeoutMs; ;) {
    const value = await check().catch(() => undefined);
    if (value) return value;
    if (child.exitCode !== null || performance.now() > end) throw new Told(`${what}: not within ${timeoutMs / 1000} s\n${child.output}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

const ffmpeg = (household, ...args) => household.spawn(tool('ffmpeg'), ['-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', ...args]);

/** Encoder options and Content-Type of what a mount can carry. */
const codecs = {
  mp3: { type: 'audio/mpeg', args: ['-c:a', 'libmp3lame', '-b:a', '96k', '-f', 'mp3'] },
  aac: { type: 'audio/aac', args: ['-c:a', 'aac', '-b:a', '96k', '-f', 'adts'] },
  opus: { type: 'audio/ogg', args: ['-c:a', 'libopus', '-b:a', '96k', '-page_duration', '200000', '-f', 'ogg'] },
  vorbis: { type: 'audio/ogg', args: ['-c:a', 'libvorbis', '-b:a', '96k', '-page_duration', '200000', '-f', 'ogg'] },
};

/** Starts icecast2 on a port of its own; `headers` go with all that it answers. */
export async function startIcecast(household, { headers = { 'Access-Control-Allow-Origin': '*' }, port: wanted } = {}) {
  const port = wanted ?? await freePort();
  const file = path.join(household.folder, `icecast-${port}.xml`);
  // Icecast refuses to run as root.
  const owner = process.getuid?.() === 0 ? '<security><changeowner><user>icecast2</user><group>icecast</group></changeowner></security>' : '';
  writeFileSync(file, `<icecast>
    <limits><clients>50</clients><sources>10</sources><burst-size>65535</burst-size></limits>
    <authentication><source-password>source</source-password><admin-user>admin</admin-user><admin-password>admin</admin-password></authentication>
    <hostname>127.0.0.1</hostname>
    <listen-socket><bind-address>127.0.0.1</bind-address><port>${port}</port></listen-socket>
    <http-headers>${Object.entries(headers).map(([name, value]) => `<header name="${name}" value="${value}" />`).join('')}</http-headers>
    <paths><basedir>/usr/share/icecast2</basedir><logdir>${household.folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
      <adminroot>/usr/share/icecast2/admin</adminroot></paths>
    <logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>2</loglevel></logging>${owner}
  </icecast>\n`);
  chmodSync(household.folder, 0o777);
  const child = household.spawn(tool('icecast2'), ['-c', file]);
  const url = `http://127.0.0.1:${port}`;
  const mounts = async () => [(await (await fetch(`${url}/status-json.xsl`)).json()).icestats.source ?? []].flat().map(({ listenurl }) => new URL(listenurl).pathname);
  await until(async () => (await fetch(`${url}/status-json.xsl`)).ok, 'icecast2 answers', child);
  return {
    url, port, child,
    /** Feeds a mount with a tone until the household ends. */
    async feed(mount, codec, { name = 'Test FM', title, frequency = 440 } = {}) {
      const { type, args } = codecs[codec];
      const source = ffmpeg(household, '-f', 'lavfi', '-i', `sine=frequency=${frequency}:sample_rate=48000`, '-ac', '2', ...args,
        ...(title ? ['-metadata', `title=${title}`] : []), '-content_type', type, '-ice_name', name, '-ice_genre', 'Tones', `icecast://source:source@127.0.0.1:${port}${mount}`);
      await until(async () => (await mounts()).includes(mount), `${mount} is fed`, source);
      return source;
    },
    /** What the station plays now, told through the admin URL. */
    async setTitle(mount, song) {
      const query = new URLSearchParams({ mount, mode: 'updinfo', song, charset: 'UTF-8' });
      const response = await fetch(`${url}/admin/metadata?${query}`, { headers: { authorization: `Basic ${btoa('admin:admin')}` } });
      if (!response.ok) throw new Told(`icecast2 refused the title: ${response.status} ${await response.text()}`);
    },
  };
}

/** Starts nginx with an RTMP application `live`; `publish` sends H.264 and AAC to a stream of it. */
export async function startRtmp(household) {
  const port = await freePort();
  const file = path.join(household.folder, 'nginx.conf');
  const { folder } = household;
  writeFileSync(file, `load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
    ${process.getuid?.() === 0 ? 'user root;' : ''} worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log stderr warn;
    events { worker_connections 128; }
    rtmp { server { listen 127.0.0.1:${port}; chunk_size 4096; application live { live on; wait_key on; wait_video on; idle_streams off; } } }\n`);
  const child = household.spawn('/usr/sbin/nginx', ['-p', folder, '-e', 'stderr', '-c', file]);
  const connects = () => new Promise((resolve, reject) => {
    import('node:net').then(({ connect }) => connect(port, '127.0.0.1', function connected() { this.destroy(); resolve(true); }).once('error', reject));
  });
  await until(connects, 'nginx listens', child);
  return {
    port, child,
    url: (name) => `rtmp://127.0.0.1:${port}/live/${name}`,
    /** Publishes a test picture and a tone until the household ends. */
    publish(name) {
      return ffmpeg(household, '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
        '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '25', '-b:v', '300k', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-b:a', '64k', '-ac', '2',
        '-f', 'flv', `rtmp://127.0.0.1:${port}/live/${name}`);
    },
  };
}
