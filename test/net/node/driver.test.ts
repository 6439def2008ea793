import { createNetDriver } from "#net/node/driver.ts";
import { driverContract } from "../driver-contract.ts";

driverContract("createNetDriver()", createNetDriver);
