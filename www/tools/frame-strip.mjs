// Numbers in the picture as a strip of black and white blocks, and their readers: the frame number of the sample streams along the lower
// edge, the time of day of live ones along the upper. Runs in browsers too.

/** Blocks: one white, `bits` of the number (high bit first), one black; `height` is the strip's share of the picture. */
export const strip = { bits: 16, height: 1 / 12 };

/** When the picture was made: milliseconds since 1970, modulo 2^32 (49 days). */
export const clockStrip = { bits: 32, height: 1 / 12, top: true };

/**
 * For ffmpeg: filters that write the clock into a picture whose time stamps are milliseconds since 1970 (time base 1/1000), as a strip and
 * in words. The time stamps are milliseconds of the day afterwards.
 */
export function clockFilters() {
  const { bits, height } = clockStrip;
  const blocks = bits + 2;
  const block = (index, more = '') => `drawbox=x=floor(iw*${index}/${blocks}):y=0:w=ceil(iw/${blocks}):h=ih*${height}:color=white:t=fill${more}`;
  return [
    `drawbox=x=0:y=0:w=iw:h=ih*${height}:color=black:t=fill`, block(0),
    ...Array.from({ length: bits }, (_, bit) => block(bit + 1, `:enable='mod(floor((t*1000+0.5)/${2 ** (bits - 1 - bit)}),2)'`)),
    'setpts=mod(PTS\\,86400000)',
    "drawtext=font=DejaVu Sans Mono:text='%{pts\\:hms}':fontsize=h/9:fontcolor=white:borderw=3:bordercolor=black:x=(w-tw)/2:y=h*0.12",
  ].join(',');
}

/**
 * Runs in the page: the number of the frame that `video` shows now (or what another strip says), or -1 where no strip is to be seen.
 * Self-contained, so that it can be sent to a browser as text.
 */
export function readFrame(video, { bits, height, top }) {
  const blocks = bits + 2;
  const canvas = document.createElement('canvas');
  canvas.width = blocks * 4;
  canvas.height = 4;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const [w, h] = [video.videoWidth, video.videoHeight];
  if (!w || !h) return -1;
  // The middle half of the strip's height: its edges are blurred by scaling and compression.
  context.drawImage(video, 0, h * (top ? height * 0.25 : 1 - height * 0.75), w, h * height * 0.5, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const light = Array.from({ length: blocks }, (_, block) => {
    let sum = 0;
    for (const x of [1, 2]) for (const y of [1, 2]) sum += data[(y * canvas.width + block * 4 + x) * 4 + 1];
    return sum / 4;
  });
  const [white, black] = [light[0], light[blocks - 1]];
  if (white - black < 100) return -1;
  return light.slice(1, -1).reduce((number, level) => number * 2 + (level > (white + black) / 2 ? 1 : 0), 0);
}

/** The whole time of what a clock strip shows, which is the one nearest to `now` (ms since 1970). */
export function wholeTime(shown, now) {
  const span = 2 ** clockStrip.bits;
  const behind = (((now - shown) % span) + span) % span;
  return now - (behind > span / 2 ? behind - span : behind);
}

/** Runs in the page: when the picture was made that `video` shows now, in milliseconds since 1970, or -1 where no clock is to be seen. */
export function readClock(video) {
  const shown = readFrame(video, clockStrip);
  return shown < 0 ? -1 : wholeTime(shown, Date.now());
}
