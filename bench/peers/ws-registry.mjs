/**
 * The registry as one would write it on `ws`, with the original's behaviour: everyone who connects, agents too, gets
 * the whole roster and is told of every change, each as it happens.
 */
import { WebSocketServer } from 'ws';

const NODE_TTL_MS = 30_000;

const nodes = new Map();
/** The node in each place: a port belongs to one process. */
const places = new Map();
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0), backlog: 4096 });

function broadcast(event) {
  const payload = Buffer.from(JSON.stringify(event));
  for (const client of server.clients) client.send(payload, { binary: false });
}

function remove(id) {
  const { machine, port } = nodes.get(id);
  const place = `${machine}:${port}`;
  if (places.get(place) === id) places.delete(place);
  nodes.delete(id);
  broadcast({ event: 'node_removed', id });
}

function seconds() {
  return Math.floor(Date.now() / 1000);
}

const methods = {
  register(connection, { id, machine, cwd, port, pid }) {
    if (typeof id !== 'string' || typeof machine !== 'string' || typeof cwd !== 'string' || !Number.isInteger(port)) {
      throw new Error('Invalid node info');
    }
    const place = `${machine}:${port}`;
    const standing = places.get(place);
    if (standing !== undefined && standing !== id) remove(standing);
    const node = { id, machine, cwd, port, status: 'active', last_seen: seconds(), pid };
    nodes.set(id, node);
    places.set(place, id);
    connection.nodeId = id;
    broadcast({ event: 'node_joined', node });
    return { status: 'registered' };
  },

  deregister(_connection, { id }) {
    if (!nodes.has(id)) return { status: 'not_found' };
    remove(id);
    return { status: 'deregistered' };
  },

  list_nodes: () => [...nodes.values()],

  ping: () => ({ status: 'healthy', nodes: nodes.size, version: '0' }),

  /** Only for the bench: replaces the roster without an event. */
  take_nodes(_connection, { nodes: taken }) {
    const common = { machine: '127.0.0.1', cwd: '/home/user/project', status: 'active', last_seen: seconds() };
    nodes.clear();
    places.clear();
    for (const { id, port } of taken) {
      nodes.set(id, { id, ...common, port });
      places.set(`${common.machine}:${port}`, id);
    }
    return { status: 'taken' };
  },
};

server.on('connection', (socket) => {
  const connection = { nodeId: null };
  socket.on('error', console.error);
  socket.on('message', (payload) => {
    const { id, method, params } = JSON.parse(payload.toString());
    try {
      socket.send(JSON.stringify({ id, result: methods[method](connection, params) }));
    } catch (error) {
      socket.send(JSON.stringify({ id, error: error.message }));
    }
  });
  socket.on('close', () => {
    const node = nodes.get(connection.nodeId);
    if (node === undefined) return;
    node.status = 'offline';
    node.offline_since = seconds();
    broadcast({ event: 'node_offline', id: node.id });
    setTimeout(() => {
      if (nodes.get(node.id) === node && node.status === 'offline') remove(node.id);
    }, NODE_TTL_MS);
  });
  socket.send(JSON.stringify({ event: 'init', nodes: [...nodes.values()], protocol_version: '1' }));
});
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
