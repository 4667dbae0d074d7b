/**
 * Routing: the path and the table of files decide which route a request takes. Pure.
 */
import { decodePathSegment } from './http/target.ts';
import { BACK_PATH_PREFIX, REGISTRY_PATH, RELAY_PATH_PREFIX } from './protocol/registry.ts';

export type Route =
  | { kind: 'asset' }
  | { kind: 'page' }
  | { kind: 'health' }
  | { kind: 'registry' }
  | { kind: 'relay'; nodeId: string }
  | { kind: 'back'; ticket: string }
  | { kind: 'missing-node-id' }
  | { kind: 'unknown' };

/**
 * @param path the raw path of the request target, without the query; `*` is the whole server
 * @param assets the served files; a file never hides another route
 * @returns `page` only if `/` is not among the assets, because no dashboard was built
 */
export function routeOf(path: string, assets: { has(path: string): boolean }): Route {
  if (path === '/healthz' || path === '*') return { kind: 'health' };
  if (path === REGISTRY_PATH) return { kind: 'registry' };
  if (path.startsWith(BACK_PATH_PREFIX)) return { kind: 'back', ticket: path.slice(BACK_PATH_PREFIX.length) };
  if (!path.startsWith(RELAY_PATH_PREFIX)) return openRouteOf(path, assets);
  const raw = path.slice(RELAY_PATH_PREFIX.length);
  if (raw === '') return { kind: 'missing-node-id' };
  // Some clients encode the id, and some do not. An id that is not validly encoded is taken literally.
  return { kind: 'relay', nodeId: decodePathSegment(raw) ?? Buffer.from(raw, 'latin1').toString() };
}

function openRouteOf(path: string, assets: { has(path: string): boolean }): Route {
  if (assets.has(path)) return { kind: 'asset' };
  return { kind: path === '/' ? 'page' : 'unknown' };
}

/** Whether the route needs no token. The page, its files and the health check contain no secret. */
export function isOpen({ kind }: Route): boolean {
  return kind === 'asset' || kind === 'page' || kind === 'health';
}
