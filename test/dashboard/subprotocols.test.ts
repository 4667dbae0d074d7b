/** What clients offer as subprotocols, and what they can read of the answer: ws, undici in Node, and a real browser. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { Daemon } from '../support/daemon.ts';
import { browser, skip as whyNoBrowser } from './support/browser.ts';

const TOKEN = 'ä token+with/signs=';
const README = fileURLToPath(new URL('../../README.md', import.meta.url));

/** What a client saw: the subprotocol and the first message, or that it failed. */
type Seen = { protocol: string; first: string } | 'failed';

/** Opens a WebSocket and waits for its first message. Runs as it stands in a page and in Node, so it is one text. */
const LOOK = `async (open) => {
  const socket = open();
  return new Promise((resolve) => {
    socket.onerror = () => resolve('failed');
    socket.onmessage = ({ data }) => {
      resolve({ protocol: socket.protocol, first: String(data) });
      socket.close();
    };
  });
}`;

interface Kind {
  name: string;
  skip: string | false;
  /** @param open an expression that opens the WebSocket, of `registryUrl`, `relayUrl` and `token` */
  look(open: string, variables: Record<string, string>): Promise<Seen>;
}

const kinds: Kind[] = [
  {
    name: 'ws',
    skip: false,
    look: (open, variables) => run(open, variables, WebSocket),
  },
  {
    name: 'undici',
    skip: false,
    async look(open, variables) {
      const program = `(${LOOK})(() => { ${bind(variables)} return ${open}; }).then((seen) => {
        console.log(JSON.stringify(seen));
        process.exit();
      });`;
      const flags = ['--experimental-websocket', '--no-warnings'];
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, '-e', program]);
      return JSON.parse(stdout);
    },
  },
  {
    name: 'Chromium',
    skip: whyNoBrowser,
    async look(open, variables) {
      const context = await (await browser()).newContext();
      try {
        const page = await context.newPage();
        return (await page.evaluate(`(${LOOK})(() => { ${bind(variables)} return ${open}; })`)) as Seen;
      } finally {
        await context.close();
      }
    },
  },
];

function bind(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`)
    .join(' ');
}

function run(open: string, variables: Record<string, string>, Socket: unknown): Promise<Seen> {
  const look = new Function('WebSocket', `return (${LOOK})(() => { ${bind(variables)} return ${open}; });`);
  return look(Socket) as Promise<Seen>;
}

describe('subprotocols', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start({ env: { HYPI_TOKEN: TOKEN } });
  });
  after(() => daemon.stop());

  const variables = () => ({ registryUrl: daemon.registryUrl, relayUrl: daemon.relayUrl('nobody'), token: TOKEN });
  const base64url = Buffer.from(TOKEN).toString('base64url');
  const query = `?token=${encodeURIComponent(TOKEN)}`;

  for (const { name, skip, look } of kinds) {
    describe(name, { skip }, () => {
      test('the recipe of README.md for a page lets it in', async () => {
        const [, recipe = ''] = /```js\n\/\/ In a page\n([\s\S]+?)```/.exec(await readFile(README, 'utf8')) ?? [];
        assert.match(recipe, /const socket = new WebSocket/);
        const seen = await look(`(() => { ${recipe} return socket; })()`, variables());
        assert.ok(seen !== 'failed');
        assert.equal(seen.protocol, 'hypi.v1');
        assert.equal(JSON.parse(seen.first).event, 'init');
      });

      for (const [what, offer, chosen] of [
        ['nothing', [], ''],
        ['its own', ['mine.v2', 'mine.v1'], 'mine.v2'],
        ['its own, and ours', ['mine.v1', 'hypi.v1'], 'hypi.v1'],
        ['a token, and its own', [`hypi.token.${base64url}`, 'mine.v1'], 'mine.v1'],
      ] as const) {
        test(`one that offers ${what} reads the roster, and why there is no relay`, async () => {
          const offered = JSON.stringify(offer);
          const roster = await look(`new WebSocket(registryUrl + '${query}', ${offered})`, variables());
          const refusal = await look(`new WebSocket(relayUrl + '${query}', ${offered})`, variables());
          assert.ok(roster !== 'failed' && refusal !== 'failed');
          assert.deepEqual([roster.protocol, refusal.protocol], [chosen, chosen]);
          assert.equal(JSON.parse(roster.first).event, 'init');
          assert.deepEqual(JSON.parse(refusal.first), { error: 'Agent not found' });
        });
      }

      test('one that offers the token alone fails, since nothing can be chosen: no token is ever echoed', async () => {
        const offered = JSON.stringify([`hypi.token.${base64url}`]);
        assert.equal(await look(`new WebSocket(registryUrl, ${offered})`, variables()), 'failed');
        assert.equal(await look(`new WebSocket(relayUrl, ${offered})`, variables()), 'failed');
      });
    });
  }
});
