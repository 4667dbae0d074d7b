/** The pure rooms of some build: of this one, or of another commit's. */
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface PureModules {
  mask: typeof import('../../src/frame/mask.ts');
  parser: typeof import('../../src/frame/parser.ts');
  encode: typeof import('../../src/frame/encode.ts');
  utf8: typeof import('../../src/frame/utf8.ts');
  boundary: typeof import('../../src/frame/boundary.ts');
  headAccumulator: typeof import('../../src/http/head-accumulator.ts');
  message: typeof import('../../src/http/message.ts');
  handshake: typeof import('../../src/http/handshake.ts');
  registry: typeof import('../../src/registry/registry.ts');
}

/** @param folder the compiler's output: `dist` */
export async function importFrom(folder: string): Promise<PureModules> {
  const load = (path: string) => import(pathToFileURL(join(resolve(folder), path)).href);
  return {
    mask: await load('frame/mask.js'),
    parser: await load('frame/parser.js'),
    encode: await load('frame/encode.js'),
    utf8: await load('frame/utf8.js'),
    boundary: await load('frame/boundary.js'),
    headAccumulator: await load('http/head-accumulator.js'),
    message: await load('http/message.js'),
    handshake: await load('http/handshake.js'),
    registry: await load('registry/registry.js'),
  };
}
