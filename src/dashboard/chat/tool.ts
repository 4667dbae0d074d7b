/** The texts of a tool's card, from the call's arguments: an agent made those, so they may have any shape. */
import { type Diff, diffTexts, joinDiffs, readPiDiff } from './diff.ts';

export type ToolKind = 'bash' | 'read' | 'write' | 'edit' | 'search' | 'other';

export interface ToolCall {
  readonly kind: ToolKind;
  readonly name: string;
  /** The command, the path, or another text that distinguishes the call; '' if there is none. */
  readonly subject: string;
  /** Other details: a range of lines, a folder searched in. */
  readonly detail: string;
  /** The path, if the call is about one file. */
  readonly path: string | null;
}

const KINDS = new Map<string, ToolKind>(
  Object.entries({
    bash: 'bash',
    shell: 'bash',
    read: 'read',
    write: 'write',
    edit: 'edit',
    grep: 'search',
    find: 'search',
    ls: 'search',
    glob: 'search',
  }),
);

/** @param cwd paths below it are shown relative to it */
export function describeCall(name: string, args: unknown, cwd: string | null): ToolCall {
  const fields = fieldsOf(args);
  const text = (...names: string[]) => names.map((key) => fields[key]).find((value) => typeof value === 'string') ?? '';
  const kind = KINDS.get(name.toLowerCase()) ?? 'other';
  const path = text('path', 'file_path', 'filePath') as string;
  const shown = relative(path, cwd);
  switch (kind) {
    case 'bash':
      return { kind, name, subject: text('command', 'cmd') as string, detail: '', path: null };
    case 'read':
      return { kind, name, subject: shown, detail: rangeOf(fields), path };
    case 'write':
    case 'edit':
      return { kind, name, subject: shown, detail: '', path };
    case 'search':
      return {
        kind,
        name,
        subject: (text('pattern', 'glob') as string) || shown || '.',
        detail: text('pattern', 'glob') ? shown : '',
        path: null,
      };
    case 'other': {
      const first = Object.values(fields).find((value) => typeof value === 'string' && value.trim() !== '');
      return { kind, name, subject: path ? shown : typeof first === 'string' ? first : '', detail: '', path: null };
    }
  }
}

function rangeOf({ offset, limit }: Record<string, unknown>): string {
  const from = typeof offset === 'number' ? offset : 1;
  if (typeof limit === 'number') return `lines ${from}–${from + limit - 1}`;
  return typeof offset === 'number' ? `from line ${from}` : '';
}

export function fieldsOf(args: unknown): Record<string, unknown> {
  return typeof args === 'object' && args !== null && !Array.isArray(args) ? (args as Record<string, unknown>) : {};
}

function relative(path: string, cwd: string | null): string {
  if (cwd === null || cwd === '') return path;
  const folder = cwd.endsWith('/') ? cwd : `${cwd}/`;
  return path.startsWith(folder) ? path.slice(folder.length) : path;
}

/** An edit's changes: as the tool reports them, with the file's line numbers, or else from its arguments. */
export function diffOf(args: unknown, details: unknown): Diff | null {
  const reported = fieldsOf(details).diff;
  const read = typeof reported === 'string' && reported.length < 400_000 ? readPiDiff(reported) : null;
  if (read !== null) return read;
  const fields = fieldsOf(args);
  const edits = Array.isArray(fields.edits) ? fields.edits.map(fieldsOf) : [fields];
  const diffs = edits.flatMap((edit) => {
    const before = edit.oldText ?? edit.old_string;
    const after = edit.newText ?? edit.new_string;
    return typeof before === 'string' && typeof after === 'string' ? [diffTexts(before, after, false)] : [];
  });
  return diffs.length === 0 ? null : joinDiffs(diffs);
}

/** A string among arguments whose JSON is still being written, as far as it has come; null if it has not begun. */
export function partialField(json: string, ...names: string[]): string | null {
  for (const name of names) {
    const match = new RegExp(`"${name}"\\s*:\\s*"((?:[^"\\\\]|\\\\.)*)`).exec(json);
    if (match === null) continue;
    try {
      return JSON.parse(`"${(match[1] as string).replace(/\\u[0-9a-fA-F]{0,3}$/, '')}"`) as string;
    } catch {
      return match[1] as string;
    }
  }
  return null;
}

/** The language that a file's name tells; '' if none. */
export function languageOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  if (name === 'dockerfile' || name === 'containerfile') return 'docker';
  if (name === 'makefile') return 'makefile';
  const dot = name.lastIndexOf('.');
  return dot === -1 ? '' : name.slice(dot + 1);
}

/**
 * "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"
 *
 * @param goesOn whether it is still growing, second by second: then tenths are left out
 */
export function duration(ms: number, goesOn = false): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10 && !goesOn) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
