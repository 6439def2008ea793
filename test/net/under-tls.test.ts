/** What the contract of drivers says of octets holds of those under TLS. */
import { driverContract } from "./driver-contract.ts";
import { DRIVERS } from "./drivers.ts";
import { TLS_TERMS } from "./tls-terms.ts";

if (TLS_TERMS !== undefined)
  for (const [name, create] of Object.entries(DRIVERS)) driverContract(`${name} driver under TLS`, create, TLS_TERMS);
