import net from 'node:net';

const server = net.createServer({ noDelay: true }, (client) => {
  const agent = net.connect({ host: '127.0.0.1', port: Number(process.argv[2]), noDelay: true });
  client.on('error', () => agent.destroy());
  agent.on('error', () => client.destroy());
  client.pipe(agent).pipe(client);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
