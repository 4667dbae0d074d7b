/** The roster: all agents, those that need somebody first. Of thousands of rows only those in sight are rendered. */
import { computed, effect, signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { NodeQuestion } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { daemon, live } from '../state/connection.ts';
import { show } from '../state/dialogs.ts';
import { nodes, standing } from '../state/fleet.ts';
import { shortPath } from '../state/home.ts';
import { isCutOff, isKnown } from '../state/network.ts';
import { openId } from '../state/opened.ts';
import { query, restOrder, rows, shownStandings } from '../state/order.ts';
import { closedGroups, grouping } from '../state/prefs.ts';
import { ATTENTION_KEY, groupKeyOf, type HeaderRow } from '../state/rows.ts';
import { needsAttention, standingOf } from '../state/standing.ts';
import { machineShownOf } from '../state/whereabouts.ts';
import { heightOfAll, offsetsOf, rowsInSight, scrollTo } from '../state/window.ts';
import { Icon } from './icon.tsx';
import { MachineDetail } from './machine-detail.tsx';
import { linesOf } from './quick-answer.tsx';
import { Row } from './row.tsx';

/** The heights of rows, from the styles, in CSS pixels: higher if a finger is the pointer. */
const heights = signal(readHeights());
matchMedia('(pointer: coarse)').addEventListener('change', () => (heights.value = readHeights()));

function readHeights(): { header: number; agent: number; question: number; option: number } {
  const style = getComputedStyle(document.documentElement);
  const height = (name: string) => Number.parseFloat(style.getPropertyValue(`--row-${name}`)) || 54;
  return { header: height('header'), agent: height('agent'), question: height('question'), option: height('option') };
}

const OVERSCAN = 240;

/** The row that `j` and `k` have reached. */
export const cursor = signal<string | null>(null);

const agentIds = computed(() => rows.value.flatMap((row) => (row.kind === 'agent' ? [row.id] : [])));

/** @param by 1 for the next, -1 for the one before */
export function moveCursor(by: 1 | -1): void {
  const ids = agentIds.peek();
  if (ids.length === 0) return;
  const at = ids.indexOf(cursor.peek() ?? openId.peek() ?? '');
  const next = at === -1 ? (by === 1 ? 0 : ids.length - 1) : Math.min(Math.max(at + by, 0), ids.length - 1);
  cursor.value = ids[next] as string;
}

/** The part of the rows that is in sight. */
const view = signal({ top: 0, height: 0 });
const width = signal(0);

/** The agents that ask, which have higher rows, with their questions. The very same map until one comes or goes. */
let lastAsking: ReadonlyMap<string, NodeQuestion> = new Map();
const asking = computed(() => {
  const now = new Map<string, NodeQuestion>();
  if (live.value) {
    for (const node of nodes.value.values()) {
      if (node.question !== undefined && standingOf(node, false, isCutOff(node)) === 'question')
        now.set(node.id, node.question);
    }
  }
  const isSame = now.size === lastAsking.size && [...now].every(([id, question]) => lastAsking.get(id) === question);
  if (!isSame) lastAsking = now;
  return lastAsking;
});

const offsets = computed(() => {
  const { header, agent, question, option } = heights.value;
  const questions = asking.value;
  const across = width.value;
  return offsetsOf(rows.value, (row) => {
    if (row.kind === 'header') return header;
    const asked = questions.get(row.id);
    return asked === undefined ? agent : agent + question + (linesOf(asked, across) - 1) * option;
  });
});

const linkOf = (id: string) => document.querySelector<HTMLElement>(`[data-agent="${CSS.escape(id)}"] .row-link`);

export function RosterList() {
  const scroller = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    const element = scroller.current as HTMLDivElement;
    const measure = () => {
      view.value = { top: element.scrollTop, height: element.clientHeight };
      width.value = element.clientWidth;
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);

  // The cursor starts from the agent that was opened, whose row gets the focus when the roster is back.
  useEffect(() => {
    let last = openId.peek();
    return effect(() => {
      const id = openId.value;
      if (id === last) return;
      cursor.value = null;
      const from = last;
      last = id;
      if (id !== null || from === null) return;
      requestAnimationFrame(() => {
        if (document.activeElement === document.body || document.activeElement === null) linkOf(from)?.focus();
      });
    });
  }, []);

  // If somebody moves by keys, the row comes into sight and gets the focus.
  useEffect(
    () =>
      effect(() => {
        const id = cursor.value;
        if (id === null) return;
        const index = rows.peek().findIndex((row) => row.kind === 'agent' && row.id === id);
        const element = scroller.current;
        if (index === -1 || element === null) return;
        element.scrollTop = scrollTo(
          offsets.peek(),
          index,
          element.scrollTop,
          element.clientHeight,
          heights.peek().header,
        );
        requestAnimationFrame(() => {
          linkOf(id)?.focus({ preventScroll: true });
        });
      }),
    [],
  );

  const all = rows.value;
  const { start, end } = rowsInSight(offsets.value, view.value.top, view.value.height, OVERSCAN);
  return (
    <div class="roster-scroller" ref={scroller} onPointerMove={restOrder}>
      {all.length === 0 ? (
        <Nobody />
      ) : (
        <ul class="rows" style={{ height: `${heightOfAll(offsets.value)}px` }}>
          {all.slice(start, end).map((row, index) => (
            <li
              key={row.key}
              class="rows-item"
              aria-setsize={all.length}
              aria-posinset={start + index + 1}
              style={{ transform: `translateY(${offsets.value.tops[start + index]}px)` }}
            >
              {row.kind === 'header' ? <Header header={row} /> : <AgentRow id={row.id} />}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function AgentRow({ id }: { id: string }) {
  const node = nodes.value.get(id);
  if (node === undefined) return null;
  return (
    <Row
      node={node}
      standing={isKnown(node) ? standing(node) : null}
      isOpen={openId.value === id}
      isCursor={cursor.value === id}
      showProject={grouping.value !== 'project'}
      machine={machineShownOf(node, grouping.value === 'machine' && !needsAttention(standing(node)))}
    />
  );
}

function Header({ header }: { header: HeaderRow }) {
  const key = groupKeyOf(header);
  const toggle = () => {
    const others = closedGroups.peek().filter((each) => each !== key);
    closedGroups.value = header.closed ? others : [...others, key];
  };
  return (
    <h2 class="rows-header" data-attention={key === ATTENTION_KEY}>
      <button type="button" aria-expanded={!header.closed} onClick={toggle} title={header.detail || undefined}>
        <Icon name={header.closed ? 'forward' : 'down'} />
        <bdi class="rows-title">{visible(header.title)}</bdi>
        {header.detail !== '' && <bdi class="rows-detail">{visible(shortPath(header.detail))}</bdi>}
        {key.startsWith('machine:') && <MachineDetail name={header.title} />}
        <span class="rows-count">{header.count}</span>
      </button>
    </h2>
  );
}

function Nobody() {
  if (!daemon.value.met) return <Loading />;
  if (nodes.value.size > 0) {
    return (
      <div class="empty">
        <p>No agent matches.</p>
        <button
          type="button"
          class="button"
          onClick={() => {
            query.value = '';
            shownStandings.value = new Set();
          }}
        >
          Show all {nodes.value.size}
        </button>
      </div>
    );
  }
  return (
    <div class="empty">
      <p class="empty-title">No agents yet</p>
      <p>Agents appear here by themselves once they run with the hypivisor extension.</p>
      <button type="button" class="button primary only-phone" disabled={!live.value} onClick={() => show('spawn')}>
        <Icon name="plus" /> Start an agent
      </button>
    </div>
  );
}

/** Takes the place of the rows until they come. */
function Loading() {
  return (
    <div class="loading" role="status" aria-label="The roster is coming">
      {[0, 1, 2, 3, 4].map((row) => (
        <div class="loading-row" key={row} />
      ))}
    </div>
  );
}
