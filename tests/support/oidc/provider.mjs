// An OpenID Connect provider on a free port of loopback. It prints its address when it listens.
//
//     node provider.mjs '{"clients": […], "people": {"sub": {…claims}}, "issuer": ""}'
//
// It asks for nothing but who one is: that is not what is tried here.

import http from "node:http";
import Provider from "oidc-provider";

const asked = JSON.parse(process.argv[2]);
const server = http.createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: asked.clients,
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...asked.people[id] }) }),
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: ["a key of a test"] },
});

const PAGE = `<!DOCTYPE html><html lang="en"><title>Example University</title>
<h1>Example University</h1>
<form method="post">
  <label>Who are you? <input name="who" autofocus></label>
  <button>Continue</button> <button name="cancel" value="1">Cancel</button>
</form>`;

async function interact(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method !== "POST") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    return response.end(PAGE);
  }
  let body = "";
  for await (const part of request) body += part;
  const form = new URLSearchParams(body);
  const who = form.get("who");
  if (form.get("cancel")) {
    return provider.interactionFinished(request, response, { error: "access_denied" });
  }
  const grant = new provider.Grant({ accountId: who, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { login: { accountId: who, remember: false }, consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result);
}

const answer = provider.callback();
server.on("request", (request, response) => {
  if (request.url.startsWith("/interaction/")) {
    interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
  } else answer(request, response);
});
console.log(issuer);
