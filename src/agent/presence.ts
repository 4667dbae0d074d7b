/** An agent as the roster has it: its id, and its details, cut to the bounds of a node and reduced to changes. */
import { randomBytes } from 'node:crypto';
import type { Question } from '../protocol/agent.ts';
import { NODE_LIMITS, type NodeDetails, type NodeQuestion, type UpdateParams } from '../protocol/registry.ts';
import { byteLength, encode } from './json.ts';

/** @returns the text without control characters and lone surrogates, cut to `maxBytes` bytes of UTF-8 */
export function clip(text: string, maxBytes: number): string {
  const clean = text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ').trim();
  if (byteLength(clean) <= maxBytes) return clean;
  // A cut may leave half a character, which decodes to U+FFFD.
  const cut = Buffer.from(clean)
    .subarray(0, maxBytes - ELLIPSIS_BYTES)
    .toString()
    .replace(/\uFFFD$/, '');
  return `${cut}…`;
}

const ELLIPSIS_BYTES = 3;

/**
 * The question as a roster shows it. The options are left out unless all fit, because an answer must be one of them.
 */
export function nodeQuestion({ id, kind, title, options }: Question): NodeQuestion {
  const question: NodeQuestion = { id, kind, title: clip(title, NODE_LIMITS.questionTitle) };
  const { questionOption, questionOptions } = NODE_LIMITS;
  if (options !== undefined && options.length <= questionOptions) {
    if (options.every((option) => clip(option, questionOption) === option)) question.options = options;
  }
  return question;
}

/** The details with texts cut to the bounds of a node. Empty texts are left out. */
export function clipDetails(details: NodeDetails): NodeDetails {
  const clipped: NodeDetails = { ...details };
  for (const field of ['name', 'session', 'model', 'tool'] as const) {
    const text = details[field] === undefined ? '' : clip(details[field], NODE_LIMITS[field]);
    if (text === '') delete clipped[field];
    else clipped[field] = text;
  }
  return clipped;
}

/** The update that turns `before` into `after`; null if they are equal. */
export function difference(before: NodeDetails, after: NodeDetails): UpdateParams | null {
  const update: Record<string, unknown> = {};
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof NodeDetails>) {
    if (encode(before[field]) !== encode(after[field])) update[field] = after[field] ?? null;
  }
  return Object.keys(update).length === 0 ? null : (update as UpdateParams);
}

export function newNodeId(): string {
  return randomBytes(12).toString('base64url');
}
