/** The mark of an agent's standing: a shape of its own for each, so that nothing depends on colour alone. */
import type { Standing } from '../state/standing.ts';

/** For the eye alone: the words stand beside it. Null while the standing is not known. */
export function Mark({ standing }: { standing: Standing | null }) {
  return (
    <svg class="mark" data-standing={standing ?? 'unknown'} viewBox="0 0 16 16" aria-hidden="true">
      {shapeOf(standing)}
    </svg>
  );
}

function shapeOf(standing: Standing | null) {
  switch (standing) {
    case 'question':
      return (
        <>
          <circle class="filled" cx="8" cy="8" r="7" />
          <path class="cut" d="M5.9 6.3a2.1 2.1 0 1 1 3 1.9c-.6.3-.9.6-.9 1.3m0 1.9v.1" />
        </>
      );
    case 'failed':
      return (
        <>
          <path class="filled" d="M8 1.2 15.2 14H.8Z" />
          <path class="cut" d="M8 6v3.6m0 2.1v.1" />
        </>
      );
    case 'finished':
      return <circle class="filled" cx="8" cy="8" r="4.5" />;
    case 'working':
      return (
        <>
          <circle class="track" cx="8" cy="8" r="5" />
          <path class="turning" d="M8 3a5 5 0 0 1 5 5" />
        </>
      );
    case 'idle':
    case 'online':
      return <circle class="ring" cx="8" cy="8" r="3.5" />;
    default:
      return <path class="ring" d="M4.5 8h7" />;
  }
}
