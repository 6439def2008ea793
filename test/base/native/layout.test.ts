import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import {
  CMSGHDR,
  controlSpace,
  EPOLL_EVENT,
  IN_PKTINFO,
  IN6_PKTINFO,
  IOVEC,
  LINGER,
  MMSGHDR,
  MSGHDR,
  SOCK_FPROG,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  TIMEVAL,
} from "#base/native/layout.ts";
import { withoutNative } from "./native.ts";

/** As a C compiler says (`offsetof`, `sizeof`), for x86-64 and for arm64 alike: glibc and musl, little-endian LP64. */
const EXPECTED = [
  ["iovec", IOVEC, { base: 0, length: 8, size: 16 }],
  [
    "msghdr",
    MSGHDR,
    {
      name: 0,
      nameLength: 8,
      vectors: 16,
      vectorCount: 24,
      control: 32,
      controlLength: 40,
      flags: 48,
      size: 56,
    },
  ],
  ["mmsghdr", MMSGHDR, { header: 0, length: 56, size: 64 }],
  ["cmsghdr", CMSGHDR, { length: 0, level: 8, type: 12, size: 16 }],
  ["in_pktinfo", IN_PKTINFO, { interface: 0, source: 4, destination: 8, size: 12 }],
  ["in6_pktinfo", IN6_PKTINFO, { address: 0, interface: 16, size: 20 }],
  ["sockaddr_in", SOCKADDR_IN, { family: 0, port: 2, address: 4, zero: 8, size: 16 }],
  ["sockaddr_in6", SOCKADDR_IN6, { family: 0, port: 2, flowInfo: 4, address: 8, scopeId: 24, size: 28 }],
  ["timeval", TIMEVAL, { seconds: 0, micros: 8, size: 16 }],
  ["linger", LINGER, { isOn: 0, seconds: 4, size: 8 }],
  ["sock_fprog", SOCK_FPROG, { count: 0, program: 8, size: 16 }],
] as const;

for (const [name, layout, expected] of EXPECTED) {
  test(`struct ${name} lies in memory as the kernel has it`, () => assert.deepEqual(layout, expected));
}

test("struct epoll_event is packed where the kernel packs it", () => {
  assert.deepEqual(
    EPOLL_EVENT,
    process.arch === "x64" ? { events: 0, data: 4, size: 12 } : { events: 0, data: 8, size: 16 },
  );
});

test("ancillary data take what CMSG_SPACE says", () => {
  assert.deepEqual([controlSpace(IN_PKTINFO.size), controlSpace(IN6_PKTINFO.size)], [32, 40]);
});

test("the layouts are those that koffi works out for this processor", { skip: withoutNative }, () => {
  const koffi = createRequire(import.meta.url)("koffi");
  const msghdr = koffi.struct({
    name: "void *",
    nameLength: "uint32_t",
    vectors: "void *",
    vectorCount: "size_t",
    control: "void *",
    controlLength: "size_t",
    flags: "int",
  });
  const mmsghdr = koffi.struct({ header: msghdr, length: "uint32_t" });
  const in6 = koffi.struct({
    family: "uint16_t",
    port: "uint16_t",
    flowInfo: "uint32_t",
    address: koffi.array("uint8_t", 16),
    scopeId: "uint32_t",
  });
  for (const [layout, type] of [
    [MSGHDR, msghdr],
    [MMSGHDR, mmsghdr],
    [SOCKADDR_IN6, in6],
  ] as const) {
    const { size, ...offsets } = layout;
    assert.equal(koffi.sizeof(type), size);
    for (const [field, offset] of Object.entries(offsets)) assert.equal(koffi.offsetof(type, field), offset, field);
  }
});
