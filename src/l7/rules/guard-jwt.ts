/** A good token, or 401 (RFC 6750 §3). @module */
import { ownReply } from "#l7/exchange/own-reply.ts";
import type { Reply } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Guard } from "#l7/route.ts";
import type { TokenVerifier } from "#l7/rules/tokens.ts";

function refusal(request: HttpRequest, challenge: string): Reply {
  const reply = ownReply(401, request.requestId);
  reply.fields.push("www-authenticate", challenge);
  return reply;
}

/** Leaves what the token says in `request.claims`. */
export function jwtGuard(tokens: TokenVerifier): Guard {
  return (request) => {
    const known = tokens.known(request);
    if (known === null) return refusal(request, "Bearer");
    if (known) {
      request.claims = known;
      return undefined;
    }
    return tokens.verify(request).then((claims) => {
      request.claims = claims;
      return claims ? undefined : refusal(request, 'Bearer error="invalid_token"');
    });
  };
}
