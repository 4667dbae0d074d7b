/** The rows of a transcript: one for each message that people read, and for each event in between. */
import { Component, type ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { ContentPart, Message, ToolCallPart } from '../../protocol/agent.ts';
import type { Entry, MessageEntry, SettledEntry, ToolRun } from './conversation.ts';
import { CopyButton } from './copy-button.tsx';
import { fold } from './fold.ts';
import { Icon } from './icons.tsx';
import { Images } from './images.tsx';
import { Markdown } from './markdown-view.tsx';
import { contentOf, imagesOf, textOf } from './message.ts';
import { Output } from './output-view.tsx';
import { ToolCard } from './tool-card.tsx';
import { visible } from './visible.ts';

/** A person's message is shown up to this many lines at first. */
const USER_LINES = 24;

export interface RowProps {
  entry: Entry;
  runs: ReadonlyMap<string, ToolRun>;
  cwd: string | null;
  /** It is still being written. */
  open: boolean;
  /** The agent works, and nothing has come after it: its tools may still run. */
  last: boolean;
  onWhole(index: number): void;
}

/** Whether it has a row of its own: a tool's result is in the row of its call, if the call is there. */
export function hasRow(entry: Entry, calls: ReadonlySet<string>): boolean {
  if (entry.kind !== 'message') return true;
  const { role, toolCallId, display } = entry.message;
  if (role === 'toolResult') return toolCallId === undefined || !calls.has(toolCallId);
  if (role === 'system') return false;
  return role !== 'custom' || display !== false;
}

export function callsOf(message: Message): readonly ToolCallPart[] {
  if (message.role !== 'assistant') return [];
  return contentOf(message).filter((part) => part.type === 'toolCall');
}

/** Rendered again only if its message, or a run of one of its tools, has changed. */
export class Row extends Component<RowProps, { broken: boolean }> {
  override state = { broken: false };

  override shouldComponentUpdate(next: RowProps, state: { broken: boolean }): boolean {
    const { entry, runs, cwd, open, last } = this.props;
    if (next.entry !== entry || next.open !== open || next.cwd !== cwd || state.broken !== this.state.broken)
      return true;
    if (entry.kind !== 'message') return false;
    if (next.last !== last && callsOf(entry.message).length > 0) return true;
    if (next.runs === runs) return false;
    if (entry.message.role === 'toolResult') return true;
    return callsOf(entry.message).some(({ id }) => {
      // While it runs, the tools that it calls may have changed.
      return next.runs.get(id) !== runs.get(id) || next.runs.get(id)?.status === 'running';
    });
  }

  /** A message of unforeseen shape must not break the others. */
  override componentDidCatch(): void {
    this.setState({ broken: true });
  }

  override render(props: RowProps, { broken }: { broken: boolean }) {
    const { entry } = props;
    const kind = entry.kind === 'message' ? entry.message.role : entry.kind;
    return (
      <article
        class="entry"
        data-key={entry.key}
        data-kind={kind}
        data-index={entry.kind === 'message' ? entry.index : undefined}
        aria-label={LABELS.get(kind) ?? kind}
      >
        {broken ? <p class="between">This message can't be shown.</p> : <Content {...props} />}
      </article>
    );
  }
}

const LABELS = new Map(
  Object.entries({
    user: 'You',
    assistant: 'Agent',
    toolResult: 'Result of a tool',
    bashExecution: 'Command',
    compactionSummary: 'Summary',
    branchSummary: 'Summary',
    settled: 'Question',
    notice: 'Notice',
    custom: 'Note',
  }),
);

function Content(props: RowProps): ComponentChildren {
  const { entry, runs, cwd } = props;
  if (entry.kind === 'settled') return <Settled entry={entry} />;
  if (entry.kind === 'notice')
    return (
      <p class="between" data-level={entry.level}>
        {visible(entry.text.slice(0, 4000))}
      </p>
    );
  const { message } = entry;
  switch (message.role) {
    case 'user':
      return <UserMessage {...props} entry={entry} />;
    case 'assistant':
      return <AssistantMessage {...props} entry={entry} />;
    case 'toolResult': {
      const run = message.toolCallId === undefined ? undefined : runs.get(message.toolCallId);
      return <ToolCard name={message.toolName ?? 'tool'} args={run?.args} run={run} cwd={cwd} expected={false} />;
    }
    case 'bashExecution':
      return <BashExecution message={message} cwd={cwd} />;
    case 'compactionSummary':
      return (
        <Folded label="The conversation before this was summed up" text={String(message.summary ?? textOf(message))} />
      );
    case 'branchSummary':
      return <Folded label="Summary of another branch" text={String(message.summary ?? textOf(message))} />;
    case 'unreadable':
      return <p class="between">A message that can't be read.</p>;
    default:
      return (
        <>
          <Markdown text={textOf(message)} />
          <Images images={imagesOf(message.content)} />
        </>
      );
  }
}

function UserMessage({ entry: { message }, onWhole }: RowProps & { entry: MessageEntry }) {
  const text = textOf(message);
  return (
    <div class="bubble">
      <UserText text={text} />
      <Images images={imagesOf(message.content)} />
      <Cut message={message} onWhole={onWhole} />
      {text !== '' && <CopyButton text={() => text} label="Copy message" />}
    </div>
  );
}

export function UserText({ text }: { text: string }) {
  const [lines, setLines] = useState(USER_LINES);
  const folded = fold(text, lines, 'start');
  const left = folded.total - folded.lines.length;
  const whole = folded.lines.every((line) => line.cut === 0);
  return (
    <div class="user-text" dir="auto">
      {left === 0 && whole
        ? visible(text)
        : folded.lines
            .map(
              (line) =>
                visible(line.text) + (line.cut > 0 ? ` … ${line.cut.toLocaleString('en')} more characters` : ''),
            )
            .join('\n')}
      {left > 0 && (
        <button type="button" class="more" onClick={() => setLines(lines + 500)}>
          Show {left.toLocaleString('en')} more {left === 1 ? 'line' : 'lines'}
        </button>
      )}
    </div>
  );
}

function AssistantMessage({ entry: { message }, runs, cwd, open, last, onWhole }: RowProps & { entry: MessageEntry }) {
  const parts = contentOf(message);
  const text = textOf(message);
  return (
    <>
      {parts.map((part, index) => (
        <Part key={index} part={part} open={open && index === parts.length - 1} runs={runs} cwd={cwd} last={last} />
      ))}
      <Cut message={message} onWhole={onWhole} />
      {message.stopReason === 'error' && (
        <p class="failure" role="note">
          <Icon name="warning" /> {visible(message.errorMessage ?? 'The model failed.')}
        </p>
      )}
      {message.stopReason === 'aborted' && <p class="between">Stopped.</p>}
      {message.stopReason === 'length' && <p class="between">The answer ended at the model's limit.</p>}
      {!open && message.stopReason !== 'toolUse' && text.trim() !== '' && (
        <div class="entry-tools">
          <CopyButton text={() => text} label="Copy answer" />
        </div>
      )}
    </>
  );
}

function Part({
  part,
  open,
  runs,
  cwd,
  last,
}: {
  part: ContentPart;
  open: boolean;
  runs: ReadonlyMap<string, ToolRun>;
  cwd: string | null;
  last: boolean;
}) {
  switch (part.type) {
    case 'text':
      return part.text.trim() === '' ? null : <Markdown text={part.text} open={open} />;
    case 'thinking':
      return <Thinking text={part.thinking} redacted={part.redacted === true} open={open} />;
    case 'toolCall':
      return (
        <ToolCard
          name={part.name}
          args={part.arguments}
          partial={part.partial}
          run={runs.get(part.id)}
          nested={nestedIn(runs, part.id)}
          cwd={cwd}
          expected={last}
        />
      );
    case 'image':
      return <Images images={imagesOf([part])} />;
  }
}

function nestedIn(runs: ReadonlyMap<string, ToolRun>, id: string): ToolRun[] {
  const nested: ToolRun[] = [];
  for (const run of runs.values()) if (run.parent === id) nested.push(run);
  return nested;
}

/** A model's thoughts, folded: only some people want to read them. */
function Thinking({ text, redacted, open }: { text: string; redacted: boolean; open: boolean }) {
  const [shown, setShown] = useState(false);
  if (redacted && text.trim() === '') return <p class="between">Thinking that the provider does not show.</p>;
  if (!open && text.trim() === '') return null;
  return (
    <section class="thinking" data-open={open}>
      <button type="button" class="tool-head" aria-expanded={shown} onClick={() => setShown(!shown)}>
        <Icon name="thought" />
        <span class="tool-name">{open ? 'Thinking' : 'Thought'}</span>
        <span class="tool-subject">{shown ? '' : visible(summaryOf(text, open))}</span>
        <span class="tool-chevron">
          <Icon name="chevron" />
        </span>
      </button>
      {shown && <Markdown text={text} open={open} />}
    </section>
  );
}

/** The last line while thinking goes on, the first line after. */
function summaryOf(text: string, open: boolean): string {
  const trimmed = text.trim();
  const line = open ? trimmed.slice(trimmed.lastIndexOf('\n') + 1) : (trimmed.split('\n', 1)[0] ?? '');
  const plain = line.replace(/[*_`#>]+/g, '').trim();
  return plain.length > 200 ? (open ? `… ${plain.slice(-200)}` : `${plain.slice(0, 200)} …`) : plain;
}

function BashExecution({ message, cwd }: { message: Message; cwd: string | null }) {
  const failed = typeof message.exitCode === 'number' && message.exitCode !== 0;
  const run: ToolRun = {
    id: '',
    name: 'bash',
    args: undefined,
    status: failed ? 'failed' : 'done',
    startedAt: null,
    durationMs: null,
    output: String(message.output ?? ''),
    result: null,
    parent: null,
  };
  return <ToolCard name="bash" args={{ command: message.command }} run={run} cwd={cwd} expected={false} />;
}

function Folded({ label, text }: { label: string; text: string }) {
  return (
    <details class="summary">
      <summary>{label}</summary>
      <Output text={text} end="start" label="Summary" />
    </details>
  );
}

/** The agent left a part of the message out, since it is large. */
function Cut({ message, onWhole }: { message: Message; onWhole(index: number): void }) {
  const { cut } = message;
  if (cut === undefined) return null;
  return (
    <p class="between">
      This message is longer than what was sent.{' '}
      <button type="button" class="chat-link" onClick={() => onWhole(cut.index)}>
        Load all {Math.ceil(cut.bytes / 1024).toLocaleString('en')} KB
      </button>
    </p>
  );
}

function Settled({ entry: { question, outcome } }: { entry: SettledEntry }) {
  const { value } = outcome;
  const answer = typeof value === 'boolean' ? (value ? 'Yes' : 'No') : typeof value === 'string' ? value : '';
  return (
    <p class="between settled">
      <Icon name="question" />
      <span>{visible(question.title)}</span>
      {answer !== '' && <strong>{visible(answer.length > 200 ? `${answer.slice(0, 200)} …` : answer)}</strong>}
      <span>{settledInWords(outcome)}</span>
    </p>
  );
}

function settledInWords({ by, client }: SettledEntry['outcome']): string {
  const who = typeof client === 'string' ? visible(client) : null;
  switch (by) {
    case 'terminal':
      return 'answered in the terminal';
    case 'dashboard':
      return `answered by ${who ?? 'a dashboard'}`;
    case 'dismissed':
      return who === null ? 'dismissed' : `dismissed by ${who}`;
    case 'timeout':
      return 'nobody answered in time';
    case 'gone':
      return 'no longer asked';
    default:
      return 'settled';
  }
}
