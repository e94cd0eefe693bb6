// What load() takes, as a list; and what a source's type says before anything is fetched.
import type { Source, Sources } from './types.ts';

/** @internal The sources in their order. `type` holds for those that name none. */
export function listOf(given: Sources, type: string | undefined): readonly Source[] {
  const list = Array.isArray(given) ? given as readonly (string | URL | Source)[] : [given as string | URL | Source];
  return list.map((one) => (typeof one === 'string' || one instanceof URL ? { src: one, type } : { type, ...one }));
}

/** MPEG audio has many names; which of them an engine takes depends on the wrapping, and that is found when the media has come. */
const anywhere = /^(mp3|mp4a\.(6b|69|40\.3[3-4]))$/i;

/** @internal The codecs of a MIME type that this browser takes in no container; nothing where the type names none. */
export function lacking(type: string | undefined): string | undefined {
  const codecs = /;\s*codecs\s*=\s*("[^"]*"|[^\s;]+)/i.exec(type ?? '')?.[1]?.replaceAll('"', '').split(',').map((codec) => codec.trim());
  const source = typeof MediaSource === 'undefined' ? (globalThis as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource : MediaSource;
  const lacks = codecs?.filter((codec) => codec && !anywhere.test(codec)
    && !['mp4', 'webm'].some((container) => source?.isTypeSupported(`video/${container}; codecs="${codec}"`)));
  return lacks?.length ? lacks.join(', ') : undefined;
}

/** @internal Against the page; nothing for what is no URL. */
export function resolve(given: string): URL | undefined {
  try {
    return new URL(given, document.baseURI);
  } catch {
    return undefined;
  }
}
