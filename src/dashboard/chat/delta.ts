/**
 * Numbered events, each sent once.
 *
 * An event that is not newer than the position was in the snapshot, or came before: it is dropped. If a number is
 * skipped, events are missing: from then on all are ignored until a snapshot comes. The owner of the connection asks
 * for it by connecting without a position.
 */
import type {
  FromAgent,
  InitState,
  Message,
  MessageDelta,
  Question,
  RunningTool,
  StreamEvent,
} from '../../protocol/agent.ts';
import {
  addEntry,
  beginMessage,
  type Conversation,
  finishMessage,
  type MessageEntry,
  NEW_RUN,
  nextIndex,
  prependHistory,
  replaceHistory,
  replaceMessage,
  setActivity,
  setRun,
  settleQuestion,
  type ToolRun,
} from './conversation.ts';
import { contentOf, readList, readMessage, readMessages, readQuestion, readText, resultText } from './message.ts';
import { applyOutcomes, dropPrompt, onOutcome, updatePrompt } from './outbox.ts';

/** @param now by this page's clock, in milliseconds */
export function receiveDelta(state: Conversation, message: FromAgent, now: number): Conversation {
  switch (message.type) {
    case 'init_state':
      return onInitState(state, message, now);
    case 'resumed':
      return { ...state, clockAhead: message.now - now, position: { epoch: message.epoch, seq: message.seq } };
    case 'history_page':
      return prependHistory(state, readMessages(message.messages), message.oldestIndex, message.hasMore);
    case 'commands_list':
      return { ...state, commands: readList(message.commands, 'name') };
    case 'files_list':
      return { ...state, files: { ...message, files: readList(message.files, 'path') } };
    case 'message':
      return replaceMessage(state, message.index, readMessage(message.message));
    case 'attach_file_ack':
      return state;
    case 'error':
      return onError(state, message);
  }
  if (!('seq' in message)) {
    // The two that also come as answers, to one client alone.
    if (message.type === 'prompt_status') return onOutcome(state, message);
    return message.type === 'question_settled' ? settleQuestion(state, message) : state;
  }
  const { position } = state;
  if (position === null || message.seq <= position.seq) return state;
  if (message.seq !== position.seq + 1) return { ...state, position: null, gap: true };
  return onEvent({ ...state, position: { ...position, seq: message.seq } }, message);
}

function onInitState(before: Conversation, init: InitState, now: number): Conversation {
  const clockAhead = (init.now ?? now) - now;
  const messages = readMessages(init.messages);
  const { oldestIndex } = init;
  let state = replaceHistory(before, messages, oldestIndex);
  state = {
    ...state,
    position: { epoch: init.epoch, seq: init.seq },
    gap: false,
    hasOlder: oldestIndex > 0,
    clockAhead,
    cwd: init.cwd ?? null,
    features: Array.isArray(init.features) ? init.features : [],
    queue: readList(init.queue, 'id', 'text'),
    questions: readList<Question>(init.questions, 'id').map(readQuestion),
    activity: { state: init.state, since: init.stateSince - clockAhead, error: readText(init.error) },
  };
  state = { ...state, answers: onlyOf(state.answers, state.questions) };
  if (init.live !== undefined) state = resumeLive(before, state, init.live);
  for (const { toolCallId, toolName, args, startedAt, output, parentToolCallId } of readList<RunningTool>(
    init.runningTools,
    'toolCallId',
    'toolName',
  )) {
    state = setRun(state, {
      ...NEW_RUN,
      id: toolCallId,
      name: toolName,
      args,
      startedAt: startedAt - clockAhead,
      output: output ?? '',
      parent: parentToolCallId ?? null,
    });
  }
  state = applyOutcomes(state, readList(init.prompts, 'id', 'status'));
  for (const { id } of state.queue) state = updatePrompt(state, id, { status: 'queued', error: null });
  return state;
}

/** A message that was being written when the connection was lost keeps its key. */
function resumeLive(before: Conversation, state: Conversation, message: Message): Conversation {
  const begun = beginMessage(state, message);
  const known = before.live;
  if (known === null || known.index !== begun.live?.index) return begun;
  return { ...begun, live: { ...(begun.live as MessageEntry), key: known.key } };
}

function onlyOf<Value>(map: ReadonlyMap<string, Value>, questions: readonly Question[]): ReadonlyMap<string, Value> {
  return new Map([...map].filter(([id]) => questions.some((question) => question.id === id)));
}

function onEvent(state: Conversation, event: StreamEvent): Conversation {
  switch (event.type) {
    case 'message_start':
      return beginMessage(state, readMessage(event.message));
    case 'message_delta':
      return onDelta(state, event);
    case 'message_end': {
      const index = Number.isInteger(event.index) ? event.index : nextIndex(state);
      const finished = finishMessage(state, readMessage(event.message), index);
      return event.prompt === undefined ? finished : dropPrompt(finished, event.prompt);
    }
    case 'tool_start':
      return setRun(state, {
        ...NEW_RUN,
        id: event.toolCallId,
        name: event.toolName,
        args: event.args,
        startedAt: event.startedAt - state.clockAhead,
        output: event.output ?? '',
        parent: event.parentToolCallId ?? null,
      });
    case 'tool_update': {
      const run = state.runs.get(event.toolCallId);
      if (run === undefined) return state;
      return setRun(state, { ...run, output: run.output.slice(event.drop ?? 0) + event.append });
    }
    case 'tool_end': {
      const known = state.runs.get(event.toolCallId);
      const run: ToolRun = known ?? { ...NEW_RUN, id: event.toolCallId, name: event.toolName };
      return setRun(state, {
        ...run,
        status: event.isError ? 'failed' : 'done',
        durationMs: event.durationMs,
        result: event.result ?? null,
        output: event.result === undefined ? run.output : resultText(event.result.content),
      });
    }
    case 'state':
      return setActivity(state, {
        state: event.state,
        since: event.since - state.clockAhead,
        error: readText(event.error),
      });
    case 'queue':
      return { ...state, queue: readList(event.entries, 'id', 'text') };
    case 'prompt_status':
      return onOutcome(state, event);
    case 'question': {
      const question = readQuestion(event.question);
      return { ...state, questions: [...state.questions.filter(({ id }) => id !== question.id), question] };
    }
    case 'question_settled':
      return settleQuestion(state, event);
    case 'notice':
      return addEntry(state, { kind: 'notice', level: event.level, text: String(event.text) });
    case 'history_reset':
      // The numbers go on, but the history has changed: only a snapshot has both.
      return { ...state, position: null, gap: true };
    default:
      // An event of the session, which the inspector shows, or of a newer agent.
      return state;
  }
}

function onDelta(state: Conversation, { kind, index, delta, call }: MessageDelta): Conversation {
  const { live } = state;
  if (live === null) return state;
  const content = [...contentOf(live.message)];
  // No agent may make the page fill a list of millions.
  if (!Number.isInteger(index) || index < 0 || index > content.length + 100) return state;
  while (content.length < index) content.push({ type: 'text', text: '' });
  const part = content[index];
  if (kind === 'text') {
    content[index] = { type: 'text', text: (part?.type === 'text' ? part.text : '') + delta };
  } else if (kind === 'thinking') {
    content[index] = { type: 'thinking', thinking: (part?.type === 'thinking' ? part.thinking : '') + delta };
  } else {
    const begun = part?.type === 'toolCall' ? part : null;
    content[index] = {
      type: 'toolCall',
      id: call?.id ?? begun?.id ?? '',
      name: call?.name ?? begun?.name ?? '',
      arguments: {},
      partial: (begun?.partial ?? '') + delta,
    };
  }
  return { ...state, live: { ...live, message: { ...live.message, content } } };
}

function onError(state: Conversation, { request, id, error }: Extract<FromAgent, { type: 'error' }>): Conversation {
  if (request === 'prompt' && typeof id === 'string') return updatePrompt(state, id, { status: 'failed', error });
  if ((request === 'answer' || request === 'dismiss') && typeof id === 'string') {
    const answer = state.answers.get(id);
    if (answer === undefined) return state;
    return { ...state, answers: new Map(state.answers).set(id, { ...answer, status: 'failed', error }) };
  }
  return state;
}
