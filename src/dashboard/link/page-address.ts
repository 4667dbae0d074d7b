/** The daemon's address: the page's own, also below a path of a reverse proxy. */
import { registryUrl, relayUrl } from '../../protocol/url.ts';

/** The page's own address, without query and fragment. */
function page(): string {
  return location.origin + location.pathname;
}

/** Without the token: that goes as a subprotocol, so that no log and no history has it. */
export const registryAddress = () => registryUrl(page(), null);
export const relayAddress = (nodeId: string) => relayUrl(page(), nodeId, null);
