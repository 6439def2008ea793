/** Routes by which people see what this node announces by BGP, and have it withdrawn and announced. @module */
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import { anycastSchema, newWithdrawalSchema } from "#api/schemas-anycast.ts";

export function anycastRoutes({ views, commands }: RouteContext): Route[] {
  return [
    defineRoute({
      method: "GET",
      url: "/anycast",
      role: "read",
      tag: "Anycast",
      summary: "What this node announces by BGP, since when and why, and who else does",
      response: anycastSchema,
      handle: () => views.anycast(),
    }),
    defineRoute({
      method: "POST",
      url: "/anycast/withdraw",
      role: "operate",
      tag: "Anycast",
      summary: "Drain and withdraw this node's prefixes; refused where too few other nodes announce them",
      body: newWithdrawalSchema,
      response: anycastSchema,
      subject: ({ body }) => body.reason,
      handle: ({ body, actor }) => commands.withdrawAnycast(body.reason, actor!),
    }),
    defineRoute({
      method: "POST",
      url: "/anycast/announce",
      role: "operate",
      tag: "Anycast",
      summary: "End what POST /anycast/withdraw began",
      response: anycastSchema,
      subject: () => "node",
      handle: ({ actor }) => commands.announceAnycast(actor!),
    }),
  ];
}
