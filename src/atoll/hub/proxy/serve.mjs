// The proxy of `atoll up`: configurable-http-proxy, with connections to unix sockets kept alive.
//
// Options: --ip --port --api-socket --default-target --error-target, as configurable-http-proxy's
// own; the token for its API is in $CONFIGPROXY_AUTH_TOKEN.

import http from "node:http";
import { parseArgs } from "node:util";
import ConfigurableProxy from "configurable-http-proxy";
import { defaultLogger } from "configurable-http-proxy/lib/log.js";

// configurable-http-proxy 5.3 opens a connection for each request to a unix socket and asks for it
// to be closed. Node's last, empty write of a POST may come after that, fails with EPIPE, and the
// person is told 503 although the notebook was saved (3 of 800 quick POSTs on two cores).
// Idle connections go sooner than any server behind closes them (uvicorn: after 5 s).
const agent = new http.Agent({ keepAlive: true, timeout: 2000 });

class Proxy extends ConfigurableProxy {
  proxyOptsForTarget(target) {
    const options = super.proxyOptsForTarget(target);
    if (options.target.socketPath) options.agent = agent;
    return options;
  }

  // Who asks for a person's server is told by JupyterHub what became of it. Everything else that
  // does not answer is a part of Atoll, which is being started again; so is JupyterHub, if it
  // cannot tell. Else they would read “Service Unavailable”, on a page that stays.
  handleProxyError(code, kind, req, res, error) {
    const ours = code === 503 && kind !== "ws" && !/\/user\//.test(req.url);
    if (!ours) return super.handleProxyError(code, kind, req, res, error);
    log.error(`${code} ${req.method} ${req.url.split("?")[0]} ${error?.message}`);
    this._handleProxyErrorDefault(code, kind, req, res);
  }

  _handleProxyErrorDefault(code, kind, req, res) {
    if (code !== 503 || res.headersSent || res.writableEnded) {
      return super._handleProxyErrorDefault(code, kind, req, res);
    }
    const [status, type, body] = restarting(req.url, req.headers.accept ?? "");
    res.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store", "Retry-After": "3" });
    res.end(body);
  }
}

const RESTARTING = "Atoll is being started again.";
const HINT = "Try again in a moment.";

// Returns status, type and body of the answer, as whoever accepts `accept` can read it.
function restarting(url, accept) {
  if (accept.includes("text/event-stream") && url.includes("/build/")) {
    // An EventSource can read nothing but a stream with status 200.
    const message = `${RESTARTING} ${HINT}\n`;
    const told = JSON.stringify({ phase: "failed", message, status_code: 503 });
    return [200, "text/event-stream", `data: ${told}\n\n`];
  }
  if (accept.includes("text/html")) return [503, "text/html; charset=utf-8", PAGE];
  const told = { ok: false, error: RESTARTING, hint: HINT, message: `${RESTARTING} ${HINT}` };
  return [503, "application/json", JSON.stringify(told)];
}

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<meta name="viewport" content="width=device-width"><title>In a moment · Atoll</title>
<style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 20vh auto; padding: 1rem;
color-scheme: light dark }</style></head>
<body><h1>In a moment</h1><p role="alert">${RESTARTING} This page tries again by itself. Servers that run
go on meanwhile.</p></body></html>
`;

const string = { type: "string" };
const { values } = parseArgs({
  options: {
    ip: string,
    port: string,
    "api-socket": string,
    "default-target": string,
    "error-target": string,
  },
});

const log = defaultLogger({ level: "info" });
const proxy = new Proxy({
  log,
  authToken: process.env.CONFIGPROXY_AUTH_TOKEN,
  defaultTarget: values["default-target"],
  errorTarget: values["error-target"],
  includePrefix: true,
  prependPath: true,
  xfwd: true,
});

// A program that dies in the middle of an answer, a stream of events above all, would leave whoever
// reads it waiting for ever: a pipe ends with what it reads from, but does not break off with it.
proxy.proxy.on("proxyRes", (answer, request, response) => {
  answer.on("close", () => answer.complete || response.destroy());
});

// A web server before us says how the browser came: “https”. We add “http” to that, as proxies do, and
// Tornado believes the last word: JupyterHub's cookies, and the Labs', would go without TLS as well.
function keepScheme({ headers }) {
  const [browsers] = (headers["x-forwarded-proto"] ?? "").split(",");
  if (browsers) headers["x-scheme"] ??= browsers.trim();
}
for (const event of ["request", "upgrade"]) proxy.proxyServer.prependListener(event, keepScheme);

// Node.js collects garbage when it needs room, so that what the start and a crowd left would stay for
// as long as nobody comes: a tenth of its memory at rest. `--expose-gc` is in atoll.hub.proxy.
const QUIET = 5000; // ms without a request
const quiet = setTimeout(() => gc({ type: "major", execution: "sync", flavor: "last-resort" }), QUIET);
for (const server of [proxy.proxyServer, proxy.apiServer]) {
  for (const event of ["request", "upgrade"]) server.prependListener(event, () => quiet.refresh());
}

function fail(error) {
  log.error("Cannot listen: " + error.message);
  process.exit(1);
}

process.umask(0o077); // nobody else gives orders
proxy.proxyServer.on("error", fail).listen(Number(values.port), values.ip);
proxy.apiServer.on("error", fail).listen(values["api-socket"]);

for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => process.exit(0));
// One strange request must not end everybody's connections.
process.on("uncaughtException", (error) => log.error("Uncaught: " + (error.stack || error)));
