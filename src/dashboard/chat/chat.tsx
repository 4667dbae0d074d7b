/**
 * The conversation with one agent: everything below the pane's header. The shell loads it when the first agent is opened.
 *
 * `contract.ts` has all that the shell and the chat know of each other.
 */
import { useComputed } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { Activity } from './activity-view.tsx';
import { Composer } from './composer.tsx';
import { type ChatProps, chatCommands } from './contract.ts';
import { moveDraft } from './drafts.ts';
import { Questions } from './question-view.tsx';
import { Queue } from './queue-view.tsx';
import type { Scroller } from './scroller.ts';
import { sessionOf } from './session.ts';
import { Transcript } from './transcript.tsx';
import { trackKeyboard } from './viewport.ts';

/** The roster's node of the agent whose chat was opened last. */
let opened: ChatProps['node'] | null = null;

export default function Chat({ node, link, seen }: ChatProps) {
  const session = useMemo(() => {
    // The draft for a session goes to the session that replaces it.
    const { nodeId } = link;
    if (opened !== null && opened.peek().successor === nodeId) moveDraft(opened.peek().id, nodeId);
    opened = node;
    return sessionOf(nodeId);
  }, [link]);
  const scroller = useRef<Scroller | null>(null);
  const input = useRef<HTMLTextAreaElement | null>(null);
  const dock = useRef<HTMLDivElement>(null);
  const asked = useComputed(() => session.conversation.value.questions.length > 0).value;
  const canAnswer = link.status.value.phase === 'live';

  useEffect(() => {
    const detach = session.attach(link);
    // The shell may have said so before the link had started.
    if (node.peek().status === 'offline') link.away();
    return detach;
  }, [session, link]);
  useEffect(trackKeyboard, []);
  useEffect(() => {
    const commands = {
      compose: () =>
        (input.current ?? dock.current?.querySelector<HTMLElement>('.question button, .question .field'))?.focus(),
      stop: () => {
        const { state } = session.conversation.peek().activity;
        if (state === 'working' || state === 'waiting') session.stop();
      },
      toBottom: () => scroller.current?.toBottom(),
      answer: (yes: boolean) => {
        const [question] = session.conversation.peek().questions;
        if (question?.kind === 'confirm' && link.status.peek().phase === 'live') session.answer(question.id, yes);
      },
    };
    chatCommands.value = commands;
    return () => {
      if (chatCommands.peek() === commands) chatCommands.value = null;
    };
  }, [session, link]);

  return (
    <div class="chat" data-offline={node.value.status === 'offline'}>
      <Transcript
        session={session}
        seen={seen}
        onScroller={(made) => {
          scroller.current = made;
        }}
      />
      <div class="dock" ref={dock}>
        <Activity session={session} link={link} />
        <Queue session={session} />
        {asked ? (
          <Questions session={session} canAnswer={canAnswer} />
        ) : (
          <Composer
            session={session}
            link={link}
            onSent={() => scroller.current?.toBottom()}
            onInput={(element) => {
              input.current = element;
            }}
          />
        )}
      </div>
    </div>
  );
}
