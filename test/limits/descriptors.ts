/** A daemon with few descriptors, and more silent attackers than it can hold, who come back a second after they are dropped. */
import { Daemon } from '../support/daemon.ts';
import { footprint } from '../support/measure.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { Crowd } from './crowd.ts';
import { atMost, exactly, figure, inMs, type Part, spread } from './figure.ts';
import { served } from './silent.ts';

const DESCRIPTORS = 256;
const ATTACKERS = 600;
const FOR_MS = 15_000;

export const descriptors: Part = {
  title: `${DESCRIPTORS} descriptors, ${ATTACKERS} silent attackers`,
  async run(say) {
    const launcher = ['sh', '-c', `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`];
    const daemon = await Daemon.start({ launcher });
    let early: RawPeer | undefined;
    let crowd: Crowd | undefined;
    try {
      early = await RawPeer.upgrade(daemon.port, '/ws');
      crowd = await Crowd.gather({ port: daemon.port, count: ATTACKERS, comesBack: true }, say);
      const tookMs: number[] = [];
      let failures = 0;
      let held = 0;
      const began = performance.now();
      for (let now = began; now - began < FOR_MS; now = performance.now()) {
        say(`${Math.round((now - began) / 1000)} of ${FOR_MS / 1000} s, ${tookMs.length} served`);
        await served(daemon.port).catch(() => failures++);
        tookMs.push(performance.now() - now);
        held = Math.max(held, (await footprint(daemon.pid)).descriptors);
      }
      const { median, max } = spread(tookMs);
      return [
        atMost('a normal client is served after, the last of all', max, 1000, inMs),
        figure(`… half of ${tookMs.length}`, inMs(median)),
        exactly('… not served', failures, 0),
        exactly('who was there before is still there', String(!early.ended), 'true'),
        atMost('descriptors held at most', held, DESCRIPTORS, String),
      ];
    } finally {
      await crowd?.leave();
      early?.socket.destroy();
      await daemon.stop();
    }
  },
};
