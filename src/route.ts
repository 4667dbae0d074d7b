/**
 * What a request is for. Pure: the path and nothing else decides.
 */
import { decodePathSegment } from './http/target.ts';
import { REGISTRY_PATH, RELAY_PATH_PREFIX } from './protocol/registry.ts';

export type Route =
  | { kind: 'page' }
  | { kind: 'health' }
  | { kind: 'registry' }
  | { kind: 'relay'; nodeId: string }
  | { kind: 'missing-node-id' }
  | { kind: 'unknown' };

/** @param path raw, as it stands in the request target, without the query */
export function routeOf(path: string): Route {
  if (path === '/') return { kind: 'page' };
  if (path === '/healthz') return { kind: 'health' };
  if (path === REGISTRY_PATH) return { kind: 'registry' };
  if (!path.startsWith(RELAY_PATH_PREFIX)) return { kind: 'unknown' };
  const raw = path.slice(RELAY_PATH_PREFIX.length);
  if (raw === '') return { kind: 'missing-node-id' };
  // Some clients encode the id and some do not: what is no valid encoding is taken as it stands.
  return { kind: 'relay', nodeId: decodePathSegment(raw) ?? Buffer.from(raw, 'latin1').toString() };
}

/** Open to everyone, token or not: the page and the health check hold no secret. */
export function isOpen(route: Route): boolean {
  return route.kind === 'page' || route.kind === 'health';
}
