import { WebSocket, WebSocketServer } from 'ws';

const AGENT = `ws://127.0.0.1:${process.argv[2]}/`;
const HIGH_WATER_MARK = 1024 * 1024;

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096 });
server.on('connection', (client) => {
  const agent = new WebSocket(AGENT, { perMessageDeflate: false });
  const early = [];
  const keep = (payload, isBinary) => early.push([payload, isBinary]);
  client.on('message', keep);
  agent.on('open', () => {
    client.off('message', keep);
    for (const [payload, isBinary] of early) agent.send(payload, { binary: isBinary });
    forward(client, agent);
  });
  forward(agent, client);
  follow(client, agent);
  follow(agent, client);
});
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));

function forward(from, to) {
  from.on('message', (payload, isBinary) => {
    to.send(payload, { binary: isBinary }, () => {
      if (from.isPaused && to.bufferedAmount === 0) from.resume();
    });
    if (to.bufferedAmount > HIGH_WATER_MARK) from.pause();
  });
}

function follow(from, to) {
  from.on('error', console.error);
  from.on('close', () => to.close());
}
