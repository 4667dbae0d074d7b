/** The entry in pi's footer. Pure. */
import type { UplinkStatus } from './uplink.ts';

type Paint = (color: string, text: string) => string;

/**
 * @param url of the dashboard, which the entry links to; null for no link
 * @param paint colours text as pi's theme has it
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

/** OSC 8: terminals that know it show a link, the others show the text alone. */
function link(url: string | null, text: string): string {
  // What is in an escape sequence must not end it.
  if (url === null || /[\p{Cc}]/u.test(url)) return text;
  return `\u001b]8;;${url}\u001b\\${text}\u001b]8;;\u001b\\`;
}
