/**
 * The dashboard at `/`: one page, no build step. Style and script stand inline under a content security policy that
 * allows exactly their hashes, so that nothing which gets into the page by other ways can run.
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineRoute, type Route } from "#api/route.ts";

const folder = join(import.meta.dirname, "../dashboard");
const sourceOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** @returns the page and the policy that fits it */
function buildDashboard(): { readonly html: string; readonly policy: string } {
  const style = readFileSync(join(folder, "style.css"), "utf8");
  const script = readFileSync(join(folder, "script.js"), "utf8");
  const html = readFileSync(join(folder, "page.html"), "utf8")
    .replace("/*STYLE*/", () => style)
    .replace("/*SCRIPT*/", () => script);
  const policy = [
    "default-src 'none'",
    `script-src ${sourceOf(script)}`,
    `style-src ${sourceOf(style)}`,
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return { html, policy };
}

export function dashboardRoutes(): Route[] {
  const { html, policy } = buildDashboard();
  return [
    defineRoute({
      method: "GET",
      url: "/",
      role: "public", // the page holds no data; it asks for a token and then for the data
      tag: "Session",
      summary: "The dashboard",
      response: "text/html",
      handle: ({ reply }) => {
        reply.header("content-type", "text/html; charset=utf-8").header("content-security-policy", policy);
        return html;
      },
    }),
  ];
}
