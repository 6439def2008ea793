/**
 * Compression of one rule's responses: whether, how, and what that does to the head (RFC 9110 §8.4, §12.5.3).
 *
 * Owns:    the decision, and the number of encoders at work.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { negotiate } from "#l7/compress/accept-encoding.ts";
import type { Choice, Coding, Compression } from "#l7/compress/compression.ts";
import { StreamFilter } from "#l7/compress/stream-filter.ts";
import { WHOLE_OCTETS, WholeFilter } from "#l7/compress/whole-filter.ts";
import { type Fields, fieldOf, listOf, type RequestHead, type ResponseHead, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { BodyFilter, FilterSink } from "#l7/route.ts";
import type { CompressionSpec } from "#state/http.ts";

export type CompressionOptions = {
  readonly clock: Pick<Clock, "after">;
  /** As in `HttpContext`. */
  readonly waiting: (change: number) => void;
};

/** Encoders of one rule that may be at work in a worker: each has up to some MiB. Beyond, responses go as they are. */
const MAX_ENCODERS = 1_024;
/** Values of Accept-Encoding whose meaning is known; browsers send a handful. */
const MAX_KNOWN = 256;

/** They say what the octets are, and the octets become others. */
const OF_OCTETS: ReadonlySet<string> = new Set([
  "accept-ranges",
  "content-digest",
  "content-md5",
  "digest",
  "repr-digest",
  "content-encoding",
  "vary",
]);

export function createCompression(spec: CompressionSpec, options: CompressionOptions): Compression {
  const exact = new Set(spec.types.filter((type) => !type.endsWith("*")).map((type) => type.toLowerCase()));
  const prefixes = spec.types.filter((type) => type.endsWith("*")).map((type) => type.slice(0, -1).toLowerCase());
  const known = new Map<string, Coding | undefined>();
  let encoders = 0;
  const freed = (): void => {
    encoders--;
  };

  const isListed = (type: string): boolean => exact.has(type) || prefixes.some((prefix) => type.startsWith(prefix));

  const codingFor = (accepted: string | undefined): Coding | undefined => {
    if (accepted === undefined) return undefined;
    let coding = known.get(accepted);
    if (coding === undefined && !known.has(accepted)) {
      coding = negotiate(accepted, spec.algorithms);
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(accepted, coding);
    }
    return coding;
  };

  const variantOf = (coding: Coding): string => `${coding} ${spec.level ?? "default"}`;
  return {
    variants: { gzip: variantOf("gzip"), br: variantOf("br"), zstd: variantOf("zstd") },

    choose(request: RequestHead, response: ResponseHead): Choice | undefined {
      const { status, fields } = response;
      if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return undefined;
      const octets = request.method === "HEAD" ? (response.declaredOctets ?? UNKNOWN_LENGTH) : response.bodyOctets;
      if (octets !== UNKNOWN_LENGTH && (octets === 0 || octets < spec.minOctets)) return undefined;
      if (!isListed(mediaTypeOf(fields))) return undefined;
      if ((fieldOf(fields, "content-encoding") ?? "identity").toLowerCase() !== "identity") return undefined;
      if (fieldOf(fields, "content-range") !== undefined) return undefined;
      if (/(?:^|[\s,])no-transform(?:$|[\s,])/i.test(listOf(fields, "cache-control") ?? "")) return undefined;
      const coding = encoders < MAX_ENCODERS ? codingFor(listOf(request.fields, "accept-encoding")) : undefined;
      return { head: coding === undefined ? varied(response) : encoded(response, coding), coding };
    },

    filter(coding: Coding, response: ResponseHead, sink: FilterSink): BodyFilter {
      const octets = response.bodyOctets;
      if (octets !== UNKNOWN_LENGTH && octets <= WHOLE_OCTETS) return new WholeFilter(coding, spec.level, sink);
      encoders++;
      const isPrompt = mediaTypeOf(response.fields) === "text/event-stream";
      const { clock, waiting } = options;
      return new StreamFilter({ coding, level: spec.level, octets, isPrompt, clock, waiting, freed }, sink);
    },
  };
}

/** Type and subtype in lower case; empty: it has none. */
function mediaTypeOf(fields: readonly string[]): string {
  const type = fieldOf(fields, "content-type") ?? "";
  const semicolon = type.indexOf(";");
  return (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}

function varied(response: ResponseHead): ResponseHead {
  const vary = listOf(response.fields, "vary");
  if (variesByEncoding(vary)) return response;
  const fields = without(response.fields, (name) => name === "vary");
  fields.push("vary", varyWith(vary));
  return { ...response, fields };
}

function encoded(response: ResponseHead, coding: Coding): ResponseHead {
  const fields = without(response.fields, (name) => OF_OCTETS.has(name));
  for (let at = 0; at < fields.length; at += 2)
    // Other octets under the same strong tag would be put together with those of before (RFC 9110 §8.8.3).
    if (fields[at] === "etag" && !fields[at + 1]!.startsWith("W/")) fields[at + 1] = `W/${fields[at + 1]!}`;
  fields.push("content-encoding", coding, "vary", varyWith(listOf(response.fields, "vary")));
  const hasBody = response.bodyOctets !== 0;
  return { ...response, fields, bodyOctets: hasBody ? UNKNOWN_LENGTH : 0, declaredOctets: undefined };
}

function without(fields: readonly string[], isOut: (name: string) => boolean): Fields {
  const left: Fields = [];
  for (let at = 0; at < fields.length; at += 2) if (!isOut(fields[at]!)) left.push(fields[at]!, fields[at + 1]!);
  return left;
}

const variesByEncoding = (vary: string | undefined): boolean =>
  vary?.split(",").some((name) => /^(?:\*|accept-encoding)$/i.test(name.trim())) ?? false;

const varyWith = (vary: string | undefined): string =>
  vary === undefined || vary === "" ? "accept-encoding" : variesByEncoding(vary) ? vary : `${vary}, accept-encoding`;
