/** The agent that is open: its name, its standing, and the chat with it. */
import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Node } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import type { AgentLink } from '../link/agent-link.ts';
import { daemon, live } from '../state/connection.ts';
import { show } from '../state/dialogs.ts';
import { observeFacts } from '../state/facts.ts';
import { attentionCount, markRead, nodes, openNode, standing } from '../state/fleet.ts';
import { shortPath } from '../state/home.ts';
import { isCutOff, isKnown } from '../state/network.ts';
import { open, openId } from '../state/opened.ts';
import { nextWaiting } from '../state/order.ts';
import { inspectorOpen } from '../state/prefs.ts';
import { linkTo } from '../state/relays.ts';
import { nameOf, splitPath } from '../state/rows.ts';
import { STANDING_WORDS, standingSince } from '../state/standing.ts';
import { machineShownOf } from '../state/whereabouts.ts';
import { Icon } from './icon.tsx';
import { lazy } from './lazy.tsx';
import { Mark } from './mark.tsx';
import { Since } from './since.tsx';

const Chat = lazy(async () => (await import('../chat/chat.tsx')).default);

/** The link of the agent that is open. */
export const openedLink = signal<AgentLink | null>(null);

export function ConversationPane() {
  const id = openId.value;
  const pane = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the row that was tapped is out of sight now.
    if (id !== null && (document.activeElement === document.body || !document.activeElement?.checkVisibility())) {
      pane.current?.focus({ preventScroll: true });
    }
  }, [id]);
  return (
    <main class="pane conversation" tabIndex={-1} ref={pane}>
      {id === null ? <NobodyOpen /> : openNode.value === null ? <Missing id={id} /> : <Opened key={id} id={id} />}
    </main>
  );
}

function Opened({ id }: { id: string }) {
  const node = useMemo(() => {
    let last = openNode.peek() as Node;
    return computed(() => {
      const current = openNode.value;
      // When another agent is opened, this one is rendered until it is unmounted.
      if (current?.id === id) last = current;
      return last;
    });
  }, [id]);
  const link = useMemo(() => linkTo(id), [id]);
  useEffect(() => {
    openedLink.value = link;
    const forget = observeFacts(link);
    return () => {
      forget();
      if (openedLink.peek() === link) openedLink.value = null;
    };
  }, [link]);
  const isThere = useMemo(() => computed(() => live.value && node.value.status === 'active'), [node]);
  // Once its machine is connected again, there is no need to wait for the next try.
  const isReachable = useMemo(() => computed(() => isKnown(node.value)), [node]);
  useEffect(() => {
    // Without the daemon, nothing is known about the agent: the link's own tries go on.
    if (!live.value) return;
    if (isThere.value) link.back();
    else link.away();
  }, [link, live.value, isThere.value, isReachable.value]);
  return (
    <>
      <Header node={node} link={link} />
      <Chat node={node} link={link} seen={() => markRead(id)} />
    </>
  );
}

function Header({ node: signal, link }: { node: ReadonlySignal<Node>; link: AgentLink }) {
  const node = signal.value;
  const where = isKnown(node) ? standing(node) : null;
  const since = where === null ? null : standingSince(node);
  const machine = node.hub === undefined ? null : machineShownOf(node, false);
  const { folder, parent } = splitPath(shortPath(node.cwd));
  return (
    <header class="conversation-header">
      <button
        type="button"
        class="button ghost icon only-phone"
        aria-label="Back to the roster"
        onClick={() => open(null)}
      >
        <Icon name="back" />
      </button>
      <Mark standing={where} />
      <div class="conversation-title">
        <h2>
          <bdi>{visible(nameOf(node))}</bdi>
        </h2>
        <p>
          <span class="conversation-standing" data-standing={where ?? 'unknown'}>
            {where !== null ? STANDING_WORDS[where] : isCutOff(node) ? '' : 'not known'}
            {since !== null && (
              <>
                {' '}
                <Since at={since} />
              </>
            )}
          </span>
          {machine !== null && <bdi class="conversation-machine">{visible(machine)}</bdi>}
          <bdi class="path" title={visible(node.cwd)}>
            {parent !== '' && <span class="path-parent">{visible(parent === '/' ? '' : parent)}/</span>}
            {visible(folder)}
          </bdi>
        </p>
      </div>
      <LinkState link={link} />
      <button
        type="button"
        class="button ghost icon"
        aria-label="Inspector"
        title="Inspector (i)"
        aria-pressed={inspectorOpen.value}
        onClick={() => (inspectorOpen.value = !inspectorOpen.peek())}
      >
        <Icon name="panel" />
      </button>
    </header>
  );
}

/** The state of the connection to this agent, unless it is simply open. */
function LinkState({ link }: { link: AgentLink }) {
  const { phase, reason } = link.status.value;
  if (phase === 'live') return null;
  const words = { connecting: 'Connecting', lost: 'Reconnecting', away: 'Offline' }[phase];
  return (
    <span class="link-state" data-phase={phase} role="status" title={reason ?? undefined}>
      {words}
    </span>
  );
}

function openNext(): void {
  const next = nextWaiting();
  if (next !== null) open(next);
}

function NobodyOpen() {
  // The banner says it, and there is nothing to add.
  if (!live.value && daemon.value.met) return null;
  return (
    <div class="empty centered">
      {nodes.value.size === 0 ? (
        <>
          <p class="empty-title">Every agent you run, on one page</p>
          <p>Start one here, or start pi in a terminal: with the hypivisor extension it appears by itself.</p>
          <button type="button" class="button primary" disabled={!live.value} onClick={() => show('spawn')}>
            <Icon name="plus" /> Start an agent
          </button>
        </>
      ) : attentionCount.value > 0 ? (
        <>
          <p class="empty-title">
            {attentionCount.value === 1 ? 'One agent needs you' : `${attentionCount.value} agents need you`}
          </p>
          <button type="button" class="button primary" onClick={openNext}>
            Go to the next <kbd>n</kbd>
          </button>
        </>
      ) : (
        <>
          <p class="empty-title">Nobody needs you</p>
          <p>
            Choose an agent, or press <kbd>?</kbd> for all keys.
          </p>
        </>
      )}
    </div>
  );
}

function Missing({ id }: { id: string }) {
  // Before the roster has come, that is not known.
  if (!live.value) return null;
  return (
    <div class="empty centered">
      <p class="empty-title">This agent is not here</p>
      <p>
        The hypivisor knows none of the id <code>{visible(id)}</code>. It may have ended, or not be back yet; if it
        comes, it opens here.
      </p>
      <button type="button" class="button" onClick={() => open(null)}>
        To the roster
      </button>
    </div>
  );
}
