import { useEffect, useRef, useState } from 'preact/hooks';
import { CopyButton } from './copy-button.tsx';
import { type Diff, type Row, splitRows } from './diff.ts';
import { MAX_SHOWN_LINE } from './fold.ts';
import { visible } from './visible.ts';

const FOLDED_ROWS = 13;
const STEP_ROWS = 500;
/** From this width on there is room for two columns. */
const SPLIT_PX = 900;

/** An edit's changes: in one column, or in two if there is room. */
export function DiffView({ diff }: { diff: Diff }) {
  const box = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [shown, setShown] = useState(FOLDED_ROWS);
  useEffect(() => {
    if (box.current === null) return;
    const observer = new ResizeObserver(([entry]) => setWide((entry?.contentRect.width ?? 0) >= SPLIT_PX));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const rows = diff.rows.slice(0, shown);
  const left = diff.rows.length - rows.length;
  return (
    <div class="diff" ref={box} data-wrap={wrap} data-split={wide}>
      <div class="diff-tools">
        <span class="counts">
          <span class="added">+{diff.added}</span> <span class="removed">−{diff.removed}</span>
        </span>
        <button type="button" class="chat-link" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          Wrap
        </button>
        <CopyButton text={() => patchOf(diff.rows)} label="Copy the difference" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: keys must reach a box that scrolls sideways */}
      <div class="diff-box" tabIndex={0}>
        <table>
          <tbody>{wide ? splitRows(rows).map(SplitLine) : rows.map(Line)}</tbody>
        </table>
      </div>
      {diff.rows.length > FOLDED_ROWS && (
        <div class="fold-bar">
          {left > 0 && (
            <span>
              showing {rows.length.toLocaleString('en')} of {diff.rows.length.toLocaleString('en')} lines
            </span>
          )}
          {left > 0 && (
            <button
              type="button"
              class="chat-link"
              onClick={() => setShown((shown === FOLDED_ROWS ? 0 : shown) + STEP_ROWS)}
            >
              {left > STEP_ROWS ? `Show ${STEP_ROWS} more` : 'Show all'}
            </button>
          )}
          {shown !== FOLDED_ROWS && (
            <button type="button" class="chat-link" onClick={() => setShown(FOLDED_ROWS)}>
              Show less
            </button>
          )}
        </div>
      )}
    </div>
  );
}

const SIGNS = { added: '+', removed: '−', same: ' ', gap: ' ' } as const;
const WORDS = { added: 'added', removed: 'removed' } as const;

function Line(row: Row, index: number) {
  if (row.kind === 'gap') return <Gap key={index} columns={4} />;
  return (
    <tr key={index} class={row.kind}>
      <td class="gutter">{'before' in row ? row.before : ''}</td>
      <td class="gutter">{'after' in row ? row.after : ''}</td>
      <td class="sign">
        {SIGNS[row.kind]}
        {row.kind !== 'same' && <span class="visually-hidden">{WORDS[row.kind]}</span>}
      </td>
      <td class="text">{textOf(row)}</td>
    </tr>
  );
}

function SplitLine({ left, right }: { left: Row | null; right: Row | null }, index: number) {
  if (left?.kind === 'gap') return <Gap key={index} columns={4} />;
  return (
    <tr key={index}>
      <td class={`gutter ${left?.kind ?? 'none'}`}>{left !== null && 'before' in left ? left.before : ''}</td>
      <td class={`text ${left?.kind ?? 'none'}`}>{left !== null && textOf(left)}</td>
      <td class={`gutter ${right?.kind ?? 'none'}`}>{right !== null && 'after' in right ? right.after : ''}</td>
      <td class={`text ${right?.kind ?? 'none'}`}>{right !== null && textOf(right)}</td>
    </tr>
  );
}

function Gap({ columns }: { columns: number }) {
  return (
    <tr class="gap">
      <td colSpan={columns}>⋯</td>
    </tr>
  );
}

function textOf(row: Row) {
  if (row.kind === 'gap') return '';
  if ('marks' in row && row.marks !== undefined) {
    return row.marks.map(({ text, changed }, index) =>
      changed ? <mark key={index}>{visible(text)}</mark> : visible(text),
    );
  }
  const { text } = row;
  return text.length > MAX_SHOWN_LINE ? `${visible(text.slice(0, MAX_SHOWN_LINE))} …` : visible(text);
}

function patchOf(rows: readonly Row[]): string {
  const signs = { added: '+', removed: '-', same: ' ' } as const;
  return rows.map((row) => (row.kind === 'gap' ? '…' : signs[row.kind] + row.text)).join('\n');
}
