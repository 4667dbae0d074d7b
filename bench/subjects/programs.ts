/** Servers as commands, whose start is measured. */
import type { Subject } from '../scenario.ts';
import { fileOf } from './checkout.ts';
import { bunEcho, wsEcho } from './echo.ts';
import { programAt } from './server.ts';
import { ownVersion } from './versions.ts';
import { YARDSTICK } from './yardstick.ts';

export interface ProgramSubject extends Subject {
  readonly command: string;
  /** @param port the one to listen on */
  args(port: number): string[];
  env?(port: number): NodeJS.ProcessEnv;
}

export const ourProgram: ProgramSubject = {
  name: 'hypivisor',
  version: ownVersion,
  command: process.execPath,
  args: (port) => [fileOf('dist/hypivisor.js'), '--port', String(port)],
};

export const wsProgram: ProgramSubject = {
  name: wsEcho.name,
  version: wsEcho.version,
  command: process.execPath,
  args: () => [programAt('../peers/ws-registry.mjs')],
  env: (port) => ({ PORT: String(port), WS_NO_BUFFER_UTIL: '1' }),
};

export const bunProgram: ProgramSubject = {
  name: bunEcho.name,
  version: bunEcho.version,
  command: programAt('../peers/node_modules/.bin/bun'),
  args: () => [programAt('../peers/bun-echo.mjs')],
  env: (port) => ({ PORT: String(port) }),
};

export const netProgram: ProgramSubject = {
  ...YARDSTICK,
  command: process.execPath,
  args: () => [programAt('../peers/net-server.mjs')],
  env: (port) => ({ PORT: String(port) }),
};

/** Node with nothing to do, and no end. */
export const emptyProgram: ProgramSubject = {
  name: 'empty node',
  version: async () => process.version,
  command: process.execPath,
  args: () => ['-e', 'setInterval(() => {}, 2 ** 30)'],
};
