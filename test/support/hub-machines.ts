/**
 * A hub on a server, and hubs on two laptops that have joined it, each behind a NAT of its own, 30 ms away on a link that loses a
 * packet in a hundred, one of them through a TLS proxy:
 *
 *   desk ──┐                     ┌── NAT ── laptop-a: hub, agents
 *   server: hub ── switch ───────┤
 *   gate: nginx with TLS ──┘     └── NAT ── laptop-b: hub, agents
 *
 * On each laptop are an agent that listens on loopback alone, one that dials back, and the extension in a pi that is only
 * played. The first two have the same ids on both laptops.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { registryUrl, relayUrl } from '../../src/protocol/url.ts';
import { makeCertificate } from './certificate.ts';
import type { Json } from './client.ts';
import { Daemon } from './daemon.ts';
import { eventually } from './measure.ts';
import { type Machine, Network, type PeerProcess } from './namespaces.ts';

export const TOKEN = 'a token+with/signs=';
const PORT = 31415;
const TLS_PORT = 8443;
const DELAY_MS = 30;
const LOST_PERCENT = 1;
export const LAPTOPS = ['laptop-a', 'laptop-b'] as const;
export type LaptopName = (typeof LAPTOPS)[number];

/** What a roster says of the agents on the laptops, in order; their ids differ with who came first. */
export function nodesAsShown(nodes: readonly Json[]): Json[] {
  const shown = nodes.map(({ id, hub, reach, status }) => ({ hub, kind: kindOf(id), reach, status }));
  return shown.sort((a, b) => (`${a.hub} ${a.kind}` < `${b.hub} ${b.kind}` ? -1 : 1));
}

/** By its id, which is its own choice in the case of the extension. */
function kindOf(id: string): string {
  const [own = ''] = id.split('@');
  return ['back', 'deaf', 'plain'].includes(own) ? own : 'pi';
}

/** The id here of an agent on a laptop. */
export function idAt(nodes: readonly Json[], laptop: LaptopName, kind: string): string {
  const node = nodes.find(({ id, hub }) => hub === laptop && kindOf(id) === kind);
  assert.ok(node, `${kind} of ${laptop} is in the roster`);
  return node.id;
}

export interface Sleep {
  /** It sleeps at least so long, and until its agents are so. */
  forAtLeastMs: number;
  until: 'unproven' | 'gone';
  patienceMs: number;
  /** Hears how it goes. */
  say?: (what: string) => void;
}

/**
 * Lets laptop-a sleep, and wakes it. Meanwhile those of laptop-b are reached, and who wants one that sleeps is told why
 * not. In the end all is as before.
 */
export async function sleepsFor(
  hubs: HubMachines,
  { forAtLeastMs, until, patienceMs, say = () => {} }: Sleep,
): Promise<void> {
  const before = await hubs.seen();
  const asBefore = nodesAsShown(before.nodes);
  const sleeping = idAt(before.nodes, 'laptop-a', 'plain');
  const awake = idAt(before.nodes, 'laptop-b', 'plain');
  const sleepers = async () => (await hubs.seen()).nodes.filter(({ hub }) => hub === 'laptop-a');
  const sleptAt = performance.now();
  await hubs.laptops['laptop-a'].sleep();
  say('laptop-a sleeps');
  try {
    const failure = JSON.parse(await hubs.say(sleeping)).error;
    assert.match(failure, /^Cannot reach agent: /);
    say(`a relay to it: ${failure}`);
    await eventually(async () => {
      const reaches = (await sleepers()).map(({ reach }) => reach);
      assert.ok(
        reaches.every((reach) => reach === 'unproven'),
        `unproven: ${reaches}`,
      );
    }, patienceMs);
    say('its agents are unproven, or gone');
    if ((await sleepers()).length > 0) {
      const sentence = JSON.parse(await hubs.say(sleeping)).error;
      assert.match(sentence, /^(?:Cannot reach agent: its hub laptop-a is not connected|Agent not found)/);
    }
    assert.equal(await hubs.say(awake), 'plain of laptop-b: hello');
    if (until === 'gone') await eventually(async () => assert.deepEqual(await sleepers(), []), patienceMs);
    await delay(Math.max(0, forAtLeastMs - (performance.now() - sleptAt)));
    assert.equal(await hubs.say(awake), 'plain of laptop-b: hello');
  } finally {
    await hubs.laptops['laptop-a'].wake();
    say('laptop-a wakes');
  }
  await eventually(async () => {
    const { nodes } = await hubs.seen();
    assert.deepEqual(nodesAsShown(nodes), asBefore);
  }, patienceMs);
  say('its agents are as before');
  await eventually(async () => {
    const { nodes } = await hubs.seen();
    for (const kind of ['plain', 'back']) {
      assert.equal(await hubs.say(idAt(nodes, 'laptop-a', kind)), `${kind} of laptop-a: hello`);
    }
  }, patienceMs);
  say('and are reached');
  if (until === 'unproven' && forAtLeastMs === 0) {
    const told = (await hubs.seen()).events.slice(before.events.length);
    assert.deepEqual(
      told.filter((event) => /^node_(?:joined|removed|offline)/.test(event)),
      [],
    );
  }
}

export interface HubMachinesOptions {
  /** For hubs in a program, with these limits; by default they are the built command, with its own. */
  limits?: Record<string, number>;
}

export class HubMachines {
  readonly network: Network;
  server!: Machine;
  desk!: Machine;
  readonly laptops = {} as Record<LaptopName, Machine>;
  /** Those of the command, by machine. */
  readonly daemons = new Map<Machine, Daemon>();
  /** One that watches the hub above, and one of each laptop that watches the hub there. */
  dashboard!: PeerProcess;
  readonly local = {} as Record<LaptopName, PeerProcess>;
  readonly #folder: string;
  readonly #options: HubMachinesOptions;

  private constructor(network: Network, folder: string, options: HubMachinesOptions) {
    this.network = network;
    this.#folder = folder;
    this.#options = options;
  }

  /** To be removed, whatever happens. */
  static async create(options: HubMachinesOptions = {}): Promise<HubMachines> {
    const folder = await mkdtemp(join(tmpdir(), 'hypivisor-hubs-'));
    const machines = new HubMachines(await Network.create(), folder, options);
    try {
      await machines.#build();
    } catch (error) {
      await machines.remove();
      throw error;
    }
    return machines;
  }

  /** Of the hub above, as everybody but the laptops' own agents sees it. */
  get origin(): string {
    return `http://${this.server.address}:${PORT}`;
  }

  /** Of the hub on a laptop, on that laptop alone. */
  get localOrigin(): string {
    return `http://127.0.0.1:${PORT}`;
  }

  /** What the dashboard at the hub above shows. */
  async seen(): Promise<{ nodes: Json[]; machines: Json[]; events: string[] }> {
    return this.dashboard.call('seen');
  }

  /** Asks the hub above. */
  async ask(method: string, params: Record<string, unknown> = {}): Promise<Json> {
    return this.dashboard.call('ask', { registryUrl: registryUrl(this.origin, TOKEN), method, params });
  }

  /** Asks the hub on a laptop. */
  async askLocal(laptop: LaptopName, method: string, params: Record<string, unknown> = {}): Promise<Json> {
    return this.local[laptop].call('ask', { registryUrl: registryUrl(this.localOrigin, null), method, params });
  }

  /** Says something to an agent through the hub above. @returns what comes first */
  async say(id: string): Promise<string> {
    const url = relayUrl(this.origin, id, TOKEN);
    return (await this.dashboard.call('say', { relayUrl: url, text: 'hello' })).message;
  }

  /** Prompts an extension through the hub above. @returns its answers */
  async chat(id: string, text: string): Promise<string[]> {
    return this.dashboard.call('chat', { origin: this.origin, id, token: TOKEN, text });
  }

  /** Says something to an agent of a laptop, from that laptop. */
  async sayLocal(laptop: LaptopName, id: string): Promise<string> {
    const url = relayUrl(this.localOrigin, id, null);
    return (await this.local[laptop].call('say', { relayUrl: url, text: 'hello' })).message;
  }

  /** Opens the dashboard at the hub above, anew if it was open. */
  async watch(): Promise<void> {
    await this.dashboard.call('watch', { registryUrl: registryUrl(this.origin, TOKEN) });
  }

  /** Starts the hub above, on the port that it has always had. */
  async startUpper(): Promise<void> {
    await this.#startHub(this.server, { token: TOKEN });
  }

  async remove(): Promise<void> {
    try {
      // A process that sleeps ends by nothing but SIGKILL.
      for (const laptop of Object.values(this.laptops)) await laptop.wake().catch(() => {});
      for (const daemon of this.daemons.values()) await daemon.stop();
    } finally {
      await this.network.remove();
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  async #build(): Promise<void> {
    const { network } = this;
    this.server = await network.addMachine('server');
    this.desk = await network.addMachine('desk');
    const gate = await network.addMachine('gate');
    await this.startUpper();
    const caFile = await this.#startProxy(gate);
    const ways: Record<LaptopName, { join: string; caFile?: string }> = {
      'laptop-a': { join: `ws://${this.server.address}:${PORT}/ws` },
      'laptop-b': { join: `wss://${gate.address}:${TLS_PORT}/ws`, caFile },
    };
    for (const name of LAPTOPS) {
      const laptop = await network.addMachineBehindNat(name, DELAY_MS, LOST_PERCENT);
      this.laptops[name] = laptop;
      await this.#startHub(laptop, ways[name]);
      this.local[name] = laptop.startPeer();
      await this.#startAgents(laptop, this.local[name]);
    }
    this.dashboard = this.desk.startPeer();
    await this.watch();
  }

  async #startHub(
    machine: Machine,
    { token, join: url, caFile }: { token?: string; join?: string; caFile?: string },
  ): Promise<void> {
    const { limits } = this.#options;
    if (limits !== undefined) {
      const ca = caFile === undefined ? {} : { caFile };
      const joins = url === undefined ? {} : { join: [{ url, token: TOKEN, ...ca }], hubName: machine.hostName };
      const own = token === undefined ? {} : { token };
      await machine.startPeer().call('startHub', { port: PORT, limits, ...own, ...joins });
      return;
    }
    const args = ['--port', String(PORT)];
    if (url !== undefined) args.push('--join', url, '--hub-name', machine.hostName);
    if (caFile !== undefined) args.push('--join-ca', caFile);
    const env = token === undefined ? { HYPI_JOIN_TOKEN: TOKEN } : { HYPI_TOKEN: token };
    const host = token === undefined ? '127.0.0.1' : machine.address;
    this.daemons.set(machine, await Daemon.start({ launcher: machine.launcher, host, args, env }));
  }

  async #startAgents(laptop: Machine, peer: PeerProcess): Promise<void> {
    const url = registryUrl(this.localOrigin, null);
    const port = await peer.call('serve', { says: `plain of ${laptop.hostName}`, host: '127.0.0.1' });
    await peer.call('register', { registryUrl: url, port, id: 'plain', machine: 'localhost' });
    const says = `back of ${laptop.hostName}`;
    await peer.call('registerBack', { registryUrl: url, id: 'back', says, machine: 'elsewhere' });
    const home = await mkdtemp(join(this.#folder, 'home-'));
    await laptop.startPeer().call('startPi', { registryUrl: url, home });
  }

  /** nginx with TLS before the hub above. @returns the file of the certificate to trust */
  async #startProxy(gate: Machine): Promise<string> {
    const folder = this.#folder;
    const { key, cert } = await makeCertificate([`IP:${gate.address}`]);
    const [keyFile, certFile, file] = ['key.pem', 'cert.pem', 'nginx.conf'].map((name) => join(folder, name));
    await writeFile(keyFile as string, key, { mode: 0o600 });
    await writeFile(certFile as string, cert);
    await writeFile(
      file as string,
      `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen ${gate.address}:${TLS_PORT} ssl;
    ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};
    location / {
      proxy_pass ${this.origin};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "Upgrade";
      proxy_set_header Host $http_host;
    }
  }
}`,
    );
    gate.run('nginx', ['-c', file as string]);
    return certFile as string;
  }
}
