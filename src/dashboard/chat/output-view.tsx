import { useMemo, useState } from 'preact/hooks';
import { parseAnsi, type Span, type Style, stripAnsi } from './ansi.ts';
import { Code } from './code-view.tsx';
import { CopyButton } from './copy-button.tsx';
import { FOLDED_LINES, fold, foldLabel, STEP_LINES } from './fold.ts';
import { visible } from './visible.ts';

interface OutputProps {
  text: string;
  /** Which end is shown while it is folded. */
  end: 'start' | 'end';
  /** A language to colour it in; '' for a terminal's own colours. */
  lang?: string;
  label: string;
}

/** A text that a tool printed or read: folded to a few lines, and shown or copied whole on demand. */
export function Output({ text, end, lang = '', label }: OutputProps) {
  const [shown, setShown] = useState(FOLDED_LINES);
  const folded = useMemo(() => fold(text, shown, end), [text, shown, end]);
  const isFolded = shown === FOLDED_LINES;
  const body = folded.lines
    .map((line) => (line.cut > 0 ? `${line.text} … ${line.cut.toLocaleString('en')} more characters` : line.text))
    .join('\n');
  const said = foldLabel(folded);
  if (folded.total === 0) return <p class="nothing">No output</p>;
  return (
    <div class="output" data-folded={isFolded && folded.total > FOLDED_LINES}>
      {said !== null && end === 'end' && (
        <FoldBar said={said} folded={isFolded} total={folded.total} shown={folded.lines.length} setShown={setShown} />
      )}
      <div class="output-box">
        <pre>{lang === '' ? <Terminal text={body} /> : <Code text={body} lang={lang} />}</pre>
        <CopyButton text={() => (lang === '' ? stripAnsi(text) : text)} label={`Copy ${label.toLowerCase()}`} />
      </div>
      {(said !== null || !isFolded) && end === 'start' && (
        <FoldBar said={said} folded={isFolded} total={folded.total} shown={folded.lines.length} setShown={setShown} />
      )}
      {said === null && !isFolded && end === 'end' && folded.total > FOLDED_LINES && (
        <FoldBar said={null} folded={false} total={folded.total} shown={folded.lines.length} setShown={setShown} />
      )}
    </div>
  );
}

interface FoldBarProps {
  said: string | null;
  folded: boolean;
  total: number;
  shown: number;
  setShown(lines: number): void;
}

function FoldBar({ said, folded, total, shown, setShown }: FoldBarProps) {
  const left = total - shown;
  return (
    <div class="fold-bar">
      {said !== null && <span>{said}</span>}
      {left > 0 && (
        <button type="button" class="chat-link" onClick={() => setShown((folded ? 0 : shown) + STEP_LINES)}>
          {left > STEP_LINES ? `Show ${STEP_LINES.toLocaleString('en')} more` : 'Show all'}
        </button>
      )}
      {!folded && (
        <button type="button" class="chat-link" onClick={() => setShown(FOLDED_LINES)}>
          Show less
        </button>
      )}
    </div>
  );
}

function Terminal({ text }: { text: string }) {
  const spans = useMemo(() => parseAnsi(text), [text]);
  return (
    <samp>
      {spans.map(({ text: piece, style }: Span, index) => {
        const names = classOf(style);
        return names === '' ? (
          visible(piece)
        ) : (
          <span key={index} class={names}>
            {visible(piece)}
          </span>
        );
      })}
    </samp>
  );
}

function classOf({ color, background, ...marks }: Style): string {
  const names = Object.keys(marks).map((mark) => `ansi-${mark}`);
  if (color !== undefined) names.push(`ansi-fg-${color}`);
  if (background !== undefined) names.push(`ansi-bg-${background}`);
  return names.join(' ');
}
