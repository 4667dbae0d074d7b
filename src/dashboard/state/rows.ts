/** The roster as rows: filtered, grouped, in the order of attention. Pure. */
import type { Node } from '../../protocol/registry.ts';
import { type Here, machineNameOf } from './machines.ts';
import { needsAttention, rankOf, type Standing } from './standing.ts';

export type Grouping = 'project' | 'machine' | 'none';

export interface Arrangement {
  grouping: Grouping;
  /** Words that must all be found; '' for everything. */
  query: string;
  /** Only these; empty for all. */
  standings: ReadonlySet<Standing>;
  /** Keys of groups that are closed. */
  closed: ReadonlySet<string>;
  /** The daemon's own machine; null if it does not say. */
  here: Here | null;
}

export interface HeaderRow {
  kind: 'header';
  key: string;
  title: string;
  /** Tells two groups of the same title apart; '' if that is not needed. */
  detail: string;
  count: number;
  closed: boolean;
}
export interface AgentRow {
  kind: 'agent';
  key: string;
  id: string;
}
export type Row = HeaderRow | AgentRow;

/** Agents that wait for a person, failed or finished stand above all groups. */
export const ATTENTION_KEY = 'attention';

interface Group {
  key: string;
  title: string;
  detail: string;
  members: Node[];
}

export function arrange(
  nodes: Iterable<Node>,
  standing: (node: Node) => Standing,
  { grouping, query, standings, closed, here }: Arrangement,
): Row[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, Group>();
  const attention: Node[] = [];
  const ranks = new Map<Node, number>();
  for (const node of inNameOrder(nodes)) {
    const where = standing(node);
    if (standings.size > 0 && !standings.has(where)) continue;
    if (words.length > 0 && !matches(node, words, here)) continue;
    ranks.set(node, rankOf(where));
    if (needsAttention(where)) {
      attention.push(node);
      continue;
    }
    const key = grouping === 'project' ? node.cwd : grouping === 'machine' ? machineNameOf(node, here) : '';
    let group = groups.get(key);
    if (group === undefined) {
      group = { key: `${grouping}:${key}`, ...titleOf(grouping, key), members: [] };
      groups.set(key, group);
    }
    group.members.push(node);
  }
  // Sorting keeps the order of names among equals.
  const byRank = (a: Node, b: Node) => (ranks.get(a) as number) - (ranks.get(b) as number);
  // Of equal rank, the agent that has been so for longest comes first.
  attention.sort((a, b) => byRank(a, b) || (a.state_since ?? 0) - (b.state_since ?? 0));
  const rows: Row[] = [];
  if (attention.length > 0) {
    addGroup(rows, { key: ATTENTION_KEY, title: 'Needs you', detail: '', members: attention }, closed);
  }
  const sorted = [...groups.values()].sort((a, b) => compareText(a.title, b.title) || compareText(a.detail, b.detail));
  // Without groups, and if nobody needs attention, a header would say nothing.
  const bare = grouping === 'none' && attention.length === 0;
  for (const group of sorted) {
    group.members.sort(byRank);
    if (bare) for (const node of group.members) rows.push(agentRow(node));
    else addGroup(rows, group, closed);
  }
  return rows;
}

function addGroup(rows: Row[], { key, title, detail, members }: Group, closed: ReadonlySet<string>): void {
  const isClosed = closed.has(key);
  rows.push({ kind: 'header', key: `header:${key}`, title, detail, count: members.length, closed: isClosed });
  if (!isClosed) for (const node of members) rows.push(agentRow(node));
}

const agentRow = ({ id }: Node): AgentRow => ({ kind: 'agent', key: `agent:${id}`, id });

/** The key under which a header's group is closed. */
export const groupKeyOf = (header: HeaderRow): string => header.key.slice('header:'.length);

function titleOf(grouping: Grouping, key: string): { title: string; detail: string } {
  if (grouping === 'none') return { title: 'Everyone else', detail: '' };
  if (grouping === 'machine') return { title: key, detail: '' };
  const { folder, parent } = splitPath(key);
  return { title: folder, detail: parent };
}

/** `/home/me/work/api` → `api` in `/home/me/work`; Windows' paths too. */
export function splitPath(path: string): { folder: string; parent: string } {
  const trimmed = path.replace(/[/\\]+$/, '');
  const cut = Math.max(trimmed.lastIndexOf('/'), trimmed.lastIndexOf('\\'));
  if (trimmed === '') return { folder: path, parent: '' };
  return { folder: trimmed.slice(cut + 1), parent: trimmed.slice(0, Math.max(cut, 0)) || (cut === 0 ? '/' : '') };
}

/** A longer id was probably generated, not chosen by a person. */
const READABLE_ID = 24;

/** Its name for people: the session's name, an id that somebody chose, or the folder it works in. */
export function nameOf({ name, id, cwd }: Node): string {
  return name || (id.length <= READABLE_ID ? id : splitPath(cwd).folder || id);
}

/** Tells agents of the same name apart; null if the name does that. */
export const shortIdOf = ({ name, id }: Node): string | null =>
  name || id.length <= READABLE_ID ? null : id.slice(0, 8);

const haystacks = new WeakMap<Node, string>();

function matches(node: Node, words: string[], here: Here | null): boolean {
  let haystack = haystacks.get(node);
  if (haystack === undefined) {
    haystack = [
      node.name,
      node.id,
      node.cwd,
      node.machine,
      machineNameOf(node, here),
      node.model,
      node.tool,
      node.session,
    ]
      .filter((field) => field !== undefined)
      .join('\n')
      .toLowerCase();
    haystacks.set(node, haystack);
  }
  return words.every((word) => (haystack as string).includes(word));
}

/** By name: without case and accents, numbers by their value. Comparing these is many times faster than collating. */
const sortKeys = new Map<string, string>();
const MOST_KEYS = 50_000;

function sortKeyOf(text: string): string {
  let key = sortKeys.get(text);
  if (key === undefined) {
    key = text
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .toLowerCase()
      .replace(/\d+/g, (digits) => digits.padStart(12, '0'));
    if (sortKeys.size >= MOST_KEYS) sortKeys.clear();
    sortKeys.set(text, key);
  }
  return key;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const [x, y] = [sortKeyOf(a), sortKeyOf(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Each agent's index in the order of names, and the sources of its name. The order is costly, but seldom changes. */
let places = new Map<string, { name: string | undefined; cwd: string; at: number }>();

function inNameOrder(nodes: Iterable<Node>): Node[] {
  const all = [...nodes];
  const ordered = new Array<Node>(all.length);
  let known = 0;
  for (const node of all) {
    const place = places.get(node.id);
    if (place === undefined || place.name !== node.name || place.cwd !== node.cwd) break;
    ordered[place.at] = node;
    known++;
  }
  // The same agents as before, each at its own index.
  if (known === all.length && known === places.size) return ordered;
  all.sort(compareNames);
  places = new Map(all.map(({ id, name, cwd }, at) => [id, { name, cwd, at }]));
  return all;
}

const compareNames = (a: Node, b: Node): number => compareText(nameOf(a), nameOf(b)) || (a.id < b.id ? -1 : 1);
