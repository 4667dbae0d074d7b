import { useComputed } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { load, save } from '../platform/storage.ts';
import type { Entry } from './conversation.ts';
import { Icon } from './icons.tsx';
import { OutboxRows } from './outbox-view.tsx';
import { followsAnswerStart } from './preferences.ts';
import { callsOf, hasRow, Row, type RowProps } from './rows.tsx';
import { Scroller } from './scroller.ts';
import type { Session } from './session.ts';

/** How many rows are there at first, and how many more each time somebody reaches the oldest. */
const FIRST_ROWS = 30;
const MORE_ROWS = 30;
/** While the end is followed, no more rows than these are kept in the page, … */
const MAX_ROWS = 120;
/** … and no more than so many screens of them above the view; if there are more, so many stay. */
const MAX_SCREENS = 24;
const KEPT_SCREENS = 8;

const placeKey = (nodeId: string) => `pi-de.place.${nodeId}`;

interface TranscriptProps {
  session: Session;
  seen(): void;
  /** Hands out the scroller, so that keys can scroll to the bottom. */
  onScroller(scroller: Scroller | null): void;
}

/** The conversation, from the oldest message that is loaded to the newest. */
export function Transcript({ session, seen, onScroller }: TranscriptProps) {
  const element = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const sentinel = useRef<HTMLDivElement>(null);
  const scroller = useRef<Scroller | null>(null);
  const { conversation } = session;
  const entries = useComputed(() => conversation.value.entries).value;
  const liveKey = useComputed(() => conversation.value.live?.key ?? null).value;
  const runs = useComputed(() => conversation.value.runs).value;
  const cwd = useComputed(() => conversation.value.cwd).value;
  const hasOlder = useComputed(() => conversation.value.hasOlder).value;
  const known = useComputed(() => conversation.value.dialect !== null).value;
  const working = useComputed(
    () => conversation.value.activity.state === 'working' || conversation.value.activity.state === 'waiting',
  ).value;
  const outbox = useComputed(() => conversation.value.outbox).value;
  const [from, setFrom] = useState(() => startKey(session.conversation.peek().entries, session.scroll.anchor?.key));

  // Rows are shown from one message on, whose key stays when others come in above it.
  const start = startOf(entries, from);
  const rows = useMemo(() => rowsOf(entries, start), [entries, start]);
  const more = start > 0 || hasOlder;

  useLayoutEffect(() => {
    const made = new Scroller(element.current as HTMLElement, list.current as HTMLElement, session.scroll, (scroll) => {
      session.scroll = scroll;
    });
    scroller.current = made;
    onScroller(made);
    return () => {
      made.close();
      scroller.current = null;
      onScroller(null);
    };
  }, [session]);

  useRestoredPlace(session, scroller, entries, known, setFrom);

  // Rows may have come at the end or above: the scroller restores the place before anything is drawn.
  const live = liveKey === null ? null : conversation.peek().live;
  const shown = live === null ? entries : [...entries, live];
  const lastKey = useRef(shown.at(-1)?.key);
  useLayoutEffect(() => {
    const before = lastKey.current;
    lastKey.current = shown.at(-1)?.key;
    if (before !== undefined) scroller.current?.added(newRows(shown, before));
    scroller.current?.stopAt(followsAnswerStart.peek() && working ? answerKey(shown) : null);
    scroller.current?.settle();
  });

  // The end is in sight: nothing is unread.
  const atEnd = scroller.current?.following.value ?? true;
  useEffect(() => {
    const look = () => {
      if (atEnd && document.visibilityState === 'visible') seen();
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [atEnd, entries, known]);

  // While the end is followed, rows far above the view are removed from the page.
  useEffect(() => {
    if (entries.length > 0 && !entries.some(({ key }) => key === from)) setFrom(startKey(entries));
    if (!scroller.current?.following.peek()) return;
    const first =
      rows.length > MAX_ROWS ? rows.at(-FIRST_ROWS)?.key : scroller.current.surplus(MAX_SCREENS, KEPT_SCREENS);
    if (first != null) setFrom(first);
  }, [entries, rows, from]);

  const onWhole = useMemo(() => (index: number) => session.loadWhole(index), [session]);
  const reachOlder = () => {
    if (start > 0) setFrom(olderStart(entries, start));
    else session.loadOlder();
  };
  const reach = useRef(reachOlder);
  reach.current = reachOlder;
  useEffect(() => {
    if (sentinel.current === null) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && reach.current(), {
      root: element.current,
      rootMargin: '600px 0px 0px 0px',
    });
    observer.observe(sentinel.current);
    return () => observer.disconnect();
  }, [more, start, entries[0]?.key]);

  return (
    <div class="transcript-frame">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: keys must reach a box that scrolls */}
      <div class="transcript" ref={element} tabIndex={0} role="log" aria-live="off" aria-label="Conversation">
        <div class="entries" ref={list}>
          {more && (
            <div class="older" ref={sentinel}>
              <button type="button" class="chat-link" onClick={reachOlder}>
                {session.loadingOlder.value ? 'Loading older messages …' : 'Older messages'}
              </button>
            </div>
          )}
          {known && rows.length === 0 && live === null && outbox.length === 0 && <Empty />}
          {!known && outbox.length === 0 && <Skeleton />}
          {(live === null ? rows : [...rows, live]).map((entry, index) => (
            <Slot
              key={entry.key}
              session={session}
              entry={entry}
              open={entry === live}
              runs={runs}
              cwd={cwd}
              last={working && index >= rows.length - (live === null ? 1 : 0)}
              onWhole={onWhole}
            />
          ))}
          <OutboxRows session={session} />
        </div>
      </div>
      <Pill scroller={scroller} session={session} />
    </div>
  );
}

/** The row of one message. While the message is being written, each new piece renders this alone. */
function Slot({ session, entry, open, ...rest }: { session: Session } & RowProps) {
  const shown = open ? (session.conversation.value.live ?? entry) : entry;
  return <Row {...rest} entry={shown} open={open} />;
}

function Pill({ scroller, session }: { scroller: { current: Scroller | null }; session: Session }) {
  // The scroller exists only after the first layout, so this renders once more then.
  const [, setReady] = useState(false);
  useEffect(() => setReady(true), [session]);
  const made = scroller.current;
  if (made === null || made.following.value) return null;
  const count = made.unseen.value;
  return (
    <button type="button" class="pill" onClick={() => made.toBottom()}>
      <Icon name="down" />
      {count > 0 ? `${count} new` : <span class="visually-hidden">To the newest message</span>}
    </button>
  );
}

function Empty() {
  return (
    <div class="chat-empty">
      <p>Nothing has been said yet.</p>
      <p class="soft">Write below what this agent should do.</p>
    </div>
  );
}

function Skeleton() {
  return (
    <div class="chat-skeleton" role="status">
      <span class="visually-hidden">Loading the conversation</span>
      <i />
      <i />
      <i />
    </div>
  );
}

/** Restores the place at which the page was left, and keeps it from then on. */
function useRestoredPlace(
  session: Session,
  scroller: { current: Scroller | null },
  entries: readonly Entry[],
  known: boolean,
  setFrom: (key: string | null) => void,
): void {
  const wanted = useRef<unknown>(session.scroll.anchor === null ? load(placeKey(session.nodeId)) : null);
  useLayoutEffect(() => {
    const place = wanted.current as { index?: unknown; offset?: unknown } | null | undefined;
    if (!known || place === null || place === undefined) return;
    wanted.current = null;
    const entry = entries.find((candidate) => candidate.kind === 'message' && candidate.index === place.index);
    if (entry === undefined || typeof place.offset !== 'number') return;
    setFrom(startKey(entries, entry.key));
    scroller.current?.restore({ mode: 'reading', anchor: { key: entry.key, offset: place.offset }, unseen: 0, top: 0 });
  }, [entries, known]);
  useEffect(() => {
    const keep = () => save(placeKey(session.nodeId), placeOf(session));
    addEventListener('pagehide', keep);
    return () => {
      removeEventListener('pagehide', keep);
      keep();
    };
  }, [session]);
}

/** With the message's index, since keys mean nothing to another page. */
function placeOf({ scroll, conversation }: Session): { index: number; offset: number } | undefined {
  if (scroll.mode === 'following' || scroll.anchor === null) return undefined;
  const entry = conversation.peek().entries.find(({ key }) => key === scroll.anchor?.key);
  return entry?.kind === 'message' ? { index: entry.index, offset: scroll.anchor.offset } : undefined;
}

/** The key from which rows are shown at first: the newest few, or from a little before the one that is in sight. */
function startKey(entries: readonly Entry[], inSight?: string): string | null {
  const at = inSight === undefined ? -1 : entries.findIndex((entry) => entry.key === inSight);
  return entries[at === -1 ? Math.max(0, entries.length - FIRST_ROWS) : Math.max(0, at - 10)]?.key ?? null;
}

function startOf(entries: readonly Entry[], from: string | null): number {
  const at = from === null ? -1 : entries.findIndex((entry) => entry.key === from);
  return at === -1 ? Math.max(0, entries.length - FIRST_ROWS) : at;
}

function olderStart(entries: readonly Entry[], start: number): string | null {
  return entries[Math.max(0, start - MORE_ROWS)]?.key ?? null;
}

function rowsOf(entries: readonly Entry[], start: number): readonly Entry[] {
  const shown = entries.slice(start);
  const calls = new Set(
    shown.flatMap((entry) => (entry.kind === 'message' ? callsOf(entry.message) : [])).map(({ id }) => id),
  );
  return shown.filter((entry) => hasRow(entry, calls));
}

/** How many messages for people have come after the one that was last. */
function newRows(entries: readonly Entry[], before: string): number {
  const at = entries.findLastIndex((entry) => entry.key === before);
  if (at === -1) return 0;
  return entries.slice(at + 1).filter((entry) => entry.kind !== 'message' || entry.message.role !== 'toolResult')
    .length;
}

/** The first row of the answer to the person's last message. */
function answerKey(entries: readonly Entry[]): string | null {
  const at = entries.findLastIndex((entry) => entry.kind === 'message' && entry.message.role === 'user');
  const first = entries.slice(at + 1).find((entry) => entry.kind === 'message' && entry.message.role === 'assistant');
  return first?.key ?? null;
}
