/** IPSECKEY (RFC 4025 §2). @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote } from "#dns/wire/rdata/text-reader.ts";

export const ipseckey: RdataType = {
  example: "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
  parse(from) {
    from.u8("precedence");
    const gatewayType = from.u8("gateway type");
    from.u8("algorithm");
    if (gatewayType === 0) {
      const gateway = from.word("gateway");
      if (gateway !== ".") from.fail(`The gateway ${quote(gateway)} does not fit type 0`, "Write a dot for no gateway");
    } else if (gatewayType === 1) from.ipv4("gateway");
    else if (gatewayType === 2) from.ipv6("gateway");
    else if (gatewayType === 3) from.name("gateway");
    else from.fail(`The gateway type ${gatewayType} is unknown`, "Use 0 none, 1 IPv4, 2 IPv6 or 3 name");
    from.base64Rest("public key", true);
  },
  format(from) {
    const precedence = from.u8("precedence");
    const gatewayType = from.u8("gateway type");
    const algorithm = from.u8("algorithm");
    let gateway = ".";
    if (gatewayType === 1) gateway = from.ip(4, "gateway");
    else if (gatewayType === 2) gateway = from.ip(16, "gateway");
    else if (gatewayType === 3) gateway = from.name("gateway");
    else if (gatewayType !== 0) from.fail(`The gateway type ${gatewayType} is unknown`, "Use 0, 1, 2 or 3");
    const key = from.base64Rest("public key");
    return `${precedence} ${gatewayType} ${algorithm} ${gateway}${key === "" ? "" : ` ${key}`}`;
  },
};
