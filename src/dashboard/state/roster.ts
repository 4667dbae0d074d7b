/** The roster, as the daemon told it last. Pure. */
import type { Node, Push, RequestedPush } from '../../protocol/registry.ts';

export type Nodes = ReadonlyMap<string, Node>;

/**
 * Applies a number of pushes to the roster; in one copy for all of them, since hundreds may come in a second.
 *
 * @returns the roster, the very same map if nothing changed, and the nodes that joined or changed
 */
export function applyPushes(
  nodes: Nodes,
  pushes: readonly (Push | RequestedPush)[],
): { value: Nodes; changed: Node[] } {
  let next: Map<string, Node> | null = null;
  const touched = new Set<string>();
  const writable = () => {
    next ??= new Map(nodes);
    return next;
  };
  const get = (id: string) => (next ?? nodes).get(id);
  for (const push of pushes) {
    switch (push.event) {
      case 'init':
        next = new Map(push.nodes.map((node) => [node.id, node]));
        for (const { id } of push.nodes) touched.add(id);
        break;
      case 'node_joined':
        writable().set(push.node.id, push.node);
        touched.add(push.node.id);
        break;
      case 'node_updated': {
        const node = get(push.id);
        if (node !== undefined) writable().set(push.id, merge(node, push));
        touched.add(push.id);
        break;
      }
      case 'node_offline': {
        const node = get(push.id);
        if (node !== undefined) writable().set(push.id, { ...node, status: 'offline' });
        touched.add(push.id);
        break;
      }
      case 'node_removed':
        if (get(push.id) !== undefined) writable().delete(push.id);
    }
  }
  const value: Nodes = next ?? nodes;
  const changed = [...touched].flatMap((id) => {
    const node = value.get(id);
    return node === undefined || node === nodes.get(id) ? [] : [node];
  });
  return { value, changed };
}

/** Null removes a field. The field is left out of a copy: deleting it would make the object slow to read ever after. */
function merge(node: Node, update: { event: string; id: string }): Node {
  const before = node as unknown as Record<string, unknown>;
  const fields = update as Record<string, unknown>;
  const merged: Record<string, unknown> = {};
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(fields, name)) merged[name] = before[name];
    else if (fields[name] !== null) merged[name] = fields[name];
  }
  for (const name of Object.keys(fields)) {
    if (name !== 'event' && fields[name] !== null && !Object.hasOwn(before, name)) merged[name] = fields[name];
  }
  return merged as unknown as Node;
}
