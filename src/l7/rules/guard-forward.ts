/**
 * Somebody else decides: the request's head is shown to a service; 2xx lets it go on, any other answer goes to the client.
 *
 * Owns:    which fields are shown, and which of the answer's go on to the backend. What a client sends under those names is
 *          taken out first, whatever the answer says.
 * @module
 */
import { ownReply } from "#l7/exchange/own-reply.ts";
import { type Fields, type Reply, removeField } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Guard } from "#l7/route.ts";
import type { RuleEnv } from "#l7/rules/create-router.ts";
import type { ForwardAuthSpec } from "#state/http.ts";

/** Of an answer that goes to the client. */
const MAX_BODY_OCTETS = 65_536;

export function forwardAuthGuard(spec: ForwardAuthSpec, env: RuleEnv): Guard {
  const pool = env.pool(spec.pool);
  // What we say of the request is ours to say.
  const shown = new Set(spec.copyFromRequest.filter((name) => !/^x-(forwarded-|request-id$)/.test(name)));
  const copied = new Set(spec.copyToBackend);

  function question(request: HttpRequest): Fields {
    const { head, client } = request;
    const fields: Fields = [];
    for (let at = 0; at < head.fields.length; at += 2)
      if (shown.has(head.fields[at]!)) fields.push(head.fields[at]!, head.fields[at + 1]!);
    fields.push("x-forwarded-method", head.method, "x-forwarded-uri", head.target, "x-forwarded-proto", head.scheme);
    if (head.authority !== "") fields.push("x-forwarded-host", head.authority);
    fields.push("x-forwarded-for", client, "x-request-id", request.requestId);
    return fields;
  }

  async function ask(request: HttpRequest): Promise<Reply | undefined> {
    const { head } = request;
    const answer = await env.subrequest(
      pool,
      {
        method: "GET",
        target: spec.path,
        authority: head.authority,
        scheme: head.scheme,
        fields: question(request),
        body: undefined,
      },
      { timeoutMs: spec.timeoutMs, maxBodyOctets: MAX_BODY_OCTETS },
    );
    for (const name of copied) removeField(head.fields, name);
    if ("fault" in answer) return ownReply(503, request.requestId);
    const { status, fields, body } = answer;
    if (status < 200 || status > 299) return { status, fields, body };
    for (let at = 0; at < fields.length; at += 2)
      if (copied.has(fields[at]!)) head.fields.push(fields[at]!, fields[at + 1]!);
    return undefined;
  }
  return (request) => {
    env.waiting(1);
    return ask(request).finally(() => env.waiting(-1));
  };
}
