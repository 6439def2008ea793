import { createNetDriver } from "#l4/tcp/net-driver.ts";
import { driverContract } from "./driver-contract.ts";

driverContract("createNetDriver()", createNetDriver);
