/** Every machine: its agents, its load, and how it is connected; and how to add one. */
import { batch } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { HubFeature, type Machine, type UpperHub } from '../../protocol/hub.ts';
import { visible } from '../chat/visible.ts';
import { registryAddress } from '../link/page-address.ts';
import { canCopy, copyText } from '../platform/clipboard.ts';
import { live } from '../state/connection.ts';
import { hide, show } from '../state/dialogs.ts';
import { loadOf, memory, plural } from '../state/format.ts';
import { inOrder, isLoopback, startable, withheld } from '../state/machines.ts';
import { here, machines } from '../state/network.ts';
import { notify } from '../state/notices.ts';
import { query, shownStandings } from '../state/order.ts';
import { grouping, spawnMachine } from '../state/prefs.ts';
import { token } from '../state/token.ts';
import { agentCounts } from '../state/whereabouts.ts';
import { Dialog } from './dialog.tsx';
import { Icon } from './icon.tsx';
import { Since } from './since.tsx';

export function Machines() {
  const all = inOrder(machines.value);
  const canStart = new Set(startable(machines.value));
  return (
    <Dialog title="Machines" size="wide">
      <ul class="machines" data-live={live.value}>
        {all.map((machine) => (
          <MachineCard key={machine.id} machine={machine} canStart={canStart.has(machine)} />
        ))}
      </ul>
      <Invitation isFirst={all.length < 2} />
    </Dialog>
  );
}

function MachineCard({ machine, canStart }: { machine: Machine; canStart: boolean }) {
  const { id, name, status, here, features, up = [] } = machine;
  const agents = agentCounts.value.get(name) ?? 0;
  const isConnected = status === 'connected';
  const less = withheld(machine);
  return (
    <li class="machine" data-status={status}>
      <header>
        <Icon name="machine" />
        <h3>
          <bdi>{visible(name)}</bdi>
        </h3>
        {features.includes(HubFeature.ROSTER) && (
          <button
            type="button"
            class="button small ghost"
            disabled={agents === 0}
            aria-label={`Show the ${plural(agents, 'agent')} of ${visible(name)}`}
            onClick={() => showAgents(name)}
          >
            {plural(agents, 'agent')}
          </button>
        )}
        {canStart && (
          <button
            type="button"
            class="button small icon"
            aria-label={`Start an agent on ${visible(name)}`}
            title={`Start an agent on ${visible(name)}`}
            disabled={!live.value || !isConnected}
            onClick={() => {
              spawnMachine.value = here ? null : id;
              show('spawn');
            }}
          >
            <Icon name="plus" />
          </button>
        )}
      </header>
      <p class="machine-standing">
        <Standing machine={machine} />
      </p>
      {isConnected && <Figures machine={machine} />}
      {!here && less.length > 0 && <p class="aside">It does not {inWords(less)}.</p>}
      {up.length > 0 && <Uppers uppers={up} />}
    </li>
  );
}

function Standing({ machine: { here, host, status, since, via, version } }: { machine: Machine }) {
  return (
    <>
      {status === 'lost' ? (
        <span>
          <span class="machine-lost">
            Not connected for <Since at={since} />.
          </span>{' '}
          Its agents are shown as they were last known. It comes back by itself.
        </span>
      ) : here ? (
        <span>
          This machine
          {host !== undefined && (
            <>
              {' '}
              (<bdi>{visible(host)}</bdi>)
            </>
          )}
          : the page comes from it. Running for <Since at={since} />.
        </span>
      ) : (
        <span>
          Joined{' '}
          {via === undefined ? (
            'directly'
          ) : (
            <>
              via <bdi>{visible(via)}</bdi>
            </>
          )}{' '}
          for <Since at={since} />.
        </span>
      )}{' '}
      <span class="aside">hypivisor {visible(version)}</span>
    </>
  );
}

function Figures({ machine: { load, cpus, memory: all, memory_free: free } }: { machine: Machine }) {
  return (
    <dl class="machine-figures">
      {load !== undefined && (
        <Figure name="Load" value={load} max={cpus}>
          {loadOf(load, cpus)}
        </Figure>
      )}
      {free != null && (
        <Figure name="Memory" value={all === undefined ? undefined : all - free} max={all}>
          {memory(free)} free {all !== undefined && <span class="machine-whole">of {memory(all)}</span>}
        </Figure>
      )}
    </dl>
  );
}

interface FigureProps {
  name: string;
  value: number | undefined;
  /** Without a maximum there is no meter. */
  max: number | undefined;
  children: ComponentChildren;
}

function Figure({ name, value, max, children }: FigureProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value !== undefined && max !== undefined && (
          <meter class="meter" min={0} max={max} value={value} high={0.8 * max} aria-label={name} />
        )}
        <span>{children}</span>
      </dd>
    </div>
  );
}

const UPPER_WORDS: Record<UpperHub['status'], string> = {
  connecting: 'connecting for',
  joined: 'joined for',
  refused: 'refused for',
};

/** The hubs that this one joins. */
function Uppers({ uppers }: { uppers: readonly UpperHub[] }) {
  return (
    <div class="machine-uppers">
      <h4>Joins</h4>
      <ul>
        {uppers.map(({ url, name, status, since, reason }) => (
          <li key={url} data-status={status}>
            <bdi>{visible(name ?? url)}</bdi>{' '}
            <span class="aside">
              {UPPER_WORDS[status] ?? visible(String(status))} <Since at={since} />
            </span>
            {reason !== undefined && <p class="machine-reason">{visible(reason)}</p>}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** How to add a machine. */
function Invitation({ isFirst }: { isFirst: boolean }) {
  const { address, isGuess } = joinAddress();
  const command = `hypivisor --join ${address}`;
  return (
    <section class="machines-more">
      <h3>{isFirst ? 'Only this machine so far' : 'Another machine'}</h3>
      <p>
        Run a hypivisor there with <code>--join</code>, and its agents are shown, opened and started from here, through
        any NAT:
      </p>
      <p class="share-address">
        <code class="wrap">{visible(command)}</code>
        {canCopy && (
          <button type="button" class="button small" onClick={() => void copy(command)}>
            <Icon name="copy" /> Copy
          </button>
        )}
      </p>
      {(token.value !== null || isGuess) && (
        <p class="aside">
          {token.value !== null ? (
            <>
              It presents this hypivisor's token: set <code>HYPI_JOIN_TOKEN</code> there.
            </>
          ) : (
            <>
              This page came from <code>{location.hostname}</code>: other machines reach this one only if it was started
              with <code>HYPI_TOKEN</code>, which they present as <code>HYPI_JOIN_TOKEN</code>.
            </>
          )}
        </p>
      )}
    </section>
  );
}

/** This hub's address for other machines: the one that this page has, unless that is a loopback address. */
function joinAddress(): { address: string; isGuess: boolean } {
  const own = here.value;
  if (!isLoopback(location.hostname) || own === null) return { address: registryAddress(), isGuess: false };
  return { address: registryAddress().replace(location.hostname, () => own.host ?? own.name), isGuess: true };
}

async function copy(command: string): Promise<void> {
  const copied = await copyText(command);
  notify({
    key: 'copy',
    level: copied ? 'info' : 'error',
    text: copied ? 'Command copied.' : 'The browser did not allow it.',
  });
}

/** Shows the roster with the agents of that machine alone. */
function showAgents(name: string): void {
  batch(() => {
    grouping.value = 'machine';
    shownStandings.value = new Set();
    query.value = name;
  });
  hide();
}

const inWords = (parts: readonly string[]): string =>
  parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} or ${parts.at(-1)}`;
