/** The entry in pi's footer. Pure. */
import type { UplinkStatus } from './uplink.ts';

type Paint = (color: string, text: string) => string;

/**
 * The text of the entry.
 *
 * @param url the dashboard's URL, which the entry links to; null for no link
 * @param paint colours text with pi's theme
 */
export function footerText({ state, agents }: UplinkStatus, url: string | null, paint: Paint): string {
  switch (state) {
    case 'online': {
      const count = agents === null ? '' : ` ${agents} ${agents === 1 ? 'agent' : 'agents'}`;
      return link(url, paint('success', '●') + paint('dim', ` hypivisor${count}`));
    }
    case 'registering':
      return paint('dim', '○ hypivisor …');
    default:
      return paint('warning', '○') + paint('dim', ' hypivisor offline');
  }
}

/** A link by OSC 8. Terminals without OSC 8 show only the text. */
function link(url: string | null, text: string): string {
  // A control character in the URL could end the escape sequence.
  if (url === null || /[\p{Cc}]/u.test(url)) return text;
  return `\u001b]8;;${url}\u001b\\${text}\u001b]8;;\u001b\\`;
}
