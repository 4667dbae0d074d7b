/** What the Enter key does in the composer. Pure. */

export interface Enter {
  readonly shift: boolean;
  readonly mod: boolean;
  readonly composing: boolean;
}

/**
 * On a desk Enter sends and Shift+Enter breaks the line. On a touch screen, whose keyboards have no handy Shift+Enter,
 * Enter breaks the line. While an input method composes, Enter belongs to it.
 */
export function onEnter({ shift, mod, composing }: Enter, touch: boolean): 'send' | 'steer' | 'newline' | 'leave' {
  if (composing) return 'leave';
  if (mod) return 'steer';
  return shift || touch ? 'newline' : 'send';
}
