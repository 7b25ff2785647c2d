// node stream.mjs SPEC BUILD_URL [TOKEN]: what BinderHub's own client hears, one JSON line each.

// The client is written for browsers and asks these two whether its page is hidden.
globalThis.window = globalThis;
globalThis.document = { hidden: false, cookie: "", addEventListener() {}, removeEventListener() {} };

const { BinderRepository } = await import("@jupyterhub/binderhub-client/client.js");

const [spec, url, apiToken] = process.argv.slice(2);
const repository = new BinderRepository(spec, new URL(url), { apiToken });
for await (const line of repository.fetch()) {
  console.log(JSON.stringify(line));
  if (line.phase === "ready" || line.phase === "failed") {
    repository.close();
    break;
  }
}
process.exit(0);
