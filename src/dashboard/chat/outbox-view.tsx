import { useComputed } from '@preact/signals';
import type { Prompt } from './conversation.ts';
import { Icon } from './icons.tsx';
import { UserText } from './rows.tsx';
import type { Session } from './session.ts';

const WORDS: Record<Prompt['status'], string> = {
  waiting: 'Waits for the connection',
  sending: 'Sending …',
  queued: 'Queued',
  delivered: 'Delivered',
  failed: 'Not delivered',
  unknown: 'Not known whether it arrived',
};

/** Prompts from here that are in no queue and in no history yet, at the end of the transcript. */
export function OutboxRows({ session }: { session: Session }) {
  const { conversation } = session;
  const outbox = useComputed(() => conversation.value.outbox).value;
  const queue = useComputed(() => conversation.value.queue).value;
  const queued = new Set(queue.map(({ id }) => id));
  return (
    <>
      {outbox
        .filter(({ id }) => !queued.has(id))
        .map((prompt) => (
          <OutboxRow key={prompt.id} prompt={prompt} session={session} />
        ))}
    </>
  );
}

function OutboxRow({ prompt, session }: { prompt: Prompt; session: Session }) {
  const { id, text, attachments, status, error } = prompt;
  const stuck = status === 'failed' || status === 'unknown';
  return (
    <article class="entry" data-kind="user" data-pending={status} aria-label="You">
      <div class="bubble">
        <UserText text={text} />
        {attachments.length > 0 && <p class="between">{attachments.map(({ filename }) => filename).join(', ')}</p>}
      </div>
      <div class="prompt-status" data-status={status} role={stuck ? 'alert' : 'status'}>
        {stuck && <Icon name="warning" />}
        <span>{status === 'failed' && error !== null && error !== '' ? error : WORDS[status]}</span>
        {stuck && (
          <button type="button" class="chat-link" onClick={() => session.repeat(id)}>
            Send again
          </button>
        )}
        {(stuck || status === 'waiting') && (
          <button type="button" class="chat-link" onClick={() => session.discard(id)}>
            Discard
          </button>
        )}
      </div>
    </article>
  );
}
