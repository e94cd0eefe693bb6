// Plain files and playlists of packed audio: one of each container and codec that the player reads, cut from the clip of samples.mjs.

/** Of the 60 s clip, what the slow encoders get. */
const cut = { from: 20, length: 20 };

const types = {
  h264: ['video/mp4; codecs="avc1.64001e"'],
  hevc: ['video/mp4; codecs="hvc1.1.6.L60.90"'],
  av1: ['video/mp4; codecs="av01.0.00M.08"', 'video/webm; codecs="av01.0.00M.08"'],
  vp9: ['video/mp4; codecs="vp09.00.10.08"', 'video/webm; codecs="vp9"'],
  vp8: ['video/webm; codecs="vp8"'],
  aac: ['audio/mp4; codecs="mp4a.40.2"'],
  mp3: ['audio/mpeg', 'audio/mp4; codecs="mp3"', 'audio/mp4; codecs="mp4a.6B"'],
  opus: ['audio/mp4; codecs="opus"', 'audio/webm; codecs="opus"'],
  vorbis: ['audio/webm; codecs="vorbis"'],
  flac: ['audio/mp4; codecs="flac"'],
  ac3: ['audio/mp4; codecs="ac-3"'],
  eac3: ['audio/mp4; codecs="ec-3"'],
  pcm: [],
};

const encoders = {
  hevc: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=none:keyint=50:min-keyint=50', '-tag:v', 'hvc1'],
  av1: ['-c:v', 'libsvtav1', '-preset', '12', '-g', '50', '-svtav1-params', 'tune=0'],
  vp9: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-row-mt', '1', '-b:v', '300k', '-g', '50'],
  vp8: ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '300k', '-g', '50'],
  mp3: ['-c:a', 'libmp3lame', '-b:a', '128k'],
  'mp3 vbr': ['-c:a', 'libmp3lame', '-q:a', '4'],
  opus: ['-c:a', 'libopus', '-b:a', '96k'],
  vorbis: ['-c:a', 'libvorbis', '-q:a', '4'],
  flac: ['-c:a', 'flac'],
  ac3: ['-c:a', 'ac3', '-b:a', '192k'],
  eac3: ['-c:a', 'eac3', '-b:a', '192k'],
};

const fragments = 'frag_keyframe+empty_moov+default_base_moof';

/** [id, name, video, audio, extra options of ffmpeg, container for the table] */
const list = [
  ['mp4-front', 'front.mp4', 'h264', 'aac', ['-movflags', '+faststart'], 'MP4, moov first'],
  ['mp4-end', 'end.mp4', 'h264', 'aac', [], 'MP4, moov last'],
  ['mp4-fragmented', 'fragmented.mp4', 'h264', 'aac', ['-movflags', `${fragments}+skip_trailer`], 'MP4, fragmented, no index'],
  ['mp4-sidx', 'sidx.mp4', 'h264', 'aac', ['-movflags', `${fragments}+global_sidx+skip_trailer`], 'MP4, fragmented, sidx'],
  ['mp4-mfra', 'mfra.mp4', 'h264', 'aac', ['-movflags', fragments], 'MP4, fragmented, mfra'],
  ['mov', 'clip.mov', 'h264', 'aac', [], 'QuickTime'],
  ['m4a', 'clip.m4a', null, 'aac', [], 'M4A'],
  ['mp4-hevc', 'hevc.mp4', 'hevc', 'aac', [], 'MP4'],
  ['mp4-av1', 'av1.mp4', 'av1', 'opus', [], 'MP4'],
  ['mp4-vp9', 'vp9.mp4', 'vp9', 'flac', ['-strict', '-2'], 'MP4'],
  ['mp4-mp3', 'mp3.mp4', 'h264', 'mp3', [], 'MP4'],
  ['mkv', 'clip.mkv', 'h264', 'aac', [], 'Matroska'],
  ['mkv-live', 'live.mkv', 'h264', 'mp3', ['-f', 'matroska', '-live', '1'], 'Matroska, no Cues'],
  ['webm-vp9', 'vp9.webm', 'vp9', 'opus', [], 'WebM'],
  ['webm-vp8', 'vp8.webm', 'vp8', 'vorbis', [], 'WebM'],
  ['webm-av1', 'av1.webm', 'av1', 'opus', [], 'WebM'],
  ['ts', 'clip.ts', 'h264', 'aac', [], 'MPEG-TS'],
  ['ts-m2ts', 'clip.m2ts', 'h264', 'ac3', ['-f', 'mpegts', '-mpegts_m2ts_mode', '1'], 'MPEG-TS, 192-byte packets'],
  ['ts-latm', 'latm.ts', 'h264', 'aac', ['-mpegts_flags', '+latm'], 'MPEG-TS (LATM)'],
  ['ts-hevc', 'hevc.ts', 'hevc', 'eac3', [], 'MPEG-TS'],
  ['ts-mp3', 'mp3.ts', 'h264', 'mp3', [], 'MPEG-TS'],
  ['ts-opus', 'opus.ts', 'h264', 'opus', [], 'MPEG-TS'],
  ['flv', 'clip.flv', 'h264', 'aac', ['-flvflags', 'add_keyframe_index'], 'FLV'],
  ['flv-mp3', 'mp3.flv', 'h264', 'mp3', [], 'FLV, no index'],
  ['ogg-vorbis', 'vorbis.ogg', null, 'vorbis', [], 'Ogg'],
  ['ogg-opus', 'clip.opus', null, 'opus', [], 'Ogg'],
  ['ogg-flac', 'flac.oga', null, 'flac', [], 'Ogg'],
  ['flac', 'clip.flac', null, 'flac', [], 'FLAC'],
  ['mp3-cbr', 'cbr.mp3', null, 'mp3', [], 'MP3'],
  ['mp3-vbr', 'vbr.mp3', null, 'mp3 vbr', [], 'MP3, variable rate'],
  ['aac', 'clip.aac', null, 'aac', [], 'ADTS'],
  ['wav', 'clip.wav', null, 'pcm', [], 'WAV'],
];

const packed = [['hls-packed-aac', 'aac', 'aac'], ['hls-packed-mp3', 'mp3', 'mp3']];

/** Without an edit list the first picture, which is decoded two frames before it is shown, is shown at 0.08 s. */
const late = ['mp4-fragmented', 'mp4-sidx', 'mp4-mfra', 'flv', 'flv-mp3'];

/** What there is; `types` has the MSE types of each track of which the engine must take one for it to play. */
export const files = [
  ...list.map(([id, name, video, audio, , container]) => {
    const slow = video && video !== 'h264';
    const sound = audio.split(' ')[0];
    return { id, title: `${container}: ${[video, sound].filter(Boolean).join(', ')}`, container, video, audio: sound, url: `files/${name}`, protocol: 'file',
      types: [video && types[video], types[sound]].filter(Boolean), duration: slow ? cut.length : 60, frameAtZero: slow ? 500 : late.includes(id) ? -2 : 0, audioOnly: !video, fps: 25 };
  }),
  ...packed.map(([id, codec, ext]) => ({ id, title: `HLS, packed audio: ${codec}`, container: 'HLS, packed audio', video: null, audio: codec, url: `files/${id}/index.m3u8`,
    protocol: 'hls', types: [types[codec]], duration: 60, frameAtZero: 0, audioOnly: true, fps: 25, ext })),
];

/** Makes them. `source(name)`: the clip's rungs and `sound`; `at(...)`: a path among the samples. */
export async function packageFiles({ ffmpeg, source, at, mkdir }) {
  mkdir('files');
  const slow = ['-ss', String(cut.from), '-t', String(cut.length)];
  // Each slow encoder works once.
  const pictures = { h264: source('360p') };
  for (const codec of ['hevc', 'av1', 'vp9', 'vp8']) {
    pictures[codec] = at('files', `${codec}.mkv`);
    await ffmpeg([...slow, '-i', source('360p'), '-vf', 'scale=426:240', ...encoders[codec], pictures[codec]]);
  }
  for (const [, name, video, audio, options] of list) {
    const short = video && video !== 'h264';
    const sound = encoders[audio] ?? (audio === 'pcm' ? ['-c:a', 'pcm_s16le'] : ['-c:a', 'copy']);
    await ffmpeg([...(video ? ['-i', pictures[video]] : []), ...(short ? slow : []), '-i', source('sound'), ...(video ? ['-map', '0', '-map', '1', '-c:v', 'copy'] : []),
      ...(video === 'hevc' && !name.endsWith('.ts') ? ['-tag:v', 'hvc1'] : []), ...sound, ...options, at('files', name)]);
  }
  for (const [id, codec, ext] of packed) {
    mkdir(`files/${id}`);
    await ffmpeg(['-i', source('sound'), ...(encoders[codec] ?? ['-c:a', 'copy']), '-f', 'segment', '-segment_time', '4', '-segment_format', codec === 'aac' ? 'adts' : 'mp3',
      ...(codec === 'mp3' ? ['-segment_format_options', 'write_xing=0:id3v2_version=0'] : []), '-segment_list_type', 'm3u8', '-segment_list', at('files', id, 'index.m3u8'), at('files', id, `%03d.${ext}`)]);
  }
}
