/** The pis that the extension is tested in: each in its own Node.js. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Pi {
  version: string;
  /** The Node.js that runs it, and its program. */
  command: [node: string, program: string];
  /** It says when a run is over for good, and runs commands that come from afar. */
  settles: boolean;
}

const at = (path: string) => fileURLToPath(new URL(`node_modules/${path}`, import.meta.url));

function pi(folder: string, node: string, settles: boolean): Pi {
  const { version, bin } = JSON.parse(readFileSync(at(`${folder}/package.json`), 'utf8')) as {
    version: string;
    bin: { pi: string };
  };
  return { version, command: [node, at(`${folder}/${bin.pi}`)], settles };
}

const NEWER_NODE = at('node/bin/node');

/** All of them, or the one whose version `PI` begins with. */
export const PIS: Pi[] = [
  pi('pi-0.73', process.execPath, false),
  pi('pi-0.87', NEWER_NODE, true),
  pi('pi-1.6', NEWER_NODE, true),
].filter(({ version }) => version.startsWith(process.env.PI ?? ''));

/** The built extension, as `pi install` would find it. */
export const EXTENSION = fileURLToPath(new URL('../../dist/agent/pi-socket.js', import.meta.url));
export const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
/** An extension that asks questions. */
export const ASKER = fileURLToPath(new URL('asker.mjs', import.meta.url));
