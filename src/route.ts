/**
 * What a request is for. Pure: the path and the table of files decide, and nothing else.
 */
import { decodePathSegment } from './http/target.ts';
import { REGISTRY_PATH, RELAY_PATH_PREFIX } from './protocol/registry.ts';

export type Route =
  | { kind: 'asset' }
  | { kind: 'page' }
  | { kind: 'health' }
  | { kind: 'registry' }
  | { kind: 'relay'; nodeId: string }
  | { kind: 'missing-node-id' }
  | { kind: 'unknown' };

/**
 * @param path raw, as it stands in the request target, without the query; `*` asks about the server as a whole
 * @param assets the files that are served; none of them can take the place of another route
 * @returns `page` only if `/` is no asset, so for a daemon without a dashboard
 */
export function routeOf(path: string, assets: { has(path: string): boolean }): Route {
  if (path === '/healthz' || path === '*') return { kind: 'health' };
  if (path === REGISTRY_PATH) return { kind: 'registry' };
  if (!path.startsWith(RELAY_PATH_PREFIX)) return openRouteOf(path, assets);
  const raw = path.slice(RELAY_PATH_PREFIX.length);
  if (raw === '') return { kind: 'missing-node-id' };
  // Some clients encode the id and some do not: what is no valid encoding is taken as it stands.
  return { kind: 'relay', nodeId: decodePathSegment(raw) ?? Buffer.from(raw, 'latin1').toString() };
}

function openRouteOf(path: string, assets: { has(path: string): boolean }): Route {
  if (assets.has(path)) return { kind: 'asset' };
  return { kind: path === '/' ? 'page' : 'unknown' };
}

/** Open to everyone, token or not: the page, its files and the health check hold no secret. */
export function isOpen({ kind }: Route): boolean {
  return kind === 'asset' || kind === 'page' || kind === 'health';
}
