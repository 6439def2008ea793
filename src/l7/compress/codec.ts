/**
 * The encoders of node:zlib, set up for responses that are made while somebody waits.
 *
 * Owns:    levels and windows.
 * @module
 */
import {
  type BrotliCompress,
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  type Gzip,
  gzipSync,
  type ZstdCompress,
  zstdCompressSync,
} from "node:zlib";
import type { Coding } from "#l7/compress/compression.ts";

export type Encoder = Gzip | BrotliCompress | ZstdCompress;

/** Brotli's own default is 11, which takes a hundred times as long as 4 for a tenth less. */
const DEFAULT_LEVEL = { gzip: 6, br: 4, zstd: 3 } as const;
const HIGHEST_LEVEL = { gzip: 9, br: 11, zstd: 22 } as const;
/** 512 KiB: the window is memory of each response under way. */
const WINDOW_BITS = 19;
/** RFC 9659: of a response no more than 8 MiB. */
const MOST_WINDOW_BITS = 23;

const levelOf = (coding: Coding, level: number | undefined): number =>
  level === undefined ? DEFAULT_LEVEL[coding] : Math.min(level, HIGHEST_LEVEL[coding]);

function brotli(level: number | undefined, octets: number) {
  const quality = levelOf("br", level);
  const params: Record<number, number> = {
    [constants.BROTLI_PARAM_QUALITY]: quality,
    [constants.BROTLI_PARAM_LGWIN]: quality > DEFAULT_LEVEL.br ? 22 : WINDOW_BITS,
  };
  if (octets > 0) params[constants.BROTLI_PARAM_SIZE_HINT] = Math.min(octets, 2 ** 30);
  return { params };
}

function zstd(level: number | undefined) {
  const compressionLevel = levelOf("zstd", level);
  return {
    params: {
      [constants.ZSTD_c_compressionLevel]: compressionLevel,
      [constants.ZSTD_c_windowLog]: compressionLevel > DEFAULT_LEVEL.zstd ? MOST_WINDOW_BITS : WINDOW_BITS,
    },
  };
}

/** @param octets of the whole, where it is known; below 0: it is not */
export function createEncoder(coding: Coding, level: number | undefined, octets: number): Encoder {
  switch (coding) {
    case "gzip":
      return createGzip({ level: levelOf("gzip", level) });
    case "br":
      return createBrotliCompress(brotli(level, octets));
    case "zstd":
      return createZstdCompress(zstd(level));
    default:
      return coding satisfies never;
  }
}

export function encodeSync(coding: Coding, level: number | undefined, body: Uint8Array): Buffer {
  switch (coding) {
    case "gzip":
      return gzipSync(body, { level: levelOf("gzip", level) });
    case "br":
      return brotliCompressSync(body, brotli(level, body.length));
    case "zstd":
      return zstdCompressSync(body, zstd(level));
    default:
      return coding satisfies never;
  }
}

/** So that all that was written can be read at the other end. */
export const FLUSH: Readonly<Record<Coding, number>> = {
  gzip: constants.Z_SYNC_FLUSH,
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: constants.ZSTD_e_flush,
};
