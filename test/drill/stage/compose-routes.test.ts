import assert from "node:assert/strict";
import test from "node:test";
import { readRoute } from "#drill/stage/compose-routes.ts";

const HEAD = "BIRD 2.0.12 ready.\nAccess restricted\n";
const OWN = `Table master4:
203.0.113.1/32       unicast [region 04:39:30.611] * (100) [AS65010i]
	via 10.66.1.20 on eth1
	Type: BGP univ
	BGP.origin: IGP
	BGP.as_path: 65010
	BGP.next_hop: 10.66.1.20
	BGP.local_pref: 100
	BGP.community: (65010,101)
`;
const OTHER = `                     unicast [router3 04:39:30.405] (100) [AS65010i]
	via 10.66.0.13 on eth0
	Type: BGP univ
	BGP.origin: IGP
	BGP.as_path: 65103 65010
	BGP.next_hop: 10.66.0.13
	BGP.local_pref: 100
	BGP.community: (65010,103)
`;

for (const { name, text, region, path } of [
  { name: "takes the best route, which stands first", text: HEAD + OWN + OTHER, region: "us-east", path: "65010" },
  { name: "follows it over other routers", text: HEAD + OTHER, region: "ap-south", path: "65103 65010" },
  {
    name: "reads a route that drains",
    text: HEAD + OWN.replace("(65010,101)", "(65010,101) (65535,0)").replace("65010\n", "65010 65010 65010\n"),
    region: "us-east",
    path: "65010 65010 65010",
  },
  { name: "sees that there is none", text: `${HEAD}Network not found\n`, region: null, path: "" },
  { name: "sees that the router does not answer", text: "", region: null, path: "" },
  {
    name: "knows no region of a foreign community",
    text: HEAD + OWN.replace("101", "999"),
    region: null,
    path: "65010",
  },
])
  test(`readRoute() ${name}`, () =>
    assert.deepEqual(readRoute("router-na", text), { router: "router-na", region, path }));
