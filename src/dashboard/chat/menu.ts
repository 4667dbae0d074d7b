/** The menus of the composer: `/` at its beginning for commands, `@` before a path for files. Pure. */
import type { Command, FilesList } from '../../protocol/agent.ts';

export interface Trigger {
  readonly kind: 'command' | 'file';
  /** The choice replaces the text from the trigger's own character to the caret. */
  readonly from: number;
  readonly to: number;
  readonly query: string;
}

export interface Choice {
  readonly label: string;
  readonly hint: string;
  /** The text that replaces trigger and query. */
  readonly insert: string;
  /** The menu goes on inside this folder. */
  readonly isFolder: boolean;
}

const MAX_CHOICES = 50;

/** The trigger before the caret; null if no menu is to open. */
export function triggerAt(text: string, caret: number): Trigger | null {
  const before = text.slice(0, caret);
  const command = /^\/(\S*)$/.exec(before);
  if (command !== null) return { kind: 'command', from: 0, to: caret, query: command[1] as string };
  const file = /(?:^|[\s([{"'`])@([^\s@]*)$/.exec(before);
  if (file === null) return null;
  const query = file[1] as string;
  return { kind: 'file', from: caret - query.length - 1, to: caret, query };
}

/** Those that begin with the query first, then those that contain it. */
export function commandChoices(commands: readonly Command[], query: string): Choice[] {
  const wanted = query.toLowerCase();
  const named = commands.map(({ name, description }) => ({
    name: name.replace(/^\/?/, '/'),
    description: description ?? '',
  }));
  const ranked = named
    .map((command) => ({ command, rank: rankOf(command.name.slice(1).toLowerCase(), wanted) }))
    .filter(({ rank }) => rank < 2)
    .sort((a, b) => a.rank - b.rank);
  return ranked.slice(0, MAX_CHOICES).map(({ command: { name, description } }) => {
    return { label: name, hint: description, insert: `${name} `, isFolder: false };
  });
}

export function fileChoices(list: FilesList | null, query: string): Choice[] {
  if (list === null) return [];
  const wanted = query.toLowerCase();
  // The agent's list for this very query is shown whole; until it comes, an older list is filtered.
  const found = list.prefix === query;
  const ranked = list.files
    .map((file) => ({
      file,
      rank: Math.min(rankOf(file.path.toLowerCase(), wanted), rankOf(baseName(file.path).toLowerCase(), wanted)),
    }))
    .filter(({ rank }) => found || rank < 2)
    .sort((a, b) => a.rank - b.rank);
  return ranked.slice(0, MAX_CHOICES).map(({ file: { path, isDirectory } }) => {
    const name = isDirectory ? path.replace(/\/?$/, '/') : path;
    return { label: name, hint: '', insert: isDirectory ? `@${name}` : `@${name} `, isFolder: isDirectory === true };
  });
}

const baseName = (path: string) => path.slice(path.replace(/\/$/, '').lastIndexOf('/') + 1);

const rankOf = (text: string, query: string) => (text.startsWith(query) ? 0 : text.includes(query) ? 1 : 2);

/** The text with the choice in it, and where the caret is then. */
export function choose(text: string, { from, to }: Trigger, { insert }: Choice): { text: string; caret: number } {
  const after = text.slice(to);
  const put = insert.endsWith(' ') && after.startsWith(' ') ? insert.slice(0, -1) : insert;
  return { text: text.slice(0, from) + put + after, caret: from + put.length };
}

/** The choice above or below; the ends are joined. */
export function step(index: number, by: 1 | -1, count: number): number {
  return count === 0 ? 0 : (index + by + count) % count;
}
