// examples/agent.mjs
import os from 'node:os';
import WebSocket, { WebSocketServer } from 'ws';

const { HYPIVISOR_WS = 'ws://localhost:31415/ws', HYPI_TOKEN = '' } = process.env;
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
  const uplink = new WebSocket(`${HYPIVISOR_WS}?token=${encodeURIComponent(HYPI_TOKEN)}`);
  const node = {
    id: 'echo',
    machine: os.hostname(),
    cwd: process.cwd(),
    port: server.address().port,
    status: 'active',
  };
  uplink.on('open', () => uplink.send(JSON.stringify({ id: 1, method: 'register', params: node })));
  uplink.on('message', (payload) => console.log(String(payload)));
});
server.on('connection', (client) => {
  const say = (event) => client.send(JSON.stringify(event));
  say({ type: 'init_state', messages: [], tools: [] });
  client.on('message', (prompt) => {
    const message = { role: 'assistant', content: [{ type: 'text', text: `You said: ${prompt}` }] };
    for (const type of ['message_start', 'message_update', 'message_end']) say({ type, message });
  });
});
