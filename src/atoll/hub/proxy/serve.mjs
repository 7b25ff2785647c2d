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
}

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
