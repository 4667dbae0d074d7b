import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { ToolRun } from './conversation.ts';
import { CopyButton } from './copy-button.tsx';
import { DiffView } from './diff-view.tsx';
import { countLines, FOLDED_LINES } from './fold.ts';
import { Icon, type IconName } from './icons.tsx';
import { Images } from './images.tsx';
import { imagesOf } from './message.ts';
import { useNow } from './now.ts';
import { Output } from './output-view.tsx';
import { describeCall, diffOf, duration, fieldsOf, languageOf, partialField, type ToolKind } from './tool.ts';
import { visible } from './visible.ts';

const ICONS: Record<ToolKind, IconName> = {
  bash: 'terminal',
  read: 'file',
  write: 'edit',
  edit: 'edit',
  search: 'search',
  other: 'tool',
};

interface ToolCardProps {
  name: string;
  args: unknown;
  /** The arguments' JSON while it is still being written. */
  partial?: string | undefined;
  run: ToolRun | undefined;
  /** Tools that this one calls: their calls are in no message. */
  nested?: readonly ToolRun[];
  cwd: string | null;
  /** Whether the run may still come: the agent works, and the call is among its last. */
  expected: boolean;
}

type Status = 'writing' | 'running' | 'done' | 'failed' | 'expected' | 'lost';

const STATUS_WORDS: Record<Status, string> = {
  writing: 'being written',
  running: 'running',
  done: 'done',
  failed: 'failed',
  expected: 'not yet begun',
  lost: 'no result',
};

/** One call of a tool: a line that describes the call, and its result below. */
export function ToolCard({ name, args, partial, run, nested = [], cwd, expected }: ToolCardProps) {
  const known = useMemo(() => (partial === undefined ? args : partialArgs(partial)), [partial, args]);
  const call = useMemo(() => describeCall(name, known, cwd), [name, known, cwd]);
  const status: Status =
    partial !== undefined && run === undefined ? 'writing' : (run?.status ?? (expected ? 'expected' : 'lost'));
  const details = run?.result?.details;
  const diff = useMemo(
    () => (call.kind === 'edit' && partial === undefined ? diffOf(args, details) : null),
    [call.kind, args, details, partial],
  );
  const opensItself =
    status === 'failed' ||
    nested.length > 0 ||
    call.kind === 'edit' ||
    call.kind === 'write' ||
    (call.kind === 'bash' && (run?.output ?? '') !== '');
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? opensItself;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields to fill in
    <div
      class="tool"
      data-status={status}
      data-kind={call.kind}
      role="group"
      aria-label={`${name}: ${STATUS_WORDS[status]}`}
    >
      <button type="button" class="tool-head" aria-expanded={open} onClick={() => setChosen(!open)}>
        <Icon name={ICONS[call.kind]} />
        <span class="tool-name">{visible(name) || 'tool'}</span>
        <span class="tool-subject">{visible(firstLine(call.subject))}</span>
        {call.detail !== '' && <span class="tool-detail">{visible(call.detail)}</span>}
        <span class="tool-meta">
          {diff !== null && (
            <span class="counts">
              <span class="added">+{diff.added}</span> <span class="removed">−{diff.removed}</span>
            </span>
          )}
          {!open && run?.status === 'done' && <Extent kind={call.kind} run={run} args={known} />}
          <Time run={run} />
          <StatusMark status={status} />
        </span>
        <span class="tool-chevron">
          <Icon name="chevron" />
        </span>
      </button>
      {open && (
        <div class="tool-body">
          {nested.length > 0 && <Nested runs={nested} cwd={cwd} />}
          <Body
            kind={call.kind}
            args={known}
            run={run}
            diff={diff}
            path={call.path}
            subject={call.subject}
            status={status}
          />
        </div>
      )}
    </div>
  );
}

function Body({
  kind,
  args,
  run,
  diff,
  path,
  subject,
  status,
}: {
  kind: ToolKind;
  args: unknown;
  run: ToolRun | undefined;
  diff: ReturnType<typeof diffOf>;
  path: string | null;
  subject: string;
  status: Status;
}): ComponentChildren {
  const output = run?.output ?? '';
  const images = imagesOf(run?.result?.content);
  const result = output !== '' && (
    <Output
      text={output}
      end={kind === 'bash' ? 'end' : 'start'}
      lang={kind === 'read' && status === 'done' ? languageOf(path ?? '') : ''}
      label="Output"
    />
  );
  switch (kind) {
    case 'bash':
      return (
        <>
          {(subject.includes('\n') || subject.length > 80) && (
            <div class="command">
              <pre>{visible(subject.slice(0, 5000))}</pre>
              <CopyButton text={() => subject} label="Copy command" />
            </div>
          )}
          {result || <p class="nothing">{status === 'running' ? 'No output yet' : 'No output'}</p>}
        </>
      );
    case 'edit':
      return (
        <>
          {diff !== null && <DiffView diff={diff} />}
          {(status === 'failed' || diff === null) && result}
        </>
      );
    case 'write': {
      const content = fieldsOf(args).content;
      return (
        <>
          {typeof content === 'string' && (
            <Output
              text={content}
              end={status === 'writing' ? 'end' : 'start'}
              lang={languageOf(path ?? '')}
              label="Content"
            />
          )}
          {status === 'failed' && result}
        </>
      );
    }
    case 'other':
      return (
        <>
          {Object.keys(fieldsOf(args)).length > 0 && (
            <Output text={JSON.stringify(args, null, 2)} end="start" lang="json" label="Arguments" />
          )}
          {result}
          <Images images={images} />
        </>
      );
    default:
      return (
        <>
          {result ||
            (images.length === 0 && <p class="nothing">{status === 'running' ? 'No output yet' : 'No output'}</p>)}
          <Images images={images} />
        </>
      );
  }
}

/** The tools that a tool calls, a line for each; the last few of many. */
function Nested({ runs, cwd }: { runs: readonly ToolRun[]; cwd: string | null }) {
  const shown = runs.slice(-FOLDED_LINES);
  return (
    <ul class="nested">
      {runs.length > shown.length && (
        <li class="soft">{(runs.length - shown.length).toLocaleString('en')} before these</li>
      )}
      {shown.map((run) => (
        <li key={run.id} data-status={run.status}>
          <span class="tool-name">{visible(run.name)}</span>
          <span class="tool-subject">{visible(firstLine(describeCall(run.name, run.args, cwd).subject))}</span>
          <span class="tool-meta">
            <Time run={run} />
            <StatusMark status={run.status} />
          </span>
        </li>
      ))}
    </ul>
  );
}

function Extent({ kind, run, args }: { kind: ToolKind; run: ToolRun; args: unknown }) {
  const content = kind === 'write' ? fieldsOf(args).content : run.output;
  const lines = typeof content === 'string' ? countLines(content) : 0;
  if (lines === 0) return null;
  return (
    <span>
      {lines.toLocaleString('en')} {lines === 1 ? 'line' : 'lines'}
    </span>
  );
}

/** How long it took, or has been running. */
function Time({ run }: { run: ToolRun | undefined }) {
  const running = run?.status === 'running' && run.startedAt !== null;
  const now = useNow(running);
  if (run === undefined) return null;
  const ms = running ? now - (run.startedAt as number) : run.durationMs;
  if (ms === null || (!running && ms < 1000)) return null;
  return <span class="time">{duration(ms, running)}</span>;
}

function StatusMark({ status }: { status: Status }) {
  if (status === 'done')
    return (
      <span class="tool-mark" role="img" aria-label="done">
        <Icon name="check" />
      </span>
    );
  if (status === 'failed') return <span class="tool-mark failed">failed</span>;
  if (status === 'lost') return <span class="tool-mark">no result</span>;
  return <span class="chat-turning" role="img" aria-label={STATUS_WORDS[status]} />;
}

/** The fields that can be read so far from arguments that are still being written. */
function partialArgs(json: string): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const name of ['path', 'file_path', 'command', 'pattern', 'content']) {
    const value = partialField(json, name);
    if (value !== null) fields[name] = value;
  }
  return fields;
}

function firstLine(text: string): string {
  const end = text.indexOf('\n');
  const line = end === -1 ? text : `${text.slice(0, end)} …`;
  return line.length > 300 ? `${line.slice(0, 300)} …` : line;
}
