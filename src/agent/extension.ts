/**
 * pi-socket: serves every session of pi to hypivisor's dashboards.
 *
 * The factory opens nothing. A session is served from `session_start` to `session_shutdown`. This extension must never
 * end, block or slow pi: every callback is behind a boundary, and nothing is printed.
 */
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Environment } from '../protocol/environment.ts';
import { createBoundary } from './boundary.ts';
import { createCommand } from './command.ts';
import { Daemon } from './daemon.ts';
import { AgentLog } from './log.ts';
import type { PiApi, PiContext, PiEvents } from './pi.ts';
import { PiSession } from './session.ts';
import { readSettings } from './settings.ts';
import { type Copy, chosen, type Shared, shared as sharedState } from './shared.ts';

/** Inserted by the build. */
declare const HYPIVISOR_VERSION: string | undefined;

/** The events that go to a session. Older pis have `agent_end`, but no `agent_settled`. */
const SESSION_EVENTS: readonly (keyof PiEvents)[] = [
  'session_tree',
  'session_info_changed',
  'session_before_compact',
  'session_compact',
  'session_compact_failed',
  'agent_start',
  'agent_end',
  'agent_settled',
  'input',
  'user_bash',
  'message_start',
  'message_update',
  'message_end',
  'tool_execution_start',
  'tool_execution_update',
  'tool_execution_end',
  'ui_prompt_start',
  'model_select',
  'thinking_level_select',
];

/** pi calls this when it loads the extension. */
export default function piSocket(pi: PiApi): void {
  const settings = readSettings(process.env);
  if (!settings.isOn) return;
  const home = os.homedir();
  const log = new AgentLog(path.join(home, '.pi', 'logs', 'hyper-pi.jsonl'));
  const boundary = createBoundary(log);
  boundary('factory', () => {
    const file = fileURLToPath(import.meta.url);
    const copy: Copy = { path: file, version: typeof HYPIVISOR_VERSION === 'string' ? HYPIVISOR_VERSION : '0.0.0' };
    const daemon = new Daemon({
      folder: path.join(home, '.pi', 'hypivisor'),
      program: path.join(path.dirname(file), '..', 'hypivisor.js'),
      environment: process.env,
    });
    const shared = sharedState();
    enter(shared, copy);
    if (settings.spawnId !== null) {
      shared.spawnId = settings.spawnId;
      // The processes that this agent starts must not claim to be the spawned agent.
      delete process.env[Environment.HYPI_SPAWN_ID];
    }

    let session: PiSession | null = null;
    const whyNot = () => {
      const path = shared.serving?.path ?? chosen(shared.copies)?.path;
      return path === undefined || path === copy.path ? 'no session is served' : `the copy in ${path} serves`;
    };

    const begin = (_event: PiEvents['session_start'], context: PiContext) => {
      if (!context.hasUI) return;
      // This copy left at the end of the last session. Not every pi runs the factory again for the next.
      enter(shared, copy);
      const id = context.sessionManager.getSessionId();
      const { serving } = shared;
      const isServedElsewhere = serving !== null && serving.session.id === id && serving.path !== copy.path;
      if (isServedElsewhere || chosen(shared.copies) !== copy) {
        log.warn(`loaded twice: ${whyNot()}`, { path: copy.path });
        context.ui.notify(`hypivisor is loaded twice: ${whyNot()}, and not ${copy.path}`, 'warning');
        return;
      }
      // Older pis start a session twice without an end between.
      if (serving !== null) void serving.session.end(serving.session.id === id ? 'reload' : 'new');
      session = new PiSession({
        pi,
        context,
        settings,
        environment: process.env,
        shared,
        daemon,
        log,
        boundary,
        settles,
      });
      shared.serving = { path: copy.path, session };
      void boundary('start', (started: PiSession) => started.start())(session);
    };

    // Newer pis return a function that unsubscribes. The same pis say when a run has ended for good.
    const settles = typeof pi.on('session_start', boundary('session_start', begin)) === 'function';

    pi.on(
      'session_shutdown',
      boundary('session_shutdown', async ({ reason = 'quit' }: PiEvents['session_shutdown']) => {
        const ending = session;
        session = null;
        leave(shared, copy);
        if (ending === null) return;
        if (shared.serving?.session === ending) shared.serving = null;
        await ending.end(reason);
      }),
    );
    for (const name of SESSION_EVENTS) {
      pi.on(
        name,
        boundary(name, (event: never) => session?.event(name, event)),
      );
    }
    // The command of the first copy is enough, whichever copy serves.
    if (shared.copies[0] === copy) {
      const command = createCommand({
        settings,
        daemon,
        version: copy.version,
        session: () => shared.serving?.session ?? null,
        whyNot,
      });
      pi.registerCommand('hypivisor', {
        ...command,
        handler: async (args, context) => void (await boundary('command', command.handler)(args, context)),
      });
    }
  })();
}

/** Adds a copy. If pi evaluates the same file again, the new copy replaces the old one. */
function enter(shared: Shared, copy: Copy): void {
  const index = shared.copies.findIndex(({ path }) => path === copy.path);
  if (index === -1) shared.copies.push(copy);
  else shared.copies[index] = copy;
}

function leave(shared: Shared, copy: Copy): void {
  shared.copies = shared.copies.filter((other) => other !== copy);
}
