/** Servers of a page, a health check, and a refusal. */
import type { Server, Subject } from '../scenario.ts';
import { startHypivisor } from './hypivisor.ts';
import { startNode } from './server.ts';
import { ownVersion } from './versions.ts';

export interface HttpSubject extends Subject {
  start(): Promise<Server>;
}

export const ourHttp: HttpSubject = {
  name: 'hypivisor',
  version: ownVersion,
  start: () => startHypivisor(),
};

export const nodeHttp: HttpSubject = {
  name: 'node:http',
  version: async () => process.version,
  start: () => startNode('../peers/node-http.mjs'),
};
