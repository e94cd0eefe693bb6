// The frame number as a strip of black and white blocks along the lower edge of the sample streams, and its reader.

/** Blocks: one white, `bits` of the number (high bit first), one black; `height` is the strip's share of the picture. */
export const strip = { bits: 16, height: 1 / 12 };

/**
 * Runs in the page: the number of the frame that `video` shows now, or -1 where no strip is to be seen.
 * Self-contained, so that it can be sent to a browser as text.
 */
export function readFrame(video, { bits, height }) {
  const blocks = bits + 2;
  const canvas = document.createElement('canvas');
  canvas.width = blocks * 4;
  canvas.height = 4;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const [w, h] = [video.videoWidth, video.videoHeight];
  if (!w || !h) return -1;
  // The middle half of the strip's height: its edges are blurred by scaling and compression.
  context.drawImage(video, 0, h * (1 - height * 0.75), w, h * height * 0.5, 0, 0, canvas.width, canvas.height);
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
