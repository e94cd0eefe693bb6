// Real servers for the tests: icecast2, fed by ffmpeg and by GStreamer, and nginx with its RTMP module. Everything runs in a Household, which ends it.
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { tool } from './setup.mjs';
import { Told, root } from './steps.mjs';

/** A port that nobody listens on at present. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => resolve(port)); });
  });
}

/** Waits until the promise of `check` holds something truthy; `child` must live meanwhile. */
export async function until(check, what, child, timeoutMs = 60_000) {
  for (const end = performance.now() + timeoutMs; ;) {
    const value = await check().catch(() => undefined);
    if (value) return value;
    if (child.exitCode !== null || performance.now() > end) throw new Told(`${what}: not within ${timeoutMs / 1000} s\n${child.output}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

const ffmpeg = (household, args, options) => household.spawn(tool('ffmpeg'), ['-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', ...args], options);

const tone = (frequency) => ['-f', 'lavfi', '-i', `sine=frequency=${frequency}:sample_rate=48000`, '-ac', '2'];
/** No package that Debian 12 has enabled encodes HE-AAC: what was encoded once goes round. */
const again = (name) => () => ['-stream_loop', '-1', '-f', 'aac', '-i', path.join(root, 'tests/fixtures/packed', name), '-c', 'copy', '-f', 'adts'];

/** For ffmpeg: input, encoder and Content-Type of what a mount can carry. Short pages, as live sources write them. */
const ogg = ['-b:a', '96k', '-page_duration', '200000', '-f', 'ogg'];
const codecs = {
  mp3: { type: 'audio/mpeg', args: (frequency) => [...tone(frequency), '-c:a', 'libmp3lame', '-b:a', '96k', '-f', 'mp3'] },
  aac: { type: 'audio/aac', args: (frequency) => [...tone(frequency), '-c:a', 'aac', '-b:a', '96k', '-f', 'adts'] },
  'aac+': { type: 'audio/aacp', args: again('fdk-he.aac') },
  'aac+ v2': { type: 'audio/aacp', args: again('fdk-he-v2.aac') },
  opus: { type: 'audio/ogg', args: (frequency) => [...tone(frequency), '-c:a', 'libopus', ...ogg] },
  vorbis: { type: 'audio/ogg', args: (frequency) => [...tone(frequency), '-c:a', 'libvorbis', ...ogg] },
  flac: { type: 'audio/ogg', args: (frequency) => [...tone(frequency), '-c:a', 'flac', ...ogg] },
};

/** For GStreamer: from raw audio to what shout2send takes, which AAC is not among. */
const pages = 'oggmux max-delay=200000000 max-page-delay=200000000';
const encoders = {
  mp3: 'lamemp3enc target=bitrate bitrate=96 cbr=true ! mpegaudioparse',
  opus: `opusenc bitrate=96000 ! ${pages}`,
  vorbis: `vorbisenc bitrate=96000 ! ${pages}`,
  flac: `flacenc ! ${pages}`,
};

/** An endless stream of a codec on the standard output of the process that comes back. */
export const encode = (household, codec, { frequency = 440 } = {}) => ffmpeg(household, [...codecs[codec].args(frequency), 'pipe:1'], { binary: true });

/** The Content-Type of a codec's stream. */
export const streamType = (codec) => codecs[codec].type;

/** Starts icecast2 on a port of its own; `headers` go with all that it answers. */
export async function startIcecast(household, { headers = { 'Access-Control-Allow-Origin': '*' }, port: wanted } = {}) {
  const port = wanted ?? await freePort();
  const file = path.join(household.folder, `icecast-${port}.xml`);
  // Icecast refuses to run as root.
  const owner = process.getuid?.() === 0 ? '<security><changeowner><user>icecast2</user><group>icecast</group></changeowner></security>' : '';
  writeFileSync(file, `<icecast>
    <limits><clients>50</clients><sources>20</sources><burst-size>65535</burst-size></limits>
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
    /** Feeds a mount with a tone until the household ends; `by` is 'ffmpeg' or 'gstreamer'. */
    async feed(mount, codec, { by = 'ffmpeg', name = 'Test FM', title, frequency = 440 } = {}) {
      const source = by === 'gstreamer'
        ? household.spawn(tool('gst-launch-1.0'), ['-q', ...`audiotestsrc is-live=true freq=${frequency} ! audio/x-raw,rate=48000,channels=2 ! audioconvert`.split(' '),
          ...(title ? ['!', 'taginject', `tags="title=\\"${title}\\""`] : []), ...`! ${encoders[codec]} ! shout2send ip=127.0.0.1 port=${port} password=source mount=${mount}`.split(' '),
          `streamname=${name}`, 'genre=Tones'])
        : ffmpeg(household, [...codecs[codec].args(frequency), ...(title ? ['-metadata', `title=${title}`] : []), '-content_type', streamType(codec),
          '-ice_name', name, '-ice_genre', 'Tones', `icecast://source:source@127.0.0.1:${port}${mount}`]);
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

/** Starts nginx with an RTMP application `live`; `publish` sends H.264 and AAC to a stream of it. `writes`: what the application does with it besides (HLS, DASH). */
export async function startRtmp(household, { writes = '' } = {}) {
  const port = await freePort();
  const file = path.join(household.folder, 'nginx.conf');
  const { folder } = household;
  writeFileSync(file, `load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
    ${process.getuid?.() === 0 ? 'user root;' : ''} worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log stderr warn;
    events { worker_connections 128; }
    rtmp { server { listen 127.0.0.1:${port}; chunk_size 4096; application live { live on; wait_key on; wait_video on; idle_streams off; ${writes} } } }\n`);
  const child = household.spawn('/usr/sbin/nginx', ['-p', folder, '-e', 'stderr', '-c', file]);
  const connects = () => new Promise((resolve, reject) => {
    import('node:net').then(({ connect }) => connect(port, '127.0.0.1', function connected() { this.destroy(); resolve(true); }).once('error', reject));
  });
  await until(connects, 'nginx listens', child);
  return {
    port, child,
    url: (name) => `rtmp://127.0.0.1:${port}/live/${name}`,
    /** Publishes a test picture and a tone until the household ends; resolves when the first pictures are out. */
    async publish(name) {
      const source = ffmpeg(household, ['-progress', 'pipe:2', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
        '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '25', '-b:v', '300k', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-b:a', '64k', '-ac', '2',
        '-f', 'flv', `rtmp://127.0.0.1:${port}/live/${name}`]);
      await until(async () => /^frame=\s*[1-9]/m.test(source.output), `${name} is published`, source);
      return source;
    },
  };
}
