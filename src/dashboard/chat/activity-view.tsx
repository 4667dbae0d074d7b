import { useComputed } from '@preact/signals';
import type { AgentLink } from '../link/agent-link.ts';
import type { Conversation } from './conversation.ts';
import { Icon } from './icons.tsx';
import { useNow } from './now.ts';
import type { Session } from './session.ts';
import { duration } from './tool.ts';
import { visible } from './visible.ts';

/** One line above the composer: what the agent is doing, or why that is not known. */
export function Activity({ session, link }: { session: Session; link: AgentLink }) {
  const { conversation } = session;
  const { phase, reason } = link.status.value;
  const activity = useComputed(() => conversation.value.activity).value;
  const doing = useComputed(() => doingOf(conversation.value)).value;
  const isAsking = useComputed(() => conversation.value.questions.length > 0).value;
  const isSaid = useComputed(() => saysFailure(conversation.value)).value;
  const busy = activity.state === 'working' || activity.state === 'waiting';
  const now = useNow(phase === 'live' && busy && activity.since !== null);
  if (phase === 'away') return <Line state="offline">The agent is offline. What was said stays here.</Line>;
  if (phase === 'lost') {
    return (
      <Line state="lost">
        {reason ?? 'The connection to the agent was lost.'} Trying again …{' '}
        <button type="button" class="chat-link" onClick={() => link.reconnect()}>
          Try now
        </button>
      </Line>
    );
  }
  // The pane's header says that; whether the agent's last activity goes on is not known.
  if (phase === 'connecting') return null;
  if (activity.state === 'failed' && isSaid) return null;
  if (activity.state === 'failed')
    return <Line state="failed">{visible(activity.error ?? 'The last run failed.')}</Line>;
  // The questions themselves take the composer's place, and the pane's header says since when.
  if (!busy || (activity.state === 'waiting' && isAsking && !session.stopping.value)) return null;
  return (
    <Line state={activity.state}>
      {session.stopping.value ? 'Stopping' : activity.state === 'waiting' ? 'Waits for an answer' : doing}
      {activity.since !== null && <span class="time"> {duration(now - activity.since, true)}</span>}
    </Line>
  );
}

function Line({ state, children }: { state: string; children: preact.ComponentChildren }) {
  return (
    <p class="activity" data-state={state} role={state === 'failed' || state === 'lost' ? 'status' : undefined}>
      {state === 'working' ? (
        <span class="chat-turning" aria-hidden="true" />
      ) : (
        <Icon name={state === 'waiting' ? 'question' : 'warning'} />
      )}
      <span>{children}</span>
    </p>
  );
}

/** Whether the transcript ends with the error for which the run failed: then it is not said again. */
function saysFailure({ entries, activity: { error } }: Conversation): boolean {
  const last = entries.findLast((entry) => entry.kind === 'message')?.message;
  if (last?.role !== 'assistant' || last.stopReason !== 'error') return false;
  // So an agent says it if the model gave no reason.
  return error === null || error === (last.errorMessage ?? 'The model failed');
}

function doingOf({ runs, live }: Conversation): string {
  const running = [...runs.values()].filter(({ status }) => status === 'running');
  if (running.length > 1) return `${running.length} tools run`;
  const [run] = running;
  if (run !== undefined) return `Runs ${visible(run.name)}`;
  const last = Array.isArray(live?.message.content) ? live.message.content.at(-1) : undefined;
  if (last?.type === 'thinking') return 'Thinks';
  return last === undefined ? 'Works' : 'Writes';
}
