/** All that is known of the open agent, except its conversation. */

import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Node } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { canCopy, copyText } from '../platform/clipboard.ts';
import { clock } from '../platform/clock.ts';
import { daemonNow, live } from '../state/connection.ts';
import { show } from '../state/dialogs.ts';
import { factsOf } from '../state/facts.ts';
import { openNode } from '../state/fleet.ts';
import { bytes, count, dollars, duration, percent } from '../state/format.ts';
import { idAtHub, innerMachineOf } from '../state/machines.ts';
import { isCutOff, machineCalled } from '../state/network.ts';
import { notify } from '../state/notices.ts';
import { hashOf } from '../state/place.ts';
import { inspectorOpen, type Telling, telling } from '../state/prefs.ts';
import { nameOf } from '../state/rows.ts';
import { openedLink } from './conversation.tsx';
import { Icon } from './icon.tsx';
import { Since } from './since.tsx';

const close = () => (inspectorOpen.value = false);

export function Inspector() {
  const node = openNode.value;
  useEffect(() => {
    // Asked for once; older agents answer it as well.
    if (openedLink.value?.status.value.phase === 'live' && node !== null && factsOf(node.id).commands === null) {
      openedLink.value.send({ type: 'list_commands' });
    }
  }, [openedLink.value, openedLink.value?.status.value.phase]);
  if (node === null) return null;
  return (
    <aside class="pane inspector" aria-label="Inspector">
      <header class="inspector-header">
        <h2>Inspector</h2>
        <button type="button" class="button ghost icon" aria-label="Close the inspector" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <div class="inspector-body">
        <Session node={node} />
        <Machine node={node} />
        <Told node={node} />
        <Tools node={node} />
        <Connection />
      </div>
    </aside>
  );
}

function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="inspector-section">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Session({ node }: { node: Node }) {
  const { session, totalMessages } = factsOf(node.id);
  const context = node.context ?? session?.context;
  const cost = node.cost ?? session?.cost;
  const model = node.model ?? session?.model;
  const sessionId = node.session ?? session?.id;
  return (
    <Section title="Session">
      <dl>
        <Fact name="Name">
          <bdi>{visible(nameOf(node))}</bdi>
        </Fact>
        {model !== undefined && (
          <Fact name="Model">
            <bdi>{visible(model)}</bdi>
            {session?.thinking !== undefined && <span class="aside"> thinking {visible(session.thinking)}</span>}
          </Fact>
        )}
        {context !== undefined && (
          <Fact name="Context">
            <meter
              class="meter"
              min={0}
              max={context.max}
              value={context.used}
              high={0.8 * context.max}
              aria-label="Context in use"
            />
            <span>
              {percent(context.used, context.max)}{' '}
              <span class="aside">
                {count(context.used)} of {count(context.max)}
              </span>
            </span>
          </Fact>
        )}
        {cost !== undefined && <Fact name="Cost">{dollars(cost)}</Fact>}
        {totalMessages !== null && <Fact name="Messages">{totalMessages}</Fact>}
        {sessionId !== undefined && (
          <Fact name="Id">
            <code>{visible(sessionId)}</code>
          </Fact>
        )}
      </dl>
      <div class="inspector-actions">
        {canCopy && (
          <button type="button" class="button small" onClick={() => void copyLink(node)}>
            <Icon name="copy" /> Copy link
          </button>
        )}
        <button type="button" class="button small" onClick={() => show('share')}>
          <Icon name="share" /> On a phone
        </button>
      </div>
    </Section>
  );
}

async function copyLink(node: Node): Promise<void> {
  const copied = await copyText(location.origin + location.pathname + hashOf(node.id));
  notify({
    key: 'copy',
    level: copied ? 'info' : 'error',
    text: copied ? 'Link copied.' : 'The browser did not allow it.',
  });
}

/** How it is reached, and whether that was proven. */
function reachInWords({ reach, hub }: Node): string {
  const who = hub === undefined ? 'the hypivisor' : visible(hub);
  switch (reach) {
    case 'direct':
      return `proven: dialled by ${who}`;
    case 'dial-back':
      return `proven: over a connection that the agent opened to ${who}`;
    case 'unproven':
      return 'not proven yet';
    default:
      return visible(String(reach));
  }
}

function Machine({ node }: { node: Node }) {
  return (
    <Section title="Machine">
      <dl>
        <Fact name="Machine">
          <bdi>{visible(node.hub === undefined ? node.machine : (innerMachineOf(node) ?? node.hub))}</bdi>
        </Fact>
        {node.hub !== undefined && <Hub name={node.hub} isOther={innerMachineOf(node) !== null} id={idAtHub(node)} />}
        <Fact name="Folder">
          <code class="wrap">{visible(node.cwd)}</code>
        </Fact>
        <Fact name="Address">
          <code class="wrap">
            {visible(node.machine)}:{node.port}
          </code>
        </Fact>
        {node.pid !== undefined && <Fact name="Process">{node.pid}</Fact>}
        <Fact name="Reached">
          {node.reach === undefined ? (
            <span class="aside">the hypivisor does not say</span>
          ) : (
            <span class="reach" data-reach={node.reach}>
              {isCutOff(node) ? 'not proven: its machine is not connected' : reachInWords(node)}
              {node.reach_error !== undefined && <span class="wrap">: {visible(node.reach_error)}</span>}
              {node.reach_since !== undefined && (
                <span class="aside">
                  {' '}
                  <Since at={node.reach_since} />
                </span>
              )}
            </span>
          )}
        </Fact>
        {node.last_seen !== undefined && node.status === 'active' && (
          <Fact name="Registered">
            {duration(daemonNow.value - node.last_seen)} <span class="aside">ago</span>
          </Fact>
        )}
        {node.status === 'offline' && (
          <Fact name="Offline">
            {node.offline_since === undefined ? 'now' : <Since at={node.offline_since} />}
            <span class="aside"> what it said stays here</span>
          </Fact>
        )}
      </dl>
    </Section>
  );
}

interface HubProps {
  name: string;
  /** Whether the machine above is another one. */
  isOther: boolean;
  /** The agent's id there, if that is another one. */
  id: string | null;
}

/** The hub that the agent registered with. */
function Hub({ name, isOther, id }: HubProps) {
  const machine = machineCalled.value.get(name);
  return (
    <>
      <Fact name="Hub">
        {(isOther || machine === undefined) && <bdi>{visible(name)} </bdi>}
        {machine !== undefined && (
          <span class={machine.status === 'lost' ? 'hub-lost' : undefined}>
            {machine.status === 'lost' ? 'not connected' : 'joined'} <Since at={machine.since} />
            {machine.via !== undefined && (
              <>
                {' '}
                via <bdi>{visible(machine.via)}</bdi>
              </>
            )}
          </span>
        )}
      </Fact>
      {id !== null && (
        <Fact name="Id there">
          <code class="wrap">{visible(id)}</code>
        </Fact>
      )}
    </>
  );
}

const TELLINGS: Record<Telling, string> = {
  all: 'Waits, failed, finished',
  waits: 'Only when it waits',
  none: 'Nothing',
};

function Told({ node }: { node: Node }) {
  return (
    <Section title="Tell me">
      <label class="told">
        <span class="visually-hidden">What to tell of this agent</span>
        <select
          class="field"
          value={telling.value[node.id] ?? 'all'}
          onChange={(event) => {
            const { [node.id]: _, ...others } = telling.peek();
            const choice = event.currentTarget.value as Telling;
            telling.value = choice === 'all' ? others : { ...others, [node.id]: choice };
          }}
        >
          {Object.entries(TELLINGS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
    </Section>
  );
}

function Tools({ node }: { node: Node }) {
  const { tools, commands } = factsOf(node.id);
  return (
    <>
      <Section title={`Tools ${tools.length > 0 ? tools.length : ''}`}>
        {tools.length === 0 ? <p class="aside">It has told of none.</p> : <Names entries={tools} />}
      </Section>
      {commands !== null && commands.length > 0 && (
        <Section title={`Commands ${commands.length}`}>
          <Names entries={commands} />
        </Section>
      )}
    </>
  );
}

function Names({ entries }: { entries: readonly { name: string; description?: string }[] }) {
  return (
    <ul class="names">
      {entries.map(({ name, description }) => (
        <li key={name}>
          <code>{visible(name)}</code>
          {description !== undefined && <span>{visible(description)}</span>}
        </li>
      ))}
    </ul>
  );
}

function Connection() {
  const link = openedLink.value;
  if (link === null) return null;
  const { phase, dialect, reason } = link.status.value;
  // The counters are plain numbers, so they are read once a second.
  void clock.value;
  const { traffic } = link;
  const words = { connecting: 'connecting', live: 'live', lost: 'lost, trying again', away: 'the agent is offline' }[
    phase
  ];
  return (
    <Section title="This connection">
      <dl>
        <Fact name="State">
          {live.value ? words : 'no hypivisor'}
          {reason !== null && <span class="aside wrap"> {visible(reason)}</span>}
        </Fact>
        {dialect !== null && (
          <Fact name="Speaks">{dialect === 'delta' ? 'deltas, resumable' : 'the classic protocol'}</Fact>
        )}
        <Fact name="Received">
          {count(traffic.messagesIn)} <span class="aside">messages, {bytes(traffic.charactersIn)}</span>
        </Fact>
        <Fact name="Sent">
          {count(traffic.messagesOut)} <span class="aside">messages, {bytes(traffic.charactersOut)}</span>
        </Fact>
        <Fact name="Opened">{traffic.opened === 1 ? 'once' : `${traffic.opened} times`}</Fact>
      </dl>
    </Section>
  );
}
