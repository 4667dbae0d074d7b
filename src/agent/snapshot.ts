/** `init_state`: what is on the agent's screen, in at most so many bytes, whatever is on it. Pure. */
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

/** The history gets this much at least: room for a message of the largest kind. */
const HISTORY_BYTES = 120_000;
const MAX_TOOLS = 256;
const MAX_DESCRIPTION = 200;

/** @returns the message as JSON, at most `AGENT_LIMITS.snapshotBytes` long, with the end of the history in it */
export function encodeSnapshot(messages: readonly Message[], screen: Screen): string {
  const rest = encodeScreen(screen, AGENT_LIMITS.snapshotBytes - HISTORY_BYTES);
  // The names of the fields, and numbers.
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
  // Thousands of tools at once, or of questions.
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

/** Half a question cannot be answered: what is too large can only be answered in the terminal. */
function cutQuestion(question: Question, keep: number): Question {
  if (encode(question).length <= 2 * keep) return question;
  const { id, title, askedAt } = question;
  return { id, kind: QuestionKind.CUSTOM, title: title.slice(0, keep), askedAt };
}

/** The end of each part, so that deltas go on with it. */
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
