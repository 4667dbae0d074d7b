/** The oldest question of an agent, answered without opening it. */
import type { NodeQuestion } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { give, giving } from '../state/answers.ts';
import { open } from '../state/opened.ts';

/** A question with more options, or longer ones, is answered in the chat. */
const MOST_OPTIONS = 4;
const LONGEST_OPTION = 40;

/** Widths, in CSS pixels: in a row before its options, in an option beside its letters, and of a letter. */
const INDENT = 62;
const PADDING = 22;
const LETTER = 6.8;

/**
 * How many lines the options of a question take in a roster of this width. Rows are placed before they are rendered, so
 * this is computed, not measured.
 */
export function linesOf(question: NodeQuestion, width: number): number {
  const options = optionsOf(question);
  if (options === null) return 1;
  const room = Math.max(width - INDENT, 100);
  let lines = 1;
  let used = 0;
  for (const { label } of options) {
    const needed = Math.min(PADDING + LETTER * label.length, room);
    if (used > 0 && used + needed > room) {
      lines++;
      used = 0;
    }
    used += needed;
  }
  return lines;
}

export function QuickAnswer({ nodeId, question, more }: { nodeId: string; question: NodeQuestion; more: number }) {
  const now = giving.value.get(question.id);
  const options = optionsOf(question);
  const shut = now !== undefined && now.phase !== 'failed';
  return (
    <fieldset class="quick" aria-label={`Question: ${question.title}`}>
      <p class="quick-title" title={visible(question.title)}>
        <bdi>{visible(question.title)}</bdi>
        {more > 0 && (
          <span class="quick-more">
            +{more}
            <span class="visually-hidden"> more</span>
          </span>
        )}
      </p>
      <div class="quick-options">
        {now?.phase === 'settled' ? (
          <span class="quick-settled">{visible(now.words)}</span>
        ) : now?.phase === 'failed' ? (
          <>
            <span class="quick-failed" title={now.why}>
              Not delivered
            </span>
            <button type="button" class="button small" onClick={() => give(nodeId, question.id, now.value)}>
              Send again
            </button>
          </>
        ) : options === null ? (
          <button type="button" class="button small" onClick={() => open(nodeId)}>
            Open to answer
          </button>
        ) : (
          options.map(({ label, value }) => (
            <button
              key={label}
              type="button"
              class="button small"
              disabled={shut}
              onClick={() => give(nodeId, question.id, value)}
            >
              <bdi>{visible(label)}</bdi>
            </button>
          ))
        )}
      </div>
    </fieldset>
  );
}

function optionsOf({ kind, options }: NodeQuestion): { label: string; value: string | boolean }[] | null {
  if (kind === 'confirm') {
    return [
      { label: 'Yes', value: true },
      { label: 'No', value: false },
    ];
  }
  if (kind !== 'select' || options === undefined || options.length === 0 || options.length > MOST_OPTIONS) return null;
  if (options.some((option) => option.length > LONGEST_OPTION)) return null;
  return options.map((option) => ({ label: option, value: option }));
}
