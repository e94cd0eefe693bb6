// The order of a module's functions: those that look alike stand side by side, where a compressor finds more to refer to (3 % of the whole).

/** Bytes of a shingle: what two bodies have in common is counted in these. */
const SHINGLE = 4;
/** A shingle that this many functions have says nothing. */
const COMMON = 400;

/** Reads a LEB128 number; gives it and the place behind it. */
function leb(bytes, at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

function encoded(value) {
  const bytes = [];
  do {
    bytes.push(value % 128 + (value >= 128 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value);
  return Buffer.from(bytes);
}

/** The functions of a module: how many it imports, and the bodies of its own. */
function functions(bytes) {
  let imported = 0;
  const bodies = [];
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at];
    let size, count;
    [size, at] = leb(bytes, at + 1);
    const end = at + size;
    if (id === 2 || id === 10) [count, at] = leb(bytes, at);
    for (; id === 2 && count > 0; count--) {
      for (let name = 0; name < 2; name++) {
        [size, at] = leb(bytes, at);
        at += size;
      }
      // wasm-bindgen imports nothing else.
      if (bytes[at] !== 0) throw new Error('an import is no function');
      imported++;
      [, at] = leb(bytes, at + 1);
    }
    for (; id === 10 && count > 0; count--) {
      [size, at] = leb(bytes, at);
      bodies.push(bytes.subarray(at, at + size));
      at += size;
    }
    at = end;
  }
  return { imported, bodies };
}

/**
 * A chain: from the largest on, always the one that has most in common with those before it, for its size. `fading`: how much of a function's
 * weight is left with each function that comes after it, as the next one should be like all of the last few.
 */
function chain(bodies, fading) {
  const shingles = bodies.map((body) => {
    const all = new Set();
    for (let at = 0; at + SHINGLE <= body.length; at++) all.add(body.readUInt32LE(at));
    return all;
  });
  const holders = new Map();
  shingles.forEach((all, i) => all.forEach((shingle) => (holders.get(shingle) ?? holders.set(shingle, []).get(shingle)).push(i)));
  const likeness = new Float64Array(bodies.length);
  const rest = new Set(bodies.keys());
  const order = [];
  let next = bodies.reduce((best, body, i) => (body.length > bodies[best].length ? i : best), 0);
  while (rest.size) {
    order.push(next);
    rest.delete(next);
    for (const i of rest) likeness[i] *= fading;
    for (const shingle of shingles[next]) {
      const those = holders.get(shingle);
      if (those.length < COMMON) for (const i of those) likeness[i] += Math.log(bodies.length / those.length);
    }
    let most = -1;
    for (const i of rest) {
      const value = likeness[i] / (shingles[i].size + 8);
      if (value > most) [most, next] = [value, i];
    }
  }
  return order;
}

/** The module with a name section that has its functions in their order: `wasm-opt --reorder-functions-by-name` puts them so. It must have none yet. */
export function namedByLikeness(bytes, fading) {
  const { imported, bodies } = functions(bytes);
  const names = [];
  chain(bodies, fading).forEach((i, place) => { names[imported + i] = String(place).padStart(6, '0'); });
  const entries = names.flatMap((name, i) => [encoded(i), encoded(name.length), Buffer.from(name)]);
  const map = Buffer.concat([encoded(bodies.length), ...entries]);
  const section = Buffer.concat([encoded(4), Buffer.from('name'), Buffer.from([1]), encoded(map.length), map]);
  return Buffer.concat([bytes, Buffer.from([0]), encoded(section.length), section]);
}
