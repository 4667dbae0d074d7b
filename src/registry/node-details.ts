/**
 * The optional fields of a node, which agents send in `register` and `update`. They are checked, bounded, and copied
 * field by field.
 *
 *   params ──(readDetails)──▶ DetailsChange ──(applyDetails, to a node)──▶ the new node, and the fields that changed
 */
import {
  AgentState,
  type ContextUsage,
  NODE_LIMITS,
  type Node,
  type NodeDetails,
  type NodeQuestion,
  type NodeUpdated,
  QuestionKind,
} from '../protocol/registry.ts';
import { RpcError } from './rpc.ts';
import { fieldsOf, isInteger, isText } from './values.ts';

type DetailFields = { [Field in keyof NodeDetails]?: NonNullable<NodeDetails[Field]> | null };

/** A missing field stays as it is. Null removes a field. */
export interface DetailsChange {
  fields: DetailFields;
  /** How long the state has lasted and the tool has run, in seconds; null if the agent did not say. */
  stateAge: number | null;
  toolAge: number | null;
}

/** The fields of a `node_updated`. */
type ChangedFields = Omit<NodeUpdated, 'event' | 'id'>;

/** In US dollars; far above the cost of any session. */
const MAX_COST = 1e9;
/** Far above the number of questions that any agent asks at once. */
const MAX_QUESTIONS = 1e6;

/** Readers of the fields' values. Each returns undefined if the value is invalid. */
const READERS: { readonly [Field in keyof NodeDetails]-?: (value: unknown) => NodeDetails[Field] | undefined } = {
  name: (value) => readText(value, NODE_LIMITS.name),
  session: (value) => readText(value, NODE_LIMITS.session),
  model: (value) => readText(value, NODE_LIMITS.model),
  state: (value) => readOneOf(AgentState, value),
  tool: (value) => readText(value, NODE_LIMITS.tool),
  context: readContext,
  cost: (value) => (typeof value === 'number' && value >= 0 && value <= MAX_COST ? unsigned(value) : undefined),
  question: readQuestion,
  questions: (value) => (isInteger(value, 0, MAX_QUESTIONS) ? unsigned(value) : undefined),
  successor: (value) => readText(value, NODE_LIMITS.id),
};

const FIELDS = Object.keys(READERS) as (keyof NodeDetails)[];

/** @throws RpcError that names the invalid field */
export function readDetails(params: Record<string, unknown>): DetailsChange {
  const fields: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const value = params[field];
    if (value === undefined) continue;
    const read = value === null ? null : READERS[field](value);
    if (read === undefined) throw invalid(field);
    fields[field] = read;
  }
  return { fields, stateAge: readAge(params, 'state_age'), toolAge: readAge(params, 'tool_age') };
}

/** Reads the valid fields of a node of another hub, and leaves out the others. */
export function readValidDetails(node: Record<string, unknown>): NodeDetails {
  const details: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const value = node[field];
    const read = value === undefined || value === null ? undefined : READERS[field](value);
    if (read !== undefined) details[field] = read;
  }
  return details;
}

/** Whether the change contains nothing to apply. */
export function isEmpty({ fields }: DetailsChange): boolean {
  return Object.keys(fields).length === 0;
}

/** @param seconds the current time, in Unix seconds */
export function applyDetails(
  node: Node,
  { fields, stateAge, toolAge }: DetailsChange,
  seconds: number,
): { node: Node; changed: ChangedFields } {
  const after: Record<string, unknown> = { ...node };
  const changed: Record<string, unknown> = {};
  const set = (field: string, value: unknown) => {
    if (isSame(after[field] ?? null, value)) return;
    changed[field] = value;
    if (value === null) delete after[field];
    else after[field] = value;
  };
  for (const [field, value] of Object.entries(fields)) set(field, value);
  for (const [field, age] of [
    ['state', stateAge],
    ['tool', toolAge],
  ] as const) {
    const value = fields[field];
    if (value === undefined) continue;
    // If the state or tool is the same, it goes on, unless a new age says that it began again.
    if (value === null) set(`${field}_since`, null);
    else if (field in changed || age !== null) set(`${field}_since`, Math.max(0, Math.floor(seconds - (age ?? 0))));
  }
  return { node: after as unknown as Node, changed };
}

function isSame(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function readText(value: unknown, maxBytes: number): string | undefined {
  return isText(value, maxBytes) ? value : undefined;
}

function readOneOf<T extends string>(values: Readonly<Record<string, T>>, value: unknown): T | undefined {
  return Object.values(values).find((known) => known === value);
}

function readContext(value: unknown): ContextUsage | undefined {
  const { used, max } = fieldsOf(value);
  const isCount = (count: unknown): count is number => isInteger(count, 0, Number.MAX_SAFE_INTEGER);
  return isCount(used) && isCount(max) ? { used: unsigned(used), max: unsigned(max) } : undefined;
}

/** Turns -0 into 0: JSON can contain -0, but JSON.stringify writes 0. */
function unsigned(value: number): number {
  return value + 0;
}

function readQuestion(value: unknown): NodeQuestion | undefined {
  const { id, kind, title, options } = fieldsOf(value);
  const knownKind = readOneOf(QuestionKind, kind);
  const { questionId, questionTitle, questionOption, questionOptions } = NODE_LIMITS;
  if (!isText(id, questionId) || knownKind === undefined || !isText(title, questionTitle)) return undefined;
  if (options === undefined || options === null) return { id, kind: knownKind, title };
  const isOption = (option: unknown): option is string => isText(option, questionOption);
  if (!Array.isArray(options) || options.length > questionOptions || !options.every(isOption)) return undefined;
  return { id, kind: knownKind, title, options: [...options] };
}

function readAge(params: Record<string, unknown>, field: 'state_age' | 'tool_age'): number | null {
  const age = params[field];
  if (age === undefined || age === null) return null;
  // JSON has no Infinity, but a number that is too large is parsed as one.
  if (typeof age !== 'number' || age < 0 || age > Number.MAX_SAFE_INTEGER) throw invalid(field);
  return age;
}

function invalid(field: string): RpcError {
  return new RpcError(`Invalid node info: ${field}`);
}
