/** What a sample agent does, written beforehand: it thinks, says, uses tools, asks, fails. Pure. */
import type { ContentPart, Message, ToolCallPart } from '../src/protocol/agent.ts';

export type Step = { think: string } | { say: string } | ToolStep | ConfirmStep | SelectStep | { fail: string };

/** Goes on with `yes` or `no`. */
export interface ConfirmStep {
  confirm: string;
  message: string;
  yes: Step[];
  no: Step[];
}

/** Goes on with the steps of the option that is chosen; dismissed, with none. */
export interface SelectStep {
  select: string;
  options: Record<string, Step[]>;
}

export interface ToolStep {
  tool: 'bash' | 'read' | 'edit' | 'write';
  args: Record<string, unknown>;
  output: string;
  /** For an edit: what changed, as pi's own tool tells it. */
  diff?: string;
  isError?: boolean;
  /** How long it takes, in milliseconds. */
  ms?: number;
}

/** Something said and what was done about it, long ago or now. */
export interface Exchange {
  prompt: string;
  steps: Step[];
}

export function userMessage(text: string, timestamp: number): Message {
  return { role: 'user', content: [{ type: 'text', text }], timestamp };
}

export function assistantMessage(
  content: ContentPart[],
  stopReason: string,
  model: string,
  timestamp: number,
): Message {
  const length = JSON.stringify(content).length;
  const usage = { input: 20 * length, output: length / 4, cost: { total: length / 20_000 } };
  return { role: 'assistant', content, stopReason, model, provider: 'sample', timestamp, usage };
}

export function callOf(step: ToolStep, id: string): ToolCallPart {
  return { type: 'toolCall', id, name: step.tool, arguments: step.args };
}

export function resultMessage(step: ToolStep, toolCallId: string, timestamp: number): Message {
  return {
    role: 'toolResult',
    toolCallId,
    toolName: step.tool,
    content: [{ type: 'text', text: step.output }],
    isError: step.isError ?? false,
    timestamp,
    ...(step.diff === undefined ? {} : { details: { diff: step.diff } }),
  };
}

/** Exchanges of the past, as messages; the last ended at `endedAt`. Questions in them were answered with yes. */
export function messagesOf(exchanges: readonly Exchange[], model: string, endedAt: number): Message[] {
  const messages: Message[] = [];
  for (const { prompt, steps } of exchanges) {
    messages.push(userMessage(prompt, 0));
    let parts: ContentPart[] = [];
    for (const step of steps) {
      if ('think' in step) parts.push({ type: 'thinking', thinking: step.think });
      else if ('say' in step) parts.push({ type: 'text', text: step.say });
      else if ('tool' in step) {
        const id = `past-${messages.length}`;
        messages.push(assistantMessage([...parts, callOf(step, id)], 'toolUse', model, 0), resultMessage(step, id, 0));
        parts = [];
      }
    }
    if (parts.length > 0) messages.push(assistantMessage(parts, 'stop', model, 0));
  }
  return messages.map((message, index) => ({ ...message, timestamp: endedAt - 20_000 * (messages.length - index) }));
}
