/**
 * Plan → template: writes the planned RRsets out, names compressed.
 * @module
 */
import { ENTRY, entryCount, entryWord, OWNER_IS_QNAME, type Plan } from "#dns/answer/plan.ts";
import {
  beginBody,
  findTarget,
  type RecordWriter,
  writeName,
  writeOctets,
  writeUint16,
  writeUint32,
} from "#dns/answer/record-writer.ts";
import type { Template } from "#dns/answer/template.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { MAX_TCP_MESSAGE_OCTETS } from "#dns/wire/edns.ts";
import { POINTER_TO_QNAME } from "#dns/wire/header.ts";
import type { NameKey } from "#dns/wire/name-key.ts";
import { rdataNames } from "#dns/wire/rdata/table.ts";
import { TYPE } from "#dns/wire/types.ts";
import { RECORD, RRSET, RRSET_WORDS, rdataOctetsAt } from "#dns/zone/image.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/**
 * @param name the question's; from `plan.baseLabel` on it is what the template is compiled for
 * @returns undefined when the records do not fit into any DNS message
 */
export function compilePlan(plan: Plan, image: ZoneImage, name: NameKey, writer: RecordWriter): Template | undefined {
  const baseAt = name.labelAt[plan.baseLabel]!;
  const baseOctets = name.length - baseAt;
  beginBody(writer, name.octets, baseAt, baseOctets);
  const entries = entryCount(plan);
  const authorityFrom = plan.answers;
  const additionalFrom = authorityFrom + plan.authorities;
  const optionalFrom = entries - plan.optional;
  let answerCount = 0;
  let authorityCount = 0;
  let additionalCount = 0;
  let neededOctets = 0;
  let neededAdditional = 0;
  for (let entry = 0; entry < entries && !writer.isOverfull; entry++) {
    if (entry === optionalFrom) {
      neededOctets = writer.at - writer.bodyAt;
      neededAdditional = additionalCount;
    }
    const records = writeEntry(plan, entry, image, writer);
    if (entry < authorityFrom) answerCount += records;
    else if (entry < additionalFrom) authorityCount += records;
    else additionalCount += records;
  }
  if (plan.optional === 0) {
    neededOctets = writer.at - writer.bodyAt;
    neededAdditional = additionalCount;
  }
  let steerOwner = POINTER_TO_QNAME;
  if (plan.service >= 0 && plan.steerOwnerAt !== OWNER_IS_QNAME) {
    const target = findTarget(writer, plan.names, plan.steerOwnerAt);
    if (target < 0) return undefined;
    steerOwner = 0xc000 | target;
  }
  if (writer.isOverfull || writer.at > MAX_TCP_MESSAGE_OCTETS) return undefined;
  return {
    octets: writer.octets.slice(writer.bodyAt, writer.at),
    pointers: writer.pointers.slice(0, writer.pointerCount),
    baseOctets,
    answerCount,
    authorityCount,
    additionalCount,
    neededOctets,
    neededAdditional,
    rcode: plan.rcode,
    isAuthoritative: plan.isAuthoritative,
    kind: plan.kind,
    service: plan.service,
    steerOwner,
  };
}

/** @returns how many records it wrote */
function writeEntry(plan: Plan, entry: number, image: ZoneImage, writer: RecordWriter): number {
  const ownerAt = entryWord(plan, entry, ENTRY.ownerAt);
  const rrset = entryWord(plan, entry, ENTRY.rrset);
  const ttlSeconds = entryWord(plan, entry, ENTRY.ttlSeconds);
  if (rrset < 0) {
    const lengthAt = beginRecord(plan, ownerAt, TYPE.CNAME, ttlSeconds, writer);
    writeName(writer, plan.names, entryWord(plan, entry, ENTRY.targetAt));
    endRecord(writer, lengthAt);
    return 1;
  }
  const word = rrset * RRSET_WORDS;
  const type = image.rrsets[word + RRSET.type]!;
  const count = image.rrsets[word + RRSET.count]!;
  let at = image.rrsets[word + RRSET.rdataAt]!;
  for (let record = 0; record < count && !writer.isOverfull; record++) {
    const length = rdataOctetsAt(image.rdata, at);
    const lengthAt = beginRecord(plan, ownerAt, type, ttlSeconds, writer);
    writeRdata(writer, type, image.rdata, at + RECORD.rdata, length);
    endRecord(writer, lengthAt);
    at += RECORD.rdata + length;
  }
  return count;
}

function beginRecord(plan: Plan, ownerAt: number, type: number, ttlSeconds: number, writer: RecordWriter): number {
  if (ownerAt === OWNER_IS_QNAME) writeUint16(writer, POINTER_TO_QNAME);
  else writeName(writer, plan.names, ownerAt);
  writeUint16(writer, type);
  writeUint16(writer, CLASS.IN);
  writeUint32(writer, ttlSeconds);
  const lengthAt = writer.at;
  writeUint16(writer, 0);
  return lengthAt;
}

function endRecord(writer: RecordWriter, lengthAt: number): void {
  const length = writer.at - lengthAt - 2;
  writer.octets[lengthAt] = length >>> 8;
  writer.octets[lengthAt + 1] = length & 0xff;
}

function writeRdata(writer: RecordWriter, type: number, rdata: Uint8Array, at: number, length: number): void {
  const names = rdataNames(type);
  if (!names?.isCompressible || typeof names.at !== "number") {
    writeOctets(writer, rdata, at, length);
    return;
  }
  const end = at + length;
  writeOctets(writer, rdata, at, names.at);
  at += names.at;
  for (let name = 0; name < names.count; name++) {
    writeName(writer, rdata, at);
    while (rdata[at] !== 0) at += 1 + rdata[at]!;
    at++;
  }
  writeOctets(writer, rdata, at, end - at);
}
