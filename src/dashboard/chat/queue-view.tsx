import { useComputed } from '@preact/signals';
import { AgentFeature, type QueueEntry } from '../../protocol/agent.ts';
import { Icon } from './icons.tsx';
import type { Session } from './session.ts';
import { visible } from './visible.ts';

/** The prompts that wait for their turn, whoever sent them. */
export function Queue({ session }: { session: Session }) {
  const { conversation } = session;
  const queue = useComputed(() => conversation.value.queue).value;
  const canSteer = useComputed(() => conversation.value.features.includes(AgentFeature.STEER)).value;
  if (queue.length === 0) return null;
  return (
    <section class="queue" aria-label="Queued prompts">
      <h3>{queue.length} queued</h3>
      <ul>
        {queue.map((entry) => (
          <Entry key={entry.id} entry={entry} canSteer={canSteer} session={session} />
        ))}
      </ul>
    </section>
  );
}

function Entry({
  entry: { id, text, deliver, client, attachments },
  canSteer,
  session,
}: {
  entry: QueueEntry;
  canSteer: boolean;
  session: Session;
}) {
  const steers = deliver === 'steer';
  return (
    <li>
      <span class="queue-text" title={visible(text.slice(0, 1000))}>
        {visible(text.slice(0, 300))}
        {(attachments ?? 0) > 0 && (
          <span class="soft">
            {' '}
            · {attachments} {attachments === 1 ? 'file' : 'files'}
          </span>
        )}
      </span>
      {steers && <span class="tag">steers</span>}
      {client !== undefined && <span class="soft queue-client">{visible(client)}</span>}
      {canSteer && !steers && (
        <button
          type="button"
          class="chat-tool"
          aria-label={`Steer with: ${text.slice(0, 60)}`}
          title="Steer: give it to the agent before its next step"
          onClick={() => session.steerQueued(id)}
        >
          <Icon name="steer" />
        </button>
      )}
      <button
        type="button"
        class="chat-tool"
        aria-label={`Remove: ${text.slice(0, 60)}`}
        title="Remove from the queue"
        onClick={() => session.removeQueued(id)}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}
