// The dashboard. Everything that comes from the server is set as text, never as HTML.

const $ = (id) => document.getElementById(id);
let session;
let stream;
let refreshTimer;
let regions = [];
/** What a balancer counted when it was last asked: rates are what came since. */
let counted;
let hasBalancer = false;

function el(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  if (className) node.className = className;
  return node;
}

async function call(method, path, body) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (session?.csrf) headers["x-csrf-token"] = session.csrf;
  const response = await fetch(path, {
    method,
    headers,
    credentials: "same-origin",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status === 204) return undefined;
  const answer = await response.json();
  if (!response.ok) {
    const error = new Error(answer.detail ?? response.statusText);
    error.status = response.status;
    throw error;
  }
  return answer;
}

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}
const ago = (atMs) => (atMs === null ? "–" : `${span(Date.now() - atMs)} ago`);
const ahead = (atMs) => (atMs === null ? "–" : atMs <= Date.now() ? "any moment" : `in ${span(atMs - Date.now())}`);
const colour = { up: "good", down: "bad", drain: "warn", held: "warn", unknown: "warn" };
const mayOperate = () => session && session.role !== "read";

function fill(table, rows) {
  $(table)
    .querySelector("tbody")
    .replaceChildren(...rows);
}

function row(id, cells) {
  const tr = el("tr");
  if (id) tr.id = id;
  for (const cell of cells) {
    const td = el("td");
    if (cell instanceof Node) td.append(cell);
    else td.textContent = cell ?? "–";
    tr.append(td);
  }
  return tr;
}

function button(text, id, action) {
  const node = el("button", text);
  node.type = "button";
  node.id = id;
  node.addEventListener("click", () => act(action));
  return node;
}

async function act(action) {
  $("error").textContent = "";
  try {
    await action();
    await refresh();
  } catch (error) {
    $("error").textContent = error.message;
    if (error.status === 401) showLogin();
  }
}

function showRegions() {
  fill(
    "regions",
    regions.map((region) => {
      const { health } = region;
      const notes = [
        health.isStale ? "stale" : "",
        health.isLowConfidence ? "low confidence" : "",
        health.rampPercent < 100 ? `ramp ${health.rampPercent} %` : "",
      ].filter(Boolean);
      const override = health.override;
      const actions = el("span");
      if (mayOperate() && health.awaitsApproval) {
        actions.append(
          button("Approve return", `approve-${region.id}`, () =>
            call("POST", `/regions/${encodeURIComponent(region.id)}/failback`, {}),
          ),
        );
      }
      return row(`region-${region.id}`, [
        el("strong", region.id),
        el("span", health.serving, `state ${colour[health.serving]}`),
        el("span", [health.verdict, ...notes].join(", "), colour[health.verdict]),
        ago(health.sinceMs),
        ahead(health.nextFlipAtMs),
        health.rttMs === null ? "–" : `${health.rttMs.toFixed(1)} ms`,
        region.sharePercent === null ? "–" : `${region.sharePercent.toFixed(1)} %`,
        override ? `${override.verb} by ${override.owner}: ${override.reason}` : "–",
        actions,
      ]);
    }),
  );
  $("region-ids").replaceChildren(...regions.map(({ id }) => Object.assign(el("option"), { value: `region/${id}` })));
}

function showServices(services) {
  fill(
    "services",
    services.map((service) => {
      const list = el("span");
      for (const region of service.regions) list.append(el("span", `${region.id} `, colour[region.serving]));
      return row(`service-${service.name}`, [
        el("strong", service.name),
        service.names.join(", "),
        service.chain.map(({ name }) => name).join(" → "),
        list,
        `${service.ttl.minSeconds}–${service.ttl.maxSeconds} s`,
      ]);
    }),
  );
}

function showOverrides(overrides) {
  fill(
    "overrides",
    overrides.map((override) =>
      row(`override-${override.id}`, [
        override.target,
        el("span", override.verb, colour[override.verb]),
        override.reason,
        override.owner,
        ahead(override.untilMs),
        override.origin,
        mayOperate() && override.origin === "api"
          ? button("End", `clear-${override.id}`, () => call("DELETE", `/overrides/${encodeURIComponent(override.id)}`))
          : el("span"),
      ]),
    ),
  );
}

function showStatus(status) {
  $("node").textContent = `${status.node} ${status.version}`;
  const { counts } = status;
  $("summary").textContent =
    `${counts.regionsUp} of ${counts.regions} regions up, generation ${status.generation}, up ${span(status.uptimeSeconds * 1000)}` +
    (status.queries ? `, ${status.queries.total.toLocaleString()} queries` : "");
  $("alarms-section").hidden = status.alarms.length === 0;
  $("alarms").replaceChildren(
    ...status.alarms.map((alarm) => el("li", `${alarm.says} (${alarm.subject}, ${ago(alarm.sinceMs)})`, "bad")),
  );
}

/** Counts per second since `before`; the first reading has none. */
function rate(now, before, seconds) {
  if (before === undefined) return "–";
  return (Math.max(0, now - before) / seconds).toFixed(1);
}
const millis = (value) => (typeof value === "number" ? `${value.toFixed(1)} ms` : "–");
const DAY_MS = 86400000;

function showTraffic(stats) {
  const now = { atMs: performance.now(), listeners: new Map(), backends: new Map() };
  const seconds = counted ? (now.atMs - counted.atMs) / 1000 : 1;
  fill(
    "listeners",
    stats.listeners.map(({ name, protocol, address, port, counters }) => {
      now.listeners.set(name, counters);
      const before = counted?.listeners.get(name);
      const isHttp = protocol === "http" || protocol === "https";
      return row(`listener-${name}`, [
        el("strong", name),
        `${protocol} ${address} port ${port}`,
        String(counters.active),
        isHttp ? rate(counters.http_requests, before?.http_requests, seconds) : "–",
        isHttp ? rate(counters.http_5xx, before?.http_5xx, seconds) : "–",
      ]);
    }),
  );
  fill(
    "backends",
    stats.backends.map((backend) => {
      const { backend_id: id, traffic, status } = backend;
      now.backends.set(id, traffic);
      const before = counted?.backends.get(id);
      return row(id, [
        backend.pool,
        `${backend.resolved_address} port ${backend.port}`,
        el("span", status, { healthy: "good", unhealthy: "bad", ejected: "bad" }[status] ?? "warn"),
        String(backend.active_connections),
        rate(traffic.requests, before?.requests, seconds),
        rate(traffic.responses["5xx"], before?.responses["5xx"], seconds),
        millis(traffic.latency_ms?.p50),
        millis(traffic.latency_ms?.p99),
      ]);
    }),
  );
  counted = now;
}

function showRules(rules) {
  fill(
    "rules",
    rules.map(({ listener, order, name, match, action, guards }) =>
      row(undefined, [listener, `${order}. ${name}`, match.join(", ") || "everything", action.says, guards.join(", ")]),
    ),
  );
}

function showCertificates({ certificates, acme }) {
  const end = (at) => {
    if (at === null) return el("span", "none yet", "bad");
    const leftMs = Date.parse(at) - Date.now();
    const text = `${at.slice(0, 10)}, ${leftMs > 0 ? `in ${span(leftMs)}` : "over"}`;
    return el("span", text, leftMs <= 0 ? "bad" : leftMs < 21 * DAY_MS ? "warn" : "good");
  };
  const waiting = acme.filter(({ not_after: at }) => at === null);
  fill("certificates", [
    ...certificates.map(({ listener, names, issuer, not_after: at }) =>
      row(undefined, [listener, names.join(", "), issuer, end(at)]),
    ),
    ...waiting.map(({ domains, fault }) => row(undefined, ["ACME", domains.join(", "), fault, end(null)])),
  ]);
}

async function refreshBalancer() {
  const [stats, rules, certificates] = await Promise.all([
    call("GET", "/stats"),
    call("GET", "/rules"),
    call("GET", "/certificates"),
  ]);
  showTraffic(stats);
  showRules(rules);
  showCertificates(certificates);
}

async function refresh() {
  const [status, regionList, services, overrides] = await Promise.all(
    ["/status", "/regions", "/services", "/overrides"].map((path) => call("GET", path)),
  );
  regions = regionList;
  showStatus(status);
  showRegions();
  showServices(services);
  showOverrides(overrides);
  hasBalancer = status.balancer !== null;
  $("balancer-section").hidden = !hasBalancer;
  if (hasBalancer && counted === undefined) await refreshBalancer();
}

function refreshSoon() {
  clearTimeout(refreshTimer);
  // Events come in bunches. What an operator was told about his own action stays on the page.
  refreshTimer = setTimeout(() => {
    refresh().catch((error) => {
      if (error.status === 401) showLogin();
      else $("connection").textContent = error.message;
    });
  }, 150);
}

function showEvent(event) {
  const item = el("li");
  item.append(el("time", new Date(event.atMs).toLocaleTimeString()), " ");
  item.append(el("span", event.says, { alarm: "bad", warning: "warn", resolved: "good" }[event.severity]));
  item.append(" ", el("span", event.subject, "hint"));
  $("events").prepend(item);
  while ($("events").childElementCount > 100) $("events").lastElementChild.remove();
}

function openStream(lastId) {
  stream?.close();
  stream = new EventSource(lastId ? `/events?after=${encodeURIComponent(lastId)}` : "/events");
  stream.onopen = () => {
    $("connection").textContent = "live";
    refreshSoon();
  };
  stream.onerror = () => {
    $("connection").textContent = "connection lost, trying again";
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => session && start(), 2000);
  };
  const listen = (message) => {
    if (!message.data) return;
    showEvent(JSON.parse(message.data));
    refreshSoon();
  };
  for (const kind of KINDS) stream.addEventListener(kind, listen);
  stream.addEventListener("gap", refreshSoon);
}

let KINDS = [];
async function start() {
  try {
    session = await call("GET", "/session");
  } catch (error) {
    if (error.status === 401) return showLogin();
    $("connection").textContent = "the server does not answer, trying again";
    $("board").hidden = false;
    return setTimeout(start, 2000);
  }
  $("login").hidden = true;
  $("board").hidden = false;
  $("session").hidden = false;
  $("who").textContent = `${session.name} (${session.role})`;
  $("override-form").hidden = !mayOperate();
  await act(async () => {
    const description = await call("GET", "/openapi.json");
    KINDS = description.components.schemas.Event.properties.kind.enum;
    const events = await call("GET", "/events");
    $("events").replaceChildren();
    for (const event of events) showEvent(event);
    openStream(events.at(-1)?.id);
  });
}

function showLogin() {
  stream?.close();
  session = undefined;
  $("board").hidden = true;
  $("session").hidden = true;
  $("login").hidden = false;
  $("token").focus();
}

$("login-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  $("login-error").textContent = "";
  try {
    await call("POST", "/session", { token: $("token").value.trim() });
    $("token").value = "";
    await start();
  } catch (error) {
    $("login-error").textContent = error.message;
  }
});
$("logout").addEventListener("click", () => call("DELETE", "/session").finally(showLogin));
$("override-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  act(async () => {
    await call("POST", "/overrides", {
      target: $("override-target").value,
      verb: $("override-verb").value,
      reason: $("override-reason").value,
      forMs: Number($("override-for").value),
      force: $("override-force").checked,
    });
    $("override-reason").value = "";
  });
});
setInterval(() => {
  if (!session || !hasBalancer) return;
  refreshBalancer().catch((error) => {
    if (error.status === 401) showLogin();
    else $("connection").textContent = error.message;
  });
}, 2000);
setInterval(() => session && regions.length > 0 && showRegions(), 1000); // the times in it move
start();
