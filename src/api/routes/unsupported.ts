/** Routes that the design has and this release has not: they say so, instead of a bare 404. @module */
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route } from "#api/route.ts";

const UNSUPPORTED = [{ method: "POST", url: "/rum" }] as const;

export const unsupportedRoutes = (): Route[] =>
  UNSUPPORTED.map(({ method, url }) =>
    defineRoute({
      method,
      url,
      role: "read",
      tag: "Later",
      summary: "Not supported yet",
      status: 501,
      subject: () => url,
      handle: () => {
        throw new ApiError("RHUMB_API_NOT_SUPPORTED", url);
      },
    }),
  );
