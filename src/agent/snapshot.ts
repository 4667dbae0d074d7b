/** `init_state`: the agent's state with the end of its history, in a bounded number of bytes. Pure. */
import {
  AGENT_LIMITS,
  type ContentPart,
  type InitState,
  type Message,
  type Question,
  type QueueEntry,
  type RunningTool,
} from '../protocol/agent.ts';
import { QuestionKind } from '../protocol/registry.ts';
import { pageOf } from './history.ts';
import { byteLength, encode, fits } from './json.ts';

/** Everything but the history. */
export type Screen = Omit<InitState, 'type' | 'messages' | 'truncated' | 'totalMessages' | 'oldestIndex' | 'cut'>;

/** The bytes kept free for the history: enough for its largest message. */
const HISTORY_BYTES = 120_000;
const MAX_TOOLS = 256;
const MAX_DESCRIPTION = 200;

/** @returns `init_state` as JSON of at most `AGENT_LIMITS.snapshotBytes` bytes */
export function encodeSnapshot(messages: readonly Message[], screen: Screen): string {
  const rest = encodeScreen(screen, AGENT_LIMITS.snapshotBytes - HISTORY_BYTES);
  // 200 bytes are for the names of the other fields and their numbers.
  const room = AGENT_LIMITS.snapshotBytes - byteLength(rest) - 200;
  const { json, oldestIndex } = pageOf(messages, messages.length, messages.length, room);
  const truncated = oldestIndex > 0 ? '"truncated":true,' : '';
  return `{"type":"init_state","messages":${json},${truncated}"totalMessages":${messages.length},"oldestIndex":${oldestIndex},${rest.slice(1)}`;
}

function encodeScreen(screen: Screen, maxBytes: number): string {
  const tools = screen.tools.slice(0, MAX_TOOLS).map(({ name, description }) => {
    return description === undefined ? { name } : { name, description: description.slice(0, MAX_DESCRIPTION) };
  });
  const whole = encode({ ...screen, tools });
  if (fits(whole, maxBytes)) return whole;
  for (const keep of [16_384, 2048, 256]) {
    const cut = encode({ ...cutScreen(screen, keep), tools, cut: true });
    if (fits(cut, maxBytes)) return cut;
  }
  // There are thousands of tools or questions.
  const { live, ...bare } = cutScreen(screen, 64);
  const { runningTools, questions } = bare;
  return encode({
    ...bare,
    tools: [],
    runningTools: runningTools.slice(0, 16),
    questions: questions.slice(0, 16),
    cut: true,
  });
}

/** @param keep the longest text, in UTF-16 units */
function cutScreen(screen: Screen, keep: number): Screen {
  const cut: Screen = {
    ...screen,
    cwd: screen.cwd.slice(0, 4096),
    runningTools: screen.runningTools.map((tool) => cutTool(tool, keep)),
    queue: screen.queue.map((entry): QueueEntry => ({ ...entry, text: entry.text.slice(0, keep) })),
    questions: screen.questions.map((question) => cutQuestion(question, keep)),
    prompts: screen.prompts.slice(-16),
  };
  if (screen.error !== undefined) cut.error = screen.error.slice(0, keep);
  if (screen.live !== undefined) cut.live = cutLive(screen.live, keep);
  return cut;
}

function cutTool({ args, output, ...tool }: RunningTool, keep: number): RunningTool {
  const cut: RunningTool = tool;
  if (args !== undefined && encode(args).length <= keep) cut.args = args;
  if (output !== undefined) cut.output = output.slice(-keep);
  return cut;
}

/** Cuts a large question. It can then only be answered in the terminal, because its end is missing. */
function cutQuestion(question: Question, keep: number): Question {
  if (encode(question).length <= 2 * keep) return question;
  const { id, title, askedAt } = question;
  return { id, kind: QuestionKind.CUSTOM, title: title.slice(0, keep), askedAt };
}

/** Keeps the end of each part, which deltas continue. */
function cutLive(live: Message, keep: number): Message {
  const parts = (Array.isArray(live.content) ? live.content : []).map((part): ContentPart => {
    switch (part.type) {
      case 'text':
        return { ...part, text: part.text.slice(-keep) };
      case 'thinking':
        return { ...part, thinking: part.thinking.slice(-keep) };
      case 'toolCall':
        return { ...part, partial: (part.partial ?? '').slice(-keep) };
      default:
        return part;
    }
  });
  return { role: live.role, content: parts };
}
