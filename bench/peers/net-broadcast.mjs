// A yardstick: node:net and the least that tells everyone. What the publisher writes, frames as everyone is to get them, is
// written to each as it came: one Buffer, one write for each.
import { createServer } from 'node:net';
import { upgradeResponse } from './net-upgrade.mjs';

const TEXT = 0x81;
const ROSTER = '{"event":"init","nodes":[],"protocol_version":"1"}';
const INIT = String.fromCharCode(TEXT, ROSTER.length) + ROSTER;

const watchers = new Set();

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', (head) => {
    if (head.includes('/publish')) {
      socket.write(upgradeResponse(head));
      socket.on('data', (frames) => {
        for (const watcher of watchers) watcher.write(frames);
      });
    } else {
      socket.write(upgradeResponse(head) + INIT, 'latin1');
      watchers.add(socket);
      socket.on('close', () => watchers.delete(socket));
      socket.resume();
    }
  });
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
