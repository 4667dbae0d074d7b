import { useComputed } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Question } from '../../protocol/agent.ts';
import type { Answer } from './conversation.ts';
import { Icon } from './icons.tsx';
import { useNow } from './now.ts';
import type { Session } from './session.ts';
import { duration } from './tool.ts';
import { visible } from './visible.ts';

/** The agent's questions, in the composer's place: a form for the oldest, and the titles of the others. */
export function Questions({ session, canAnswer }: { session: Session; canAnswer: boolean }) {
  const { conversation } = session;
  const questions = useComputed(() => conversation.value.questions).value;
  const answers = useComputed(() => conversation.value.answers).value;
  const [question, ...others] = questions;
  if (question === undefined) return null;
  return (
    <section class="question" aria-label="Question">
      <QuestionForm
        key={question.id}
        question={question}
        answer={answers.get(question.id)}
        canAnswer={canAnswer}
        session={session}
      />
      {others.length > 0 && (
        <ol class="question-others" start={2}>
          {others.map(({ id, title }) => (
            <li key={id}>{visible(title)}</li>
          ))}
        </ol>
      )}
    </section>
  );
}

interface FormProps {
  question: Question;
  answer: Answer | undefined;
  canAnswer: boolean;
  session: Session;
}

function QuestionForm({ question, answer, canAnswer, session }: FormProps) {
  const { id, kind, title, message, options = [], placeholder, prefill, dismissStops, expiresAt } = question;
  const [text, setText] = useState(prefill ?? '');
  const [note, setNote] = useState('');
  const first = useRef<HTMLElement | null>(null);
  const sending = answer?.status === 'sending';
  const disabled = sending || !canAnswer;
  useEffect(() => {
    // Takes the focus from the composer, but from nothing else, and not on phones, where a keyboard would come up.
    if (matchMedia('(pointer: coarse)').matches) return;
    const { activeElement } = document;
    if (activeElement === document.body || activeElement === null || activeElement.closest('.dock') !== null)
      first.current?.focus();
  }, []);
  const send = (value: string | boolean) => {
    session.answer(id, value);
    if (note.trim() !== '') session.send(note.trim(), [], 'steer');
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!disabled && (kind === 'input' || kind === 'editor')) send(text);
      }}
      onKeyDown={(event) => {
        const chosen =
          kind === 'select' && event.target instanceof HTMLButtonElement ? options[Number(event.key) - 1] : undefined;
        if (chosen !== undefined && !disabled) send(chosen);
      }}
    >
      <div class="question-head">
        <Icon name="question" />
        <h3>{visible(title)}</h3>
        {expiresAt !== undefined && <Remaining until={expiresAt - session.conversation.peek().clockAhead} />}
      </div>
      {message !== undefined && message !== '' && <p class="question-text">{visible(message)}</p>}
      {kind === 'select' && (
        <ul class="options">
          {options.map((option, index) => (
            <li key={index}>
              <button
                type="button"
                class="option"
                disabled={disabled}
                data-chosen={answer?.value === option}
                ref={(element) => {
                  if (index === 0) first.current = element;
                }}
                onClick={() => send(option)}
              >
                {index < 9 && <kbd>{index + 1}</kbd>}
                <span>{visible(option)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {kind === 'confirm' && (
        <div class="buttons">
          <button
            type="button"
            class="button primary"
            disabled={disabled}
            ref={(element) => {
              first.current = element;
            }}
            onClick={() => send(true)}
          >
            Yes
          </button>
          <button type="button" class="button" disabled={disabled} onClick={() => send(false)}>
            No
          </button>
        </div>
      )}
      {kind === 'input' && (
        <input
          class="field"
          aria-label={title}
          value={text}
          placeholder={placeholder ?? ''}
          disabled={disabled}
          ref={(element) => {
            first.current = element;
          }}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )}
      {kind === 'editor' && (
        <textarea
          class="field"
          rows={6}
          aria-label={title}
          value={text}
          placeholder={placeholder ?? ''}
          disabled={disabled}
          ref={(element) => {
            first.current = element;
          }}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )}
      {kind === 'custom' && <p class="question-text soft">This one can only be answered in the agent's terminal.</p>}
      {(kind === 'select' || kind === 'confirm') && (
        <input
          class="field note"
          aria-label="A note that goes with the answer"
          placeholder="Add a note (optional)"
          value={note}
          disabled={disabled}
          onInput={(event) => setNote(event.currentTarget.value)}
        />
      )}
      <div class="buttons">
        {(kind === 'input' || kind === 'editor') && (
          <button type="submit" class="button primary" disabled={disabled}>
            Answer
          </button>
        )}
        <button type="button" class="button" disabled={disabled} onClick={() => session.dismiss(id)}>
          {dismissStops === false ? 'Dismiss' : 'Dismiss and stop'}
        </button>
        <AnswerStatus answer={answer} canAnswer={canAnswer} />
      </div>
    </form>
  );
}

function AnswerStatus({ answer, canAnswer }: { answer: Answer | undefined; canAnswer: boolean }) {
  const said =
    answer === undefined
      ? canAnswer
        ? ''
        : 'There is no connection to the agent.'
      : answer.status === 'sending'
        ? 'Sending …'
        : answer.status === 'unknown'
          ? 'Not known whether the answer arrived. Answer again if the question stays.'
          : `Not delivered: ${answer.error ?? 'the agent did not take it.'}`;
  return (
    <span class="answer-status" role="status" data-status={answer?.status}>
      {said}
    </span>
  );
}

function Remaining({ until }: { until: number }) {
  const now = useNow(true);
  return <span class="soft time">{until > now ? `${duration(until - now, true)} left` : 'late'}</span>;
}
