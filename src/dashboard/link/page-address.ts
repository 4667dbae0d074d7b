/** Where the daemon is: where the page came from, also below a path of a reverse proxy. */
import { registryUrl, relayUrl } from '../../protocol/url.ts';

/** The page's own address, without what is only for the page. */
function page(): string {
  return location.origin + location.pathname;
}

/** Never with the token: that goes as a subprotocol, so that no log and no history has it. */
export const registryAddress = () => registryUrl(page(), null);
export const relayAddress = (nodeId: string) => relayUrl(page(), nodeId, null);
