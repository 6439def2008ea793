/** Who may ask, by network: 403 for others. @module */
import { ownReply } from "#l7/exchange/own-reply.ts";
import type { Guard } from "#l7/route.ts";
import { createAccessList } from "#pool/access-list.ts";
import type { GuardsSpec } from "#state/http.ts";

export function accessGuard(access: GuardsSpec["access"]): Guard {
  const isAllowed = createAccessList(access);
  return ({ client, requestId }) => (isAllowed(client) ? undefined : ownReply(403, requestId));
}
