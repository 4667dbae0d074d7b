/** Very many agents that have nothing to say but how they are. */
import { WebSocket } from 'ws';
import type { Daemon } from '../../support/daemon.ts';

const PROJECTS = 60;

/** Agents that register, say what they do, and take no connection. */
export class Crowd {
  readonly #uplinks: WebSocket[] = [];
  #calls = 0;

  static async gather(daemon: Daemon, count: number): Promise<Crowd> {
    const crowd = new Crowd();
    for (let start = 0; start < count; start += 100) {
      const more = Array.from({ length: Math.min(100, count - start) }, (_, i) => crowd.#join(daemon, start + i));
      await Promise.all(more);
    }
    return crowd;
  }

  #join(daemon: Daemon, index: number): Promise<void> {
    const uplink = new WebSocket(daemon.registryUrl);
    this.#uplinks.push(uplink);
    const params = {
      id: `agent-${index}`,
      machine: `machine-${index % 12}`,
      cwd: `/home/me/project-${index % PROJECTS}`,
      port: 1024 + (index % 60_000),
      status: 'active',
      name: `Session ${index}`,
      model: 'sonnet-5',
      state: index % 3 === 0 ? 'working' : 'idle',
      context: { used: (index * 37) % 200_000, max: 200_000 },
      cost: index / 1000,
    };
    return new Promise((resolve, reject) => {
      uplink.on('open', () => this.#call(uplink, 'register', params));
      uplink.on('message', (payload) => {
        const { id, error } = JSON.parse(String(payload)) as { id?: number; error?: string };
        if (id === undefined) return;
        if (error === undefined) resolve();
        else reject(new Error(error));
      });
      uplink.on('error', reject);
    });
  }

  #call(uplink: WebSocket, method: string, params: object): void {
    uplink.send(JSON.stringify({ id: ++this.#calls, method, params }));
  }

  /** So many changes a second, each of another agent, for so long. */
  async change(perSecond: number, seconds: number): Promise<void> {
    const STATES = ['working', 'idle', 'working', 'failed'];
    const begun = performance.now();
    for (let made = 0; made < perSecond * seconds; ) {
      const due = Math.min(((performance.now() - begun) / 1000) * perSecond, perSecond * seconds);
      for (; made < due; made++) {
        const uplink = this.#uplinks[(made * 7919) % this.#uplinks.length] as WebSocket;
        const state = STATES[made % STATES.length];
        this.#call(uplink, 'update', { state, tool: state === 'working' ? 'bash' : null, cost: made / 100 });
      }
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  }

  leave(): void {
    for (const uplink of this.#uplinks) uplink.terminate();
  }
}
