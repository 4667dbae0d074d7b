/** Watches an agent come up, or says why it does not. */
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import type { Machine } from '../../protocol/hub.ts';
import type { SpawnStatus } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { listen, request } from '../state/connection.ts';
import { hide } from '../state/dialogs.ts';
import { nodes } from '../state/fleet.ts';
import { machines } from '../state/network.ts';
import { open } from '../state/opened.ts';

/** After this long, the page says why the agent may not have registered. */
const LONG_MS = 30_000;
const POLL_MS = 2000;

export interface Started {
  path: string;
  /** Undefined for the daemon's own, or if there is no other. */
  machine: Machine | undefined;
  spawnId: string | null;
  /** The agents that were there before. */
  before: ReadonlySet<string>;
  at: number;
}

/** The parameter that says where a request is to be carried out; none for the daemon's own machine. */
export const onMachine = (machine: Machine | undefined): { machine?: string } =>
  machine === undefined || machine.here ? {} : { machine: machine.id };

export function Watch({ started, again }: { started: Started; again(): void }) {
  const [ended, setEnded] = useState<Partial<SpawnStatus> | null>(null);
  const [isLong, setLong] = useState(false);
  const arrived = [...nodes.value.values()].find((node) =>
    started.spawnId !== null && node.spawn_id !== undefined
      ? node.spawn_id === started.spawnId
      : !started.before.has(node.id) && node.cwd === started.path && node.hub === started.machine?.name,
  );
  const isCutOff = started.machine !== undefined && machines.value.get(started.machine.id)?.status !== 'connected';
  useEffect(() => {
    if (arrived === undefined) return;
    hide();
    open(arrived.id);
  }, [arrived?.id]);
  // In a layout effect, since its end may come at once.
  useLayoutEffect(() => {
    const { spawnId } = started;
    const timer = setTimeout(() => setLong(true), LONG_MS);
    if (spawnId === null) return () => clearTimeout(timer);
    const stop = listen({
      push(push) {
        if (push.event === 'spawn_ended' && push.spawn_id === spawnId) setEnded(push);
      },
    });
    // If the daemon pushes nothing, it is asked.
    const poll = setInterval(async () => {
      try {
        const status = await request('spawn_status', { ...onMachine(started.machine), spawn_id: spawnId });
        if (status.status === 'ended') setEnded(status);
      } catch {
        // The daemon is an older one, or gone just now: the roster shows when the agent comes.
      }
    }, POLL_MS);
    return () => {
      clearTimeout(timer);
      clearInterval(poll);
      stop();
    };
  }, [started]);
  if (ended !== null) {
    const how =
      ended.signal != null ? `was ended by ${ended.signal}` : `ended with exit code ${ended.exit_code ?? 'unknown'}`;
    return (
      <div class="spawn-ended">
        <p class="form-error" role="alert">
          It {how} before it registered.
        </p>
        {ended.output ? (
          <>
            <p class="dialog-text">The end of what it printed:</p>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys */}
            <pre class="spawn-output" tabIndex={0}>
              {visible(ended.output)}
            </pre>
          </>
        ) : (
          <p class="dialog-text">
            It printed nothing. Is pi installed there, and does it start in that folder in a terminal?
          </p>
        )}
        <footer class="dialog-footer">
          <button type="button" class="button" onClick={hide}>
            Close
          </button>
          <button type="button" class="button primary" onClick={again}>
            Try again
          </button>
        </footer>
      </div>
    );
  }
  return (
    <div class="spawn-watch" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>
        Starting in <code class="wrap">{visible(started.path)}</code>
        {started.machine !== undefined && (
          <>
            {' '}
            on <bdi>{visible(started.machine.name)}</bdi>
          </>
        )}
      </p>
      <p class="aside">
        {isCutOff
          ? 'That machine is not connected just now, so nobody knows how it goes. It is asked again once it is back.'
          : isLong
            ? 'It has not registered yet. It may still be starting, or pi there has no hypivisor extension.'
            : 'It opens here as soon as it registers.'}
      </p>
      <footer class="dialog-footer">
        <button type="button" class="button" onClick={hide}>
          Do not wait
        </button>
      </footer>
    </div>
  );
}
