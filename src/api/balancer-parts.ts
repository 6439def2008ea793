/** The balancer's views and commands for routes, or the answer of a node that is none. @module */
import { ApiError } from "#api/problem-details.ts";
import type { RouteContext } from "#api/route.ts";
import type { BalancerCommands, BalancerViews } from "#api/views.ts";

export const viewsOf = ({ views }: RouteContext): BalancerViews => views.balancer ?? absent();
export const changesOf = ({ commands }: RouteContext): BalancerCommands => commands.balancer ?? absent();

function absent(): never {
  throw new ApiError("RHUMB_API_NOT_FOUND", "balancer here: this node's configuration has no `balancer:`");
}
