// examples/dashboard.mjs
import WebSocket from 'ws';

const { HYPIVISOR_WS = 'ws://localhost:31415/ws', HYPI_TOKEN = '' } = process.env;
const query = `?token=${encodeURIComponent(HYPI_TOKEN)}`;

const registry = new WebSocket(`${HYPIVISOR_WS}${query}`);
registry.on('message', (payload) => console.log('roster', String(payload)));

const agent = new WebSocket(`${HYPIVISOR_WS}/agent/${encodeURIComponent('echo')}${query}`);
agent.on('open', () => agent.send('Hello'));
agent.on('message', (payload) => console.log('echo', String(payload)));
agent.on('close', (code) => console.log('echo has left', code));
