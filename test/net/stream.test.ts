import { DRIVERS } from "./drivers.ts";
import { streamContract } from "./stream-contract.ts";

for (const [name, create] of Object.entries(DRIVERS)) streamContract(`${name} driver`, create);
