/** Machines: the list of them, groups, what is not connected, and starting agents elsewhere. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { freePort } from '../../bench/subjects/free-port.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { Daemon } from '../support/daemon.ts';
import { assertAccessible } from './support/axe.ts';
import { eventually, skip, visit } from './support/browser.ts';
import { assertFits, PHONE } from './support/fits.ts';
import { JoinedMachine, type JoinedMachineOptions } from './support/joined-machine.ts';
import { ScriptedAgent, text } from './support/scripted-agent.ts';
import { Stage } from './support/stage.ts';

const WS = JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../node_modules/ws/wrapper.mjs')).href);

const row = (page: Page, id: string) => page.locator(`[data-agent="${id}"]`);
const standing = (page: Page, id: string, value: string) =>
  row(page, id).and(page.locator(`[data-standing="${value}"]`));
const list = (page: Page) => page.getByRole('dialog', { name: 'Machines' });
const card = (page: Page, name: string) =>
  list(page)
    .locator('.machine')
    .filter({ has: page.getByRole('heading', { name }) });
/** Headers of groups, without their counts of seconds. */
const headers = (page: Page) =>
  page.locator('.rows-header').evaluateAll((each) => each.map((header) => header.textContent ?? ''));

const node = (id: string, fields: Partial<Node> = {}): Node => ({
  id,
  machine: 'laptop',
  cwd: '/home/me/api',
  port: 4000,
  status: 'active',
  state: 'idle',
  reach: 'dial-back',
  ...fields,
});

async function joined(
  t: TestContext,
  stage: Stage,
  options: Partial<JoinedMachineOptions> = {},
): Promise<JoinedMachine> {
  const hub = await JoinedMachine.join(stage.daemon.registryUrl, { name: 'laptop', ...options });
  t.after(() => hub.drop());
  return hub;
}

async function openList(page: Page): Promise<void> {
  await page.locator('.machines-button').waitFor();
  await page.keyboard.press('m');
  await list(page).waitFor();
}

describe('the list of machines', { skip }, () => {
  it('says how to add a machine, if there is only this one', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, stage.url);
    await openList(page);
    await list(page).getByText('Only this machine so far').waitFor();
    await card(page, hostname()).getByText('This machine').waitFor();
    await list(page).getByText(`hypivisor --join ws://${hostname()}:${stage.daemon.port}/ws`).waitFor();
    await assertAccessible(page, 'the list of one machine');
  });

  it('is absent with a daemon that does not tell of machines', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await visit(t, 'about:blank');
    await page.routeWebSocket(/\/ws$/, (ws) => {
      const server = ws.connectToServer();
      ws.onMessage((message) => {
        const { method, params, ...rest } = JSON.parse(String(message));
        const features = params?.features?.filter((each: string) => each !== 'machines');
        server.send(JSON.stringify({ ...rest, method, params: features === undefined ? params : { features } }));
      });
    });
    await page.goto(stage.url);
    await row(page, 'ada').waitFor();
    await page.keyboard.press('a');
    const dialog = page.getByRole('dialog', { name: 'Start an agent' });
    await dialog.getByText('No folders in here.').waitFor();
    assert.equal(await dialog.getByText('Machine').count(), 0);
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.machines-button').count(), 0);
    await page.keyboard.press('m');
    assert.equal(await page.getByRole('dialog').count(), 0);
  });

  it('has the load, memory, version and way of each, as they come, change and go', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await visit(t, stage.url);
    await openList(page);
    const hub = await joined(t, stage, { nodes: [node('bob'), node('eve')] });
    const laptop = card(page, 'laptop');
    for (const words of ['2 agents', 'Joined directly', '9.8.7', '0.5 of 4', '2 GiB free of 8 GiB'])
      await laptop.getByText(words).first().waitFor();
    await card(page, hostname()).getByText('1 agent', { exact: true }).waitFor();
    await assertAccessible(page, 'the list of two machines');
    await hub.tell({ load: 3.96 });
    await laptop.getByText('4.0 of 4').waitFor();
    const shy = await joined(t, stage, { name: 'shy', features: ['roster'] });
    await card(page, 'shy').getByText('It does not let anybody talk to its agents or let agents be started.').waitFor();
    assert.equal(await card(page, 'shy').getByRole('button', { name: 'Start an agent' }).count(), 0);
    hub.drop();
    await laptop.getByText('Not connected').waitFor();
    assert.ok(await laptop.getByRole('button', { name: 'Start an agent' }).isDisabled());
    await assertAccessible(page, 'the list with a machine that is not connected');
    await hub.rejoin();
    await laptop.getByText('Joined directly').waitFor();
    await laptop.getByRole('button', { name: 'Show the 2 agents of laptop' }).click();
    await list(page).waitFor({ state: 'detached' });
    await row(page, 'ada').waitFor({ state: 'detached' });
    await row(page, 'bob').waitFor();
    shy.drop();
  });
});

describe('the roster of several machines', { skip }, () => {
  it('names the machine of each agent, and groups by it', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    await joined(t, stage, { nodes: [node('bob'), node('eve', { machine: 'vm1' }), node('ivy', { state: 'failed' })] });
    const { page } = await visit(t, stage.url);
    await row(page, 'bob').getByText('laptop', { exact: true }).waitFor();
    await row(page, 'eve').getByText('laptop (vm1)').waitFor();
    await row(page, 'ada').getByText(hostname(), { exact: true }).waitFor();
    await page.getByLabel('Group by').selectOption('machine');
    await eventually(async () => {
      const all = await headers(page);
      const laptop = all.find((each) => each.startsWith('laptop'));
      assert.ok(laptop?.includes('load 0.5 of 4') && laptop.includes('9.8.7') && laptop.endsWith('2'), `${all}`);
      assert.ok(
        all.some((each) => each.startsWith(`${hostname()}this machine`)),
        `${all}`,
      );
    });
    await row(page, 'eve').getByText('vm1', { exact: true }).waitFor();
    assert.equal(await row(page, 'bob').getByText('laptop').count(), 0, 'its group says so');
    await row(page, 'ivy').getByText('laptop', { exact: true }).waitFor();
    await assertAccessible(page, 'a roster grouped by machine');
  });

  it('says at once that the state of agents is unknown if their machine is not connected, until it is back', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada', { details: { state: 'working' } });
    const question = { id: 'q1', kind: 'confirm', title: 'Sure?' } as const;
    const asking = node('eve', { state: 'waiting', questions: 1, question });
    const hub = await joined(t, stage, { nodes: [node('bob', { state: 'working' }), asking] });
    const { page } = await visit(t, stage.url);
    await row(page, 'eve').getByRole('button', { name: 'Yes' }).waitFor();
    await standing(page, 'bob', 'working').waitFor();
    hub.drop();
    await standing(page, 'bob', 'unknown').getByText('laptop is not connected').waitFor();
    assert.equal(await row(page, 'eve').getByRole('button').count(), 0, 'nobody could hear the answer');
    assert.ok(await standing(page, 'ada', 'working').isVisible());
    await page.getByLabel('Group by').selectOption('machine');
    await page.locator('.rows-header').filter({ hasText: 'laptopnot connected' }).waitFor();
    await page.getByRole('button', { name: 'Machines: 2, 1 not connected' }).waitFor();
    await assertAccessible(page, 'a roster with a machine that is not connected');
    await hub.rejoin();
    await standing(page, 'bob', 'working').waitFor();
    await row(page, 'eve').getByRole('button', { name: 'Yes' }).waitFor();
    await page.getByRole('button', { name: 'Machines: 2', exact: true }).waitFor();
  });

  it('counts no agent as waiting whose machine is not connected: not in the title, above the others, or told', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada', { details: { state: 'idle' } });
    const question = { id: 'q1', kind: 'confirm', title: 'Sure?' } as const;
    const asking = node('eve', { state: 'waiting', questions: 1, question });
    const hub = await joined(t, stage, { nodes: [asking, node('bob', { state: 'failed' })] });
    const { page } = await visit(t, stage.url);
    const titled = (title: string) => page.waitForFunction((wanted) => document.title === wanted, title);
    const fleet = page.getByRole('region', { name: 'The fleet' });
    const isAbove = () => page.locator('.rows-header').filter({ hasText: 'Needs you' });
    await titled('(2) Pi-DE');
    await isAbove().waitFor();
    hub.drop();
    await titled('Pi-DE');
    await isAbove().waitFor({ state: 'detached' });
    await fleet.getByRole('button', { name: '2 not connected' }).waitFor();
    assert.equal(await fleet.getByRole('button', { name: /waiting|failed|Next/ }).count(), 0);
    await page.getByText('Nobody needs you').waitFor();
    await standing(page, 'eve', 'unknown').getByText('laptop is not connected').waitFor();
    await fleet.getByRole('button', { name: '2 not connected' }).click();
    await row(page, 'ada').waitFor({ state: 'detached' });
    assert.ok(await row(page, 'eve').isVisible());
    await assertAccessible(page, 'agents whose machine is not connected');
    await page.reload();
    await fleet.getByRole('button', { name: '2 not connected' }).waitFor();
    await titled('Pi-DE');
    assert.equal(await page.locator('[aria-live]', { hasText: 'waits for you' }).count(), 0);
    await hub.rejoin();
    await titled('(2) Pi-DE');
    await row(page, 'eve').getByRole('button', { name: 'Yes' }).waitFor();
  });

  it('has one group for the daemon’s own machine, whatever its hub is called', async (t) => {
    const stage = await Stage.open(t, { args: ['--hub-name', 'office'] });
    await stage.agent('ada');
    await stage.agent('bob', { machine: hostname() });
    const { page } = await visit(t, stage.url);
    await page.getByLabel('Group by').selectOption('machine');
    await eventually(async () => {
      const [only, ...others] = await headers(page);
      assert.deepEqual(others, []);
      assert.ok(only?.startsWith(`officethis machine, ${hostname()}`) && only.endsWith('2'), only);
    });
    await openList(page);
    await card(page, 'office').getByText('2 agents', { exact: true }).waitFor();
    await card(page, 'office').getByText(`This machine (${hostname()})`).waitFor();
    await list(page).getByText(`hypivisor --join ws://${hostname()}:${stage.daemon.port}/ws`).waitFor();
  });

  it('shows in the inspector an agent’s hub, its id there, and whether the way to it was proven', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const hub = await joined(t, stage, { features: ['roster', 'spawn'], nodes: [node('ada', { machine: 'vm1' })] });
    const { page } = await visit(t, stage.url);
    await row(page, 'ada@laptop').locator('a').click();
    if (await page.locator('.inspector').isHidden()) await page.keyboard.press('i');
    const fact = (name: string) =>
      page
        .locator('.inspector .fact')
        .filter({ has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
        .locator('dd');
    await fact('Machine').getByText('vm1').waitFor();
    await fact('Hub').getByText('laptop').waitFor();
    await fact('Hub').getByText('joined').waitFor();
    await fact('Id there').getByText('ada', { exact: true }).waitFor();
    hub.drop();
    await fact('Reached').getByText('not proven: its machine is not connected').waitFor();
    await fact('Hub').getByText('not connected').waitFor();
    await page.locator('.conversation-title').getByText('laptop (vm1) is not connected').waitFor();
  });
});

describe('starting an agent on another machine', { skip }, () => {
  const opened = async (page: Page) => {
    await page.locator('.machines-button').waitFor();
    await page.keyboard.press('a');
    const dialog = page.getByRole('dialog', { name: 'Start an agent' });
    await dialog.waitFor();
    return dialog;
  };

  it('begins with the machine, by keys, and keeps the choice; folders and sessions are those of that machine', async (t) => {
    const stage = await Stage.open(t);
    await stage.folders('here');
    const hub = await joined(t, stage);
    await joined(t, stage, { name: 'shy', features: ['roster'] });
    hub.onRequest = (method, params) => {
      if (method === 'list_directories')
        return { current: params.path ?? '/home/lap', directories: params.path ? [] : ['there'] };
      if (method === 'list_sessions')
        return { path: params.path, sessions: [{ session: 's1', name: 'Yesterday', modified: 1 }] };
      if (method === 'spawn_status') return { status: 'starting' };
      return { status: 'spawning', path: params.path, spawn_id: 'x1' };
    };
    const { page } = await visit(t, stage.url);
    let dialog = await opened(page);
    await dialog.getByRole('button', { name: 'here', exact: true }).waitFor();
    assert.equal(await dialog.getByRole('radio', { name: /shy/ }).count(), 0, 'it does not allow it');
    await assertAccessible(page, 'the spawn dialog with machines');
    await dialog.getByLabel('First prompt').fill('Tidy up');
    await dialog.getByRole('radio', { name: new RegExp(hostname()) }).focus();
    await page.keyboard.press('ArrowDown');
    await dialog.getByRole('button', { name: 'there' }).waitFor();
    assert.ok(await dialog.getByRole('radio', { name: /laptop/ }).isChecked());
    // Chosen: on to the folders, and nothing is started by it.
    await page.keyboard.press('Enter');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await dialog.getByText('laptop: /home/lap/there').waitFor();
    await dialog.getByRole('radio', { name: /Yesterday/ }).check();
    await dialog.getByRole('button', { name: 'Resume here' }).click();
    await page.getByText('Starting in /home/lap/there on laptop').waitFor();
    const start = hub.asked.find(({ method }) => method === 'spawn_agent');
    assert.deepEqual(
      { ...start?.params, machine: undefined },
      { path: '/home/lap/there', prompt: 'Tidy up', session: 's1', machine: undefined },
    );
    await hub.put(node('new', { cwd: '/home/lap/there', spawn_id: 'x1' }));
    await page.waitForURL(/#\/agent\/new$/);
    await page.reload();
    await row(page, 'new').waitFor();
    await page.evaluate('document.activeElement.blur()');
    dialog = await opened(page);
    await dialog.getByRole('button', { name: 'there' }).waitFor();
    assert.ok(await dialog.getByRole('radio', { name: /laptop/ }).isChecked(), 'as it was chosen last');
  });

  it('says in words that a machine refuses, that an agent ended there, and that it is not connected', async (t) => {
    const stage = await Stage.open(t);
    await stage.folders('here');
    const hub = await joined(t, stage);
    let refuses = true;
    hub.onRequest = (method, params) => {
      if (method === 'list_directories') return { current: '/home/lap', directories: ['there'] };
      if (method === 'list_sessions') return { path: params.path, sessions: [] };
      if (method === 'spawn_status') return { status: 'starting' };
      if (refuses) throw new Error('32 agents run here already');
      return { status: 'spawning', path: params.path, spawn_id: 'x1' };
    };
    const { page } = await visit(t, stage.url);
    const dialog = await opened(page);
    await dialog.getByRole('radio', { name: /laptop/ }).check();
    await dialog.getByRole('button', { name: 'there' }).waitFor();
    await dialog.getByRole('button', { name: 'Start here' }).click();
    await dialog.getByRole('alert').getByText('32 agents run here already').waitFor();
    refuses = false;
    await dialog.getByRole('button', { name: 'Start here' }).click();
    await page.getByText('on laptop').waitFor();
    const { requestId = '' } = hub.asked.findLast(({ method }) => method === 'spawn_agent') ?? {};
    await hub.spawnEnded(requestId, {
      event: 'spawn_ended',
      spawn_id: 'x1',
      exit_code: 3,
      signal: null,
      output: 'pi: out of order',
    });
    await page.getByText('ended with exit code 3 before it registered').waitFor();
    await page.getByText('pi: out of order').waitFor();
    await page.getByRole('button', { name: 'Try again' }).click();
    await dialog.getByRole('button', { name: 'there' }).waitFor();
    hub.drop();
    await dialog.getByText('laptop is not connected. Its folders are shown once it is back.').waitFor();
    assert.ok(await dialog.getByRole('button', { name: 'Start here' }).isDisabled());
    await assertAccessible(page, 'the spawn dialog with a machine that is not connected');
    await hub.rejoin();
    await dialog.getByRole('button', { name: 'there' }).waitFor();
    await dialog.getByRole('radio', { name: new RegExp(hostname()) }).check();
    await dialog.getByRole('button', { name: 'here', exact: true }).waitFor();
  });
});

describe('a machine whose own hypivisor has joined', { skip }, () => {
  it('lets this page talk to its agents and start some, and is back by itself after it was killed', async (t) => {
    const stage = await Stage.open(t);
    // The hub is the same again if it has the same home and port.
    const home = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
    t.after(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));
    const program = join(home, 'program.mjs');
    await mkdir(join(home, 'there'));
    const lower = {
      args: ['--join', stage.daemon.registryUrl, '--hub-name', 'laptop', '--port', String(await freePort())],
      env: {
        HOME: home,
        HYPI_SPAWN_COMMAND: JSON.stringify([process.execPath, program]),
        HYPI_MIN_FREE_MEMORY: '0',
      },
    };
    let laptop = await Daemon.start(lower);
    t.after(() => laptop.stop('SIGKILL'));
    // Registers as pi would, where it was started, and goes with the daemon.
    await writeFile(
      program,
      `import { WebSocket, WebSocketServer } from ${WS};
      const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
        const uplink = new WebSocket(process.env.HYPIVISOR_WS);
        const node = { id: 'spawned', machine: '127.0.0.1', cwd: process.cwd(), port: server.address().port, status: 'active' };
        const params = { ...node, spawn_id: process.env.HYPI_SPAWN_ID };
        uplink.on('open', () => uplink.send(JSON.stringify({ id: 1, method: 'register', params })));
        uplink.on('close', () => process.exit());
        uplink.on('error', () => process.exit());
      });
      server.on('connection', (client) => client.send(JSON.stringify({ type: 'init_state', messages: [], tools: [] })));`,
    );
    const bob = await ScriptedAgent.start(laptop.registryUrl, {
      id: 'bob',
      messages: [text('user', 'Hello from the laptop')],
    });
    t.after(() => bob.stop());
    const { page } = await visit(t, stage.url);
    await row(page, 'bob').locator('a').click();
    await page.locator('.conversation').getByText('Hello from the laptop').waitFor();
    await page.locator('.conversation-title').getByText('laptop', { exact: true }).waitFor();
    await page.keyboard.press('c');
    await page.keyboard.type('Hello back');
    await page.keyboard.press('Enter');
    await eventually(async () => assert.equal(bob.received.at(-1)?.text, 'Hello back', 'the prompt has come'));
    await page.keyboard.press('Escape');
    await page.evaluate('document.activeElement.blur()');
    await page.keyboard.press('a');
    const dialog = page.getByRole('dialog', { name: 'Start an agent' });
    await dialog.getByRole('radio', { name: /laptop/ }).check();
    await dialog.getByRole('button', { name: 'there' }).click();
    await dialog.getByText('No folders in here.').waitFor();
    await dialog.getByRole('button', { name: 'Start here' }).click();
    await page.waitForURL(/#\/agent\/spawned$/);
    await page.locator('.conversation-title').getByText('there').waitFor();
    await laptop.stop('SIGKILL');
    await page.locator('.conversation-title').getByText('laptop is not connected').waitFor();
    await page.getByRole('button', { name: 'Machines: 2, 1 not connected' }).waitFor();
    laptop = await Daemon.start(lower);
    await bob.register();
    await page.getByRole('button', { name: 'Machines: 2', exact: true }).waitFor();
    await row(page, 'bob').locator('a').click();
    await page.locator('.conversation').getByText('Hello from the laptop').waitFor();
  });
});

describe('a machine that means harm', { skip }, () => {
  it('is text, whatever its hub calls it', async (t) => {
    const stage = await Stage.open(t);
    const name = '<img src=x onerror=alert(1)>\u202edrac';
    const version = '<b>9</b>\u2066';
    await joined(t, stage, { name, version, nodes: [node('bob', { machine: '<i>vm</i>' })] });
    const { page } = await visit(t, stage.url);
    await row(page, 'bob').waitFor();
    await page.getByLabel('Group by').selectOption('machine');
    await page.locator('.rows-header').filter({ hasText: '<img src=x onerror=alert(1)>' }).waitFor();
    await row(page, 'bob').locator('a').click();
    if (await page.locator('.inspector').isHidden()) await page.keyboard.press('i');
    await page.locator('.inspector').getByText('<img src=x onerror=alert(1)>').first().waitFor();
    await page.evaluate('document.activeElement.blur()');
    await openList(page);
    await list(page).getByText('<b>9</b>').waitFor();
    const harm = () =>
      page.evaluate(() => [
        document.querySelectorAll('img').length,
        [...document.querySelectorAll('b, i')].filter((each) => /^(9|vm)$/.test(each.textContent ?? '')).length,
        /[\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText),
      ]);
    assert.deepEqual(await harm(), [0, 0, false]);
    await list(page)
      .getByRole('button', { name: /^Start an agent on <img/ })
      .click();
    await page
      .getByRole('dialog', { name: 'Start an agent' })
      .getByRole('radio', { name: /<img src=x/ })
      .waitFor();
    assert.deepEqual(await harm(), [0, 0, false]);
  });
});

describe('machines on a phone', { skip }, () => {
  it('fit, with long names', async (t) => {
    const stage = await Stage.open(t);
    const name = `rack-${'very-'.repeat(20)}long.example.org`;
    await joined(t, stage, { name, nodes: [node('bob')] });
    const { page } = await visit(t, stage.url, PHONE);
    await row(page, 'bob').waitFor();
    await page.getByLabel('Group by').selectOption('machine');
    await assertFits(page);
    await page.locator('.machines-button').tap();
    await list(page).waitFor();
    await assertFits(page);
    await assertAccessible(page, 'the list of machines on a phone');
    await page.getByRole('button', { name: `Start an agent on ${name}` }).tap();
    const dialog = page.getByRole('dialog', { name: 'Start an agent' });
    await dialog.getByText('No folders in here.').waitFor();
    await assertFits(page);
    await assertAccessible(page, 'the spawn dialog with machines on a phone');
  });
});
